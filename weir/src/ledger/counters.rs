//! What metrics are made of: counts of all runs so far. They stay when old runs are pruned, so that they never go down.

use rusqlite::{Transaction, params};

use super::{Ledger, now};
use crate::error::Result;
use crate::report::{Outcome, Report, RunKey, State};

/// A value that a metric shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counter {
    pub(crate) task: String,
    pub(crate) environment: String,
    /// One of [`names`].
    pub(crate) name: String,
    /// The values of its labels, in their order.
    pub(crate) labels: Vec<String>,
    pub(crate) value: f64,
}

/// What is due and not done of the windows of a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OpenWindows {
    pub(crate) task: String,
    pub(crate) environment: String,
    /// Windows by state.
    pub(crate) states: Vec<(String, u64)>,
    /// When the oldest window was due that is not done.
    pub(crate) oldest: Option<String>,
}

/// The names of counters and of values of the newest run.
pub(crate) mod names {
    pub(crate) const RUNS: &str = "runs";
    pub(crate) const ROWS: &str = "rows";
    pub(crate) const REASONS: &str = "reasons";
    pub(crate) const STEP_SECONDS: &str = "step_seconds";
    pub(crate) const STEPS: &str = "steps";
    pub(crate) const RUN_SECONDS: &str = "run_seconds";
    pub(crate) const WRITTEN_ROWS: &str = "written_rows";
    pub(crate) const WRITTEN_BYTES: &str = "written_bytes";
    pub(crate) const LAST_RUN: &str = "last_run";
    pub(crate) const LAST_SUCCESS: &str = "last_success";
    pub(crate) const LAST_SECONDS: &str = "last_seconds";
    pub(crate) const PEAK_MEMORY: &str = "peak_memory";
    pub(crate) const INTERVAL: &str = "interval";
}

/// Counts a run that has ended.
pub(super) fn count_report(t: &Transaction<'_>, report: &Report) -> rusqlite::Result<()> {
    let key = RunKey::new(&report.task, &report.environment);
    let add = |name, labels: &[&str], value: f64| put(t, &key, name, labels, value, "value + excluded.value");
    let set = |name, value: f64| put(t, &key, name, &[], value, "excluded.value");
    count_end(t, &key, report.outcome.into(), report.replay.is_none())?;
    add(names::RUN_SECONDS, &[], report.seconds)?;
    for table in &report.tables {
        add(names::ROWS, &[&table.table, "accepted"], table.accepted as f64)?;
        add(names::ROWS, &[&table.table, "rejected"], table.rejected as f64)?;
        for reason in &table.reasons {
            add(names::REASONS, &[&table.table, &reason.name, &reason.effect], reason.rows as f64)?;
        }
    }
    for step in &report.steps {
        add(names::STEP_SECONDS, &[&step.name], step.seconds)?;
        add(names::STEPS, &[&step.name], 1.0)?;
    }
    for output in report.outputs.iter().filter(|output| output.published) {
        add(names::WRITTEN_ROWS, &[&output.sink], output.rows as f64)?;
        add(names::WRITTEN_BYTES, &[&output.sink], output.bytes as f64)?;
    }
    if report.outcome != Outcome::Skipped && report.replay.is_none() {
        set(names::LAST_SECONDS, report.seconds)?;
        set(names::PEAK_MEMORY, report.peak_memory as f64)?;
    }
    Ok(())
}

/// Counts a run that died: with what is known of its rows, if all of it is published now.
pub(super) fn count_recovered(t: &Transaction<'_>, run: &str, state: State) -> rusqlite::Result<()> {
    let query = "select task, environment, report from run where id = ?1";
    let (key, report) = t.query_row(query, [run], |row| {
        let key = RunKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        Ok((key, row.get::<_, Option<String>>(2)?))
    })?;
    // That of another version may be of another shape.
    let report = report.and_then(|text| serde_json::from_str::<Report>(&text).ok());
    match report.filter(|report| State::from(report.outcome) == state) {
        Some(report) => count_report(t, &report),
        None => count_end(t, &key, state, true),
    }
}

