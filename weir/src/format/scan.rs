//! A source as a table of the query engine: each partition takes the next piece of rows when it has finished its
//! previous one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_err;
use datafusion::common::stats::Precision;
use datafusion::error::Result as QueryResult;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use serde_json::Value;

use super::columns::{Declared, ReadColumns};
use super::split::{FilePart, Split};
use crate::engine::{Leaf, LeafApart, LeafSpec, leaf};
use crate::error::{Error, Result};
use crate::route::RejectedRoute;
use crate::watch::ScanProgress;

/// A source as a table.
pub(crate) trait SourceTable: TableProvider {
    /// Reads what no query has read, so that every record of every file is counted and every unreadable one is
    /// reported: a `limit` stops early, and a join with an empty side never begins. Of a database only scans that a
    /// query has begun are read to the end.
    ///
    /// To be called after the queries over the table have ended. Returns early when `stopped` returns true.
    fn drain(&self, stopped: &dyn Fn() -> bool) -> QueryResult<()>;

    /// The parts of about so many bytes in which other processes can read it; none if only this one can.
    fn splits(&self, bytes: u64) -> Result<Option<Vec<Split>>>;

    /// All rows, with these columns.
    fn batches(&self, columns: &[usize]) -> QueryResult<Batches>;

    /// What was found in what was read that matters for all that is read: see [`Rows::found`].
    fn found(&self) -> Value;

    /// Adds what another process has found, and takes part in what is only known when all rows were read.
    fn add_found(&self, found: Value) -> Result<()>;

    /// Checks what is only known when all rows were read.
    fn check_read(&self) -> Result<()>;
}

/// Rows of a source.
pub(crate) type Batches = Box<dyn Iterator<Item = QueryResult<RecordBatch>> + Send>;

/// The rows of a source, opened and checked against the declaration.
pub(crate) trait Rows: fmt::Debug + Send + Sync + 'static {
    /// The type of their scans.
    type Scan: Scan;

    /// The name of a scan in a plan.
    const SCAN: &'static str;

    /// Whether every row is read, even if no query reads it.
    const ALL: bool = true;

    /// The description of a scan in a plan.
    fn shown(&self, columns: &ReadColumns, pushed: &Pushed) -> String;

    /// The number of rows.
    fn rows(&self) -> Precision<usize>;

    /// Whether a value of the column may reject its row.
    fn can_reject(&self, column: usize) -> bool;

    /// The parts of about so many bytes in which other processes can read it; none if only this one can.
    fn splits(&self, _bytes: u64) -> Result<Option<Vec<Split>>> {
        Ok(None)
    }

    /// Reads no more than a part of its only file.
    fn restrict(&mut self, part: &FilePart) -> Result<()> {
        match part {
            FilePart::Whole => Ok(()),
            part => Err(Error::internal(format!("{} has no part {part:?}", Self::SCAN))),
        }
    }

    /// What [`check_read`](Self::check_read) has to know of the rows that were read.
    fn found(&self) -> Value {
        Value::Null
    }

    /// Adds what another process has found.
    fn add_found(&self, _found: Value) -> Result<()> {
        Ok(())
    }

    /// Checks what is only known when all rows were read, and tells the route what to count.
    fn check_read(&self, _rejected: &RejectedRoute) -> Result<()> {
        Ok(())
    }

    /// Whether a scan can skip rows for which the filter does not hold. It may return some of them.
    fn can_push(&self, _filter: &Expr) -> bool {
        false
    }

    /// Begins a scan.
    fn scan(
        &self,
        columns: ReadColumns,
        pushed: Pushed,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> (Self::Scan, <Self::Scan as Scan>::Cursor);
}

/// What a scan may skip.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pushed {
    /// Rows for which one of these does not hold.
    pub(crate) filters: Vec<Expr>,
    /// All rows after this number.
    pub(crate) limit: Option<usize>,
}

