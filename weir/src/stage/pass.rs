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

use super::consumer::consumers;
use super::reader::Reader;
use super::receipt::{BrokenPartition, Receipt};
use crate::plan::Stage;
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
        let reader = Reader::begin(&self.stage, consumers(&self.stage, &self.sinks, &self.scratch), &self.scratch);
        let receipt = futures::stream::once(receipt_of(reader, rows));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Receipt::schema(), receipt)))
    }
}

/// Reads a partition to its end.
async fn receipt_of(mut reader: Reader, mut rows: SendableRecordBatchStream) -> QueryResult<RecordBatch> {
    let broken = |reader: Reader, error| {
        let tally = reader.into_tally();
        DataFusionError::External(Box::new(BrokenPartition { error, tally }))
    };
    while let Some(batch) = rows.next().await {
        if let Err(error) = reader.route(batch) {
            return Err(broken(reader, error));
        }
    }
    Ok(reader.finish()?.to_batch()?)
}
