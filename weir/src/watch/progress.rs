//! How much of a source has been read.

use std::sync::atomic::AtomicU64;

/// What has been read so far of a source, for the progress bar and the checks.
#[derive(Debug, Default)]
pub(crate) struct ScanProgress {
    /// Bytes of the files that were handed out.
    pub(crate) bytes: AtomicU64,
    /// Rows that were read, rejected records not among them.
    pub(crate) rows: AtomicU64,
}
