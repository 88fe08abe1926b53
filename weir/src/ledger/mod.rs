//! The ledger: what every run read, did and wrote, in one SQLite file.
//!
//! It also holds the commit record. A run enters where it will stage before it writes anything; when all is
//! staged one transaction says what is to be published, and from then on the run can only go forward. What a
//! dead run has left is found here, and rolled forward or back.

mod history;
mod inputs;
mod inspect;
mod lock;
mod migrations;
mod missed;
mod prune;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use history::Ended;
pub(crate) use history::{History, history};
pub(crate) use inputs::{Input, ReadBefore, Touched};
pub(crate) use inspect::{Inspection, inspect};
use lock::is_held;
pub(crate) use lock::{Lock, holder};
use migrations::VERSION;
pub(crate) use prune::Pruned;

use crate::error::{Error, Result};
use crate::report::{Outcome, Report, RunKey, RunRecord, State};
use crate::system::memory::oom_kills;

/// The ledger's file in the state folder.
const FILE: &str = "ledger.sqlite";

/// The time now, as the ledger has it.
fn now() -> String {
    rfc3339(Utc::now())
}

/// A time as the ledger has it: UTC, to the second.
fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Time for which a ledger that another process writes to is waited for.
pub(crate) const BUSY: Duration = Duration::from_secs(10);

/// The ledger of a state folder.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    connection: Connection,
}

/// Forgets the targets of runs that have ended: of all runs only those that have targets are looked at.
const FORGET_TARGETS: &str = "
    update output indexed by output_with_target set target = ''
    where target <> '' and (select state from run where run.id = output.run) not in ('running', 'publishing')";

/// What a sink needs to commit or to abort, as the sink's kind has written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingTarget {
    /// The sink's name.
    pub(crate) sink: String,
    /// JSON with the tag `kind`.
    pub(crate) target: String,
}

/// A run that has begun and not ended, whose process is gone.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) id: String,
    /// Whether its commit record exists.
    pub(crate) is_committed: bool,
    /// Its targets, and whether each is to be published.
    pub(crate) targets: Vec<(PendingTarget, bool)>,
    /// Its outcome once it is published; none before its commit record.
    pub(crate) outcome: Option<Outcome>,
}

impl Ledger {
    /// Opens the ledger of a state folder, or creates it.
    pub(crate) fn open(state: &Path) -> Result<Self> {
        Self::open_within(state, BUSY)
    }

    fn open_within(state: &Path, busy: Duration) -> Result<Self> {
        let path = state.join(FILE);
        std::fs::create_dir_all(state).map_err(crate::error::state_io(state))?;
        Self::connect(&path, busy).map_err(|error| failed(&path, error))?.migrated()
    }

    /// Opens the ledger to be read, if it exists. Neither its version nor its file is changed.
    pub(crate) fn read_only(state: &Path) -> Result<Option<Self>> {
        let path = state.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let (connection, version) = open_read_only(&path).map_err(|error| failed(&path, error))?;
        match version {
            0 => Ok(None), // another process is about to create its tables
            ..=VERSION => Ok(Some(Self { path, connection })),
            newer => Err(too_new(&path, newer)),
        }
    }

    fn connect(path: &Path, busy: Duration) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(busy)?;
        // A commit record counts only when it is on disk, the removal of its journal included.
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    fn migrated(mut self) -> Result<Self> {
        let version: i64 = self.ask(|c| c.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        match version {
            VERSION => Ok(self),
            0..VERSION => {
                self.write(|t| {
                    // Another process may have been quicker.
                    let version: i64 = t.pragma_query_value(None, "user_version", |row| row.get(0))?;
                    if version < VERSION { migrations::migrate(t, version) } else { Ok(()) }
                })?;
                Ok(self)
            }
            newer => Err(too_new(&self.path, newer)),
        }
    }

    /// Enters a run, and what it needs to abort.
    pub(crate) fn begin(&mut self, id: &str, key: &RunKey, parameters: &str, targets: &[PendingTarget]) -> Result<()> {
        self.write(|t| {
            // How the sinks of runs that have ended are committed or aborted is not needed any more.
            t.execute(FORGET_TARGETS, [])?;
            t.execute(
                "insert into run (id, task, environment, \"window\", started, state, pid, parameters, oom_kills)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    id,
                    key.task,
                    key.environment,
                    key.window,
                    now(),
                    State::Running.as_str(),
                    std::process::id(),
                    parameters,
                    oom_kills()
                ],
            )?;
            for PendingTarget { sink, target } in targets {
                t.execute("insert into output (run, sink, target) values (?1, ?2, ?3)", params![id, sink, target])?;
            }
            Ok(())
        })
    }

