//! The result of a run, as the library returns it, the ledger keeps it, and `weir run --report` and `weir runs --json` write
//! it.

mod key;
mod state;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use key::RunKey;
pub use state::{Outcome, State};

use crate::error::Error;
use crate::route::{Counted, Shown};

/// The version of the JSON form. A field that is added does not raise it; a field that changes its meaning does.
const VERSION: u32 = 1;

fn version() -> u32 {
    VERSION
}

/// A run as the ledger lists it: one line of `weir runs --json`, and the file of `weir run --report`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// The run's id.
    pub id: String,
    /// The task's name.
    pub task: String,
    /// The environment.
    pub environment: String,
    /// The window of time that it covers; none for a task without windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Start of the run, RFC 3339 in UTC.
    pub started: String,
    /// End of the run; none while it is running, or if its process died.
    pub ended: Option<String>,
    /// The state of the run.
    pub state: State,
    /// The reason for the state, where it needs one.
    pub message: Option<String>,
    /// Seconds from start to end.
    pub seconds: Option<f64>,
    /// Peak resident memory in bytes.
    pub peak_memory: Option<u64>,
    /// What the run read, judged and wrote. A failed run has the part that it completed.
    pub report: Option<Report>,
}

/// What a run read, judged and wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of this structure: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The run's id: the time of its start and a random part.
    pub run: String,
    /// The task's name.
    pub task: String,
    /// The environment.
    pub environment: String,
    /// The window of time that it covers; none for a task without windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The reason why a run was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What a replay has judged again; none for any other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayReport>,
    /// The error that ended a failed run. The ledger's copy has no values of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The reasons why the gate closed; empty if it did not.
    pub breaches: Vec<String>,
    /// The sources and judged tables, in the order in which they were computed.
    pub tables: Vec<TableReport>,
    /// The sinks.
    pub outputs: Vec<OutputReport>,
    /// The steps and how long each took.
    pub steps: Vec<StepReport>,
    /// Seconds from start to end.
    pub seconds: f64,
    /// The largest resident memory, in bytes.
    pub peak_memory: u64,
}

/// The rejected records of earlier runs that a replay has judged again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplayReport {
    /// The records that were judged again.
    pub records: u64,
    /// The files that they are in.
    pub files: u64,
    /// Those that no rule rejects any more: they are published.
    pub accepted: u64,
    /// Those that are rejected again: they stay in the quarantine.
    pub rejected: u64,
    /// Records that could not be judged again, with the reasons.
    pub left_out: Vec<LeftOut>,
}

/// Rejected records that a replay cannot judge again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// How many.
    pub records: u64,
    /// Why.
    pub reason: String,
}

/// The rows of one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableReport {
    /// The table's name.
    pub table: String,
    /// Whether it is a source: then the rows are records read, and the rejected those that could not be read.
    pub is_source: bool,
    /// Rows read or judged; of a source all its records.
    pub rows: u64,
    /// Rows that went on.
    pub accepted: u64,
    /// Rows, or unreadable lines, that went to the rejected route.
    pub rejected: u64,
    /// Why, in the order of the rules. A row can have several reasons.
    pub reasons: Vec<ReasonReport>,
}

/// The rows that miss one rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReasonReport {
    /// The rule's name, or why a line could not be read.
    pub name: String,
    /// `reject`, `warn`, `fail`, `unreadable`, `set_null`, or `no_key` of JSON records that lack the key of a column.
    pub effect: String,
    /// How many rows.
    pub rows: u64,
    /// A few of them. The ledger does not keep them: rows can hold what it should not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<String>,
    /// The option of the source that most likely reads such records, without values of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What a sink got.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutputReport {
    /// The sink's name.
    pub sink: String,
    /// Where it is.
    pub path: String,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Whether it was published.
    pub published: bool,
    /// Result of the load, of a sink that is a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<LoadReport>,
}

