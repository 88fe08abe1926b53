//! One run at a time writes a folder, whatever state folder it has: a lock of the operating system on a file next to it.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A held lock. Dropping it removes its file; if the process dies, the lock goes with it, and the file stays for the next
/// run.
#[derive(Debug)]
pub(in crate::sink) struct FolderLock {
    path: PathBuf,
    _file: File,
}

impl FolderLock {
    /// Removes the file of a process that has died.
    pub(in crate::sink) fn remove_dead(target: &Path) {
        if path_of(target).exists() {
            // Taken and dropped; or held, or not to be removed by this user.
            let _ = Self::take(target);
        }
    }

    /// Takes the lock of a folder; fails with `WouldBlock` if another process has it.
    pub(in crate::sink) fn take(target: &Path) -> io::Result<Self> {
        let path = path_of(target);
        loop {
            let file = File::options().write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                // A file system without locks.
                Ok(()) | Err(TryLockError::Error(_)) => {}
                Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
            }
            // Its last holder may have removed the file in between.
            let found = file.metadata()?;
            match fs::metadata(&path) {
                Ok(there) if (there.dev(), there.ino()) == (found.dev(), found.ino()) => {
                    return Ok(Self { path, _file: file });
                }
                _ => {}
            }
        }
    }

    /// The error of a lock that could not be taken.
    pub(in crate::sink) fn held(sink: &str, target: &Path) -> Error {
        let target = target.display();
        Error::Locked {
            message: format!("sink `{sink}`: {target} is being written by another run, with another state folder"),
        }
    }
}

pub(in crate::sink) fn path_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.weir-lock"))
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // One that stays is taken by the next run.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer_and_its_lock_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        let lock = FolderLock::take(&target).unwrap();
        assert_eq!(FolderLock::take(&target).unwrap_err().kind(), ErrorKind::WouldBlock);
        FolderLock::take(&root.path().join("other")).unwrap();
        drop(lock);
        FolderLock::take(&target).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