    /// Enters the commit record, the point of no return: from here on the run is published, by this process or by the next.
    pub(crate) fn commit(&mut self, report: &Report, publish: &[PendingTarget]) -> Result<()> {
        self.write(|t| {
            enter_report(t, &report.for_ledger(None))?;
            let sql = "update run set state = ?2 where id = ?1";
            t.execute(sql, [report.run.as_str(), State::Publishing.as_str()])?;
            for PendingTarget { sink, target } in publish {
                let sql = "update output set publish = 1, target = ?3 where run = ?1 and sink = ?2";
                t.execute(sql, params![report.run, sink, target])?;
            }
            Ok(())
        })
    }

    /// Closes a run; with the error that ended it, if one did.
    pub(crate) fn end(&mut self, report: &Report, error: Option<&Error>) -> Result<()> {
        let report = report.for_ledger(error);
        self.write(|t| {
            enter_report(t, &report)?;
            close(t, &report.run, report.outcome.into(), report.message().as_deref())?;
            t.execute(
                "update run set seconds = ?2, peak_memory = ?3 where id = ?1",
                params![report.run, report.seconds, report.peak_memory],
            )?;
            Ok(())
        })
    }

    /// Closes a run whose process is gone: with the outcome of its commit record if all of it is published, or as dead.
    pub(crate) fn recovered(&mut self, run: &Unfinished, is_whole: bool, message: &str) -> Result<()> {
        let state = run.outcome.filter(|_| is_whole).map_or(State::Died, State::from);
        self.write(|t| {
            let query = "select message, oom_kills from run where id = ?1";
            let (why, before): (Option<String>, _) =
                t.query_row(query, [&run.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let why = why.or_else(|| killed_for_memory(before));
            let message = why.map_or(message.to_owned(), |why| format!("{why}; {message}"));
            close(t, &run.id, state, Some(&message))
        })
    }

    /// The runs of a key that have no end. The caller holds the key's lock, so their processes are gone.
    pub(crate) fn unfinished(&self, key: &RunKey) -> Result<Vec<Unfinished>> {
        self.ask(|c| {
            // Of the report only the outcome: that of another version may be of another shape.
            let mut runs = c.prepare(
                "select id, state, report ->> '$.outcome' from run
                 where task = ?1 and environment = ?2 and \"window\" is ?3 and state in ('running', 'publishing')
                 order by rowid",
            )?;
            let mut outputs = c.prepare("select sink, target, publish from output where run = ?1")?;
            let rows = runs.query_map(params![key.task, key.environment, key.window], |row| {
                Ok((row.get::<_, String>(0)?, state(row, 1)?, row.get::<_, Option<String>>(2)?))
            })?;
            rows.map(|row| {
                let (id, state, outcome) = row?;

                let targets = outputs
                    .query_map([&id], |row| {
                        Ok((PendingTarget { sink: row.get(0)?, target: row.get(1)? }, row.get(2)?))
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                let outcome = outcome.and_then(|text| serde_json::from_value(text.into()).ok());
                Ok(Unfinished { id, is_committed: state == State::Publishing, targets, outcome })
            })
            .collect()
        })
    }

    /// How a run of a key ended, if the ledger has it.
    pub(crate) fn state_of(&self, id: &str, key: &RunKey) -> Result<Option<State>> {
        let query = "select state from run where id = ?1 and task = ?2 and environment = ?3 and \"window\" is ?4";
        let of = params![id, key.task, key.environment, key.window];
        self.ask(|c| c.query_row(query, of, |row| state(row, 0)).optional())
    }

    /// The newest runs first.
    pub(crate) fn runs(&self, task: Option<&str>, most: u32) -> Result<Vec<RunRecord>> {
        self.ask(|c| {
            let mut query = c.prepare(
                "select id, task, environment, \"window\", started, ended, state, message, seconds, peak_memory, report from run
                 where ?1 is null or task = ?1 order by rowid desc limit ?2",
            )?;
            let rows = query.query_map(params![task, most], record)?;
            rows.collect()
        })
    }

    pub(crate) fn ask<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        query(&self.connection).map_err(|error| failed(&self.path, error))
    }

    pub(crate) fn write<T>(&mut self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = change(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error| failed(&self.path, error))
    }
}

/// Opens the file to be read; returns its version. What a process that was killed while it wrote has left is undone first,
/// which SQLite does only for a connection that may write.
fn open_read_only(path: &Path) -> rusqlite::Result<(Connection, i64)> {
    let open = |flags| {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, version))
    };
    match open(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == rusqlite::ErrorCode::ReadOnly => {
            open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            open(OpenFlags::SQLITE_OPEN_READ_ONLY)
        }
        opened => opened,
    }
}

/// The newest runs of a state folder first, without changing it. A run that has no end and whose process is gone has died.
pub(crate) fn runs_of(state: &Path, task: Option<&str>, most: u32) -> Result<Vec<RunRecord>> {
    let Some(ledger) = Ledger::read_only(state)? else { return Ok(vec![]) };
    let mut runs = ledger.runs(task, most)?;
    for run in runs.iter_mut().filter(|run| run.state.is_open()) {
        if !is_held(state, &run.key()) {
            let died = format!("it did not end while {}; the next start rolls it back or forward", run.state);
            let query = "select oom_kills from run where id = ?1";
            let before = || ledger.ask(|c| c.query_row(query, [&run.id], |row| row.get(0))).ok().flatten();
            let why = run.message.take().or_else(|| killed_for_memory(before()));
            run.message = Some(why.map_or(died.clone(), |why| format!("{why}; {died}")));
            run.state = State::Died;
        }
    }
    Ok(runs)
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    Ok(RunRecord {
        id: row.get(0)?,
        task: row.get(1)?,
        environment: row.get(2)?,
        window: row.get(3)?,
        started: row.get(4)?,
        ended: row.get(5)?,
        state: state(row, 6)?,
        message: row.get(7)?,
        seconds: row.get(8)?,
        peak_memory: row.get(9)?,
        report: row.get::<_, Option<String>>(10)?.as_deref().map(from_json).transpose()?,
    })
}

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    let text: String = row.get(column)?;
    text.parse().map_err(|unknown: String| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, unknown.into())
    })
}

