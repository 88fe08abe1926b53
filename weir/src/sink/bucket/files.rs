//! The files of a folder of a bucket while they are written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::folder::{BucketFolder, part_prefix};
use super::upload::{Upload, Uploads};
use crate::error::{Error, Result};
use crate::format::write::{FileLayout, FileWriter, WriteError};
use crate::sink::folder::files::FinishedFiles;
use crate::sink::folder::partition::{PartitionBy, PartitionFiles, PartitionedPart};
use crate::sink::local::{check_values, failed};
use crate::sink::{Part, Parts, Written};

/// Files of partitions that a reader has open at once. Each has a buffer.
const MOST_OPEN: usize = 16;

/// Creates the files of a folder.
#[derive(Debug)]
pub(super) struct BucketFiles {
    pub(super) folder: BucketFolder,
    run: String,
    pub(super) layout: FileLayout,
    pub(super) partition_by: Option<PartitionBy>,
    uploads: Arc<Uploads>,
    next: AtomicUsize,
    finished: FinishedFiles,
}

impl BucketFiles {
    pub(super) fn new(
        folder: BucketFolder,
        run: String,
        layout: FileLayout,
        partition_by: Option<PartitionBy>,
    ) -> Self {
        let uploads = Arc::new(Uploads::of(folder.store.clone()));
        Self {
            folder,
            run,
            layout,
            partition_by,
            uploads,
            next: AtomicUsize::new(0),
            finished: FinishedFiles::default(),
        }
    }

    /// A file without rows.
    pub(super) fn empty_file(&self) -> Result<Written> {
        Box::new(self.create(None)?).finish()
    }

    /// What was written, by partition.
    pub(super) fn by_partition(&self) -> Vec<(String, Written)> {
        self.finished.by_partition()
    }

    /// Aborts the uploads of files that are not complete.
    pub(super) async fn abort_uploads(&self) {
        self.uploads.abort().await;
    }

    fn target(&self) -> PathBuf {
        PathBuf::from(self.folder.url.to_string())
    }
}

impl PartitionFiles for BucketFiles {
    type File = ObjectPart;

    fn create(&self, partition: Option<&str>) -> Result<ObjectPart> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number:05}.{}", part_prefix(&self.run), self.layout.extension());
        let name = partition.map_or(name.clone(), |partition| format!("{partition}/{name}"));
        let upload = Upload::new(self.uploads.clone(), self.folder.key(&name)?);
        let (folder, layout) = (self.folder.clone(), self.layout.clone());
        let part = |writer| ObjectPart { folder, name, layout, uploads: self.uploads.clone(), writer, rows: 0 };
        let writer = FileWriter::begin(Box::new(upload), &self.layout);
        writer.map(part).map_err(|error| failed(&self.folder.sink, &self.target(), error))
    }

    fn finished(&self, file: Written) -> Written {
        self.finished.push(file)
    }

    fn most_open(&self) -> usize {
        MOST_OPEN
    }

    fn refused(&self, message: String, help: &str) -> Error {
        self.folder.refused(message, help.to_owned())
    }
}

/// Creates the parts of a folder.
#[derive(Debug)]
pub(super) struct BucketParts(pub(super) Arc<BucketFiles>);

impl Parts for BucketParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        match &self.0.partition_by {
            None => Ok(Box::new(self.0.create(None)?)),
            Some(by) => Ok(Box::new(PartitionedPart::new(by.clone(), self.0.clone()))),
        }
    }
}

/// A file that is being written, by one reader.
pub(super) struct ObjectPart {
    folder: BucketFolder,
    name: String,
    layout: FileLayout,
    uploads: Arc<Uploads>,
    writer: FileWriter,
    rows: u64,
}

impl ObjectPart {
    /// The error of the store, if it is one; encoders pass on only its text.
    fn failed(folder: &BucketFolder, uploads: &Uploads, error: WriteError) -> Error {
        match uploads.take_failure() {
            Some(cause) => folder.failed(&cause),
            None => failed(&folder.sink, folder.url.to_string().as_ref(), error),
        }
    }
}

impl Part for ObjectPart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        check_values(&self.folder.sink, self.folder.url.to_string().as_ref(), &self.layout, batch, chosen)?;
        let written = self.writer.write(batch, chosen);
        self.rows += written.map_err(|error| Self::failed(&self.folder, &self.uploads, error))?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { folder, name, writer, uploads, rows, .. } = *self;
        let bytes = writer.finish().map_err(|error| Self::failed(&folder, &uploads, error))?;
        Ok(Written { rows, bytes, files: vec![name] })
    }
}
