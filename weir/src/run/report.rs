//! What a run came to.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_postgres::load::Counts;

/// How a run ended that did not end with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// All is published.
    Done,
    /// There was no input, and the task says to do nothing then.
    Skipped,
    /// The gate closed: only sinks marked `publish: always` are published.
    GateClosed,
}

/// What a run read, judged and wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The run's id: the time of its start and a random part.
    pub(crate) run: String,
    /// The task's name.
    pub(crate) task: String,
    /// The environment.
    pub(crate) environment: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Why there was nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Why the gate closed; empty if it did not.
    pub(crate) breaches: Vec<String>,
    /// The sources and judged tables, in the order in which they were computed.
    pub(crate) tables: Vec<TableReport>,
    /// The sinks.
    pub(crate) outputs: Vec<OutputReport>,
    /// The steps and how long each took.
    pub(crate) steps: Vec<StepReport>,
    /// Seconds from start to end.
    pub(crate) seconds: f64,
    /// The largest resident memory, in bytes.
    pub(crate) peak_memory: u64,
}

/// The rows of one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TableReport {
    /// The table's name.
    pub(crate) table: String,
    /// Whether it is a source: then the rows are records read, and the rejected those that could not be read.
    pub(crate) is_source: bool,
    /// Rows read or judged; of a source all its records.
    pub(crate) rows: u64,
    /// Rows that went on.
    pub(crate) accepted: u64,
    /// Rows, or unreadable lines, that went to the rejected route.
    pub(crate) rejected: u64,
    /// Why, in the order of the rules. A row can have several reasons.
    pub(crate) reasons: Vec<ReasonReport>,
}

/// The rows that miss one rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReasonReport {
    /// The rule's name, or why a line could not be read.
    pub(crate) name: String,
    /// `reject`, `warn`, `unreadable` or `set_null`.
    pub(crate) effect: String,
    /// How many rows.
    pub(crate) rows: u64,
    /// A few of them. They are shown and not kept: rows can hold what a ledger should not.
    #[serde(skip)]
    pub(crate) samples: Vec<String>,
}

/// What a sink got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OutputReport {
    /// The sink's name.
    pub(crate) sink: String,
    /// Where it is.
    pub(crate) path: String,
    /// Rows written.
    pub(crate) rows: u64,
    /// Bytes written.
    pub(crate) bytes: u64,
    /// Whether it was published.
    pub(crate) published: bool,
    /// Of a table what its rows came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) loaded: Option<LoadReport>,
}

/// What the rows of a table came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    /// Rows that are new in it.
    pub(crate) inserted: u64,
    /// Rows that are other than before.
    pub(crate) updated: u64,
    /// Rows that were there already, just so.
    pub(crate) unchanged: u64,
    /// Rows that went after a newer one of the same key.
    pub(crate) superseded: u64,
    /// Rows of the table that are gone.
    pub(crate) deleted: u64,
}

impl From<Counts> for LoadReport {
    fn from(counts: Counts) -> Self {
        let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
        Self { inserted, updated, unchanged, superseded, deleted }
    }
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
pub(crate) struct StepReport {
    /// What it was: `find`, a table's name, `publish`.
    pub(crate) name: String,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl Report {
    /// The exit code of a process that ends with this report: 0 done or skipped, 3 gate closed.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.outcome == Outcome::GateClosed { 3 } else { 0 }
    }

    /// Why the run ended as it did, where that is not plain.
    pub(crate) fn message(&self) -> Option<String> {
        (!self.breaches.is_empty()).then(|| self.breaches.join("; ")).or_else(|| self.note.clone())
    }
}
