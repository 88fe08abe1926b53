//! The folder of a run that all machines have: the files of its task, what it keeps, and receipts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A job of a run: one attempt to compute one stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct JobRef {
    /// The folder of the run.
    pub(super) run: PathBuf,
    /// The number of the job.
    pub(super) job: usize,
}

impl JobRef {
    /// Where the receipts of a source are.
    pub(super) fn receipts(&self, source: &str) -> PathBuf {
        self.run.join("receipts").join(self.job.to_string()).join(source)
    }
}

/// The file whose changes say that the client is alive.
pub(super) fn lease(run: &Path) -> PathBuf {
    run.join("lease")
}

/// The file that says what the run is.
pub(super) fn told(run: &Path) -> PathBuf {
    run.join("run.json")
}

/// Where the files of the task are, each by its absolute path.
pub(super) fn task_file(run: &Path, file: &Path) -> PathBuf {
    run.join("task").join(file.strip_prefix("/").unwrap_or(file))
}
