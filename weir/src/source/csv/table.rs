//! CSV files as a table of the query engine.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
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
const BLOCK_BYTES: usize = 256 << 10;

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
    /// The scans that were planned.
    scans: Mutex<Vec<Arc<SharedScan>>>,
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
        Ok(Self { options, opener, files: files.into(), rejected, progress, scans: Mutex::default() })
    }

    /// Reads what no query has read, so that every record of every file is counted and every unreadable one is
    /// passed on: a `limit` has enough at some point, and a join with an empty side never begins.
    ///
    /// To be called when the queries over the table have ended. Gives up when `stopped` says so.
    pub(crate) fn drain(&self, stopped: &dyn Fn() -> bool) -> QueryResult<()> {
        let scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let begun: Vec<_> = scans.into_iter().filter(|scan| scan.has_begun()).collect();
        match begun.is_empty() {
            true => self.shared(Some(&[]))?.drain(stopped),
            false => begun.iter().try_for_each(|scan| scan.drain(stopped)),
        }
    }

    /// A scan of some of the columns, or of all.
    fn shared(&self, projection: Option<&[usize]>) -> QueryResult<SharedScan> {
        let fields = self.options.schema.fields();
        let projection: Vec<usize> = projection.map_or_else(|| (0..fields.len()).collect(), <[usize]>::to_vec);
        // Whether a record can be read must not depend on the columns that a query happens to ask for: those
        // whose text may not fit their type are always read.
        let is_typed = |column: &usize| fields[*column].data_type() != &DataType::Utf8View;
        let unasked = (0..fields.len()).filter(is_typed).filter(|column| !projection.contains(column));
        let read: Vec<usize> = projection.iter().copied().chain(unasked).collect();
        // From the table's columns to those that are read; a field of another column is only counted.
        let target = |column: &Option<usize>| column.and_then(|column| read.iter().position(|r| *r == column));
        let layouts =
            self.files.iter().map(|file| Layout { targets: file.layout.targets.iter().map(target).collect() });
        Ok(SharedScan {
            schema: Arc::new(self.options.schema.project(&projection)?),
            shape: Shape {
                schema: Arc::new(self.options.schema.project(&read)?),
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
            readers: Mutex::default(),
            at_work: AtomicUsize::new(0),
            rejected: self.rejected.clone(),
            progress: self.progress.clone(),
        })
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
        let shared = Arc::new(self.shared(projection.map(Vec::as_slice))?);
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).push(shared.clone());
        let schema = shared.schema.clone();
        let partitions = session.config().target_partitions();
        Ok(Arc::new(CsvScanExec {
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(schema.clone()),
                Partitioning::UnknownPartitioning(partitions),
                EmissionType::Incremental,
                Boundedness::Bounded,
            )),
            shared,
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
    /// The columns that were asked for: the first ones of those that are read.
    schema: SchemaRef,
    shape: Shape,
    layouts: Vec<Layout>,
    lines: Vec<Mutex<FileLines>>,
    cursor: Mutex<Cursor>,
    /// The partitions that were executed.
    readers: Mutex<BTreeSet<usize>>,
    /// Readers that have taken a block and are not done with it.
    at_work: AtomicUsize,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
}

impl SharedScan {
    fn has_begun(&self) -> bool {
        !self.readers.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Takes note of a reader. A partition is read once: a second time would find the cursor at the end, and give
    /// no rows without a word.
    fn begin(&self, partition: usize) -> QueryResult<()> {
        match self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(partition) {
            true => Ok(()),
            false => internal_err!("a source would be read twice by one scan"),
        }
    }

    /// The next batch, or none when the files are read.
    fn next(&self) -> QueryResult<Option<RecordBatch>> {
        let mut cursor = self.cursor();
        let Some(block) = cursor.next()? else { return Ok(None) };
        self.at_work.fetch_add(1, Ordering::AcqRel);
        drop(cursor);
        let batch = self.read(block);
        self.at_work.fetch_sub(1, Ordering::AcqRel);
        batch.map(Some)
    }

    /// Makes a batch of a block, and passes its unreadable records on.
    fn read(&self, block: Block) -> QueryResult<RecordBatch> {
        self.progress.bytes.fetch_add(block.bytes.len() as u64, Ordering::Relaxed);
        let (file, sequence) = (block.file, block.sequence);
        let (batch, lines, rejected) = self.parse(block)?;
        let ready = self.lines[file].lock().unwrap_or_else(PoisonError::into_inner).finish(sequence, lines, rejected);
        self.rejected.send(&ready)?;
        self.progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        if batch.num_columns() == self.schema.fields().len() {
            return Ok(batch);
        }
        let asked: Vec<usize> = (0..self.schema.fields().len()).collect();
        Ok(batch.project(&asked)?)
    }

    /// Reads on to the end of the files, and waits for readers that were broken off in the middle of a block.
    fn drain(&self, stopped: &dyn Fn() -> bool) -> QueryResult<()> {
        while !stopped() && self.next()?.is_some() {}
        while self.at_work.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
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

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let shared = self.shared.clone();
        shared.begin(partition)?;
        let batches = futures::stream::iter(std::iter::from_fn(move || shared.next().transpose()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.shared.schema.clone(), batches)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> QueryResult<Arc<Statistics>> {
        let share = partition.map_or(1, |_| self.properties.partitioning.partition_count().max(1));
        let rows = self.estimated_rows / share;
        let mut statistics = Statistics::new_unknown(&self.shared.schema);
        statistics.num_rows = Precision::Inexact(rows);
        statistics.total_byte_size = Precision::Inexact(rows * 16 * self.shared.schema.fields().len().max(1));
        Ok(Arc::new(statistics))
    }
}
