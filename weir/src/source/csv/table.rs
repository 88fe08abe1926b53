//! CSV files as a table of the query engine.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as QueryResult;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use object_store::{ObjectMeta, ObjectStore};

use super::blocks::{Block, CsvFile, Cursor, Opener};
use super::header::{self, ExpectedHeader};
use super::lines::FileLines;
use super::parse::{Layout, Rejected, Shape, parse};
use super::records::MAX_RECORD_BYTES;
use crate::error::Result;
use crate::source::rejected::RejectedRoute;

/// So much of a file is parsed at once: large enough that handing it out costs nothing, small enough that a
/// block and the columns made of it stay in the processor's cache.
const BLOCK_BYTES: usize = 512 << 10;

/// How a CSV source is read.
#[derive(Debug, Clone)]
pub(crate) struct CsvOptions {
    /// The declared columns, typed.
    pub(crate) schema: SchemaRef,
    /// For each column its name in the files.
    pub(crate) headers: Vec<String>,
    /// Whether other columns may stand in the files.
    pub(crate) ignore_unknown: bool,
    /// Texts that stand for null.
    pub(crate) null_values: Arc<[String]>,
    /// Bytes handed out at once.
    pub(crate) block_bytes: usize,
    /// Records longer than this are rejected.
    pub(crate) max_record: usize,
}

impl CsvOptions {
    pub(crate) fn new(schema: SchemaRef, headers: Vec<String>) -> Self {
        Self {
            schema,
            headers,
            ignore_unknown: false,
            null_values: Arc::new([]),
            block_bytes: BLOCK_BYTES,
            max_record: MAX_RECORD_BYTES,
        }
    }
}

/// What has been read so far of a source, for the progress bar and the checks.
#[derive(Debug, Default)]
pub(crate) struct ScanProgress {
    /// Bytes of blocks that were handed out.
    pub(crate) bytes: AtomicU64,
    /// Rows that were read, rejected records not among them.
    pub(crate) rows: AtomicU64,
}

/// CSV files whose headers have been checked.
#[derive(Debug)]
pub(crate) struct CsvTable {
    options: CsvOptions,
    opener: Opener,
    files: Arc<[CsvFile]>,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
}

impl CsvTable {
    /// Reads the header of every file. No data is read.
    pub(crate) fn open(
        store: Arc<dyn ObjectStore>,
        found: Vec<(String, ObjectMeta)>,
        options: CsvOptions,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> Result<Self> {
        let opener = Opener { store };
        let names = options.schema.fields().iter().map(|field| field.name().clone());
        let expected = ExpectedHeader {
            columns: names.zip(options.headers.iter().cloned()).collect(),
            ignore_unknown: options.ignore_unknown,
        };
        let mut files = Vec::with_capacity(found.len());
        for (name, meta) in found {
            files.push(header::open(&opener, name, meta, &expected)?);
        }
        Ok(Self { options, opener, files: files.into(), rejected, progress })
    }

    fn estimated_rows(&self) -> usize {
        self.files.iter().map(|file| ((file.meta.size - file.data_start) / file.mean_line) as usize).sum()
    }
}

#[async_trait]
impl TableProvider for CsvTable {
    fn schema(&self) -> SchemaRef {
        self.options.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.options.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let schema = Arc::new(self.options.schema.project(projection)?);
        // From the table's columns to the projected ones; a field of another column is only counted.
        let layouts = self.files.iter().map(|file| Layout {
            targets: file
                .layout
                .targets
                .iter()
                .map(|target| target.and_then(|column| projection.iter().position(|p| *p == column)))
                .collect(),
        });
        let partitions = session.config().target_partitions();
        Ok(Arc::new(CsvScanExec {
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(schema.clone()),
                Partitioning::UnknownPartitioning(partitions),
                EmissionType::Incremental,
                Boundedness::Bounded,
            )),
            shared: Arc::new(SharedScan {
                shape: Shape {
                    schema,
                    null_values: self.options.null_values.clone(),
                    max_record: self.options.max_record,
                },
                layouts: layouts.collect(),
                lines: self.files.iter().map(|file| Mutex::new(FileLines::new(file))).collect(),
                cursor: Mutex::new(Cursor::new(
                    self.opener.clone(),
                    self.files.clone(),
                    self.options.block_bytes,
                    self.options.max_record,
                )),
                rejected: self.rejected.clone(),
                progress: self.progress.clone(),
            }),
            files: self.files.len(),
            estimated_rows: self.estimated_rows(),
        }))
    }
}

