//! The scan of a kept table: a partition for each of its files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::common::internal_datafusion_err;
use datafusion::common::stats::Precision;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use crate::engine::{Leaf, LeafApart, LeafSpec};

/// Reads files of a kept table. It knows how many rows they have.
#[derive(Debug)]
pub(super) struct ScratchScan {
    /// What it reads.
    pub(super) spec: LeafSpec,
    pub(super) files: Vec<ScratchFile>,
    /// The columns that are read, by their positions in the files.
    pub(super) columns: Vec<usize>,
}

/// A file, and how many rows it has.
#[derive(Debug, Clone)]
pub(super) struct ScratchFile {
    pub(super) path: PathBuf,
    pub(super) rows: u64,
}

impl ScratchScan {
    fn count(&self, partition: Option<usize>) -> u64 {
        let files = partition.map_or(&self.files[..], |partition| &self.files[partition..=partition]);
        files.iter().map(|file| file.rows).sum()
    }
}

impl Leaf for ScratchScan {
    fn name(&self) -> &'static str {
        "ScratchScanExec"
    }

    fn shown(&self) -> String {
        format!("files={}, rows={}", self.files.len(), self.count(None))
    }

    fn rows(&self, partition: Option<usize>) -> Precision<usize> {
        Precision::Exact(self.count(partition) as usize)
    }

    fn apart(&self) -> Option<LeafApart> {
        let files = self.files.iter().map(|file| (file.path.clone(), file.rows)).collect();
        Some(LeafApart { spec: self.spec.clone(), files })
    }

    fn read(&self, partition: usize, schema: SchemaRef, _: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let file = self.files.get(partition).ok_or_else(|| internal_datafusion_err!("there is no file {partition}"))?;
        let batches = futures::stream::iter(batches(&file.path, &self.columns, file.rows));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// The rows of a file, in these columns of it. Fails at the end if they are not so many.
pub(crate) fn batches(
    file: &Path,
    columns: &[usize],
    rows: u64,
) -> Box<dyn Iterator<Item = QueryResult<RecordBatch>> + Send> {
    let reader = File::open(file)
        .map_err(DataFusionError::IoError)
        .and_then(|file| Ok(StreamReader::try_new_buffered(file, Some(columns.to_vec()))?));
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => return Box::new(std::iter::once(Err(error))),
    };
    let (mut left, mut is_checked, file) = (rows, false, file.to_owned());
    Box::new(std::iter::from_fn(move || match reader.next() {
        Some(Ok(batch)) => {
            left = left.wrapping_sub(batch.num_rows() as u64);
            Some(Ok(batch))
        }
        Some(Err(error)) => Some(Err(error.into())),
        None if left == 0 || is_checked => None,
        None => {
            is_checked = true;
            let message = format!("{} has not the {rows} rows that were written to it", file.display());
            Some(Err(DataFusionError::IoError(std::io::Error::other(message))))
        }
    }))
}
