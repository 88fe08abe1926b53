//! The scratch folder of a run.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, state_io};
use crate::report::RunKey;

/// A folder for what does not fit into memory, or is fetched; it is removed when the run ends.
#[derive(Debug)]
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Creates the folder, empty. The caller holds the lock of the key: what exists there is from a dead run.
    pub(crate) fn create(state: &Path, key: &RunKey) -> Result<Self> {
        Self::create_at(state.join("scratch").join(key.to_string()))
    }

    /// Like `create`, in a file system that is in memory: what is written there never is on a disk, and is gone when the machine
    /// stops.
    pub(crate) fn create_in_memory(state: &Path, key: &RunKey) -> Result<Self> {
        let state = std::path::absolute(state).map_err(state_io(state))?;
        let state = blake3::hash(state.as_os_str().as_encoded_bytes()).to_hex();
        let folder = match std::env::var_os(PRIVATE_SCRATCH) {
            Some(folder) => PathBuf::from(folder),
            None => in_memory()?,
        };
        let folder = folder.join(format!("weir-{}-{}", rustix::process::getuid().as_raw(), &state[..16]));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(state_io(&folder))?;
        // Somebody else may have made it, to read what is written there.
        let owner = std::fs::symlink_metadata(&folder).map_err(state_io(&folder))?;
        if !owner.is_dir() || owner.uid() != rustix::process::getuid().as_raw() || owner.mode() & 0o077 != 0 {
            let message = "belongs to another user, or others can read it";
            return Err(Error::state(&folder, message, "remove it, or name another folder in WEIR_PRIVATE_SCRATCH"));
        }
        Self::create_at(folder.join(key.to_string()))
    }

    fn create_at(path: PathBuf) -> Result<Self> {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(state_io(&path)(error)),
            _ => std::fs::create_dir_all(&path).map_err(state_io(&path))?,
        }
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the scratch folder could not be removed");
        }
    }
}

/// The variable with the folder for what a task with private columns does not hold in memory.
const PRIVATE_SCRATCH: &str = "WEIR_PRIVATE_SCRATCH";

/// The file systems that are in memory, as `statfs` numbers them: tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// The folder in memory that Linux has.
fn in_memory() -> Result<PathBuf> {
    let folder = PathBuf::from("/dev/shm");
    match rustix::fs::statfs(&folder) {
        Ok(of) if IN_MEMORY.contains(&(of.f_type as u64)) => Ok(folder),
        _ => {
            let message =
                "is not in memory, and a task with private columns writes nothing to a disk that it does not protect";
            let help = format!(
                "mount a tmpfs there, or name a folder in {PRIVATE_SCRATCH}: another tmpfs, or one of an encrypted disk"
            );
            Err(Error::state(&folder, message, help))
        }
    }
}
