//! What it takes to commit or abort a folder, in a form that outlives the process.

use std::any::Any;
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MARKER;
use super::files::partition_of;
use super::manifest::{Manifest, Owner};
use super::whole::{self, Whole};
use crate::database::Connector;
use crate::error::{Cause, Error, Result};
use crate::report::LoadReport;
use crate::sink::local::lock::FolderLock;
use crate::sink::local::{WRITABLE, access};
use crate::sink::{OpenTransaction, Pending, Prepared, SinkRun, Transaction, of_kind};
use crate::system::{disk, fault};

/// The tag of a folder in the ledger.
pub(super) const TAG: &str = "folder";

/// What the names of the files that a run appends begin with.
pub(super) fn part_prefix(run: &str) -> String {
    format!("part-{run}-")
}

/// A folder, and the staging folder with its next content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Folder {
    /// The key of the run: the task and its environment.
    pub(super) task: String,
    pub(super) sink: String,
    pub(super) run: String,
    pub(super) target: PathBuf,
    pub(super) staging: PathBuf,
    /// The run whose content it is added to.
    #[serde(default)]
    pub(super) after: Option<String>,
    /// Whether the files are moved into the target, which stays what it is.
    #[serde(default)]
    pub(super) in_place: bool,
    /// The names of all folders that are published with this one, by one rename of their parent; or none.
    #[serde(default)]
    pub(super) siblings: Vec<String>,
    /// From the beginning of the run's writing to its end.
    #[serde(skip)]
    pub(super) lock: Option<Arc<FolderLock>>,
}

impl Folder {
    pub(super) fn new(sink: &SinkRun<'_>, target: &Path, siblings: Vec<String>) -> Result<Self> {
        let SinkRun { sink: name, key, run, .. } = sink;
        let refused =
            |error| Error::sink(name, target, error, "name a folder below the working directory or an absolute path");
        // A link is followed, not replaced.
        let target = disk::absolute(target);
        let target = match target.parent() {
            // Nor is one to the folder that is replaced as a whole.
            Some(parent) if !siblings.is_empty() && parent.exists() => {
                let target = parent.canonicalize().map_err(refused)?.join(target.file_name().unwrap_or_default());
                if target.is_symlink() {
                    let help = "name the folder that it leads to, or remove `replace_folder`";
                    return Err(Error::sink(
                        name,
                        &target,
                        "is a link, and `replace_folder` replaces what it lies in",
                        help,
                    ));
                }
                target
            }
            _ if target.exists() => target.canonicalize().map_err(refused)?,
            _ if target.is_symlink() => {
                let help = "mount or create the folder that it leads to, or remove the link";
                return Err(Error::sink(name, &target, "is a link to a folder that is not there", help));
            }
            _ => target,
        };
        let (Some(parent), Some(folder)) = (target.parent(), target.file_name()) else {
            return Err(Error::sink(name, &target, "is not a folder that can be replaced", "name a folder of its own"));
        };
        let own = || parent.join(format!(".{}.weir-{run}", folder.to_string_lossy()));
        let shared = if siblings.is_empty() { None } else { whole::staging(&target, run) };
        let staging = shared.unwrap_or_else(own);
        let (task, sink, run) = (key.owner(), (*name).to_owned(), (*run).to_owned());
        Ok(Self { task, sink, run, target, staging, after: None, in_place: false, siblings, lock: None })
    }

    /// The run of the sink.
    pub(super) fn owner(&self) -> Owner {
        Owner { task: self.task.clone(), sink: self.sink.clone(), run: self.run.clone() }
    }

    /// The folder for what attempts of other processes write. It is gone before the run's content is the folder's.
    pub(super) fn attempts(&self) -> PathBuf {
        let name = self.staging.file_name().unwrap_or_default().to_string_lossy();
        self.staging.with_file_name(format!("{name}.attempts"))
    }

