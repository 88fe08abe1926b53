//! The documents of a folder of a bucket while they are written: an object for each row.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::folder::{BucketFolder, documents_of};
use super::puts::{NotStored, Puts};
use crate::error::{Error, Result};
use crate::sink::documents::{DocumentLayout, check_names};
use crate::sink::{Part, Parts, Written};

/// Creates the documents of a folder, in a folder of their run.
#[derive(Debug)]
pub(super) struct DocumentObjects {
    folder: BucketFolder,
    of_run: String,
    layout: DocumentLayout,
    puts: Puts,
}

impl DocumentObjects {
    pub(super) fn new(folder: BucketFolder, run: &str, layout: &DocumentLayout) -> Self {
        let puts = Puts::to(folder.store.clone());
        Self { folder, of_run: documents_of(run), layout: layout.clone(), puts }
    }

    /// Waits until all documents are stored; fails if two would be one.
    pub(super) async fn complete(&self, written: &Written) -> Result<()> {
        self.puts.finish().await.map_err(|error| self.failed(error))?;
        check_names(&self.folder.sink, &self.target(), &written.files)
    }

    pub(super) async fn cancel(&self) {
        self.puts.cancel().await;
    }

    fn target(&self) -> PathBuf {
        PathBuf::from(self.folder.url.to_string())
    }

    fn failed(&self, error: NotStored) -> Error {
        match error {
            NotStored::Failed(failure) => failure.of_sink(&self.folder.sink, &self.folder.url.to_string()),
            NotStored::Lost => Error::internal("documents were stored whose results are not known"),
        }
    }
}

/// Creates the parts of a folder of documents.
#[derive(Debug)]
pub(super) struct DocumentParts(pub(super) Arc<DocumentObjects>);

impl Parts for DocumentParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        Ok(Box::new(DocumentPart { objects: self.0.clone(), name: String::new(), written: Written::default() }))
    }
}

/// The documents that one reader writes.
struct DocumentPart {
    objects: Arc<DocumentObjects>,
    name: String,
    written: Written,
}

impl Part for DocumentPart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let Self { objects, name, written } = self;
        let place = objects.target();
        let write = |name: &str, body: &str| {
            let name = format!("{}/{name}", objects.of_run);
            let stored = objects.puts.begin(objects.folder.key(&name)?, body);
            stored.map_err(|error| objects.failed(error))?;
            written.bytes += body.len() as u64;
            written.files.push(name);
            Ok(())
        };
        let rows = objects.layout.write_each((&objects.folder.sink, &place), batch, chosen, name, write)?;
        self.written.rows += rows;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<Written>> {
        Ok(vec![self.written])
    }
}
