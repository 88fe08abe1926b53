//! The ledger: what every run read, did and wrote, in one SQLite file.
//!
//! It also holds the commit record. A run enters where it will stage before it writes anything; when all is
//! staged one transaction says what is to be published, and from then on the run can only go forward. What a
//! dead run has left is found here and finished or taken back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::report::{Outcome, Report};
use crate::error::{Error, Result};
use crate::sink::Folder;

/// The version of the tables below.
const VERSION: i64 = 1;

const TABLES: &str = "
create table run (
    id text primary key,
    task text not null,
    environment text not null,
    started text not null,          -- RFC 3339, UTC
    ended text,
    state text not null,            -- running, publishing, or how it ended
    message text,                   -- why it ended so
    pid integer not null,
    parameters text not null,       -- JSON: name -> text
    seconds real,
    peak_memory integer,            -- bytes
    report text                     -- JSON: the whole report
) strict;
create index run_of_task on run (task, environment, started);
create table input (
    run text not null references run (id) on delete cascade,
    source text not null,
    path text not null,
    bytes integer not null,
    modified text not null
) strict;
create table step (
    run text not null references run (id) on delete cascade,
    number integer not null,
    name text not null,
    seconds real not null,
    rows integer,
    accepted integer,
    rejected integer
) strict;
create table reason (
    run text not null references run (id) on delete cascade,
    tbl text not null,
    rule text not null,
    effect text not null,           -- reject, warn, unreadable
    rows integer not null
) strict;
create table output (
    run text not null references run (id) on delete cascade,
    sink text not null,
    folder text not null,           -- JSON: where it is and where it is staged
    rows integer,
    bytes integer,
    publish integer not null default 0
) strict;
";

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
    /// `running`, `publishing`, `done`, `skipped`, `gate_closed`, `failed`, `interrupted` or `died`.
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
    pub(crate) folders: Vec<(Folder, bool)>,
    report: Option<Report>,
}

impl Ledger {
    /// Opens the ledger of a state folder, or makes it.
    pub(crate) fn open(state: &Path) -> Result<Self> {
        let path = state.join("ledger.sqlite");
        std::fs::create_dir_all(state).map_err(crate::error::state_io(state))?;
        Self::connect(&path).map_err(|error| failed(&path, error))?.migrated()
    }

    /// Opens the ledger only if there is one.
    pub(crate) fn open_existing(state: &Path) -> Result<Option<Self>> {
        if state.join("ledger.sqlite").exists() { Self::open(state).map(Some) } else { Ok(None) }
    }

    fn connect(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        // A commit record counts only when it is on disk, the removal of its journal included.
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    fn migrated(mut self) -> Result<Self> {
        let version: i64 = self.ask(|c| c.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        match version {
            VERSION => Ok(self),
            0 => {
                self.write(|t| {
                    let version: i64 = t.pragma_query_value(None, "user_version", |row| row.get(0))?;
                    if version == 0 {
                        t.execute_batch(TABLES)?;
                        t.pragma_update(None, "user_version", VERSION)?;
                    }
                    Ok(())
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
        folders: &[&Folder],
    ) -> Result<()> {
        self.write(|t| {
            t.execute(
                "insert into run (id, task, environment, started, state, pid, parameters)
                 values (?1, ?2, ?3, ?4, 'running', ?5, ?6)",
                params![id, task, environment, super::now(), std::process::id(), parameters],
            )?;
            for folder in folders {
                t.execute(
                    "insert into output (run, sink, folder) values (?1, ?2, ?3)",
                    params![id, folder.sink, json(folder)?],
                )?;
            }
            Ok(())
        })
    }

    /// Enters the files that a run reads.
    pub(crate) fn inputs(&mut self, id: &str, source: &str, files: &[crate::source::FoundFile]) -> Result<()> {
        self.write(|t| {
            let mut insert =
                t.prepare("insert into input (run, source, path, bytes, modified) values (?1, ?2, ?3, ?4, ?5)")?;
            for file in files {
                insert.execute(params![id, source, file.name, file.meta.size, file.meta.last_modified.to_rfc3339()])?;
            }
            Ok(())
        })
    }

    /// The point of no return: from here on the run is published, by this process or by the next.
    pub(crate) fn commit(&mut self, report: &Report, publish: &[&Folder]) -> Result<()> {
        self.write(|t| {
            enter_report(t, report)?;
            t.execute("update run set state = 'publishing' where id = ?1", [&report.run])?;
            for folder in publish {
                t.execute("update output set publish = 1 where run = ?1 and sink = ?2", [&report.run, &folder.sink])?;
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
        let state = run.report.as_ref().filter(|_| is_whole).map_or("died", |report| report.outcome.state());
        self.write(|t| close(t, &run.id, state, Some(message)))
    }

    /// The runs of a task that have no end. The caller holds the task's lock, so their processes are gone.
    pub(crate) fn unfinished(&self, task: &str, environment: &str) -> Result<Vec<Unfinished>> {
        self.ask(|c| {
            let mut runs = c.prepare(
                "select id, state, report from run
                 where task = ?1 and environment = ?2 and state in ('running', 'publishing') order by rowid",
            )?;
            let mut outputs = c.prepare("select folder, publish from output where run = ?1")?;
            let rows = runs.query_map([task, environment], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
            })?;
            rows.map(|row| {
                let (id, state, report) = row?;
                let folders = outputs
                    .query_map([&id], |row| Ok((from_json(&row.get::<_, String>(0)?)?, row.get(1)?)))?
                    .collect::<rusqlite::Result<_>>()?;
                // A report of an older program may lack what this one expects; the folders are what counts.
                let report = report.as_deref().and_then(|report| from_json(report).ok());
                Ok(Unfinished { id, committed: state == "publishing", folders, report })
            })
            .collect()
        })
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

    fn ask<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        query(&self.connection).map_err(|error| failed(&self.path, error))
    }

    fn write<T>(&mut self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
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

fn failed(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let help = match error.sqlite_error_code() {
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => "another process is writing to it: try again",
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
            "make the state folder writable for the user of this run"
        }
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => {
            "it is damaged: move it away; a new one is made, without the history"
        }
        Some(Code::DiskFull) => "free some disk space and start the run again",
        _ => "check the state folder; if the ledger is damaged, move it away",
    };
    Error::state(path, error, help)
}

impl Outcome {
    /// The word for it in the ledger.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::GateClosed => "gate_closed",
        }
    }
}
