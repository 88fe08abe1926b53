//! The documents of a folder while they are written: a file for each row.
//!
//! A document is opened, written and closed, one after the other on each thread. All of them are made to last at once.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::MARKER;
use super::pending::Folder;
use crate::error::Result;
use crate::sink::documents::{DocumentLayout, check_names, same_name};
use crate::sink::local::access;
use crate::sink::{Part, Parts, Written};
use crate::system::{disk, fault, threads};

/// Creates the documents of a folder.
#[derive(Debug)]
pub(super) struct DocumentFiles {
    folder: Folder,
    layout: DocumentLayout,
    /// The staging folder, open since before the first document was written.
    staging: File,
}

impl DocumentFiles {
    pub(super) fn new(folder: &Folder, layout: &DocumentLayout) -> Result<Self> {
        let staging = File::open(&folder.staging).map_err(|error| folder.error(&folder.staging, error))?;
        Ok(Self { folder: folder.clone(), layout: layout.clone(), staging })
    }

    /// Fails if two documents would be one; gives all the rights of the former ones, and makes them last.
    pub(super) fn complete(&self, written: &Written) -> Result<()> {
        let Folder { sink, target, staging, .. } = &self.folder;
        check_names(sink, target, &written.files)?;
        self.make_last(&written.files).map_err(|error| self.folder.error(staging, error))
    }

    fn make_last(&self, names: &[String]) -> io::Result<()> {
        let paths = || names.iter().map(|name| self.folder.staging.join(name));
        if let Some(former) = former_document(&self.folder.target) {
            access::take_over_all(&former, &self.folder.staging, paths())?;
        }
        if names.is_empty() || disk::sync_since_opened(&self.staging)? {
            return Ok(());
        }
        threads::for_each_on_disk(names, |name| File::open(self.folder.staging.join(name))?.sync_all())
    }
}

/// One of the documents of a folder.
fn former_document(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?.flatten();
    let is_document =
        |entry: &fs::DirEntry| entry.file_name() != MARKER && entry.file_type().is_ok_and(|kind| kind.is_file());
    entries.find(is_document).map(|entry| entry.path())
}

/// Creates the parts of a folder of documents.
#[derive(Debug)]
pub(super) struct DocumentParts(pub(super) Arc<DocumentFiles>);

impl Parts for DocumentParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        let files = self.0.clone();
        Ok(Box::new(DocumentPart {
            path: files.folder.staging.clone(),
            files,
            name: String::new(),
            written: Written::default(),
        }))
    }
}

/// The documents that one reader writes.
struct DocumentPart {
    files: Arc<DocumentFiles>,
    /// That of the staging folder, to which each name is added in its turn.
    path: PathBuf,
    name: String,
    written: Written,
}

impl Part for DocumentPart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let Self { files, path, name, written } = self;
        let Folder { sink, target, .. } = &files.folder;
        let write = |name: &str, body: &str| {
            path.push(name);
            let stored = store(path, body.as_bytes());
            path.pop();
            stored.map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => same_name(sink, target, name),
                // A name is a value of a row, which errors do not show.
                _ => files.folder.error(path, error),
            })?;
            written.bytes += body.len() as u64;
            written.files.push(name.to_owned());
            fault::point("document_written");
            Ok(())
        };
        let rows = files.layout.write_each((sink, target), batch, chosen, name, write)?;
        self.written.rows += rows;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        Ok(self.written)
    }
}

/// Writes a new file.
fn store(path: &Path, body: &[u8]) -> io::Result<()> {
    File::create_new(path)?.write_all(body)
}
