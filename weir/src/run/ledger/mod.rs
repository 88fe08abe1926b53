//! The ledger: what every run read, did and wrote, in one SQLite file.
//!
//! It also holds the commit record. A run enters where it will stage before it writes anything; when all is
//! staged one transaction says what is to be published, and from then on the run can only go forward. What a
//! dead run has left is found here and finished or taken back.

mod inputs;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

pub(crate) use inputs::{Input, ReadBefore, Touched};
pub(super) use schema::VERSION;

use super::report::{Outcome, Report};
use crate::error::{Error, Result};
use crate::sink::Target;

/// So long a ledger that another process writes to is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// The ledger of a state folder.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    connection: Connection,
}

/// A run, as the ledger lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The run's id.
    pub(crate) id: String,
    /// The task's name.
    pub(crate) task: String,
    /// The environment.
    pub(crate) environment: String,
    /// When it started, RFC 3339 in UTC.
    pub(crate) started: String,
    /// When it ended; none while it runs, or if it died.
    pub(crate) ended: Option<String>,
    /// `running`, `publishing`, `done`, `skipped`, `gate_closed`, `failed`, `interrupted`, `timed_out`, `missed` or
    /// `died`.
    pub(crate) state: String,
    /// Why it ended so.
    pub(crate) message: Option<String>,
    /// Seconds from start to end.
    pub(crate) seconds: Option<f64>,
    /// The largest resident memory, in bytes.
    pub(crate) peak_memory: Option<u64>,
    /// What it read and wrote, if it came to its end.
    pub(crate) report: Option<Report>,
}

/// A run that has begun and not ended, whose process is gone.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) id: String,
    /// Whether its commit record is there.
    pub(crate) committed: bool,
    /// Where it staged, and whether that is to be published.
    pub(crate) targets: Vec<(Target, bool)>,
    /// What it comes to once it is published; none before its commit record.
    pub(crate) outcome: Option<Outcome>,
}

impl Ledger {
    /// Opens the ledger of a state folder, or makes it.
    pub(crate) fn open(state: &Path) -> Result<Self> {
        Self::open_within(state, BUSY)
    }

    fn open_within(state: &Path, busy: Duration) -> Result<Self> {
        let path = state.join("ledger.sqlite");
        std::fs::create_dir_all(state).map_err(crate::error::state_io(state))?;
        Self::connect(&path, busy).map_err(|error| failed(&path, error))?.migrated()
    }