/// Reads the files: every partition takes the next block when it is done with its last one.
#[derive(Debug)]
struct CsvScanExec {
    properties: Arc<PlanProperties>,
    shared: Arc<SharedScan>,
    files: usize,
    estimated_rows: usize,
}

/// What the partitions of one scan share.
#[derive(Debug)]
struct SharedScan {
    shape: Shape,
    layouts: Vec<Layout>,
    lines: Vec<Mutex<FileLines>>,
    cursor: Mutex<Cursor>,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
}

impl SharedScan {
    /// The next batch, or none when the files are read.
    fn next(&self) -> QueryResult<Option<RecordBatch>> {
        let Some(block) = self.cursor().next()? else { return Ok(None) };
        self.progress.bytes.fetch_add(block.bytes.len() as u64, Ordering::Relaxed);
        let (file, sequence) = (block.file, block.sequence);
        let (batch, lines, rejected) = self.parse(block)?;
        let ready = self.lines[file].lock().unwrap_or_else(PoisonError::into_inner).finish(sequence, lines, rejected);
        self.rejected.send(&ready)?;
        self.progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        Ok(Some(batch))
    }

    fn cursor(&self) -> MutexGuard<'_, Cursor> {
        match self.cursor.try_lock() {
            Ok(cursor) => cursor,
            // Another reader is reading its next block, which is a matter of microseconds for a local file.
            Err(_) => tokio::task::block_in_place(|| self.cursor.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn parse(&self, block: Block) -> QueryResult<(RecordBatch, u64, Vec<Rejected>)> {
        if block.too_long {
            let rejected = Rejected { line: 0, raw: block.bytes, reason: "record_too_long".to_owned() };
            return Ok((RecordBatch::new_empty(self.shape.schema.clone()), 1, vec![rejected]));
        }
        let parsed = parse(block.bytes, &self.layouts[block.file], &self.shape)?;
        Ok((parsed.batch, parsed.lines, parsed.rejected))
    }
}

impl Drop for SharedScan {
    /// Records that wait for blocks which nobody read, because a `limit` had enough, are passed on all the same.
    fn drop(&mut self) {
        for lines in &mut self.lines {
            let waiting = lines.get_mut().unwrap_or_else(PoisonError::into_inner).take_waiting();
            if let Err(error) = self.rejected.send(&waiting) {
                tracing::warn!(%error, "rejected records of a scan that ended early were not written");
            }
        }
    }
}

impl DisplayAs for CsvScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvScanExec: files={}, rows~{}", self.files, self.estimated_rows)
    }
}

impl ExecutionPlan for CsvScanExec {
    fn name(&self) -> &str {
        "CsvScanExec"
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

    fn execute(&self, _partition: usize, _: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let shared = self.shared.clone();
        let batches = futures::stream::iter(std::iter::from_fn(move || shared.next().transpose()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.shared.shape.schema.clone(), batches)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> QueryResult<Arc<Statistics>> {
        let share = partition.map_or(1, |_| self.properties.partitioning.partition_count().max(1));
        let rows = self.estimated_rows / share;
        let mut statistics = Statistics::new_unknown(&self.shared.shape.schema);
        statistics.num_rows = Precision::Inexact(rows);
        statistics.total_byte_size = Precision::Inexact(rows * 16 * self.shared.shape.schema.fields().len().max(1));
        Ok(Arc::new(statistics))
    }
}
