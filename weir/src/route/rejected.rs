//! The way out for rows that are rejected where they are read or computed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::arrow::array::{Int64Builder, RecordBatch, StringViewBuilder};
use serde::{Deserialize, Serialize};

use super::{Advise, Reasons, Shown, Unread, UnreadTexts, rejected_records};
use crate::error::{Error, Result};

/// Passes rejected rows to the sinks of a route: a source's as batches of [`rejected_records`], a model's as batches of
/// [`rejected_rows`](super::rejected_rows).
pub(crate) type RowSink = Box<dyn Fn(&RecordBatch) -> Result<()> + Send + Sync>;

/// Rejected rows of one table: counted by reason and passed to the sinks of their route.
#[derive(Default)]
pub(crate) struct RejectedRows {
    to: OnceLock<RowSink>,
    reasons: Mutex<Reasons>,
}

impl RejectedRows {
    /// Rows that go to `to`; without it nobody reads the route.
    pub(crate) fn new(to: Option<RowSink>) -> Self {
        Self { to: to.map_or_else(OnceLock::new, OnceLock::from), reasons: Mutex::default() }
    }

    /// Sets where the rows go.
    pub(crate) fn connect(&self, to: RowSink) {
        // A second call would be a defect of the run, which connects each route once.
        let _ = self.to.set(to);
    }

    /// Whether a sink reads the route.
    pub(crate) fn is_connected(&self) -> bool {
        self.to.get().is_some()
    }

    /// Counts rows by `count` and passes them on.
    pub(crate) fn send(&self, batch: &RecordBatch, count: impl FnOnce(&mut Reasons) -> Result<()>) -> Result<()> {
        count(&mut self.reasons.lock().unwrap_or_else(PoisonError::into_inner))?;
        self.to.get().map_or(Ok(()), |to| to(batch))
    }

    /// Counts rows that another process has passed on.
    pub(crate) fn add(&self, reasons: Reasons) {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner).merge(reasons);
    }

    /// The rows so far.
    pub(crate) fn reasons(&self) -> Reasons {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for RejectedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedRows").field("is_connected", &self.is_connected()).finish_non_exhaustive()
    }
}

/// A record that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct RejectedRecord {
    /// The file that holds it.
    pub(crate) file: Arc<str>,
    /// Its first line, from 1.
    pub(crate) line: u64,
    /// The record as it is in the file; bytes that are not UTF-8 become the replacement character.
    pub(crate) raw: String,
    /// The value of `reasons`.
    pub(crate) reason: String,
}

impl RejectedRecord {
    fn shown(&self) -> Shown {
        Shown::record(&self.file, self.line, &self.raw)
    }
}

/// Values that were set to null for one reason.
#[derive(Debug)]
pub(crate) struct NulledValues {
    pub(crate) reason: String,
    pub(crate) rows: u64,
    /// A few of the records.
    pub(crate) samples: Vec<RejectedRecord>,
}

/// A value that ends the run.
#[derive(Debug)]
pub(crate) struct FailedRecord {
    /// The file that holds it.
    pub(crate) file: Arc<str>,
    /// The record's first line, from 1.
    pub(crate) line: u64,
    /// The column.
    pub(crate) column: String,
    pub(crate) reason: String,
}

/// What failed validation in a piece of a file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) rejected: Vec<RejectedRecord>,
    pub(crate) nulled: Vec<NulledValues>,
    pub(crate) failed: Option<FailedRecord>,
}

/// What a route has counted.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteCounts {
    rejected: Reasons,
    nulled: Reasons,
    absent: Reasons,
    unread: BTreeMap<String, Unread>,
}

/// The reason of a value that is null because its record lacks the key.
const ABSENT: &str = "absent_";

/// The route `source.rejected` of one source in one run, and the values of the source that were set to null.
#[derive(Debug, Default)]
pub(crate) struct RejectedRoute {
    source: String,
    rows: RejectedRows,
    nulled: Mutex<Reasons>,
    /// JSON records that lack the key of a column, by column.
    absent: Mutex<Reasons>,
    /// A few of the texts that could not be read.
    pub(crate) unread: UnreadTexts,
    adviser: Option<Arc<dyn Advise>>,
}

impl RejectedRoute {
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// A route that knows what the task could declare.
    pub(crate) fn advised(source: &str, adviser: impl Advise + 'static) -> Self {
        Self { adviser: Some(Arc::new(adviser)), ..Self::new(source) }
    }

