//! The route `source.rejected`: records that could not be read, with file, line and reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::arrow::array::{Int64Builder, RecordBatch, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};

/// Takes rejected rows: those of a source as batches of [`rejected_schema`], those of a model with its columns.
pub(crate) type Taker = Box<dyn Fn(&RecordBatch) -> Result<()> + Send + Sync>;

/// The columns of `source.rejected`.
pub(crate) fn rejected_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Arc::new(Schema::new(vec![
        text("_file"),
        Field::new("_line", DataType::Int64, true),
        text("_raw"),
        text("reasons"),
    ]))
}

/// A record that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct RejectedRecord {
    /// The file it stands in.
    pub(crate) file: Arc<str>,
    /// Its first line, from 1.
    pub(crate) line: u64,
    /// The record as it came; bytes that are no UTF-8 are shown as the replacement character.
    pub(crate) raw: String,
    /// Why, in the form of `reasons`.
    pub(crate) reason: String,
}

/// Values that were made null for one reason.
#[derive(Debug)]
pub(super) struct Nulled {
    /// Why.
    pub(super) reason: String,
    /// How many.
    pub(super) rows: u64,
    /// A few of the records, to be shown.
    pub(super) samples: Vec<RejectedRecord>,
}

/// A value that ends the run.
#[derive(Debug)]
pub(super) struct Failed {
    /// The file it stands in.
    pub(super) file: Arc<str>,
    /// The record's first line, from 1.
    pub(super) line: u64,
    /// The column.
    pub(super) column: String,
    /// Why.
    pub(super) reason: String,
}

/// What was found wanting in a piece of a file.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) rejected: Vec<RejectedRecord>,
    pub(super) nulled: Vec<Nulled>,
    pub(super) failed: Option<Failed>,
}

/// Where the rejected records of one source go in one run.
#[derive(Default)]
pub(crate) struct RejectedRoute {
    source: String,
    taker: OnceLock<Taker>,
    rejected: Mutex<Reasons>,
    nulled: Mutex<Reasons>,
}

/// Counts and a few records, by reason.
#[derive(Debug, Default)]
struct Reasons(BTreeMap<String, (u64, Vec<String>)>);

impl Reasons {
    fn add(&mut self, reason: &str, rows: u64, records: &[RejectedRecord]) {
        let (count, samples) = self.0.entry(reason.to_owned()).or_default();
        *count += rows;
        for record in records.iter().take(SAMPLES - samples.len()) {
            samples.push(format!("{}:{}: {}", record.file, record.line, shortened(&record.raw)));
        }
    }
}

/// So many records are shown for each reason.
pub(crate) const SAMPLES: usize = 3;

impl RejectedRoute {
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// Says who takes the records. Without a taker the first record ends the run.
    pub(crate) fn set_taker(&self, taker: Taker) {
        // A second call would be a defect of the run, which sets each route up once.
        let _ = self.taker.set(taker);
    }

    /// Passes records on, counts values that were made null, and ends the run where a value is to.
    pub(super) fn send(&self, findings: Findings) -> Result<()> {
        if let Some(Failed { file, line, column, reason }) = findings.failed {
            return Err(Error::input(
                format!("{file}:{line}"),
                format!("column `{column}`: {reason}, and the task says `on_invalid: fail`"),
                "mend the file, or let such rows be rejected: `on_invalid: reject`",
            ));
        }
        if !findings.nulled.is_empty() {
            let mut reasons = self.nulled.lock().unwrap_or_else(PoisonError::into_inner);
            findings.nulled.iter().for_each(|nulled| reasons.add(&nulled.reason, nulled.rows, &nulled.samples));
        }
        let Some(first) = findings.rejected.first() else { return Ok(()) };
        let Some(taker) = self.taker.get() else {
            return Err(Error::input(
                format!("{}:{}", first.file, first.line),
                format!("a record cannot be read: {}", first.reason),
                format!("mend the file, or add a sink with `from: {}.rejected` that takes such records", self.source),
            ));
        };
        let mut reasons = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        findings.rejected.iter().for_each(|record| reasons.add(&record.reason, 1, std::slice::from_ref(record)));
        drop(reasons);
        taker(&batch(&findings.rejected)?)
    }

    /// Records by reason, with a few of them to be shown.
    pub(crate) fn rejected(&self) -> BTreeMap<String, (u64, Vec<String>)> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Values that were made null, by reason, with a few of their records to be shown.
    pub(crate) fn nulled(&self) -> BTreeMap<String, (u64, Vec<String>)> {
        self.nulled.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl std::fmt::Debug for RejectedRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RejectedRoute({})", self.source)
    }
}

fn shortened(raw: &str) -> String {
    let mut text: String = raw.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if raw.chars().nth(80).is_some() {
        text.push('…');
    }
    text
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
        rejected_schema(),
        vec![Arc::new(files.finish()), Arc::new(lines.finish()), Arc::new(raws.finish()), Arc::new(reasons.finish())],
    )
    .map_err(|error| Error::Query { table: "rejected".to_owned(), message: error.to_string() })
}
