//! The files of a folder while they are written.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::access;
use super::documents::{DocumentFiles, DocumentParts};
use super::part::FilePart;
use super::partition::{MOST_OPEN, PartitionFiles, PartitionedPart};
use super::pending::{Folder, part_prefix};
use crate::error::{Error, Result};
use crate::sink::content::{Content, RowContent};
use crate::sink::{Part, Parts, Written};
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
                mode,
                content: rows.clone(),
                next: AtomicUsize::new(0),
                finished: FinishedFiles::default(),
            })),
            Content::Documents(layout) => Self::Documents(Arc::new(DocumentFiles::new(folder, layout)?)),
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
                Box::new(files.create(None)?).finish().map(Some)
            }
            Self::Rows(_) | Self::Documents(_) => Ok(None),
        }
    }

    /// What was written, by partition, if there are any.
    pub(super) fn by_partition(&self) -> Vec<(String, Written)> {
        match self {
            Self::Rows(files) => files.finished.by_partition(),
            Self::Documents(_) => vec![],
        }
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
    mode: Mode,
    content: RowContent,
    next: AtomicUsize,
    finished: FinishedFiles,
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
}

impl PartitionFiles for FolderFiles {
    type File = FilePart;

    fn create(&self, partition: Option<&str>) -> Result<FilePart> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Next to the files of other runs a name says which run wrote it.
        let prefix = if self.mode == Mode::Overwrite { "part-".to_owned() } else { part_prefix(&self.folder.run) };
        let name = format!("{prefix}{number:05}.{}", self.content.layout.extension());
        let name = match partition {
            None => name,
            Some(partition) => {
                let made = access::make_below(&self.folder.staging, partition, &self.folder.target);
                made.map_err(|error| self.folder.error(&self.folder.staging.join(partition), error))?;
                format!("{partition}/{name}")
            }
        };
        FilePart::create(&self.folder, name, &self.content.layout)
    }

    fn finished(&self, file: Written) -> Written {
        self.finished.push(file)
    }

    fn most_open(&self) -> usize {
        MOST_OPEN
    }

    fn refused(&self, message: String, help: &str) -> Error {
        Error::sink(&self.folder.sink, &self.folder.target, message, help)
    }
}

/// What was written, file by file.
#[derive(Debug, Default)]
pub(in crate::sink) struct FinishedFiles(Mutex<Vec<Written>>);

impl FinishedFiles {
    /// Remembers what a file has.
    pub(in crate::sink) fn push(&self, file: Written) -> Written {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(file.clone());
        file
    }

    /// What was written, by partition.
    pub(in crate::sink) fn by_partition(&self) -> Vec<(String, Written)> {
        let mut partitions: Vec<(String, Written)> = Vec::new();
        for file in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let Some(partition) = file.files.first().map(|name| partition_of(name).to_owned()) else { continue };
            match partitions.iter_mut().find(|(other, _)| *other == partition) {
                Some((_, all)) => *all = Written::total(vec![std::mem::take(all), file]),
                None => partitions.push((partition, file)),
            }
        }
        partitions
    }
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