    /// Removes that folder.
    pub(super) fn remove_attempts(&self) -> Result<()> {
        let attempts = self.attempts();
        let mut tries = 5;
        loop {
            match disk::remove_folder(&attempts) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                // A late writer has made a file there.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && tries > 0 => tries -= 1,
                removed => return removed.map_err(|error| self.error(&attempts, error)),
            }
        }
    }

    /// Takes the folder's lock, if it is not held.
    pub(super) fn lock(&mut self) -> Result<()> {
        if self.lock.is_none() {
            let parent = self.target.parent().unwrap_or(&self.target);
            disk::make_folder(parent).map_err(|error| self.error(&self.staging, error))?;
            let lock = FolderLock::take(&self.target).map_err(|error| self.not_locked(error))?;
            self.lock = Some(Arc::new(lock));
        }
        Ok(())
    }

    /// Removes the lock of a run that has died. One that is held stays.
    pub(super) fn remove_dead_lock(&self) {
        FolderLock::remove_dead(&self.target);
    }

    fn not_locked(&self, error: std::io::Error) -> Error {
        match error.kind() {
            ErrorKind::WouldBlock => FolderLock::held(&self.sink, &self.target),
            _ => self.error(&self.staging, error),
        }
    }

    /// Fails if the folder cannot be committed, or holds anything that no run has written. Returns its manifest.
    pub(super) fn check(&self) -> Result<Option<Manifest>> {
        if disk::is_mount_point(&self.target) {
            let help =
                "name a folder below it: the folder is committed by a rename, and a mount point cannot be renamed";
            return Err(Error::sink(&self.sink, &self.target, "is a mount point", help));
        }
        whole::check(self)?;
        // What is created next to the folder, and what is removed from it.
        let parent = self.target.parent().into_iter();
        for folder in parent.chain(self.target.exists().then_some(self.target.as_path())) {
            disk::check_writable(folder).map_err(|(folder, error)| self.error(&folder, error))?;
        }
        self.check_own()
    }

    pub(super) fn check_own(&self) -> Result<Option<Manifest>> {
        let mut entries = Vec::new();
        match list(&self.target, "", &mut entries) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(&self.target, error)),
        }
        let manifest = self.manifest()?;
        if let Some(other) = manifest.as_ref().filter(|manifest| !manifest.is_of(&self.owner())) {
            let (message, help) = other.of_another();
            return Err(Error::sink(&self.sink, &self.target, message, help));
        }
        if let Some(manifest) = &manifest {
            self.check_follows(manifest)?;
        }
        let own: HashSet<&str> =
            manifest.iter().flat_map(|manifest| manifest.files.iter().map(String::as_str)).collect();
        for name in entries {
            if name != MARKER && !own.contains(&*name) {
                let path = self.target.join(&name);
                let help = "move it away, or give the sink a folder of its own: overwrite replaces the whole folder";
                return Err(Error::sink(&self.sink, &path, "was not written by a run of this task", help));
            }
        }
        Ok(manifest)
    }

    /// Fails if another run has written the folder since this one looked at it.
    fn check_follows(&self, manifest: &Manifest) -> Result<()> {
        let Some(after) = self.after.as_ref().filter(|after| **after != manifest.run) else { return Ok(()) };
        let message = format!("was to follow run {after}, but run {} has written it since then", manifest.run);
        let help = "let all runs of the task use one state folder: its lock keeps them apart";
        Err(Error::sink(&self.sink, &self.target, message, help))
    }

    /// Exchanges the folder and its staging folder.
    fn exchange(&self) -> std::io::Result<()> {
        let exchange = || Ok(renameat_with(CWD, &self.staging, CWD, &self.target, RenameFlags::EXCHANGE)?);
        match fault::call("exchange").and_then(|()| exchange()) {
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(&self.staging, &self.target),
            // File systems that cannot exchange: the former content steps aside first. Between the two steps there
            // is no folder; after a crash there the next start comes by here again.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                match fs::rename(&self.target, self.aside()) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                    _ => {
                        fault::point("stepped_aside");
                        fs::rename(&self.staging, &self.target)
                    }
                }
            }
            exchanged => exchanged,
        }
    }

    /// Moves the run's files into the folder. They count once its manifest is there.
    fn move_in(&self) -> std::io::Result<()> {
        let text = fs::read_to_string(self.staging.join(MARKER))?;
        let manifest: Manifest = serde_json::from_str(&text)?;
        let own = manifest.added.iter().filter(|addition| addition.run == self.run);
        let own: Vec<&str> = own.flat_map(|addition| addition.files.iter().map(String::as_str)).collect();
        for file in &own {
            let (from, to) = (self.staging.join(file), self.target.join(file));
            access::make_below(&self.target, partition_of(file), &self.target)?;
            match disk::rename_new(&from, &to) {
                // Moved by the process that died here.
                Err(error) if error.kind() == ErrorKind::NotFound && to.exists() => {}
                moved => moved?,
            }
            fault::point("file_moved");
        }
        let folders: BTreeSet<&str> = own.iter().flat_map(|file| super::folders_of(file)).collect();
        folders.iter().try_for_each(|below| disk::sync_folder(&self.target.join(below)))?;
        disk::sync_folder(&self.target)
    }

    /// Removes the run's files from a folder whose manifest does not have them.
    fn move_out(&self) -> Result<()> {
        if !self.in_place || self.is_committed()? {
            return Ok(());
        }
        let own = part_prefix(&self.run);
        let remove = || -> std::io::Result<()> {
            let mut entries = Vec::new();
            list(&self.target, "", &mut entries)?;
            let is_own = |name: &&String| name.rsplit('/').next().is_some_and(|name| name.starts_with(&own));
            for name in entries.iter().filter(is_own) {
                fs::remove_file(self.target.join(name))?;
                remove_empty(&self.target, partition_of(name));
            }
            Ok(())
        };
        match remove() {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.error(&self.target, error)),
            _ => Ok(()),
        }
    }

    /// The one rename that makes the run's content the folder's.
    fn rename(&self) -> std::io::Result<()> {
        match self.in_place {
            true => fs::rename(self.staging.join(MARKER), self.target.join(MARKER)),
            false => self.exchange(),
        }
    }

    /// Makes the rename last.
    fn sync(&self) -> std::io::Result<()> {
        match self.in_place {
            true => disk::sync_folder(&self.target),
            false => self.target.parent().map_or(Ok(()), disk::sync_folder),
        }
    }

    /// Where the former content goes on file systems that cannot exchange two folders.
    fn aside(&self) -> PathBuf {
        self.aside_of(&self.staging)
    }

    pub(super) fn aside_of(&self, staging: &Path) -> PathBuf {
        let name = staging.file_name().unwrap_or_default().to_string_lossy();
        let of_run = format!(".weir-{}", self.run);
        let of_run = if name.ends_with(&of_run) { "" } else { &of_run };
        staging.with_file_name(format!("{name}{of_run}-former"))
    }

    /// Removes the staging folder.
    fn remove_staging(&self) -> Result<()> {
        self.remove_attempts()?;
        [&self.staging, &self.aside()].into_iter().try_for_each(|folder| match disk::remove_folder(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.error(folder, error)),
            _ => Ok(()),
        })?;
        whole::remove(self).map_err(|error| self.error(&self.staging, error))?;
        fault::point("cleared");
        Ok(())
    }

    /// Whether this run wrote the folder.
    pub(super) fn is_committed(&self) -> Result<bool> {
        Ok(self.manifest()?.is_some_and(|manifest| manifest.run == self.run))
    }

    /// Fails if it could not be renamed as things are.
    fn check_rename(&self) -> Result<()> {
        match self.in_place {
            // Nothing is removed, so that it does not matter what else is in the folder.
            true => self.manifest()?.iter().try_for_each(|manifest| self.check_follows(manifest)),
            false => self.check_own().map(drop),
        }
    }

    /// The folder's manifest, if it has one.
    pub(super) fn manifest(&self) -> Result<Option<Manifest>> {
        let marker = self.target.join(MARKER);
        let text = match fs::read_to_string(&marker) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(&marker, error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|_| {
            let help = "move the folder's content away, or give the sink a folder of its own";
            Error::sink(&self.sink, &marker, "was not written by a run of this task", help)
        })
    }

    pub(super) fn error(&self, path: &Path, error: impl Into<Cause>) -> Error {
        let error = error.into();
        Error::sink(&self.sink, path, &error, WRITABLE).because(error)
    }
}

