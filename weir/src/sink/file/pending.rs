//! What it takes to commit or abort a file, in a form that outlives the process.

use std::any::Any;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::marker::{Marker, Version};
use crate::database::Connector;
use crate::error::{Cause, Error, Result};
use crate::report::LoadReport;
use crate::sink::local::WRITABLE;
use crate::sink::local::lock::FolderLock;
use crate::sink::{OpenTransaction, Pending, Prepared, SinkRun, Transaction, of_kind};
use crate::system::{disk, fault};

/// The tag of a file in the ledger.
pub(super) const TAG: &str = "file";

/// A file, and the staging folder with its next content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NamedFile {
    /// The key of the run: the task and its environment.
    pub(super) task: String,
    pub(super) sink: String,
    pub(super) run: String,
    pub(super) target: PathBuf,
    pub(super) staging: PathBuf,
    /// The version that is replaced; none if there was no file.
    pub(super) former: Option<Version>,
    /// From the beginning of the run's writing to its end.
    #[serde(skip)]
    lock: Option<Arc<FolderLock>>,
}

impl NamedFile {
    /// Fails if the file could not be committed as things are. Nothing is changed.
    pub(super) fn open(sink: &SinkRun<'_>, path: &Path, adopt: bool) -> Result<Self> {
        let SinkRun { sink: name, key, run, .. } = sink;
        // A link is followed, not replaced.
        let absolute = disk::absolute(path);
        let target = match absolute.canonicalize() {
            Ok(target) => target,
            Err(_) if absolute.is_symlink() => {
                let help = "create the file that it leads to, or remove the link";
                return Err(Error::sink(name, &absolute, "is a link to a file that is not there", help));
            }
            Err(_) => absolute,
        };
        let (Some(parent), Some(file)) = (target.parent(), target.file_name()) else {
            return Err(Error::sink(name, &target, "is not a file", "name a file in a folder"));
        };
        let staging = parent.join(format!(".{}.weir-{run}", file.to_string_lossy()));
        let (task, sink, run) = (key.owner(), (*name).to_owned(), (*run).to_owned());
        let mut open = Self { task, sink, run, target, staging, former: None, lock: None };
        FolderLock::remove_dead(&open.target);
        open.former = open.check(adopt)?;
        Ok(open)
    }

    /// Takes the file's lock, if it is not held.
    pub(super) fn lock(&mut self) -> Result<()> {
        if self.lock.is_none() {
            let parent = self.target.parent().unwrap_or(&self.target);
            disk::make_folder(parent).map_err(|error| self.error(&self.staging, error))?;
            let lock = FolderLock::take(&self.target).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => FolderLock::held(&self.sink, &self.target),
                _ => self.error(&self.staging, error),
            })?;
            self.lock = Some(Arc::new(lock));
        }
        Ok(())
    }

    /// The file's next content.
    pub(super) fn staged(&self) -> PathBuf {
        self.staging.join(self.target.file_name().unwrap_or_default())
    }

    /// The marker of the next content.
    pub(super) fn staged_marker(&self) -> PathBuf {
        Marker::path_of(&self.staged())
    }

    /// Fails if the file cannot be replaced, or no run of the task has written it. Returns its version.
    fn check(&self, adopt: bool) -> Result<Option<Version>> {
        let refused = |message: &str, help: &str| Err(Error::sink(&self.sink, &self.target, message, help));
        if self.target.is_dir() {
            return refused("is a folder", "name a file; or specify `path`, for a folder of files");
        }
        if disk::is_mount_point(&self.target) {
            let help =
                "mount the folder that it lies in: the file is replaced by a rename, and a mount point cannot be";
            return refused("is a mount point", help);
        }
        if let Some(parent) = self.target.parent() {
            disk::check_writable(parent).map_err(|(folder, error)| self.error(&folder, error))?;
        }
        let Some(now) = self.version()? else { return Ok(None) };
        match self.marker()? {
            _ if adopt => {}
            None => {
                let help = "move it away, name another file, or specify `adopt: true` to replace it";
                return refused("was not written by a run of this task", help);
            }
            Some(other) if (&other.task, &other.sink) != (&self.task, &self.sink) => {
                let message = format!("was written by sink `{}` of task `{}`", other.sink, other.task);
                return refused(&message, "give the sink a file of its own, or specify `adopt: true` to replace it");
            }
            Some(own) if now != own.content && Some(&now) != own.former.as_ref() => {
                let message = format!("was not written by a run of this task: it has changed since run {}", own.run);
                return refused(&message, "move it away, or specify `adopt: true` to replace it");
            }
            Some(_) => {}
        }
        Ok(Some(now))
    }

    fn version(&self) -> Result<Option<Version>> {
        Version::if_there(&self.target).map_err(|error| self.error(&self.target, error))
    }

    fn marker(&self) -> Result<Option<Marker>> {
        let path = Marker::path_of(&self.target);
        Marker::read(&path).map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                let help = "remove it, and the file next to it or specify `adopt: true`";
                Error::sink(&self.sink, &path, "was not written by a run of this task", help)
            }
            _ => self.error(&path, error),
        })
    }

    /// Fails if another version is there than the one that the run has seen.
    fn check_former(&self) -> Result<()> {
        let now = self.version()?;
        if now.is_none() || now == self.former {
            return Ok(());
        }
        let help = "start the run again once nothing else writes the file";
        Err(Error::sink(&self.sink, &self.target, "was changed by another program while the run was writing", help))
    }

    /// Whether this run wrote the file. One that was taken away since then was written, too.
    fn is_written(&self) -> Result<bool> {
        let Some(marker) = self.marker()?.filter(|marker| marker.run == self.run) else { return Ok(false) };
        Ok(match self.version()? {
            Some(now) => now == marker.content,
            None => !self.staged().exists() && self.staging.exists(),
        })
    }

    /// Names the run in the marker. The file is still the former one, which the marker has, too.
    fn mark(&self) -> io::Result<()> {
        let staged = self.staged_marker();
        match fs::rename(&staged, Marker::path_of(&self.target)) {
            // Renamed by the process that died here.
            Err(error) if error.kind() == ErrorKind::NotFound && self.staged().exists() => Ok(()),
            renamed => renamed,
        }
    }

    /// The one rename that makes the run's content the file's.
    fn rename(&self) -> io::Result<()> {
        fs::rename(self.staged(), &self.target)
    }

    fn sync(&self) -> io::Result<()> {
        self.target.parent().map_or(Ok(()), disk::sync_folder)
    }

    fn remove_staging(&self) -> Result<()> {
        match fs::remove_dir_all(&self.staging) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(self.error(&self.staging, error)),
            _ => {}
        }
        fault::point("cleared");
        Ok(())
    }

    pub(super) fn error(&self, path: &Path, error: impl Into<Cause>) -> Error {
        let error = error.into();
        Error::sink(&self.sink, path, &error, WRITABLE).because(error)
    }
}

