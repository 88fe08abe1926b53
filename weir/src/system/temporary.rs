//! Folders for what nobody needs after the command.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder that only this user can read, and that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Creates a folder in memory where the system has a place for that, unless `TMPDIR` is set: for what is small, and would
    /// wait long for a disk.
    pub(crate) fn in_memory(purpose: &str) -> io::Result<Self> {
        let folder = std::env::var_os("TMPDIR").is_none().then(|| Self::within(Path::new("/dev/shm"), purpose));
        match folder {
            Some(Ok(folder)) => Ok(folder),
            _ => Self::on_disk(purpose),
        }
    }

    /// Creates a folder in the system's folder for temporary files.
    pub(crate) fn on_disk(purpose: &str) -> io::Result<Self> {
        Self::within(&std::env::temp_dir(), purpose)
    }

    fn within(parent: &Path, purpose: &str) -> io::Result<Self> {
        let unique = ahash::RandomState::new().hash_one(0) as u32;
        let path = parent.join(format!("weir-{purpose}-{}-{unique:08x}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).map(|()| Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the temporary folder could not be removed");
        }
    }
}