/// A scan: rows in pieces, for any number of readers at once.
pub(crate) trait Scan: fmt::Debug + Send + Sync + 'static {
    /// The position up to which rows were handed out. One reader at a time has it.
    type Cursor: fmt::Debug + Send + 'static;
    /// A unit of rows handed out to a reader.
    type Piece;

    /// The next piece; `None` after the last one.
    fn next(&self, cursor: &mut Self::Cursor) -> Result<Option<Self::Piece>>;

    /// Converts a piece to a batch, and reports unreadable rows. The rest of the piece is handed out again.
    fn read(&self, piece: Self::Piece) -> QueryResult<RecordBatch>;
}

/// The one implementation of [`SourceTable`].
#[derive(Debug)]
pub(crate) struct RowsTable<R: Rows> {
    rows: R,
    declared: Arc<Declared>,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
    /// The planned scans.
    scans: Mutex<Vec<Arc<SharedScan<R::Scan>>>>,
}

impl<R: Rows> RowsTable<R> {
    pub(crate) fn new(
        rows: R,
        declared: Arc<Declared>,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> Self {
        Self { rows, declared, rejected, progress, scans: Mutex::default() }
    }

    /// The same rows, but only those of a part of its only file.
    pub(crate) fn restricted(mut self, part: &FilePart) -> Result<Self> {
        self.rows.restrict(part)?;
        Ok(self)
    }

    /// A scan of some of the columns, or of all.
    fn shared(&self, projection: Option<&[usize]>, pushed: Pushed) -> QueryResult<SharedScan<R::Scan>> {
        let all = 0..self.declared.columns.len();
        let asked: Vec<usize> = projection.map_or_else(|| all.clone().collect(), <[usize]>::to_vec);
        // Whether a record can be parsed must not depend on the columns that a query reads: columns
        // that may reject it are always read.
        let unasked = all.clone().filter(|column| self.rows.can_reject(*column) && !asked.contains(column));
        let columns = ReadColumns::new(&self.declared, &asked, unasked)?;
        // Rows that are rejected must not count towards the limit.
        let limit = pushed.limit.filter(|_| !all.clone().any(|column| self.rows.can_reject(column)));
        let pushed = Pushed { limit, ..pushed };
        let schema = columns.asked_schema()?;
        let shown = self.rows.shown(&columns, &pushed);
        let (scan, cursor) = self.rows.scan(columns, pushed, self.rejected.clone(), self.progress.clone());
        Ok(SharedScan {
            spec: LeafSpec::Source { source: self.rejected.source().to_owned(), columns: asked },
            schema,
            shown,
            scan,
            cursor: Mutex::new(cursor),
            readers: Mutex::default(),
            at_work: AtomicUsize::new(0),
        })
    }
}

impl<R: Rows> SourceTable for RowsTable<R> {
    fn splits(&self, bytes: u64) -> Result<Option<Vec<Split>>> {
        self.rows.splits(bytes)
    }

    fn batches(&self, columns: &[usize]) -> QueryResult<Batches> {
        let shared = self.shared(Some(columns), Pushed::default())?;
        Ok(Box::new(std::iter::from_fn(move || shared.next().transpose())))
    }

    fn found(&self) -> Value {
        self.rows.found()
    }

    fn add_found(&self, found: Value) -> Result<()> {
        self.rows.add_found(found)
    }

    fn check_read(&self) -> Result<()> {
        self.rows.check_read(&self.rejected)
    }

