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
    /// Where documents are written.
    place: PathBuf,
    /// That folder, open since before the first document was written.
    open: File,
    /// The name of the folder of an attempt, if it is one that writes them.
    attempt: Option<String>,
}

impl DocumentFiles {
    pub(super) fn new(folder: &Folder, layout: &DocumentLayout) -> Result<Self> {
        Self::in_folder(folder, layout, folder.staging.clone())
    }

    /// The documents that an attempt writes, in a folder of its own.
    pub(super) fn of_attempt(folder: &Folder, layout: &DocumentLayout, attempt: String) -> Result<Self> {
        let files = Self::in_folder(folder, layout, folder.attempts().join(&attempt))?;
        Ok(Self { attempt: Some(attempt), ..files })
    }

    fn in_folder(folder: &Folder, layout: &DocumentLayout, place: PathBuf) -> Result<Self> {
        let open = File::open(&place).map_err(|error| folder.error(&place, error))?;
        Ok(Self { folder: folder.clone(), layout: layout.clone(), place, open, attempt: None })
    }

    /// Moves the documents of an attempt to the folder.
    pub(super) fn take_attempt(&self, mut part: Written) -> Result<Written> {
        let Folder { sink, target, .. } = &self.folder;
        for file in &mut part.files {
            let name = file.rsplit('/').next().unwrap_or_default().to_owned();
            let (from, to) = (self.folder.attempts().join(&*file), self.place.join(&name));
            disk::rename_new(&from, &to).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => same_name(sink, target, &name),
                _ => self.folder.error(&self.place, error),
            })?;
            fault::point("attempt_taken");
            *file = name;
        }
        part.is_attempt = false;
        Ok(part)
    }

    /// Fails if two documents would be one; gives all the rights of the former ones, and makes them last.
    pub(super) fn complete(&self, written: &Written) -> Result<()> {
        let Folder { sink, target, staging, .. } = &self.folder;
        check_names(sink, target, &written.files)?;
        self.make_last(&written.files).map_err(|error| self.folder.error(staging, error))
    }

    fn make_last(&self, names: &[String]) -> io::Result<()> {
        let paths = || names.iter().map(|name| self.place.join(name));
        if let Some(former) = former_document(&self.folder.target) {
            access::take_over_all(&former, &self.place, paths())?;
        }
        self.sync(names)
    }

    fn sync(&self, names: &[String]) -> io::Result<()> {
        if names.is_empty() || disk::sync_since_opened(&self.open)? {
            return Ok(());
        }
        threads::for_each_on_disk(names, |name| File::open(self.place.join(name))?.sync_all())
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
            path: files.place.clone(),
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

    fn finish(self: Box<Self>) -> Result<Vec<Written>> {
        let Self { files, mut written, .. } = *self;
        if let Some(attempt) = &files.attempt {
            files.sync(&written.files).map_err(|error| files.folder.error(&files.place, error))?;
            written.is_attempt = true;
            written.files.iter_mut().for_each(|name| *name = format!("{attempt}/{name}"));
        }
        Ok(vec![written])
    }
}

/// Writes a new file.
fn store(path: &Path, body: &[u8]) -> io::Result<()> {
    File::create_new(path)?.write_all(body)
}