    /// Opens the ledger only if there is one.
    pub(crate) fn open_existing(state: &Path) -> Result<Option<Self>> {
        if state.join("ledger.sqlite").exists() { Self::open(state).map(Some) } else { Ok(None) }
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
                    if version < VERSION { schema::migrate(t, version) } else { Ok(()) }
                })?;
                Ok(self)
            }
            newer => {
                let message = format!("is of version {newer}, and this program knows version {VERSION}");
                Err(Error::state(&self.path, message, "use the newer program, or another state folder"))
            }
        }
    }

    /// Enters a run, and where it is going to stage.
    pub(crate) fn begin(
        &mut self,
        id: &str,
        task: &str,
        environment: &str,
        parameters: &str,
        targets: &[Target],
    ) -> Result<()> {
        self.write(|t| {
            t.execute(
                "insert into run (id, task, environment, started, state, pid, parameters)
                 values (?1, ?2, ?3, ?4, 'running', ?5, ?6)",
                params![id, task, environment, super::now(), std::process::id(), parameters],
            )?;
            for target in targets {
                t.execute(
                    "insert into output (run, sink, folder) values (?1, ?2, ?3)",
                    params![id, target.sink(), json(target)?],
                )?;
            }
            Ok(())
        })
    }

    /// The point of no return: from here on the run is published, by this process or by the next.
    pub(crate) fn commit(&mut self, report: &Report, publish: &[&Target]) -> Result<()> {
        self.write(|t| {
            enter_report(t, report)?;
            t.execute("update run set state = 'publishing' where id = ?1", [&report.run])?;
            for target in publish {
                let sql = "update output set publish = 1, folder = ?3 where run = ?1 and sink = ?2";
                t.execute(sql, params![report.run, target.sink(), json(target)?])?;
            }
            Ok(())
        })
    }

    /// Closes a run that came to its end.
    pub(crate) fn end(&mut self, report: &Report) -> Result<()> {
        self.write(|t| {
            enter_report(t, report)?;
            close(t, &report.run, report.outcome.state(), report.message().as_deref())?;
            t.execute(
                "update run set seconds = ?2, peak_memory = ?3 where id = ?1",
                params![report.run, report.seconds, report.peak_memory],
            )?;
            Ok(())
        })
    }

    /// Closes a run that ended with an error.
    pub(crate) fn fail(&mut self, id: &str, error: &Error) -> Result<()> {
        let state = if matches!(error, Error::Interrupted) { "interrupted" } else { "failed" };
        self.write(|t| close(t, id, state, Some(&error.for_ledger())))
    }

    /// Closes a run whose process is gone: as what its commit record says if it is published whole, or as dead.
    pub(crate) fn recovered(&mut self, run: &Unfinished, is_whole: bool, message: &str) -> Result<()> {
        let state = run.outcome.filter(|_| is_whole).map_or("died", Outcome::state);
        self.write(|t| {
            let why: Option<String> =
                t.query_row("select message from run where id = ?1", [&run.id], |row| row.get(0))?;
            let message = why.map_or(message.to_owned(), |why| format!("{why}; {message}"));
            close(t, &run.id, state, Some(&message))
        })
    }

    /// The runs of a task that have no end. The caller holds the task's lock, so their processes are gone.
    pub(crate) fn unfinished(&self, task: &str, environment: &str) -> Result<Vec<Unfinished>> {
        self.ask(|c| {
            // Of the report only what it comes to: that of another version may be of another shape.
            let mut runs = c.prepare(
                "select id, state, report ->> '$.outcome' from run
                 where task = ?1 and environment = ?2 and state in ('running', 'publishing') order by rowid",
            )?;
            let mut outputs = c.prepare("select folder, publish from output where run = ?1")?;
            let rows = runs.query_map([task, environment], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
            })?;
            rows.map(|row| {
                let (id, state, outcome) = row?;
                let targets = outputs
                    .query_map([&id], |row| Ok((from_json(&row.get::<_, String>(0)?)?, row.get(1)?)))?
                    .collect::<rusqlite::Result<_>>()?;
                let outcome = outcome.as_deref().and_then(Outcome::of_state);
                Ok(Unfinished { id, committed: state == "publishing", targets, outcome })
            })
            .collect()
        })
    }

    /// How a run of a task ended, if the ledger has it.
    pub(crate) fn state_of(&self, id: &str, task: &str, environment: &str) -> Result<Option<String>> {
        let query = "select state from run where id = ?1 and task = ?2 and environment = ?3";
        self.ask(|c| c.query_row(query, [id, task, environment], |row| row.get(0)).optional())
    }

    /// The newest runs first.
    pub(crate) fn entries(&self, task: Option<&str>, most: u32) -> Result<Vec<Entry>> {
        self.ask(|c| {
            let mut query = c.prepare(
                "select id, task, environment, started, ended, state, message, seconds, peak_memory, report from run
                 where ?1 is null or task = ?1 order by rowid desc limit ?2",
            )?;
            let rows = query.query_map(params![task, most], |row| {
                Ok(Entry {
                    id: row.get(0)?,
                    task: row.get(1)?,
                    environment: row.get(2)?,
                    started: row.get(3)?,
                    ended: row.get(4)?,
                    state: row.get(5)?,
                    message: row.get(6)?,
                    seconds: row.get(7)?,
                    peak_memory: row.get(8)?,
                    report: row.get::<_, Option<String>>(9)?.as_deref().map(from_json).transpose()?,
                })
            })?;
            rows.collect()
        })
    }

    pub(super) fn ask<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        query(&self.connection).map_err(|error| failed(&self.path, error))
    }

    pub(super) fn write<T>(&mut self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = change(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error| failed(&self.path, error))
    }
}

fn close(t: &Transaction<'_>, id: &str, state: &str, message: Option<&str>) -> rusqlite::Result<()> {
    t.execute(
        "update run set state = ?2, message = ?3, ended = ?4 where id = ?1",
        params![id, state, message, super::now()],
    )?;
    Ok(())
}

/// Enters what a run came to, in place of what was entered of it before.
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

pub(super) fn failed(path: &Path, error: rusqlite::Error) -> Error {
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
    Error::state(path, error, help)
}

impl Outcome {
    /// The word for it in the ledger.
    pub(crate) fn state(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::GateClosed => "gate_closed",
        }
    }

    fn of_state(state: &str) -> Option<Self> {
        [Self::Done, Self::Skipped, Self::GateClosed].into_iter().find(|outcome| outcome.state() == state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_tables_of_version_1_become_those_of_today_and_keep_their_rows() {
        let (old, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let connection = Connection::open(old.path().join("ledger.sqlite")).unwrap();
        connection.execute_batch(include_str!("../../../tests/support/ledger_v1.sql")).unwrap();
        let row = "insert into run (id, task, environment, started, state, pid, parameters) \
                   values ('1', 't', 'default', '2026-01-01T00:00:00Z', 'done', 1, '{}')";
        connection.execute_batch(row).unwrap();
        connection.execute_batch("insert into input values ('1', 's', 'a.csv', 3, 'then')").unwrap();
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
        assert_eq!(old.entries(None, 9).unwrap()[0].id, "1");
        let input = old.ask(|c| c.query_row("select path, hash from input", [], |row| Ok((row.get(0)?, row.get(1)?))));
        assert_eq!(input.unwrap(), ("a.csv".to_owned(), None::<String>));
    }
}
