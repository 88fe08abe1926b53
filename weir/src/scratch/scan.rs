//! The scan of a kept table: a partition for each of its files.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_datafusion_err};
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use crate::engine::statistics_of_rows;

/// Reads files of a kept table. It knows how many rows they have, so that a join is built on its smaller side.
#[derive(Debug)]
pub(super) struct ScratchScanExec {
    files: Vec<ScratchFile>,
    /// The columns that are read, by their positions in the files.
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

/// A file, and how many rows it has.
#[derive(Debug, Clone)]
pub(super) struct ScratchFile {
    pub(super) path: PathBuf,
    pub(super) rows: u64,
}

impl ScratchScanExec {
    /// A scan of these columns of the files, which have this schema.
    pub(super) fn new(files: Vec<ScratchFile>, schema: SchemaRef, columns: Vec<usize>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(files.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { files, columns, properties }
    }
}

impl DisplayAs for ScratchScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        write!(f, "ScratchScanExec: files={}, rows={rows}", self.files.len())
    }
}

impl ExecutionPlan for ScratchScanExec {
    fn name(&self) -> &str {
        "ScratchScanExec"
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

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let file = self.files.get(partition).ok_or_else(|| internal_datafusion_err!("there is no file {partition}"))?;
        let reader = File::open(&file.path)
            .map_err(DataFusionError::IoError)
            .and_then(|file| Ok(StreamReader::try_new_buffered(file, Some(self.columns.clone()))?));
        let batches: Box<dyn Iterator<Item = QueryResult<_>> + Send> = match reader {
            Ok(reader) => Box::new(reader.map(|batch| Ok(batch?))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::iter(batches))))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> QueryResult<Arc<Statistics>> {
        let files = partition.map_or(&self.files[..], |partition| &self.files[partition..=partition]);
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        Ok(Arc::new(statistics_of_rows(&self.schema(), Precision::Exact(rows as usize))))
    }
}
