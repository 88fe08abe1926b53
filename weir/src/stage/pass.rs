//! The pass as a node of the query plan: it takes the rows of its input, and returns receipts.

use std::fmt;
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

use super::consumer::{Outputs, consumers};
use super::reader::Reader;
use super::receipt::{BrokenPartition, Receipt, receipt_schema};
use crate::plan::Stage;

/// Judges the rows of its input and passes them to the consumers of the stage. Each partition returns one [`Receipt`].
pub(crate) struct PassExec {
    input: Arc<dyn ExecutionPlan>,
    stage: Arc<Stage>,
    to: Arc<Outputs>,
    properties: Arc<PlanProperties>,
}

impl PassExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, stage: Arc<Stage>, to: Arc<Outputs>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(receipt_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self { input, stage, to, properties }
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
        Ok(Arc::new(Self::new(input, self.stage.clone(), self.to.clone())))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> QueryResult<TreeNodeRecursion>,
    ) -> QueryResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let reader = Reader::begin(&self.stage, &self.to, consumers(&self.stage, &self.to));
        let rows = self.input.execute(partition, reader.context(&context))?;
        let receipt = futures::stream::once(receipt_of(partition, reader, rows));
        Ok(Box::pin(RecordBatchStreamAdapter::new(receipt_schema(), receipt)))
    }
}

/// Reads a partition to its end.
async fn receipt_of(
    partition: usize,
    mut reader: Reader,
    mut rows: SendableRecordBatchStream,
) -> QueryResult<RecordBatch> {
    let broken = |reader: Reader, error| {
        let tally = reader.into_tally();
        DataFusionError::External(Box::new(BrokenPartition { error, tally }))
    };
    while let Some(batch) = rows.next().await {
        if let Err(error) = reader.route(batch) {
            return Err(broken(reader, error));
        }
    }
    let receipt = Receipt { partition, ..reader.finish()? };
    Ok(receipt.to_batch()?)
}
