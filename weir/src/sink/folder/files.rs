//! The files of a folder while they are written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::access;
use super::documents::{DocumentFiles, DocumentParts};
use super::part::FilePart;
use super::partition::{MOST_OPEN, PartitionFiles, PartitionedPart};
use super::pending::{Folder, part_prefix};
use crate::error::{Error, Result};
use crate::sink::content::{Content, RowContent};
use crate::sink::{Part, Parts, Written};
use crate::system::{disk, fault, unique};
use crate::task::Mode;

/// The files of a folder while they are written.
#[derive(Debug)]
pub(super) enum Files {
    Rows(Arc<FolderFiles>),
    Documents(Arc<DocumentFiles>),
}

impl Files {
    pub(super) fn new(folder: &Folder, mode: Mode, content: &Content) -> Result<Self> {
        Ok(match content {
            Content::Rows(rows) => Self::Rows(Arc::new(FolderFiles {
                folder: folder.clone(),
                place: folder.staging.clone(),
                mode,
                content: rows.clone(),
                attempt: None,
                next: AtomicUsize::new(0),
            })),
            Content::Documents(layout) => Self::Documents(Arc::new(DocumentFiles::new(folder, layout)?)),
        })
    }

    /// The files that an attempt writes.
    pub(super) fn of_attempt(folder: &Folder, mode: Mode, content: &Content) -> Result<Self> {
        let place = folder.attempts();
        let attempt = unique();
        Ok(match content {
            Content::Rows(rows) => Self::Rows(Arc::new(FolderFiles {
                folder: folder.clone(),
                place,
                mode,
                content: rows.clone(),
                attempt: Some(attempt),
                next: AtomicUsize::new(0),
            })),
            Content::Documents(layout) => {
                // Not the folder above it: once that is gone, nobody waits for the attempt.
                let made = std::fs::create_dir(place.join(&attempt));
                made.map_err(|error| folder.error(&place, error))?;
                Self::Documents(Arc::new(DocumentFiles::of_attempt(folder, layout, attempt)?))
            }
        })
    }

    /// What creates the parts of the folder.
    pub(super) fn parts(&self) -> Arc<dyn Parts> {
        match self {
            Self::Rows(files) => Arc::new(FolderParts(files.clone())),
            Self::Documents(files) => Arc::new(DocumentParts(files.clone())),
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

    /// Moves the files of attempts to the folder.
    pub(super) fn take_attempts(&self, parts: Vec<Written>) -> Result<Vec<Written>> {
        let take = |part: Written| match self {
            _ if !part.is_attempt => Ok(part),
            Self::Rows(files) => files.take_attempt(part),
            Self::Documents(files) => files.take_attempt(part),
        };
        parts.into_iter().map(take).collect()
    }

    /// Gives all files the rights of the former ones, and makes them last.
    pub(super) fn complete(&self, written: &Written) -> Result<()> {
        match self {
            Self::Rows(files) => files.take_over(written),
            Self::Documents(files) => files.complete(written),
        }
    }
}

/// Creates the files of a folder.
#[derive(Debug)]
pub(super) struct FolderFiles {
    folder: Folder,
    /// Where the files are written.
    place: PathBuf,
    mode: Mode,
    content: RowContent,
    /// What the names of files have of the attempt that writes them, if it is one.
    attempt: Option<String>,
    next: AtomicUsize,
}

impl FolderFiles {
    /// Gives all files the rights of the former ones.
    fn take_over(&self, written: &Written) -> Result<()> {
        let Some(former) = access::former_file(&self.folder.target) else { return Ok(()) };
        written.files.iter().try_for_each(|name| {
            let file = self.folder.staging.join(name);
            access::take_over(&former, &file).map_err(|error| self.folder.error(&file, error))
        })
    }

    /// The name of the next file.
    fn next_name(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Next to the files of other runs a name says which run wrote it.
        let prefix = match &self.attempt {
            Some(attempt) => part_prefix(attempt),
            None if self.mode == Mode::Overwrite => "part-".to_owned(),
            None => part_prefix(&self.folder.run),
        };
        format!("{prefix}{number:05}.{}", self.content.layout.extension())
    }

    /// The file of that name in a partition, whose folder is made.
    fn in_partition(&self, partition: &str, name: &str) -> Result<String> {
        let made = access::make_below(&self.place, partition, &self.folder.target);
        made.map_err(|error| self.folder.error(&self.place.join(partition), error))?;
        Ok(format!("{partition}/{name}"))
    }

    fn take_attempt(&self, mut part: Written) -> Result<Written> {
        for file in &mut part.files {
            let name = match partition_of(file) {
                "" => self.next_name(),
                partition => self.in_partition(partition, &self.next_name())?,
            };
            let (from, to) = (self.folder.attempts().join(&*file), self.place.join(&name));
            disk::rename_new(&from, &to).map_err(|error| self.folder.error(&from, error))?;
            fault::point("attempt_taken");
            *file = name;
        }
        part.is_attempt = false;
        Ok(part)
    }
}

impl PartitionFiles for FolderFiles {
    type File = FilePart;

    fn create(&self, partition: Option<&str>) -> Result<FilePart> {
        let name = match partition {
            None => self.next_name(),
            Some(partition) => self.in_partition(partition, &self.next_name())?,
        };
        let mut part = FilePart::create(&self.folder, &self.place, name, &self.content.layout)?;
        part.is_attempt = self.attempt.is_some();
        Ok(part)
    }

    fn most_open(&self) -> usize {
        MOST_OPEN
    }

    fn refused(&self, message: String, help: &str) -> Error {
        Error::sink(&self.folder.sink, &self.folder.target, message, help)
    }
}

/// Files by their partitions.
pub(in crate::sink) fn by_partition(files: &[Written]) -> Vec<(String, Written)> {
    let mut partitions: Vec<(String, Written)> = Vec::new();
    for file in files {
        let Some(partition) = file.files.first().map(|name| partition_of(name)) else { continue };
        match partitions.iter_mut().find(|(other, _)| other == partition) {
            Some((_, all)) => *all = Written::total(vec![std::mem::take(all), file.clone()]),
            None => partitions.push((partition.to_owned(), file.clone())),
        }
    }
    partitions
}

/// The partition that a file is in.
pub(in crate::sink) fn partition_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(partition, _)| partition)
}

/// Creates the parts of a folder.
#[derive(Debug)]
struct FolderParts(Arc<FolderFiles>);

impl Parts for FolderParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        match &self.0.content.partition_by {
            None => Ok(Box::new(self.0.create(None)?)),
            Some(by) => Ok(Box::new(PartitionedPart::new(by.clone(), self.0.clone()))),
        }
    }
}
