//! The rows of a stage that could not be computed: they are rejected, with the error as their reason.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as QueryResult};

use crate::engine::{INVALID_VALUE, RowError};
use crate::error::{Error, plain};
use crate::plan::Stage;
use crate::route::{Reasons, RejectedRows, RowSink, Shown};

/// The rows of one stage that could not be computed.
pub(super) struct FailedRows {
    table: String,
    /// The columns of the rejected route.
    schema: SchemaRef,
    shown: Vec<usize>,
    /// Whether reasons have no values of rows.
    is_private: bool,
    rows: RejectedRows,
}

impl FailedRows {
    /// For the rows of a stage. If they go nowhere, the first one ends the run.
    pub(super) fn new(stage: &Stage, to: Option<RowSink>) -> Self {
        let Stage { table, rejected_schema, shown, is_private, .. } = stage;
        Self { is_private: *is_private, ..Self::of_table(table, rejected_schema.clone(), shown.clone(), to) }
    }

    pub(super) fn of_table(table: &str, schema: SchemaRef, shown: Vec<usize>, to: Option<RowSink>) -> Self {
        Self { table: table.to_owned(), schema, shown, is_private: false, rows: RejectedRows::new(to) }
    }

    /// Whether a sink reads such rows.
    pub(super) fn is_connected(&self) -> bool {
        self.rows.is_connected()
    }

    /// The error of a row that no sink reads.
    pub(super) fn unrouted(&self, error: &DataFusionError) -> Error {
        Error::Row {
            table: self.table.clone(),
            kind: RowError::of(error).map_or(INVALID_VALUE, |error| error.kind),
            message: plain(error),
            help: format!(
                "nothing was published; correct the input or the model, or add a sink with `from: {}.rejected`",
                self.table
            ),
        }
    }

    /// Takes rows, of which `columns` is what could be computed.
    pub(super) fn send(&self, columns: Vec<ArrayRef>, errors: &[RowError]) -> QueryResult<()> {
        let reason = |error: &RowError| if self.is_private { error.kind.to_owned() } else { error.reason() };
        let reasons = StringViewArray::from_iter_values(errors.iter().map(reason));
        let columns = columns.into_iter().chain([Arc::new(reasons) as ArrayRef]).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        let sent = self.rows.send(&batch, |reasons| {
            for (row, error) in errors.iter().enumerate() {
                let sample = || match &error.message {
                    Some(message) => Ok(Shown::message(message)),
                    None => Shown::row(&batch, &self.shown, row),
                };
                let added = reasons.add_row(error.kind, sample);
                added.map_err(|error| Error::query(&self.table, error.into()))?;
            }
            Ok(())
        });
        Ok(sent?)
    }

    /// The rows so far.
    pub(super) fn reasons(&self) -> Reasons {
        self.rows.reasons()
    }
}

impl fmt::Debug for FailedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FailedRows({})", self.table)
    }
}