fn too_new(path: &Path, version: i64) -> Error {
    let message = format!("has version {version}, and this program knows version {VERSION}");
    Error::state(path, message, "use the newer program, or another state folder")
}

/// What a run that died is told to have died of, if the kernel has killed processes for memory since it began.
fn killed_for_memory(before: Option<u64>) -> Option<String> {
    (oom_kills()? > before?).then(|| {
        "the kernel killed it, or a process next to it, because the memory limit of the container was used up: set a lower \
         --memory-limit, or raise the container's limit"
            .to_owned()
    })
}

/// Ends a run.
fn close(t: &Transaction<'_>, id: &str, state: State, message: Option<&str>) -> rusqlite::Result<()> {
    t.execute(
        "update run set state = ?2, message = ?3, ended = ?4 where id = ?1",
        params![id, state.as_str(), message, now()],
    )?;
    Ok(())
}

/// Enters the report of a run, in place of the one that was entered before.
fn enter_report(t: &Transaction<'_>, report: &Report) -> rusqlite::Result<()> {
    let id = &report.run;
    t.execute("update run set report = ?2 where id = ?1", params![id, json(report)?])?;
    t.execute("delete from step where run = ?1", [id])?;
    t.execute("delete from reason where run = ?1", [id])?;
    for (number, step) in report.steps.iter().enumerate() {
        let table = report.tables.iter().find(|table| table.table == step.name);
        t.execute(
            "insert into step values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                id,
                number,
                step.name,
                step.seconds,
                table.map(|t| t.rows),
                table.map(|t| t.accepted),
                table.map(|t| t.rejected)
            ],
        )?;
    }
    for table in &report.tables {
        for reason in &table.reasons {
            t.execute(
                "insert into reason values (?1, ?2, ?3, ?4, ?5)",
                params![id, table.table, reason.name, reason.effect, reason.rows],
            )?;
        }
    }
    for output in &report.outputs {
        t.execute(
            "update output set rows = ?3, bytes = ?4 where run = ?1 and sink = ?2",
            params![id, output.sink, output.rows, output.bytes],
        )?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn from_json<T: for<'de> Deserialize<'de>>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

pub(crate) fn failed(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let help = match error.sqlite_error_code() {
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => "another process is writing to it: try again",
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
            "make the state folder writable for the user of this run"
        }
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => {
            "it is damaged: put back a copy, or move it away and a new one is made, which knows no earlier run: sources with `read: new` then read all of their files again"
        }
        Some(Code::DiskFull) => "free some disk space and start the run again",
        _ => "check the state folder; if the ledger is damaged, move it away",
    };
    Error::state(path, &error, help).because(error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_ledger_whose_writer_was_killed_can_be_read() {
        let state = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(state.path()).unwrap();
        ledger.begin("1", &RunKey::new("people", "default"), "{}", &[]).unwrap();
        // As a kill leaves it: pages of a transaction in the file, and the journal that undoes them.
        ledger.connection.pragma_update(None, "cache_size", 1).unwrap();
        ledger.connection.execute_batch("begin immediate").unwrap();
        for number in 0..200 {
            let of = params![format!("more {number}"), "x".repeat(2000)];
            let insert = "insert into run (id, task, environment, started, state, pid, parameters)
                          values (?1, ?2, '', '', 'running', 0, '{}')";
            ledger.connection.execute(insert, of).unwrap();
        }
        let killed = tempfile::tempdir().unwrap();
        for name in [FILE.to_owned(), format!("{FILE}-journal")] {
            std::fs::copy(state.path().join(&name), killed.path().join(&name)).unwrap();
        }
        let read = Ledger::read_only(killed.path()).unwrap().unwrap();
        assert_eq!(read.runs(None, 10).unwrap().len(), 1);
    }

    #[test]
    fn a_ledger_that_stays_locked_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        drop(Ledger::open(folder.path()).unwrap());
        let mut other = Connection::open(folder.path().join("ledger.sqlite")).unwrap();
        let _held = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
        let error = Ledger::open_within(folder.path(), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().ends_with("ledger.sqlite: database is locked"), "{error}");
        let help = miette::Diagnostic::help(&error).unwrap().to_string();
        assert_eq!(help, "another process is writing to it: try again");
    }

    /// Targets as they were before they had a tag.
    const FOLDER_V1: &str = r#"{"task":"t.default","sink":"files","run":"2","target":"/out/a","staging":"/out/.a.weir-2",
        "after":null}"#;
    const TABLE_V1: &str = r#"{"sink":"rows","connection":"warehouse","load":{"run":"2","sink":"rows","staging":"stage_2_0",
        "table":{"schema":null,"name":"stock","columns":[{"name":"item","kind":"text","not_null":false,"comment":null}],
        "primary_key":["item"],"indexes":[],"comment":null},"mode":{"merge":{"update_key":null}},"create":true},
        "staged":{"rows":1,"superseded":0}}"#;

    #[test]
    fn the_tables_of_version_1_become_those_of_today_and_keep_their_rows() {
        let (old, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let connection = Connection::open(old.path().join("ledger.sqlite")).unwrap();
        connection.execute_batch(include_str!("../../tests/support/ledger_v1.sql")).unwrap();
        let row = "insert into run (id, task, environment, started, state, pid, parameters) \
                   values ('1', 't', 'default', '2026-01-01T00:00:00Z', 'done', 1, '{}')";
        connection.execute_batch(row).unwrap();
        connection.execute_batch(&row.replace("'1'", "'2'").replace("'done'", "'publishing'")).unwrap();
        connection.execute_batch("insert into input values ('1', 's', 'a.csv', 3, 'then')").unwrap();
        for (sink, target) in [("files", FOLDER_V1), ("rows", TABLE_V1)] {
            let sql = "insert into output (run, sink, folder, publish) values ('2', ?1, ?2, 1)";
            connection.execute(sql, [sink, target]).unwrap();
        }
        drop(connection);
        let tables = |ledger: &Ledger| {
            let all = ledger.ask(|c| {
                let mut query = c.prepare("select name, sql from sqlite_schema order by name")?;
                let rows =
                    query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            });
            all.unwrap()
        };
        let old = Ledger::open(old.path()).unwrap();
        assert_eq!(tables(&old), tables(&Ledger::open(fresh.path()).unwrap()));
        assert_eq!(old.runs(None, 9).unwrap()[1].id, "1");
        // A run that the older program left behind its commit record can be finished: its targets have their kinds.
        let dead = old.unfinished(&RunKey::new("t", "default")).unwrap().remove(0);
        let sinks = dead.targets.iter().map(|(target, publish)| (target.read().unwrap(), *publish));
        let sinks: Vec<_> = sinks.map(|(sink, publish)| (sink.sink().to_owned(), sink.kind(), publish)).collect();
        assert_eq!(sinks, [("files".to_owned(), "folder", true), ("rows".to_owned(), "postgres", true)]);
        let input = old.ask(|c| c.query_row("select path, hash from input", [], |row| Ok((row.get(0)?, row.get(1)?))));
        assert_eq!(input.unwrap(), ("a.csv".to_owned(), None::<String>));
    }

    #[test]
    fn the_targets_of_runs_that_have_ended_are_found_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let explain = format!("explain query plan {FORGET_TARGETS}");
        let plan: String = ledger.ask(|c| c.query_row(&explain, [], |row| row.get(3))).unwrap();
        assert!(plan.contains("output_with_target"), "{plan}");
    }

    #[test]
    fn a_year_of_hourly_files_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        // Only the size counts here.
        ledger.connection.pragma_update(None, "synchronous", "off").unwrap();
        ledger.connection.pragma_update(None, "journal_mode", "memory").unwrap();
        let (key, long) = (RunKey::new("applications", "default"), "/srv/weir/data/applications/2026-05-01");
        let reason = |name: &str| json!({"name": name, "effect": "reject", "rows": 1234, "samples": []});
        let table = |name: &str| {
            let names =
                ["missing_name", "incomplete_name", "invalid_birthday", "under_18", "invalid_mobile", "invalid_email"];
            json!({"table": name, "is_source": false, "rows": 12345, "accepted": 12345, "rejected": 12345,
                   "reasons": names.map(reason)})
        };
        let output = |sink: &str| json!({"sink": sink, "path": format!("{long}/{sink}"), "rows": 12345, "bytes": 1234567, "published": true});
        let steps = ["find", "applicant", "drain", "prepare", "publish"];
        let target = PendingTarget { sink: "successful_application".into(), target: FOLDER_V1.repeat(3) };
        // Every twelfth hour.
        for hour in 0..365 * 2 {
            let id = format!("20260501T{hour:06}Z-0123456789ab");
            ledger.begin(&id, &key, "{\"input\":\"data/applications\"}", std::slice::from_ref(&target)).unwrap();
            let insert = "insert into input (run, source, path, bytes, modified, hash) values (?1, 'application', ?2, 1234567, ?3, ?4)";
            let of = params![
                id,
                format!("{long}/{hour:06}.csv"),
                "2026-05-01T10:00:00.123456789+00:00",
                "0".repeat(60) + &format!("{hour:04}")
            ];
            ledger.write(|t| t.execute(insert, of).map(drop)).unwrap();
            let report = json!({"run": id, "task": "applications", "environment": "default", "outcome": "done", "breaches": [],
                "tables": [table("application"), table("applicant")], "seconds": 1.23456, "peak_memory": 123456789,
                "outputs": (["successful_application", "unsuccessful_application", "malformed_application"].map(output)),
                "steps": steps.map(|name| json!({"name": name, "seconds": 0.123456}))});
            let report: Report = serde_json::from_value(report).unwrap();
            ledger.commit(&report, std::slice::from_ref(&target)).unwrap();
            ledger.end(&report, None).unwrap();
        }
        let size = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
        assert!(size * 12 < 50_000_000, "{size}");
    }
}
