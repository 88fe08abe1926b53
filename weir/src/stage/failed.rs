//! The rows of a stage that could not be computed: they are rejected, with the error as their reason.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::internal_datafusion_err;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::TaskContext;

use crate::engine::{INVALID_VALUE, RowError};
use crate::error::{Error, Result, plain};
use crate::plan::Stage;
use crate::route::{Reasons, RejectedRows, RowSink, Shown};
use crate::sink::{Parts, SharedParts, Written};

/// The rows of one partition of a stage that could not be computed. Below an exchange they may be those of several, and then
/// the first partition that is read has them.
pub(super) struct FailedRows {
    table: String,
    /// The columns of the rejected route.
    schema: SchemaRef,
    shown: Vec<usize>,
    /// Whether reasons have no values of rows.
    is_private: bool,
    rows: RejectedRows,
    /// What they are written to.
    parts: Option<Arc<SharedParts>>,
}

impl FailedRows {
    /// For the rows of a stage. If they go nowhere, the first one ends the run.
    pub(super) fn new(stage: &Stage, sinks: &Arc<[Arc<dyn Parts>]>) -> Self {
        let Stage { table, rejected_schema, shown, is_private, rejected, .. } = stage;
        let parts = (!rejected.is_empty()).then(|| Arc::new(SharedParts::new(sinks.clone(), rejected.clone())));
        let to = parts.clone().map(|parts| Box::new(move |batch: &RecordBatch| parts.write(batch)) as RowSink);
        let rows = Self::of_table(table, rejected_schema.clone(), shown.clone(), to);
        Self { is_private: *is_private, parts, ..rows }
    }

    /// The context of a partition whose failing rows these are.
    pub(super) fn context(self: &Arc<Self>, of: &TaskContext) -> Arc<TaskContext> {
        let config = of.session_config().clone().with_extension(self.clone());
        Arc::new(TaskContext::new(
            of.task_id(),
            of.session_id(),
            config,
            of.scalar_functions().clone(),
            of.higher_order_functions().clone(),
            of.aggregate_functions().clone(),
            of.window_functions().clone(),
            of.runtime_env(),
        ))
    }

    /// Those of the partition of a context.
    pub(super) fn of(context: &TaskContext) -> QueryResult<Arc<Self>> {
        let failed = context.session_config().get_extension::<Self>();
        failed.ok_or_else(|| internal_datafusion_err!("a guarded node is outside of a pass"))
    }

    pub(super) fn of_table(table: &str, schema: SchemaRef, shown: Vec<usize>, to: Option<RowSink>) -> Self {
        Self { table: table.to_owned(), schema, shown, is_private: false, rows: RejectedRows::new(to), parts: None }
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

    /// The rows, and the parts that they were written to, with the positions of their sinks.
    pub(super) fn finish(&self) -> Result<(Reasons, Vec<(usize, Written)>)> {
        let parts = self.parts.as_ref().map(|parts| parts.finish()).transpose()?;
        Ok((self.rows.reasons(), parts.unwrap_or_default()))
    }
}

impl fmt::Debug for FailedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FailedRows({})", self.table)
    }
}
