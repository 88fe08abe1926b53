//! The ledger: what every run read, did and wrote, in one SQLite file.
//!
//! It also holds the commit record. A run enters where it will stage before it writes anything; when all is
//! staged one transaction says what is to be published, and from then on the run can only go forward. What a
//! dead run has left is found here, and rolled forward or back.

mod alerts;
mod busy;
mod counters;
mod history;
mod inputs;
mod inspect;
mod jobs;
mod lock;
mod migrations;
mod missed;
mod prune;
mod replays;
#[cfg(test)]
mod tests;
mod watermarks;

use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

pub(crate) use alerts::{Claim, Claimed, Over, ToSend, Trouble};
pub(crate) use counters::{Counter, OpenWindows, names};
#[cfg(test)]
pub(crate) use history::Ended;
pub(crate) use history::{History, history};
pub(crate) use inputs::{Input, Known, ReadBefore, SameContent, Touched};
pub(crate) use inspect::{Inspection, inspect};
pub(crate) use jobs::{JobEnd, JobState, NewJob, QueuedJob, TakenJob};
use lock::is_held;
pub(crate) use lock::{Lock, holder};
use migrations::VERSION;
pub(crate) use prune::Pruned;
pub(crate) use replays::ReadFile;
pub(crate) use watermarks::Watermark;

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
        Self::open_waiting(state, busy::wait)
    }

    /// The same for what must not wait for long.
    pub(crate) fn open_briefly(state: &Path) -> Result<Self> {
        Self::open_waiting(state, busy::wait_briefly)
    }

    fn open_waiting(state: &Path, wait: fn(i32) -> bool) -> Result<Self> {
        let path = state.join(FILE);
        std::fs::create_dir_all(state).map_err(crate::error::state_io(state))?;
        Self::connect(&path, wait).map_err(|error| failed(&path, error))?.migrated()
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

    fn connect(path: &Path, wait: fn(i32) -> bool) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.busy_handler(Some(wait))?;
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
            counters::count_report(t, &report)?;
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
            close(t, &run.id, state, Some(&message))?;
            counters::count_recovered(t, &run.id, state)
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

    /// The keys of a task in an environment that have runs without an end: one for each window.
    pub(crate) fn unfinished_keys(&self, key: &RunKey) -> Result<Vec<RunKey>> {
        self.ask(|c| {
            let mut query = c.prepare(
                "select distinct \"window\" from run
                 where task = ?1 and environment = ?2 and state in ('running', 'publishing') order by \"window\"",
            )?;
            let windows = query.query_map(params![key.task, key.environment], |row| row.get(0))?;
            windows.map(|window| Ok(RunKey { window: window?, ..key.clone() })).collect()
        })
    }

    /// How many runs of each task and environment have no end.
    pub(crate) fn open_runs(&self) -> Result<Vec<(RunKey, u64)>> {
        self.ask(|c| {
            let sql = "select task, environment, count(*) filter (where state in ('running', 'publishing'))
                       from run group by task, environment order by task, environment";
            let mut query = c.prepare(sql)?;
            let rows = query.query_map([], |row| {
                Ok((RunKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?), row.get(2)?))
            })?;
            rows.collect()
        })
    }

    /// How a run of a task in an environment ended, whatever its window, if the ledger has it.
    pub(crate) fn state_of(&self, id: &str, key: &RunKey) -> Result<Option<State>> {
        let query = "select state from run where id = ?1 and task = ?2 and environment = ?3";
        let of = params![id, key.task, key.environment];
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
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_handler(Some(busy::wait))?;
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
