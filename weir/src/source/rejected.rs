//! The route `source.rejected`: records that could not be read, with file, line and reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::arrow::array::{Int64Builder, RecordBatch, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};

/// Takes the rejected records of a source as batches of [`rejected_schema`].
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

/// Where the rejected records of one source go in one run.
#[derive(Default)]
pub(crate) struct RejectedRoute {
    source: String,
    taker: OnceLock<Taker>,
    counts: Mutex<BTreeMap<String, u64>>,
    samples: Mutex<BTreeMap<String, Vec<String>>>,
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

    /// Passes records on.
    pub(crate) fn send(&self, records: &[RejectedRecord]) -> Result<()> {
        let Some(first) = records.first() else { return Ok(()) };
        let Some(taker) = self.taker.get() else {
            return Err(Error::input(
                format!("{}:{}", first.file, first.line),
                format!("a record cannot be read: {}", first.reason),
                format!("mend the file, or add a sink with `from: {}.rejected` that takes such records", self.source),
            ));
        };
        self.count(records);
        taker(&batch(records)?)
    }

    fn count(&self, records: &[RejectedRecord]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            *counts.entry(record.reason.clone()).or_default() += 1;
            let shown = samples.entry(record.reason.clone()).or_default();
            if shown.len() < SAMPLES {
                shown.push(format!("{}:{}: {}", record.file, record.line, shortened(&record.raw)));
            }
        }
    }

    /// Records by reason.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A few records for each reason, to be shown.
    pub(crate) fn samples(&self) -> BTreeMap<String, Vec<String>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