/// Counts the end of a run of which no more is known; a replay is none that was due.
pub(super) fn count_end(t: &Transaction<'_>, key: &RunKey, state: State, was_due: bool) -> rusqlite::Result<()> {
    // Each outcome is there from the first run on: the first failure is then an increase.
    for outcome in OUTCOMES {
        let value = if outcome == state { 1.0 } else { 0.0 };
        put(t, key, names::RUNS, &[outcome.as_str()], value, "value + excluded.value")?;
    }
    if state == State::Missed || !was_due {
        return Ok(());
    }
    let at = chrono::Utc::now().timestamp_millis() as f64 / 1e3;
    put(t, key, names::LAST_RUN, &[], at, "excluded.value")?;
    if matches!(state, State::Done | State::Skipped) {
        put(t, key, names::LAST_SUCCESS, &[], at, "excluded.value")?;
    }
    Ok(())
}

/// The outcomes that are counted.
const OUTCOMES: [State; 8] = [
    State::Done,
    State::Skipped,
    State::GateClosed,
    State::Failed,
    State::Interrupted,
    State::TimedOut,
    State::Missed,
    State::Died,
];

fn put(
    t: &Transaction<'_>,
    key: &RunKey,
    name: &str,
    labels: &[&str],
    value: f64,
    update: &str,
) -> rusqlite::Result<()> {
    let sql = format!(
        "insert into counter (task, environment, name, labels, value) values (?1, ?2, ?3, ?4, ?5)
         on conflict do update set value = {update}"
    );
    t.execute(&sql, params![key.task, key.environment, name, super::json(&labels)?, value])?;
    Ok(())
}

impl Ledger {
    /// Counts a run that ended with an error before the ledger had an entry of it.
    pub(crate) fn count_not_begun(&mut self, report: &Report) -> Result<()> {
        let key = RunKey::new(&report.task, &report.environment);
        if self.state_of(&report.run, &key)?.is_some() {
            return Ok(());
        }
        self.write(|t| count_end(t, &key, report.outcome.into(), report.replay.is_none()))
    }

    /// Enters the longest time in seconds between two due times of a task; without one it has no schedule any more.
    pub(crate) fn set_interval(&mut self, key: &RunKey, seconds: Option<f64>) -> Result<()> {
        let labels = "[]";
        let known = self.counters()?.into_iter().find(|known| {
            (known.task.as_str(), known.environment.as_str(), known.name.as_str())
                == (key.task.as_str(), key.environment.as_str(), names::INTERVAL)
        });
        if known.map(|known| known.value) == seconds {
            return Ok(());
        }
        self.write(|t| match seconds {
            Some(seconds) => put(t, key, names::INTERVAL, &[], seconds, "excluded.value"),
            None => {
                let delete = "delete from counter where task = ?1 and environment = ?2 and name = ?3 and labels = ?4";
                t.execute(delete, params![key.task, key.environment, names::INTERVAL, labels]).map(drop)
            }
        })
    }

    /// All values, in a fixed order.
    pub(crate) fn counters(&self) -> Result<Vec<Counter>> {
        self.ask(|c| {
            let sql =
                "select task, environment, name, labels, value from counter order by name, task, environment, labels";
            let mut query = c.prepare(sql)?;
            let rows = query.query_map([], |row| {
                Ok(Counter {
                    task: row.get(0)?,
                    environment: row.get(1)?,
                    name: row.get(2)?,
                    labels: super::from_json(&row.get::<_, String>(3)?)?,
                    value: row.get(4)?,
                })
            })?;
            rows.collect()
        })
    }