/// The files below a folder, and the empty folders.
fn list(root: &Path, below: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = match below {
            "" => name.to_string_lossy().into_owned(),
            below => format!("{below}/{}", name.to_string_lossy()),
        };
        let before = names.len();
        if entry.file_type()?.is_dir() {
            list(root, &name, names)?;
        }
        if names.len() == before {
            names.push(name);
        }
    }
    Ok(())
}

/// Removes folders that an append has made, and that have become empty.
fn remove_empty(root: &Path, partition: &str) {
    let mut folder = partition;
    while !folder.is_empty() && fs::remove_dir(root.join(folder)).is_ok() {
        folder = partition_of(folder);
    }
}

#[async_trait]
impl Pending for Folder {
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
        self.move_out()?;
        self.remove_staging()?;
        self.remove_dead_lock();
        Ok(())
    }
}

#[async_trait]
impl Prepared for Folder {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn check(&self, _: &Connector) -> Result<()> {
        match self.in_place {
            true => self.check_rename(),
            false => Self::check(self).map(drop),
        }
    }

    async fn is_committed(&self, _: &Connector) -> Result<bool> {
        Self::is_committed(self)
    }

    async fn is_lost(&self, _: &Connector) -> Result<bool> {
        Ok(!self.staging.exists() && !Self::is_committed(self)?)
    }
}