    fn drain(&self, stopped: &dyn Fn() -> bool) -> QueryResult<()> {
        let scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let begun: Vec<_> = scans.into_iter().filter(|scan| scan.has_begun()).collect();
        match begun.is_empty() {
            true if R::ALL => self.shared(Some(&[]), Pushed::default())?.drain(stopped)?,
            true => return Ok(()),
            false => begun.iter().try_for_each(|scan| scan.drain(stopped))?,
        }
        if stopped() { Ok(()) } else { Ok(self.rows.check_read(&self.rejected)?) }
    }
}

#[async_trait]
impl<R: Rows> TableProvider for RowsTable<R> {
    fn schema(&self) -> SchemaRef {
        self.declared.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let pushed = Pushed { filters: filters.to_vec(), limit };
        let shared = Arc::new(self.shared(projection.map(Vec::as_slice), pushed)?);
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).push(shared.clone());
        let (schema, partitions) = (shared.schema.clone(), session.config().target_partitions());
        Ok(leaf(SourceScan { name: R::SCAN, shared, rows: self.rows.rows(), partitions }, schema, partitions))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> QueryResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.rows.can_push(filter) {
            // The database's comparison may match more values than the engine's.
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }
}

/// Reads the rows: every partition takes the next piece when it has finished its previous one.
#[derive(Debug)]
struct SourceScan<S: Scan> {
    name: &'static str,
    shared: Arc<SharedScan<S>>,
    rows: Precision<usize>,
    partitions: usize,
}

/// The state shared by the partitions of one scan.
#[derive(Debug)]
struct SharedScan<S: Scan> {
    /// What it reads.
    spec: LeafSpec,
    /// The requested columns.
    schema: SchemaRef,
    /// Its description in a plan.
    shown: String,
    scan: S,
    cursor: Mutex<S::Cursor>,
    /// The partitions that were executed.
    readers: Mutex<BTreeSet<usize>>,
    /// Readers that have taken a piece and not finished it. Only the holder of the cursor increments it.
    at_work: AtomicUsize,
}

impl<S: Scan> SharedScan<S> {
    fn has_begun(&self) -> bool {
        !self.readers.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Registers a reader. A partition is read once: a second reader would find the cursor at the end, and silently
    /// return no rows.
    fn begin(&self, partition: usize) -> QueryResult<()> {
        match self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(partition) {
            true => Ok(()),
            false => internal_err!("a source would be read twice by one scan"),
        }
    }

    /// The next batch; `None` after the last piece.
    fn next(&self) -> QueryResult<Option<RecordBatch>> {
        self.read_next(self.cursor())
    }

    fn read_next(&self, mut cursor: MutexGuard<'_, S::Cursor>) -> QueryResult<Option<RecordBatch>> {
        let Some(piece) = self.scan.next(&mut cursor)? else { return Ok(None) };
        self.at_work.fetch_add(1, Ordering::AcqRel);
        drop(cursor);
        let batch = self.scan.read(piece);
        self.at_work.fetch_sub(1, Ordering::AcqRel);
        batch.map(Some)
    }

    /// Reads to the end of the files, and waits for readers that were aborted in the middle of a piece, whose
    /// rest is read, too.
    fn drain(&self, stopped: &dyn Fn() -> bool) -> QueryResult<()> {
        loop {
            let cursor = self.cursor();
            // While the cursor is held no reader begins, so pieces left when none is working stay unread otherwise.
            let is_alone = self.at_work.load(Ordering::Acquire) == 0;
            match stopped() {
                true => drop(cursor),
                false if self.read_next(cursor)?.is_some() => continue,
                false => {}
            }
            if is_alone {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn cursor(&self) -> MutexGuard<'_, S::Cursor> {
        match self.cursor.try_lock() {
            Ok(cursor) => cursor,
            // Another reader is reading its next piece, which takes microseconds for a local file.
            Err(_) => tokio::task::block_in_place(|| self.cursor.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl<S: Scan> Leaf for SourceScan<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shown(&self) -> String {
        let about = if self.rows.is_exact() == Some(true) { "=" } else { "~" };
        let rows = self.rows.get_value().map(|rows| format!(", rows{about}{rows}")).unwrap_or_default();
        format!("{}{rows}", self.shared.shown)
    }

    fn rows(&self, partition: Option<usize>) -> Precision<usize> {
        match partition {
            None => self.rows,
            Some(_) => self.rows.map(|rows| rows / self.partitions.max(1)).to_inexact(),
        }
    }

    fn apart(&self) -> Option<LeafApart> {
        Some(LeafApart { spec: self.shared.spec.clone(), files: vec![] })
    }

    fn read(&self, partition: usize, schema: SchemaRef, _: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let shared = self.shared.clone();
        shared.begin(partition)?;
        let batches = futures::stream::iter(std::iter::from_fn(move || shared.next().transpose()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}
