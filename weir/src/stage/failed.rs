//! The rows of a stage that could not be computed: they are rejected, with the error as their reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as QueryResult};

use super::Stage;
use crate::engine::RowError;
use crate::error::Error;
use crate::quality::sample;
use crate::source::rejected::{SAMPLES, Taker};

/// For each reason its rows, and a few of them to be shown.
pub(crate) type FailedCounts = BTreeMap<&'static str, (u64, Vec<String>)>;

/// Takes the rows of one stage that could not be computed.
pub(super) struct FailedRows {
    table: String,
    /// The columns of the rejected route.
    schema: SchemaRef,
    shown: Vec<usize>,
    taker: Option<Taker>,
    counts: Mutex<FailedCounts>,
}

impl FailedRows {
    /// For the rows of a stage. Without a taker the first one ends the run.
    pub(super) fn new(stage: &Stage, taker: Option<Taker>) -> Self {
        let Stage { table, rejected_schema, shown, .. } = stage;
        Self::of_table(table, rejected_schema.clone(), shown.clone(), taker)
    }

    pub(super) fn of_table(table: &str, schema: SchemaRef, shown: Vec<usize>, taker: Option<Taker>) -> Self {
        Self { table: table.to_owned(), schema, shown, taker, counts: Mutex::default() }
    }

    /// Whether a sink takes such rows.
    pub(super) fn has_taker(&self) -> bool {
        self.taker.is_some()
    }

    /// The error of a row that no sink takes.
    pub(super) fn untaken(&self, error: &DataFusionError) -> Error {
        Error::Row {
            table: self.table.clone(),
            message: error.strip_backtrace(),
            help: format!(
                "nothing was published; mend the input or the model, or add a sink with `from: {}.rejected` that takes such rows",
                self.table
            ),
        }
    }

    /// Takes rows, of which `columns` is what could be computed.
    pub(super) fn send(&self, columns: Vec<ArrayRef>, errors: &[RowError]) -> QueryResult<()> {
        let reasons = StringViewArray::from_iter_values(errors.iter().map(RowError::reason));
        let columns = columns.into_iter().chain([Arc::new(reasons) as ArrayRef]).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        self.taker.iter().try_for_each(|take| take(&batch))?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, error) in errors.iter().enumerate() {
            let (rows, samples) = counts.entry(error.kind).or_default();
            *rows += 1;
            if samples.len() < SAMPLES {
                samples.push(error.message.clone().map_or_else(|| sample(&batch, &self.shown, row), Ok)?);
            }
        }
        Ok(())
    }

    /// What was taken.
    pub(super) fn counts(&self) -> FailedCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for FailedRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FailedRows({})", self.table)
    }
}