/// The folders of a run.
#[derive(Debug, Clone)]
struct Folders(Vec<Folder>);

/// The folders among the sinks of a run, as one transaction.
pub(super) fn transactions(sinks: &[&dyn Prepared]) -> Vec<Box<dyn Transaction>> {
    let folders: Vec<Folder> = sinks.iter().filter_map(|sink| of_kind(*sink).cloned()).collect();
    if folders.is_empty() { vec![] } else { vec![Box::new(Folders(folders))] }
}

#[async_trait]
impl Transaction for Folders {
    /// All that can be done before a rename has been done when the folders were prepared.
    async fn begin(&self, _: &Connector) -> Result<Box<dyn OpenTransaction>> {
        let mut folders = self.clone();
        folders.0.iter_mut().try_for_each(Folder::lock)?;
        Ok(Box::new(folders))
    }
}

#[async_trait]
impl OpenTransaction for Folders {
    /// Renames the folders one right after the other, so that a reader sees the old and the new ones side by side for as
    /// short a time as possible: what takes longer is done before or afterwards.
    async fn commit(self: Box<Self>) -> Result<Vec<(String, LoadReport)>> {
        let mut open = Vec::with_capacity(self.0.len());
        for folder in &self.0 {
            // What is left in the staging folder of one that was committed is its former content.
            if !folder.is_committed()? {
                folder.check_rename()?;
                open.push(folder);
            }
        }
        let each = |folders: &[&Folder], step: fn(&Folder) -> std::io::Result<()>| {
            let mut folders = folders.iter();
            folders.try_for_each(|folder| step(folder).map_err(|error| folder.error(&folder.target, error)))
        };
        each(&open.iter().copied().filter(|folder| folder.in_place).collect::<Vec<_>>(), Folder::move_in)?;
        let failed = |error| self.0[0].error(&self.0[0].target, error);
        match Whole::of_all(&open).map_err(failed)? {
            Some(whole) if whole.exchange(&open).map_err(failed)? => {
                fault::point("published");
                whole.sync().map_err(failed)?;
            }
            _ => {
                each(&open, |folder| {
                    folder.rename()?;
                    fault::point("published");
                    Ok(())
                })?;
                each(&open, Folder::sync)?;
            }
        }
        self.0.iter().try_for_each(Folder::remove_staging)?;
        Ok(vec![])
    }

    async fn roll_back(self: Box<Self>) {}
}