#[async_trait]
impl Pending for NamedFile {
    fn sink(&self) -> &str {
        &self.sink
    }

    fn kind(&self) -> &'static str {
        TAG
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    async fn abort(&self, _: &Connector) -> Result<()> {
        self.remove_staging()?;
        FolderLock::remove_dead(&self.target);
        Ok(())
    }
}

#[async_trait]
impl Prepared for NamedFile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn check(&self, _: &Connector) -> Result<()> {
        self.check_former()
    }

    async fn is_committed(&self, _: &Connector) -> Result<bool> {
        self.is_written()
    }

    async fn is_lost(&self, _: &Connector) -> Result<bool> {
        Ok(!self.staged().exists() && !self.is_written()?)
    }
}

/// The files of a run.
#[derive(Debug, Clone)]
struct Files(Vec<NamedFile>);

/// The files among the sinks of a run, as one transaction.
pub(super) fn transactions(sinks: &[&dyn Prepared]) -> Vec<Box<dyn Transaction>> {
    let files: Vec<NamedFile> = sinks.iter().filter_map(|sink| of_kind(*sink).cloned()).collect();
    if files.is_empty() { vec![] } else { vec![Box::new(Files(files))] }
}

#[async_trait]
impl Transaction for Files {
    /// All that can be done before a rename has been done when the files were prepared.
    async fn begin(&self, _: &Connector) -> Result<Box<dyn OpenTransaction>> {
        let mut files = self.clone();
        files.0.iter_mut().try_for_each(NamedFile::lock)?;
        Ok(Box::new(files))
    }
}

#[async_trait]
impl OpenTransaction for Files {
    /// Renames the files one right after the other, so that a reader sees old and new ones side by side for as short a time as
    /// possible.
    async fn commit(self: Box<Self>) -> Result<Vec<(String, LoadReport)>> {
        let mut open = Vec::with_capacity(self.0.len());
        for file in &self.0 {
            if !file.is_written()? {
                file.check_former()?;
                open.push(file);
            }
        }
        let each = |step: fn(&NamedFile) -> io::Result<()>| {
            open.iter().try_for_each(|file| step(file).map_err(|error| file.error(&file.target, error)))
        };
        each(NamedFile::mark)?;
        fault::point("file_marked");
        each(|file| {
            file.rename()?;
            fault::point("published");
            Ok(())
        })?;
        each(NamedFile::sync)?;
        self.0.iter().try_for_each(NamedFile::remove_staging)?;
        Ok(vec![])
    }

    async fn roll_back(self: Box<Self>) {}
}
