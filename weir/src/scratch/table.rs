//! A table's accepted rows for the models that read them: kept on disk or, for a single reader, streamed.

use std::borrow::Cow;
use std::fmt::Debug;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use super::scan::{ScratchFile, ScratchScan};
use crate::engine::{LeafSpec, leaf};
use crate::error::Result;
use crate::system::unique;

/// Rows in Arrow's stream format, one file a writer; read once they are all written. Or rows that are streamed.
#[derive(Debug)]
pub(crate) struct ScratchTable {
    name: String,
    schema: SchemaRef,
    /// The positions of the columns that are kept; all, unless it is said which are read.
    kept: OnceLock<Vec<usize>>,
    /// Where the rows come from, if none is kept: it knows the table, and nobody else keeps it when they are read.
    streamed: OnceLock<Weak<dyn StreamedRows>>,
    files: Mutex<Vec<ScratchFile>>,
}

/// The rows of a table, read once, as they are computed.
pub(crate) trait StreamedRows: Debug + Send + Sync {
    /// A scan of these columns, which have this schema.
    fn scan(self: Arc<Self>, schema: SchemaRef, columns: Vec<usize>) -> Arc<dyn ExecutionPlan>;
}

/// A complete file of a table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScratchRows {
    /// Its name in the scratch folder.
    pub(crate) file: String,
    pub(crate) rows: u64,
}

impl ScratchTable {
    pub(crate) fn new(name: &str, schema: SchemaRef) -> Self {
        let (kept, streamed) = (OnceLock::new(), OnceLock::new());
        Self { name: name.to_owned(), schema, kept, streamed, files: Mutex::default() }
    }

    /// Keeps only these columns, in this order: no query reads others. It is said once, before the first row.
    pub(crate) fn keep(&self, columns: Vec<usize>) {
        self.kept.get_or_init(|| columns);
    }

    /// The columns that are kept, if it was said.
    pub(crate) fn kept(&self) -> Option<Vec<usize>> {
        self.kept.get().cloned()
    }

    /// Keeps no row: they are read as they are computed. It is said once, before the first row is read.
    pub(crate) fn stream(&self, rows: &Arc<dyn StreamedRows>) {
        self.streamed.get_or_init(|| Arc::downgrade(rows));
    }

    /// Starts a file in the folder.
    pub(crate) fn writer(&self, folder: &Path) -> Result<ScratchWriter> {
        let table = &self.name;
        // Other processes may write to the folder, too.
        let name = format!("{table}-{}.arrow", unique());
        let path = folder.join(&name);
        let file = File::create_new(&path).map_err(crate::error::state_io(&path))?;
        let failed = |error: ArrowError| crate::Error::query(table, error.into());
        let columns = self.kept.get().cloned();
        let schema = match &columns {
            Some(columns) => Arc::new(self.schema.project(columns).map_err(failed)?),
            None => self.schema.clone(),
        };
        let writer = StreamWriter::try_new(BufWriter::with_capacity(1 << 20, file), &schema).map_err(failed)?;
        Ok(ScratchWriter { name, columns, writer, rows: 0 })
    }

    /// Takes a complete file of the folder.
    pub(crate) fn add(&self, folder: &Path, rows: &ScratchRows) {
        let file = ScratchFile { path: folder.join(&rows.file), rows: rows.rows };
        self.files.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }
}

/// A file that is being written.
pub(crate) struct ScratchWriter {
    name: String,
    /// Those that are written, or all.
    columns: Option<Vec<usize>>,
    writer: StreamWriter<BufWriter<File>>,
    rows: u64,
}

impl ScratchWriter {
    /// Completes the file. What another process reads must have arrived where it looks.
    pub(crate) fn finish(mut self, is_shared: bool) -> QueryResult<ScratchRows> {
        self.writer.finish()?;
        if is_shared {
            self.writer.get_mut().flush()?;
            self.writer.get_ref().get_ref().sync_all()?;
        }
        Ok(ScratchRows { file: self.name, rows: self.rows })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> QueryResult<()> {
        // A view points into a block of the input; without this every batch would drag its whole block along.
        let kept = match &self.columns {
            Some(columns) => Cow::Owned(batch.project(columns)?),
            None => Cow::Borrowed(batch),
        };
        let columns = kept.columns().iter().map(compact).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        self.writer.write(&RecordBatch::try_new_with_options(kept.schema(), columns, &options)?)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}

fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => column.clone(),
    }
}

