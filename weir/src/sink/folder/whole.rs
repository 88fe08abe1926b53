//! `replace_folder`: the folders of a run are all that one parent folder holds, and are published by one rename of it.
//!
//! Their next content is staged in a folder next to the parent, which then is the parent's next content. Whoever has the parent
//! itself open, mounted or as working directory keeps the old one until he opens it again: that is why a task asks for it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::pending::Folder;
use crate::error::{Error, Result};
use crate::sink::local::lock;
use crate::system::{disk, fault};

/// The parent folder and the folder with its next content.
pub(super) struct Whole {
    parent: PathBuf,
    next: PathBuf,
}

/// The staging folder of a folder in the parent's next content.
pub(super) fn staging(target: &Path, run: &str) -> Option<PathBuf> {
    let (parent, name) = (target.parent()?, target.file_name()?);
    let next = format!(".{}.weir-{run}", parent.file_name()?.to_string_lossy());
    Some(parent.with_file_name(next).join(name))
}

/// Fails if the parent of a folder could not be replaced as a whole.
pub(super) fn check(folder: &Folder) -> Result<()> {
    let Some(Whole { parent, .. }) = Whole::of(folder) else { return Ok(()) };
    let refused = |message: &str, help: &str| Err(Error::sink(&folder.sink, &parent, message, help));
    if disk::is_mount_point(&parent) {
        return refused(
            "is a mount point, which `replace_folder` cannot replace",
            "name a folder below it, and the folders of the sinks in that one",
        );
    }
    let entries = match fs::read_dir(&parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(folder.error(&parent, error)),
    };
    for entry in entries {
        let name = entry.map_err(|error| folder.error(&parent, error))?.file_name();
        if !is_of_a_sink(folder, &name) {
            let help = "move it away, or remove `replace_folder`: it replaces all that is in the folder";
            return Err(Error::sink(&folder.sink, &parent.join(&name), "was not written by a run of this task", help));
        }
    }
    if let Some(above) = parent.parent() {
        disk::check_writable(above).map_err(|(at, error)| folder.error(&at, error))?;
    }
    Ok(())
}

impl Whole {
    /// The parent of a folder that is published with it.
    fn of(folder: &Folder) -> Option<Self> {
        let (parent, next) = (folder.target.parent()?, folder.staging.parent()?);
        (!folder.siblings.is_empty()).then(|| Self { parent: parent.to_path_buf(), next: next.to_path_buf() })
    }

    /// The parent of folders that are to be renamed, if those are all of its folders, and it holds nothing else.
    pub(super) fn of_all(folders: &[&Folder]) -> io::Result<Option<Self>> {
        let Some(first) = folders.first() else { return Ok(None) };
        let Some(whole) = Self::of(first).filter(|_| folders.len() == first.siblings.len()) else { return Ok(None) };
        for entry in fs::read_dir(&whole.parent)? {
            if !is_of_a_sink(first, &entry?.file_name()) {
                return Ok(None);
            }
        }
        Ok(Some(whole))
    }

    /// Exchanges the parent and its next content; false where the file system cannot.
    pub(super) fn exchange(&self, folders: &[&Folder]) -> io::Result<bool> {
        let (parent, next) = (&self.parent, &self.next);
        let former = fs::metadata(parent)?;
        fs::set_permissions(next, former.permissions())?;
        let made = fs::metadata(next)?;
        if (made.uid(), made.gid()) != (former.uid(), former.gid()) {
            chown(next, Some(former.uid()), Some(former.gid()))?;
        }
        // The locks stay where other runs look for them.
        for lock in folders.iter().map(|folder| lock::path_of(&folder.target)) {
            if let Some(name) = lock.file_name() {
                let _ = fs::hard_link(&lock, next.join(name));
            }
        }
        disk::sync_folder(next)?;
        fault::point("staged_whole");
        let exchange = || Ok(renameat_with(CWD, next, CWD, parent, RenameFlags::EXCHANGE)?);
        match fault::call("exchange").and_then(|()| exchange()) {
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(false),
            exchanged => exchanged.map(|()| true),
        }
    }

    /// Makes the exchange last.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.parent.parent().map_or(Ok(()), disk::sync_folder)
    }
}

/// Whether an entry of the parent, or of its next content, is the folder of a sink, its former content, or its lock.
fn is_of_a_sink(folder: &Folder, name: &OsStr) -> bool {
    folder.siblings.iter().any(|sibling| {
        let sibling = folder.target.with_file_name(sibling);
        let known = [sibling.clone(), folder.aside_of(&sibling), lock::path_of(&sibling)];
        known.iter().any(|known| known.file_name() == Some(name))
    })
}

/// Removes what is left of the parent's former content, once the staging folder of this folder is gone. What somebody else has
/// put into the parent while the run published goes back there.
pub(super) fn remove(folder: &Folder) -> io::Result<()> {
    let Some(Whole { parent, next }) = Whole::of(folder) else { return Ok(()) };
    let own_lock = lock::path_of(&folder.target);
    if let Some(name) = own_lock.file_name() {
        match fs::remove_file(next.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let entries = match fs::read_dir(&next) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if !is_of_a_sink(folder, &name) {
            disk::rename_new(&entry.path(), &parent.join(&name))?;
            tracing::warn!(file = %parent.join(&name).display(), "was put there while the folder was replaced: it is kept");
        }
    }
    match fs::remove_dir(&next) {
        // The staging folders of other sinks, which are removed in their turn.
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => Ok(()),
        removed => removed,
    }
}
