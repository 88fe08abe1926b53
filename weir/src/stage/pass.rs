//! The pass as a node of the query plan: it takes the rows of its input, and returns receipts.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    SendableRecordBatchStream,
};
use futures::StreamExt;

use super::consumer::{ChosenRows, RoutedRows, RowConsumer, consumers};
use super::receipt::{BrokenPartition, Receipt};
use crate::engine::RowError;
use crate::error::{Error, Result, plain};
use crate::plan::Stage;
use crate::quality::{Judging, Tally};
use crate::sink::Parts;

/// Judges the rows of its input and passes them to the consumers of the stage. Each partition returns one [`Receipt`].
pub(super) struct PassExec {
    input: Arc<dyn ExecutionPlan>,
    stage: Arc<Stage>,
    sinks: Arc<[Arc<dyn Parts>]>,
    scratch: PathBuf,
    properties: Arc<PlanProperties>,
}

impl PassExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        stage: Arc<Stage>,
        sinks: Arc<[Arc<dyn Parts>]>,
        scratch: PathBuf,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Receipt::schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self { input, stage, sinks, scratch, properties }
    }
}

impl fmt::Debug for PassExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassExec").field("table", &self.stage.table).field("input", &self.input).finish_non_exhaustive()
    }
}

impl DisplayAs for PassExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassExec: {}", self.stage.table)
    }
}

impl ExecutionPlan for PassExec {
    fn name(&self) -> &str {
        "PassExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("a pass has one input");
        };
        Ok(Arc::new(Self::new(input, self.stage.clone(), self.sinks.clone(), self.scratch.clone())))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> QueryResult<TreeNodeRecursion>,
    ) -> QueryResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let reader = Reader {
            judging: self.stage.judge.as_ref().map(|judge| judge.begin(&self.scratch)),
            counted: Tally::default(),
            consumers: consumers(&self.stage, &self.sinks, &self.scratch),
            stage: self.stage.clone(),
        };
        let receipt = futures::stream::once(reader.read(rows));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Receipt::schema(), receipt)))
    }
}

/// The pass over one partition.
struct Reader {
    stage: Arc<Stage>,
    /// With the counts, if the stage has rules.
    judging: Option<Judging>,
    /// The counts, if it has none.
    counted: Tally,
    consumers: Vec<Box<dyn RowConsumer>>,
}

impl Reader {
    async fn read(mut self, mut batches: SendableRecordBatchStream) -> QueryResult<RecordBatch> {
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| broken_off(&self.stage.table, error));
            let routed = batch.and_then(|batch| if batch.num_rows() > 0 { self.route(&batch) } else { Ok(()) });
            if let Err(error) = routed {
                return Err(self.broken(error));
            }
        }
        self.finish().map_err(Into::into)
    }

    /// Sends the rows of a batch where they belong.
    fn route(&mut self, batch: &RecordBatch) -> Result<()> {
        let stage = self.stage.clone();
        let (Some(judge), Some(judging)) = (&stage.judge, &mut self.judging) else {
            self.counted.rows += batch.num_rows() as u64;
            self.counted.accepted += batch.num_rows() as u64;
            return self.consume(&RoutedRows { accepted: Some(ChosenRows { batch, chosen: None }), rejected: None });
        };
        let verdict = judge.judge(batch, judging)?;
        let batch = &*judge.own(batch)?;
        let accepted = (verdict.accepted_rows > 0).then(|| {
            let chosen = (verdict.accepted_rows < batch.num_rows()).then_some(&verdict.accepted);
            ChosenRows { batch, chosen }
        });
        let Some(reasons) = verdict.reasons else { return self.consume(&RoutedRows { accepted, rejected: None }) };
        let columns = batch.columns().iter().cloned().chain([reasons]).collect();
        let with_reasons = RecordBatch::try_new(stage.rejected_schema.clone(), columns);
        let with_reasons = with_reasons.map_err(|error| Error::query(&stage.table, error.into()))?;
        let chosen = !&verdict.accepted;
        let rejected = Some(ChosenRows { batch: &with_reasons, chosen: Some(&chosen) });
        self.consume(&RoutedRows { accepted, rejected })
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

    fn finish(self) -> Result<RecordBatch> {
        let (tally, keys) = match self.judging {
            Some(judging) => judging.finish()?,
            None => (self.counted, vec![]),
        };
        let mut receipt = Receipt { tally, keys, ..Receipt::default() };
        for consumer in self.consumers {
            consumer.finish(&mut receipt)?;
        }
        receipt.to_batch()
    }

    fn broken(self, error: Error) -> DataFusionError {
        let tally = self.judging.map_or(self.counted, |judging| judging.tally);
        DataFusionError::External(Box::new(BrokenPartition { error, tally }))
    }
}

/// An error from below the steps from which a row can be rejected alone.
fn broken_off(table: &str, error: DataFusionError) -> Error {
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
