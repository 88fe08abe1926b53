//! The files of a folder while they are written.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::access;
use super::part::FilePart;
use super::partition::{MOST_OPEN, PartitionBy, PartitionFiles, PartitionedPart};
use super::pending::{Folder, part_prefix};
use crate::error::{Error, Result};
use crate::format::write::FileLayout;
use crate::sink::{Part, Parts, Written};
use crate::task::Mode;

/// Creates the files of a folder.
#[derive(Debug)]
pub(super) struct FolderFiles {
    pub(super) folder: Folder,
    pub(super) mode: Mode,
    pub(super) layout: FileLayout,
    pub(super) partition_by: Option<PartitionBy>,
    next: AtomicUsize,
    finished: FinishedFiles,
}

impl FolderFiles {
    pub(super) fn new(folder: Folder, mode: Mode, layout: FileLayout, partition_by: Option<PartitionBy>) -> Self {
        Self { folder, mode, layout, partition_by, next: AtomicUsize::new(0), finished: FinishedFiles::default() }
    }

    /// What was written, by partition.
    pub(super) fn by_partition(&self) -> Vec<(String, Written)> {
        self.finished.by_partition()
    }
}

impl PartitionFiles for FolderFiles {
    type File = FilePart;

    fn create(&self, partition: Option<&str>) -> Result<FilePart> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Next to the files of other runs a name says which run wrote it.
        let prefix = if self.mode == Mode::Overwrite { "part-".to_owned() } else { part_prefix(&self.folder.run) };
        let name = format!("{prefix}{number:05}.{}", self.layout.extension());
        let name = match partition {
            None => name,
            Some(partition) => {
                let made = access::make_below(&self.folder.staging, partition, &self.folder.target);
                made.map_err(|error| self.folder.error(&self.folder.staging.join(partition), error))?;
                format!("{partition}/{name}")
            }
        };
        FilePart::create(&self.folder, name, &self.layout)
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
pub(super) struct FolderParts(pub(super) Arc<FolderFiles>);

impl Parts for FolderParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        match &self.0.partition_by {
            None => Ok(Box::new(self.0.create(None)?)),
            Some(by) => Ok(Box::new(PartitionedPart::new(by.clone(), self.0.clone()))),
        }
    }
}