impl ScratchTable {
    fn not_kept(&self, column: usize) -> DataFusionError {
        internal_datafusion_err!("column {} was not kept", self.schema.field(column).name())
    }
}

#[async_trait]
impl TableProvider for ScratchTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        if let Some(rows) = self.streamed.get() {
            let columns = projection.cloned().unwrap_or_else(all);
            let rows =
                rows.upgrade().ok_or_else(|| internal_datafusion_err!("the rows of `{}` are gone", self.name))?;
            return Ok(rows.scan(Arc::new(self.schema.project(&columns)?), columns));
        }
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if files.is_empty() {
            return EmptyTable::new(self.schema.clone()).scan(session, projection, filters, limit).await;
        }
        let read = projection.cloned().unwrap_or_else(all);
        let in_files = read.iter().map(|column| match self.kept.get() {
            Some(kept) => kept.iter().position(|other| other == column).ok_or_else(|| self.not_kept(*column)),
            None => Ok(*column),
        });
        let columns = in_files.collect::<QueryResult<Vec<_>>>()?;
        let (schema, partitions) = (Arc::new(self.schema.project(&read)?), files.len());
        let spec = LeafSpec::Kept { table: self.name.clone(), columns: read, in_files: columns.clone() };
        Ok(leaf(ScratchScan { spec, files, columns }, schema, partitions))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::{Field, Int64Type, Schema};
    use datafusion::common::stats::Precision;
    use datafusion::physical_plan::collect;
    use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
    use datafusion::prelude::SessionContext;

    use super::*;

    /// A table of the columns 0, 1 and 2 with two files, of which only these columns are kept.
    fn table(folder: &Path, kept: &[usize]) -> ScratchTable {
        let fields = ["a", "b", "c"].map(|name| Field::new(name, DataType::Int64, false));
        let table = ScratchTable::new("t", Arc::new(Schema::new(fields.to_vec())));
        table.keep(kept.to_vec());
        for rows in [2, 3] {
            let mut writer = table.writer(folder).unwrap();
            let column =
                |factor: i64| Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * factor))) as ArrayRef;
            writer
                .write(&RecordBatch::try_new(table.schema.clone(), vec![column(1), column(10), column(100)]).unwrap())
                .unwrap();
            table.add(folder, &writer.finish(true).unwrap());
        }
        table
    }

    #[tokio::test]
    async fn columns_that_are_kept_are_read_in_any_order_and_others_are_not_there() {
        let (folder, context) = (tempfile::tempdir().unwrap(), SessionContext::new());
        let table = table(folder.path(), &[0, 2]);
        let scan = table.scan(&context.state(), Some(&vec![2, 0]), &[], None).await.unwrap();
        let rows = collect(scan, context.task_ctx()).await.unwrap();
        assert_eq!(rows[1].column_by_name("c").unwrap().as_primitive::<Int64Type>().values(), &[0, 100, 200]);
        assert_eq!(rows[1].column_by_name("a").unwrap().as_primitive::<Int64Type>().values(), &[0, 1, 2]);
        let error = table.scan(&context.state(), Some(&vec![1]), &[], None).await.unwrap_err().to_string();
        assert!(error.contains("column b was not kept"), "{error}");
    }

    #[tokio::test]
    async fn the_planner_knows_how_many_rows_there_are() {
        let (folder, context) = (tempfile::tempdir().unwrap(), SessionContext::new());
        let scan = table(folder.path(), &[0]).scan(&context.state(), Some(&vec![]), &[], None).await.unwrap();
        let statistics = StatisticsContext::new().compute(scan.as_ref(), &StatisticsArgs::new()).unwrap();
        assert_eq!(statistics.num_rows, Precision::Exact(5));
        let batches = collect(scan, context.task_ctx()).await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 5, "a count reads no column");
    }
}
