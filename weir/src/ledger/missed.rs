//! What the ledger has of a schedule: times at which there was no run, and runs that took too long.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Ledger, counters};
use crate::error::Result;
use crate::report::{RunKey, State};

impl Ledger {
    /// When a key was started last, or missed. A replay is no run that was due.
    pub(crate) fn last_start(&self, key: &RunKey) -> Result<Option<DateTime<Utc>>> {
        let last: Option<String> = self.ask(|c| {
            let query = "select started from run where task = ?1 and environment = ?2 and \"window\" is ?3
                           and report ->> '$.replay' is null
                         order by started desc limit 1";
            c.query_row(query, params![key.task, key.environment, key.window], |row| row.get(0)).optional()
        })?;
        Ok(last.and_then(|text| text.parse().ok()))
    }

    /// Enters runs that were due at a time and were not started. Entering one again changes nothing.
    pub(crate) fn missed(&mut self, due: &[(RunKey, DateTime<Utc>)], reason: &str) -> Result<()> {
        self.write(|t| {
            let mut insert = t.prepare(
                "insert or ignore into run
                 (id, task, environment, \"window\", started, ended, state, message, pid, parameters)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '{}')",
            )?;
            for (key, at) in due {
                let part = ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(key) >> 16;
                let entered = insert.execute(params![
                    format!("{}-{part:012x}-missed", at.format("%Y%m%dT%H%M%SZ")),
                    key.task,
                    key.environment,
                    key.window,
                    super::rfc3339(*at),
                    super::now(),
                    State::Missed.as_str(),
                    reason,
                    std::process::id()
                ])?;
                if entered > 0 {
                    counters::count_end(t, key, State::Missed, true)?;
                }
            }
            Ok(())
        })
    }

    /// Says of the newest run of a process that it was stopped because it took too long. One that was killed stays
    /// open, so that the next start rolls it back.
    pub(crate) fn timed_out(&mut self, pid: u32, message: &str) -> Result<()> {
        self.write(|t| {
            let newest = "select task, environment from run
                          where rowid = (select max(rowid) from run where pid = ?1) and state = 'interrupted'";
            let key = |row: &rusqlite::Row<'_>| Ok(RunKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            // It has counted as interrupted, too, by itself. One that was killed counts when it is rolled back.
            if let Some(key) = t.query_row(newest, [pid], key).optional()? {
                counters::count_end(t, &key, State::TimedOut, true)?;
            }
            t.execute(
                "update run set message = ?2, state = case state when 'interrupted' then 'timed_out' else state end
                 where rowid = (select max(rowid) from run where pid = ?1) and state in ('interrupted', 'running')",
                params![pid, message],
            )?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> RunKey {
        RunKey::new("people", "default")
    }

    #[test]
    fn a_missed_time_is_entered_once_and_is_the_last_that_is_known() {
        let state = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(state.path()).unwrap();
        assert_eq!(ledger.last_start(&people()).unwrap(), None);
        let due: Vec<DateTime<Utc>> =
            ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"].map(|t| t.parse().unwrap()).to_vec();
        ledger.missed(&due.iter().map(|due| (people(), *due)).collect::<Vec<_>>(), "asleep").unwrap();
        ledger.missed(&[(people(), due[1])], "another reason").unwrap();
        let prod = (RunKey::new("people", "prod"), due[0]);
        let january = (RunKey { window: Some("2026-01".into()), ..people() }, due[1]);
        ledger.missed(&[prod, january], "asleep").unwrap();
        assert_eq!(ledger.last_start(&people()).unwrap(), Some(due[1]));
        assert_eq!(ledger.last_start(&RunKey::new("people", "prod")).unwrap(), Some(due[0]));
        let entries = ledger.runs(Some("people"), 10).unwrap();
        let shown: Vec<_> =
            entries.iter().map(|e| (e.started.as_str(), e.state.as_str(), e.message.as_deref())).collect();
        assert_eq!(shown.len(), 4);
        assert_eq!(shown[2], ("2026-01-01T01:00:00Z", "missed", Some("asleep")));
    }

    #[test]
    fn a_run_that_was_killed_keeps_saying_why_when_it_is_taken_back() {
        let state = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(state.path()).unwrap();
        ledger.begin("1", &people(), "{}", &[]).unwrap();
        ledger.timed_out(std::process::id(), "killed because it took too long").unwrap();
        let dead = ledger.unfinished(&people()).unwrap();
        assert_eq!(dead.len(), 1, "the next start has to roll it back");
        ledger.recovered(&dead[0], false, "rolled back").unwrap();
        ledger.timed_out(std::process::id(), "a run that has ended is left alone").unwrap();
        let entry = ledger.runs(None, 1).unwrap().remove(0);
        assert_eq!(
            (entry.state.as_str(), entry.message.as_deref()),
            ("died", Some("killed because it took too long; rolled back"))
        );
    }
}
