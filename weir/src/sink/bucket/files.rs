//! The files of a folder of a bucket while they are written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::documents::{DocumentObjects, DocumentParts};
use super::folder::{BucketFolder, part_prefix};
use super::upload::{Upload, Uploads};
use crate::error::{Error, Result};
use crate::format::write::{FileLayout, FileWriter, WriteError};
use crate::sink::content::{Content, RowContent};
use crate::sink::folder::partition::{PartitionFiles, PartitionedPart};
use crate::sink::local::{check_values, failed};
use crate::sink::{Part, Parts, Written};

/// Files of partitions that a reader has open at once. Each has a buffer.
const MOST_OPEN: usize = 16;

/// The files of a folder while they are written.
#[derive(Debug)]
pub(super) enum Files {
    Rows(Arc<BucketFiles>),
    Documents(Arc<DocumentObjects>),
}

impl Files {
    pub(super) fn new(folder: BucketFolder, run: &str, content: &Content) -> Self {
        match content {
            Content::Rows(rows) => Self::Rows(Arc::new(BucketFiles {
                uploads: Arc::new(Uploads::of(folder.store.clone())),
                folder,
                run: run.to_owned(),
                content: rows.clone(),
                next: AtomicUsize::new(0),
            })),
            Content::Documents(layout) => Self::Documents(Arc::new(DocumentObjects::new(folder, run, layout))),
        }
    }

    /// What creates the parts of the folder.
    pub(super) fn parts(&self) -> Arc<dyn Parts> {
        match self {
            Self::Rows(files) => Arc::new(BucketParts(files.clone())),
            Self::Documents(objects) => Arc::new(DocumentParts(objects.clone())),
        }
    }

    /// A file of a folder without rows, which still tells its columns.
    pub(super) fn empty(&self) -> Result<Option<Written>> {
        match self {
            Self::Rows(files) if files.content.partition_by.is_none() => {
                Ok(Box::new(files.create(None)?).finish()?.pop())
            }
            Self::Rows(_) | Self::Documents(_) => Ok(None),
        }
    }

    /// Waits until all objects are stored.
    pub(super) async fn complete(&self, written: &Written) -> Result<()> {
        match self {
            Self::Rows(_) => Ok(()),
            Self::Documents(objects) => objects.complete(written).await,
        }
    }

    /// Ends what is being uploaded.
    pub(super) async fn cancel(&self) {
        match self {
            Self::Rows(files) => files.uploads.abort().await,
            Self::Documents(objects) => objects.cancel().await,
        }
    }
}

/// Creates the files of a folder.
#[derive(Debug)]
pub(super) struct BucketFiles {
    folder: BucketFolder,
    run: String,
    content: RowContent,
    uploads: Arc<Uploads>,
    next: AtomicUsize,
}

impl BucketFiles {
    fn target(&self) -> PathBuf {
        PathBuf::from(self.folder.url.to_string())
    }
}

impl PartitionFiles for BucketFiles {
    type File = ObjectPart;

    fn create(&self, partition: Option<&str>) -> Result<ObjectPart> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number:05}.{}", part_prefix(&self.run), self.content.layout.extension());
        let name = partition.map_or(name.clone(), |partition| format!("{partition}/{name}"));
        let upload = Upload::new(self.uploads.clone(), self.folder.key(&name)?);
        let (folder, layout) = (self.folder.clone(), self.content.layout.clone());
        let part = |writer| ObjectPart { folder, name, layout, uploads: self.uploads.clone(), writer, rows: 0 };
        let writer = FileWriter::begin(Box::new(upload), &self.content.layout);
        writer.map(part).map_err(|error| failed(&self.folder.sink, &self.target(), error))
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
struct BucketParts(Arc<BucketFiles>);

impl Parts for BucketParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        match &self.0.content.partition_by {
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

    fn finish(self: Box<Self>) -> Result<Vec<Written>> {
        let Self { folder, name, writer, uploads, rows, .. } = *self;
        let bytes = writer.finish().map_err(|error| Self::failed(&folder, &uploads, error))?;
        Ok(vec![Written { rows, bytes, files: vec![name], ..Written::default() }])
    }
}
