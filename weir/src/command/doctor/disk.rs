//! What the operating system says of a disk.

use std::path::Path;

/// The bytes that this user may still write at a folder.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
