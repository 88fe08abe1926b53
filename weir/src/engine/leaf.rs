//! Leaves of query plans: rows that come from outside of the plan.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as QueryResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

/// Where the rows of a leaf come from.
pub(crate) trait Leaf: fmt::Debug + Send + Sync + 'static {
    /// The name of the node.
    fn name(&self) -> &'static str;

    /// What it reads, as a plan shows it.
    fn shown(&self) -> String;

    /// How many rows a partition has, or all, as far as it is known: a join is built on its smaller side.
    fn rows(&self, _partition: Option<usize>) -> Precision<usize> {
        Precision::Absent
    }

    /// Begins to read a partition; the batches have this schema.
    fn read(
        &self,
        partition: usize,
        schema: SchemaRef,
        context: Arc<TaskContext>,
    ) -> QueryResult<SendableRecordBatchStream>;
}

/// A leaf with this schema and so many partitions.
pub(crate) fn leaf(leaf: impl Leaf, schema: SchemaRef, partitions: usize) -> Arc<dyn ExecutionPlan> {
    let properties = Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ));
    Arc::new(LeafExec { leaf, properties })
}

/// A node without inputs.
#[derive(Debug)]
struct LeafExec<L: Leaf> {
    leaf: L,
    properties: Arc<PlanProperties>,
}

impl<L: Leaf> DisplayAs for LeafExec<L> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.leaf.name(), self.leaf.shown())
    }
}

impl<L: Leaf> ExecutionPlan for LeafExec<L> {
    fn name(&self) -> &str {
        self.leaf.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> QueryResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> QueryResult<TreeNodeRecursion>,
    ) -> QueryResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        self.leaf.read(partition, self.schema(), context)
    }

    fn partition_statistics(&self, partition: Option<usize>) -> QueryResult<Arc<Statistics>> {
        let rows = self.leaf.rows(partition);
        let schema = self.schema();
        let width = 16 * schema.fields().len().max(1);
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.num_rows = rows;
        statistics.total_byte_size = rows.map(|rows| rows.saturating_mul(width)).to_inexact();
        Ok(Arc::new(statistics))
    }
}
