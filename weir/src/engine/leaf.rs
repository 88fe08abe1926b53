//! Leaves of query plans: rows that come from outside of the plan.

use std::fmt;
use std::path::PathBuf;
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
use serde::{Deserialize, Serialize};

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

    /// The same rows as other processes can read them; none if only this one can.
    fn apart(&self) -> Option<LeafApart> {
        None
    }

    /// Begins to read a partition; the batches have this schema.
    fn read(
        &self,
        partition: usize,
        schema: SchemaRef,
        context: Arc<TaskContext>,
    ) -> QueryResult<SendableRecordBatchStream>;
}

/// What a leaf reads, as it is told to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LeafSpec {
    /// Columns of a source.
    Source { source: String, columns: Vec<usize> },
    /// Columns of a kept table: by their positions in the table, and in its files.
    Kept { table: String, columns: Vec<usize>, in_files: Vec<usize> },
}

/// A leaf for other processes.
#[derive(Debug)]
pub(crate) struct LeafApart {
    pub(crate) spec: LeafSpec,
    /// What is read one by one, by anybody: files of a kept table, or none of a source, whose parts its table knows.
    pub(crate) files: Vec<(PathBuf, u64)>,
}

/// The leaf that a node is.
pub(crate) fn as_leaf(node: &dyn ExecutionPlan) -> Option<&dyn Leaf> {
    node.downcast_ref::<LeafExec>().map(|node| node.leaf.as_ref())
}

/// A leaf with this schema and so many partitions.
pub(crate) fn leaf(leaf: impl Leaf, schema: SchemaRef, partitions: usize) -> Arc<dyn ExecutionPlan> {
    let properties = Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ));
    Arc::new(LeafExec { leaf: Box::new(leaf), properties })
}

/// A node without inputs.
#[derive(Debug)]
struct LeafExec {
    leaf: Box<dyn Leaf>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for LeafExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.leaf.name(), self.leaf.shown())
    }
}

impl ExecutionPlan for LeafExec {
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