    /// The windows in the queues of all tasks.
    pub(crate) fn open_windows(&self) -> Result<Vec<OpenWindows>> {
        self.ask(|c| {
            let sql = "select task, environment, state, count(*),
                              min(due) filter (where state not in ('done', 'empty') and due <= ?1)
                       from job group by task, environment, state order by task, environment, state";
            let mut query = c.prepare(sql)?;
            let mut rows = query.query([now()])?;
            let mut all: Vec<OpenWindows> = vec![];
            while let Some(row) = rows.next()? {
                let (task, environment): (String, String) = (row.get(0)?, row.get(1)?);
                let state = (row.get(2)?, row.get(3)?);
                let oldest: Option<String> = row.get(4)?;
                match all.last_mut().filter(|last| (&last.task, &last.environment) == (&task, &environment)) {
                    Some(last) => {
                        last.states.push(state);
                        last.oldest = [last.oldest.take(), oldest].into_iter().flatten().min();
                    }
                    None => all.push(OpenWindows { task, environment, states: vec![state], oldest }),
                }
            }
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ReasonReport, TableReport};

    fn value(ledger: &Ledger, name: &str, labels: &[&str]) -> Option<f64> {
        let all = ledger.counters().unwrap();
        all.into_iter().find(|one| one.name == name && one.labels == labels).map(|one| one.value)
    }

    fn report(run: &str, key: &RunKey) -> Report {
        let reasons = vec![ReasonReport {
            name: "too_young".into(),
            effect: "reject".into(),
            rows: 1,
            samples: vec![],
            help: None,
        }];
        let table = TableReport { table: "adult".into(), is_source: false, rows: 3, accepted: 2, rejected: 1, reasons };
        let mut report = Report { outcome: Outcome::Done, tables: vec![table], ..Report::begin(run, key) };
        report.step("adult", 0.5);
        report
    }

    #[test]
    fn counts_stay_when_runs_are_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, key) = (Ledger::open(folder.path()).unwrap(), RunKey::new("people", "default"));
        for run in ["1", "2"] {
            ledger.begin(run, &key, "{}", &[]).unwrap();
            ledger.end(&report(run, &key), None).unwrap();
        }
        ledger.begin("3", &key, "{}", &[]).unwrap();
        let dead = ledger.unfinished(&key).unwrap().remove(0);
        ledger.recovered(&dead, false, "rolled back").unwrap();
        ledger.missed(&[(key.clone(), chrono::Utc::now())], "asleep").unwrap();
        ledger.missed(&[(key.clone(), "2026-01-01T00:00:00Z".parse().unwrap())], "asleep").unwrap();
        ledger.missed(&[(key.clone(), "2026-01-01T00:00:00Z".parse().unwrap())], "entered before").unwrap();
        ledger.count_not_begun(&Report::begin("4", &key)).unwrap();
        ledger.count_not_begun(&report("1", &key)).unwrap();
        ledger.prune(&key, chrono::Utc::now() + chrono::TimeDelta::days(1), false).unwrap();
        for (outcome, runs) in [("done", 2.0), ("died", 1.0), ("missed", 2.0), ("failed", 1.0), ("gate_closed", 0.0)] {
            assert_eq!(value(&ledger, names::RUNS, &[outcome]), Some(runs), "{outcome}");
        }
        assert_eq!(value(&ledger, names::ROWS, &["adult", "accepted"]), Some(4.0));
        assert_eq!(value(&ledger, names::REASONS, &["adult", "too_young", "reject"]), Some(2.0));
        assert_eq!(value(&ledger, names::STEP_SECONDS, &["adult"]), Some(1.0));
        assert_eq!(value(&ledger, names::STEPS, &["adult"]), Some(2.0));
        assert!(value(&ledger, names::LAST_SUCCESS, &[]).is_some());
        ledger.set_interval(&key, Some(60.0)).unwrap();
        ledger.set_interval(&key, Some(60.0)).unwrap();
        assert_eq!(value(&ledger, names::INTERVAL, &[]), Some(60.0));
        ledger.set_interval(&key, None).unwrap();
        assert_eq!(value(&ledger, names::INTERVAL, &[]), None);
    }
}
