//! The folder of an executor on a disk of its machine. It is removed when the executor ends; what is left of one that was
//! killed is removed by the next one in the same place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use weir::{Error, Result};

/// How the names of these folders begin, and the file in them that is locked as long as the executor lives.
const PREFIX: &str = "executor-";
const LOCK: &str = "lock";

/// The folder of one executor.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// Makes the folder of an executor in `parent`, and removes those of dead ones.
    pub(crate) fn create(parent: &Path, executor: &str) -> Result<Self> {
        let failed = |error: io::Error| {
            let help =
                "give --work-dir a folder that this user can write to, on a disk of this machine with free space";
            Error::system(format!("{}: the work folder cannot be used", parent.display()), error, help)
        };
        let path = std::path::absolute(parent).map_err(failed)?.join(format!("{PREFIX}{executor}"));
        fs::create_dir_all(parent).map_err(failed)?;
        remove_dead(parent);
        fs::create_dir(&path).map_err(failed)?;
        let lock = File::create_new(path.join(LOCK)).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;
        let own = Self { path, _lock: lock };
        [own.shuffles(), own.spill()].iter().try_for_each(fs::create_dir).map_err(failed)?;
        Ok(own)
    }

    /// Rows that go to other stages, one folder for each job.
    pub(crate) fn shuffles(&self) -> PathBuf {
        self.path.join("shuffles")
    }

    /// What operators spill.
    pub(crate) fn spill(&self) -> PathBuf {
        self.path.join("spill")
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // A task that goes on may still make files: they are removed with the next try, or by the next executor.
        let removed = (0..3).any(|_| fs::remove_dir_all(&self.path).is_ok());
        if !removed {
            tracing::warn!(folder = %self.path.display(), "the work folder could not be removed");
        }
    }
}

/// Removes the folders of executors that live no more.
fn remove_dead(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let folder = entry.path();
        // One without a file to lock is just being made, or just being removed.
        let Ok(lock) = File::open(folder.join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            tracing::info!(folder = %folder.display(), "removing what a dead executor has left");
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_folder_goes_with_its_executor() {
        let parent = tempfile::tempdir().unwrap();
        let own = WorkDir::create(parent.path(), "a").unwrap();
        assert!(own.shuffles().is_dir() && own.spill().is_dir());
        fs::write(own.shuffles().join("rows"), "rows").unwrap();
        drop(own);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_dead_executor_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let living = WorkDir::create(parent.path(), "living").unwrap();
        let dead = parent.path().join("executor-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::create_dir(parent.path().join("mine")).unwrap();
        let _second = WorkDir::create(parent.path(), "second").unwrap();
        assert!(!dead.exists());
        assert!(living.shuffles().is_dir() && parent.path().join("mine").is_dir());
    }
}
