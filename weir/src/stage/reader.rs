//! Judges the rows of one partition, and sends each where it belongs.

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::TaskContext;

use super::consumer::{ChosenRows, Outputs, RoutedRows, RowConsumer};
use super::failed::FailedRows;
use super::receipt::Receipt;
use crate::engine::RowError;
use crate::error::{Error, Result, plain};
use crate::plan::Stage;
use crate::quality::{Judging, Tally};

/// The pass over one partition.
pub(super) struct Reader {
    stage: Arc<Stage>,
    /// With the counts, if the stage has rules.
    judging: Option<Judging>,
    /// The counts, if it has none.
    counted: Tally,
    consumers: Vec<Box<dyn RowConsumer>>,
    /// The rows that could not be computed.
    failed: Arc<FailedRows>,
    to: Arc<Outputs>,
}

/// The accepted rows of a batch.
pub(super) struct AcceptedRows {
    batch: RecordBatch,
    /// Which; `None` means all.
    chosen: Option<BooleanBuffer>,
}

impl AcceptedRows {
    /// These columns of them.
    pub(super) fn project(self, columns: &[usize]) -> QueryResult<RecordBatch> {
        let batch = self.batch.project(columns)?;
        Ok(match self.chosen {
            None => batch,
            Some(chosen) => filter_record_batch(&batch, &BooleanArray::new(chosen, None))?,
        })
    }
}

impl Reader {
    /// Begins a pass, with what takes the rows.
    pub(super) fn begin(stage: &Arc<Stage>, to: &Arc<Outputs>, consumers: Vec<Box<dyn RowConsumer>>) -> Self {
        let judging = stage.judge.as_ref().map(|judge| judge.begin(&to.scratch));
        let failed = Arc::new(FailedRows::new(stage, &to.sinks));
        Self { stage: stage.clone(), judging, counted: Tally::default(), consumers, failed, to: to.clone() }
    }

    /// The context in which the plan of the partition is executed.
    pub(super) fn context(&self, of: &TaskContext) -> Arc<TaskContext> {
        self.failed.context(of)
    }

    /// Sends the rows of a batch, or the error in its place, where they belong; returns the accepted ones, if there are any.
    pub(super) fn route(&mut self, batch: QueryResult<RecordBatch>) -> Result<Option<AcceptedRows>> {
        let batch = batch.map_err(|error| broken_off(&self.stage.table, error))?;
        self.to.check_wanted()?;
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let stage = self.stage.clone();
        let (Some(judge), Some(judging)) = (&stage.judge, &mut self.judging) else {
            self.counted.rows += batch.num_rows() as u64;
            self.counted.accepted += batch.num_rows() as u64;
            let accepted = Some(ChosenRows { batch: &batch, chosen: None });
            self.consume(&RoutedRows { accepted, rejected: None })?;
            return Ok(Some(AcceptedRows { batch, chosen: None }));
        };
        let verdict = judge.judge(&batch, judging)?;
        let batch = judge.own(&batch)?.into_owned();
        let chosen = (verdict.accepted_rows < batch.num_rows()).then(|| verdict.accepted.clone());
        let has_accepted = verdict.accepted_rows > 0;
        let accepted = has_accepted.then_some(ChosenRows { batch: &batch, chosen: chosen.as_ref() });
        match verdict.reasons {
            None => self.consume(&RoutedRows { accepted, rejected: None })?,
            Some(reasons) => {
                let columns = batch.columns().iter().cloned().chain([reasons]).collect();
                let with_reasons = RecordBatch::try_new(stage.rejected_schema.clone(), columns);
                let with_reasons = with_reasons.map_err(|error| Error::query(&stage.table, error.into()))?;
                let is_rejected = !&verdict.accepted;
                let rejected = Some(ChosenRows { batch: &with_reasons, chosen: Some(&is_rejected) });
                self.consume(&RoutedRows { accepted, rejected })?;
            }
        }
        Ok(has_accepted.then_some(AcceptedRows { batch, chosen }))
    }

    fn consume(&mut self, rows: &RoutedRows<'_>) -> Result<()> {
        let Stage { table, accepted, rejected, scratch, .. } = &*self.stage;
        if rows.accepted.is_some() && accepted.is_empty() && scratch.is_none() {
            return Err(unrouted(table, table));
        }
        if rows.rejected.is_some() && rejected.is_empty() {
            return Err(unrouted(table, &format!("{table}.rejected")));
        }
        self.consumers.iter_mut().try_for_each(|consumer| consumer.consume(rows))
    }

    /// Completes what the consumers have done.
    pub(super) fn finish(self) -> Result<Receipt> {
        let (tally, keys) = match self.judging {
            Some(judging) => judging.finish(self.to.shared.is_some())?,
            None => (self.counted, vec![]),
        };
        let (failed, parts) = self.failed.finish()?;
        let mut receipt = Receipt { tally, keys, failed, parts, ..Receipt::default() };
        for consumer in self.consumers {
            consumer.finish(&mut receipt)?;
        }
        Ok(receipt)
    }

    /// What it has counted so far.
    pub(super) fn into_tally(self) -> Tally {
        self.judging.map_or(self.counted, |judging| judging.tally)
    }
}

/// An error from below the steps from which a row can be rejected alone.
pub(crate) fn broken_off(table: &str, error: DataFusionError) -> Error {
    if let DataFusionError::ResourcesExhausted(message) = error.find_root() {
        let message = message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
        return Error::Memory { table: table.to_owned(), message: format!("its memory is used up: {message}") };
    }
    let Some(RowError { kind, .. }) = RowError::of(&error) else { return Error::query(table, error) };
    let help = "nothing was published; a row that goes into a join, an aggregate, a window, a sort or a limit is not \
                rejected alone: compute it in a model of its own before that, with a sink `from: MODEL.rejected`";
    Error::Row { table: table.to_owned(), kind, message: plain(&error), help: help.to_owned() }
}

fn unrouted(table: &str, route: &str) -> Error {
    let which = if route == table { "accepted" } else { "rejected" };
    let message = format!("a row was {which}, but no sink reads `{route}`: add one with `from: {route}`");
    Error::Query { table: table.to_owned(), message }
}
