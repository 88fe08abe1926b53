//! The scratch folder of a run.

use std::path::{Path, PathBuf};

use crate::error::{Result, state_io};
use crate::report::RunKey;

/// A folder for what does not fit into memory, or is fetched; it is removed when the run ends.
#[derive(Debug)]
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Creates the folder, empty. The caller holds the lock of the key: what exists there is from a dead run.
    pub(crate) fn create(state: &Path, key: &RunKey) -> Result<Self> {
        let path = state.join("scratch").join(key.to_string());
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