/// Result of a load into a table, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadReport {
    /// Rows that are new in it.
    pub inserted: u64,
    /// Rows that are other than before.
    pub updated: u64,
    /// Rows that were there already, just so.
    pub unchanged: u64,
    /// Rows that went after a newer one of the same key.
    pub superseded: u64,
    /// Rows of the table that are gone.
    pub deleted: u64,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inserted, updated, unchanged, superseded, deleted } = self;
        write!(f, "{inserted} inserted, {updated} updated, {unchanged} unchanged")?;
        for (rows, what) in [(superseded, "superseded"), (deleted, "deleted")] {
            if *rows > 0 {
                write!(f, ", {rows} {what}")?;
            }
        }
        Ok(())
    }
}

/// A step of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepReport {
    /// The step: `find`, a table's name, `drain`, `prepare` or `publish`. A table whose rows are streamed into another one
    /// is computed in the step of that.
    pub name: String,
    /// Duration in seconds.
    pub seconds: f64,
}

impl Report {
    /// Removes the values of rows: the task has private columns.
    pub(crate) fn hide_values(&mut self) {
        let reasons = self.tables.iter_mut().flat_map(|table| &mut table.reasons);
        reasons.for_each(|reason| reason.samples.clear());
    }

    /// The report of a run that has just begun.
    pub(crate) fn begin(run: &str, key: &RunKey) -> Self {
        Self {
            version: VERSION,
            run: run.to_owned(),
            task: key.task.clone(),
            environment: key.environment.clone(),
            window: key.window.clone(),
            outcome: Outcome::Failed,
            note: None,
            replay: None,
            error: None,
            breaches: vec![],
            tables: vec![],
            outputs: vec![],
            steps: vec![],
            seconds: 0.0,
            peak_memory: 0,
        }
    }

    /// Sets how the run ended with an error.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.outcome = match error {
            Error::Interrupted => Outcome::Interrupted,
            Error::TimedOut { .. } => Outcome::TimedOut,
            _ => Outcome::Failed,
        };
        self.error = Some(error.to_string());
    }

    /// Adds a step that took some seconds.
    pub(crate) fn step(&mut self, name: &str, seconds: f64) {
        self.steps.push(StepReport { name: name.to_owned(), seconds });
    }

    /// The report as the ledger keeps it, without values of rows.
    pub(crate) fn for_ledger(&self, error: Option<&Error>) -> Self {
        let mut kept = self.clone();
        kept.tables.iter_mut().flat_map(|table| &mut table.reasons).for_each(|reason| reason.samples.clear());
        kept.error = error.map(Error::without_values);
        kept
    }

    /// The exit code of a process that ends with this report: 0 done or skipped, 3 gate closed, 1 failed.
    pub fn exit_code(&self) -> u8 {
        match self.outcome {
            Outcome::Done | Outcome::Skipped => 0,
            Outcome::GateClosed => 3,
            Outcome::Failed | Outcome::Interrupted | Outcome::TimedOut => 1,
        }
    }

    /// The reason for the outcome, where it needs one.
    pub fn message(&self) -> Option<String> {
        let breaches = (!self.breaches.is_empty()).then(|| self.breaches.join("; "));
        breaches.or_else(|| self.error.clone()).or_else(|| self.note.clone())
    }
}

impl RunRecord {
    /// What it is a run of.
    pub fn key(&self) -> RunKey {
        RunKey { window: self.window.clone(), ..RunKey::new(&self.task, &self.environment) }
    }

    /// The record of a run that has ended.
    pub(crate) fn of(report: Report, started: String, ended: String) -> Self {
        Self {
            id: report.run.clone(),
            task: report.task.clone(),
            environment: report.environment.clone(),
            window: report.window.clone(),
            started,
            ended: Some(ended),
            state: report.outcome.into(),
            message: report.message(),
            seconds: Some(report.seconds),
            peak_memory: Some(report.peak_memory),
            report: Some(report),
        }
    }
}

impl ReasonReport {
    /// Rows that were counted for a reason.
    pub(crate) fn of(name: impl Into<String>, effect: &str, counted: Counted) -> Self {
        let samples = counted.samples.into_iter().map(Shown::into).collect();
        Self { name: name.into(), effect: effect.to_owned(), rows: counted.rows, samples, help: None }
    }
}