    /// The source's name.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// An empty route of the same source, for a part of it.
    pub(crate) fn of_part(&self) -> Self {
        Self { adviser: self.adviser.clone(), ..Self::new(&self.source) }
    }

    /// What it has counted.
    pub(crate) fn counts(&self) -> RouteCounts {
        RouteCounts {
            rejected: self.rejected(),
            nulled: self.nulled(),
            absent: self.lacking(),
            unread: self.unread.all(),
        }
    }

    /// Adds what another process has counted, and has passed on.
    pub(crate) fn add(&self, counts: RouteCounts) {
        let RouteCounts { rejected, nulled, absent, unread } = counts;
        self.rows.add(rejected);
        self.nulled.lock().unwrap_or_else(PoisonError::into_inner).merge(nulled);
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).merge(absent);
        self.unread.merge(unread);
    }

    /// What the task could declare so that records are read that were rejected for a reason, or for several of them.
    pub(crate) fn advice(&self, reasons: &str) -> Option<String> {
        if let Some(column) = reasons.strip_prefix(ABSENT) {
            let help = format!("if records may lack it, declare {column}: {{type: ..., optional: true}}");
            return Some(help);
        }
        let adviser = self.adviser.as_ref()?;
        let advice: Vec<String> =
            reasons.split(';').filter_map(|reason| adviser.advice(reason, &self.unread.of(reason))).collect();
        (!advice.is_empty()).then(|| advice.join("; "))
    }

    /// Sets where the records go. Without it the first record ends the run.
    pub(crate) fn connect(&self, to: RowSink) {
        self.rows.connect(to);
    }

    /// Passes records on, counts values that were set to null, and ends the run where a value has to.
    pub(crate) fn send(&self, findings: Findings) -> Result<()> {
        if let Some(FailedRecord { file, line, column, reason }) = findings.failed {
            return Err(Error::input(
                format!("{file}:{line}"),
                format!("column `{column}`: {reason}, and the task specifies `on_invalid: fail`"),
                self.help(&reason, "correct the file, or reject such rows with `on_invalid: reject`"),
            ));
        }
        if !findings.nulled.is_empty() {
            let mut reasons = self.nulled.lock().unwrap_or_else(PoisonError::into_inner);
            for NulledValues { reason, rows, samples } in &findings.nulled {
                reasons.of(reason).add(*rows, samples.iter().map(RejectedRecord::shown));
            }
        }
        let Some(first) = findings.rejected.first() else { return Ok(()) };
        if !self.rows.is_connected() {
            return Err(Error::input(
                format!("{}:{}", first.file, first.line),
                format!("a record cannot be read: {}", first.reason),
                self.help(
                    &first.reason,
                    &format!("correct the file, or add a sink with `from: {}.rejected`", self.source),
                ),
            ));
        }
        self.rows.send(&batch(&findings.rejected)?, |reasons| {
            findings.rejected.iter().try_for_each(|record| reasons.add_row(&record.reason, || Ok(record.shown())))
        })
    }

    /// Counts records that lack the key of a column: its value is null.
    pub(crate) fn absent(&self, column: &str, rows: u64) {
        let mut reasons = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.of(&format!("{ABSENT}{column}")).add(rows, []);
    }

    /// What to do about a record that ends the run.
    fn help(&self, reasons: &str, otherwise: &str) -> String {
        self.advice(reasons).map_or_else(|| otherwise.to_owned(), |advice| format!("{advice}; otherwise {otherwise}"))
    }

    /// Records that could not be read, by reason.
    pub(crate) fn rejected(&self) -> Reasons {
        self.rows.reasons()
    }

    /// JSON records that lack the key of a column, by reason.
    pub(crate) fn lacking(&self) -> Reasons {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Values that were set to null, by reason.
    pub(crate) fn nulled(&self) -> Reasons {
        self.nulled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn batch(records: &[RejectedRecord]) -> Result<RecordBatch> {
    let mut files = StringViewBuilder::new();
    let mut lines = Int64Builder::new();
    let mut raws = StringViewBuilder::new();
    let mut reasons = StringViewBuilder::new();
    for record in records {
        files.append_value(&record.file);
        lines.append_value(record.line as i64);
        raws.append_value(&record.raw);
        reasons.append_value(&record.reason);
    }
    RecordBatch::try_new(
        rejected_records(),
        vec![Arc::new(files.finish()), Arc::new(lines.finish()), Arc::new(raws.finish()), Arc::new(reasons.finish())],
    )
    .map_err(|error| Error::Query { table: "rejected".to_owned(), message: error.to_string() })
}
