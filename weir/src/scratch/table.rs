//! A table's accepted rows, kept on disk for the models that read them.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Rows in Arrow's stream format, one file a writer; read once they are all written.
#[derive(Debug)]
pub(crate) struct ScratchTable {
    schema: SchemaRef,
    files: Mutex<Vec<PathBuf>>,
    next: AtomicUsize,
}

/// A complete file of a table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScratchRows {
    /// Its name in the scratch folder.
    pub(crate) file: String,
    pub(crate) rows: u64,
}

impl ScratchTable {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema, files: Mutex::default(), next: AtomicUsize::new(0) }
    }

    /// Starts a file in the folder.
    pub(crate) fn writer(&self, folder: &Path, table: &str) -> Result<ScratchWriter> {
        let name = format!("{table}-{}.arrow", self.next.fetch_add(1, Ordering::Relaxed));
        let path = folder.join(&name);
        let file = File::create_new(&path).map_err(crate::error::state_io(&path))?;
        let writer = StreamWriter::try_new(BufWriter::with_capacity(1 << 20, file), &self.schema)
            .map_err(|error| crate::Error::query(table, error.into()))?;
        Ok(ScratchWriter { name, writer, rows: 0 })
    }

    /// Takes a complete file of the folder.
    pub(crate) fn add(&self, folder: &Path, rows: &ScratchRows) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).push(folder.join(&rows.file));
    }
}

/// A file that is being written.
pub(crate) struct ScratchWriter {
    name: String,
    writer: StreamWriter<BufWriter<File>>,
    rows: u64,
}

impl ScratchWriter {
    /// Completes the file.
    pub(crate) fn finish(mut self) -> QueryResult<ScratchRows> {
        self.writer.finish()?;
        Ok(ScratchRows { file: self.name, rows: self.rows })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> QueryResult<()> {
        // A view points into a block of the input; without this every batch would drag its whole block along.
        let columns = batch.columns().iter().map(compact).collect();
        self.writer.write(&RecordBatch::try_new(batch.schema(), columns)?)?;
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
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if files.is_empty() {
            return EmptyTable::new(self.schema.clone()).scan(session, projection, filters, limit).await;
        }
        let partition = |path| Arc::new(ScratchFile { schema: self.schema.clone(), path }) as Arc<dyn PartitionStream>;
        let table = StreamingTable::try_new(self.schema.clone(), files.into_iter().map(partition).collect())?;
        table.scan(session, projection, filters, limit).await
    }
}

#[derive(Debug)]
struct ScratchFile {
    schema: SchemaRef,
    path: PathBuf,
}

impl PartitionStream for ScratchFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reader = File::open(&self.path)
            .map_err(DataFusionError::IoError)
            .and_then(|file| Ok(StreamReader::try_new_buffered(file, None)?));
        let batches: Box<dyn Iterator<Item = QueryResult<RecordBatch>> + Send> = match reader {
            Ok(reader) => Box::new(reader.map(|batch| Ok(batch?))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}
