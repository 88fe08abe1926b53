//! File system operations besides reading and writing.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, RenameFlags, accessat, renameat_with};

use super::{fault, threads};

/// The path from the root, without `.` and `..`. Links are kept, but for those in front of a `..`, which mean another
/// folder than they seem to.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    // Only in a working directory that is gone there are no absolute paths.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let names: Vec<Component<'_>> = path.components().collect();
    let Some(up) = names.iter().rposition(|name| *name == Component::ParentDir) else { return path };
    let (above, below) = names.split_at(up + 1);
    let as_written = || {
        above.iter().fold(PathBuf::new(), |mut path, name| {
            match name {
                Component::ParentDir => _ = path.pop(),
                name => path.push(name),
            }
            path
        })
    };
    let above = above.iter().collect::<PathBuf>().canonicalize().unwrap_or_else(|_| as_written());
    above.join(below.iter().collect::<PathBuf>())
}

/// Writes a file atomically: readers see it complete or not at all.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
    let partial = path.with_file_name(format!(".{}.weir-{}", name.to_string_lossy(), std::process::id()));
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&partial); // it may not exist
    })
}

/// Makes what was written to a file last.
pub(crate) fn sync_file(file: &Path) -> io::Result<()> {
    File::open(file)?.sync_all()
}

/// Makes what is new, gone or renamed in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes everything last that was written to the disk of a folder since the folder was opened. False if the system cannot, or
/// could not tell that a write has failed.
pub(crate) fn sync_since_opened(folder: &File) -> io::Result<bool> {
    if !tells_failed_writes() {
        return Ok(false);
    }
    match fault::call("syncfs").and_then(|()| sync_disk_of(folder)) {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
        synced => synced.map(|()| true),
    }
}

#[cfg(target_os = "linux")]
fn sync_disk_of(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_disk_of(_: &File) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Whether `syncfs` returns the error of a write that has failed: Linux does from 5.8 on.
fn tells_failed_writes() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0u32));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8)
}

/// Makes a folder and those above it, to last.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let made: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    made.iter().filter_map(|made| made.parent()).try_for_each(sync_folder)
}

/// Removes a folder and all that is in it. A disk may have to wait for each file: many are removed on several threads.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    const MANY: usize = 256;
    let is_no_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| !kind.is_dir());
    let files: Vec<PathBuf> = fs::read_dir(folder)?.flatten().filter(is_no_folder).map(|entry| entry.path()).collect();
    if files.len() > MANY {
        threads::for_each_on_disk(&files, |file| match fs::remove_file(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })?;
    }
    fs::remove_dir_all(folder)
}

/// Fails with the folder in question if nothing can be made in `folder`, or, where that is not there yet, in the
/// nearest one above it.
pub(crate) fn check_writable(folder: &Path) -> Result<(), (PathBuf, io::Error)> {
    let there = folder.ancestors().find(|folder| folder.symlink_metadata().is_ok()).unwrap_or(folder);
    let failed = |error| (there.to_path_buf(), error);
    if !fs::metadata(there).map_err(failed)?.is_dir() {
        return Err(failed(ErrorKind::NotADirectory.into()));
    }
    accessat(CWD, there, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| failed(error.into()))
}

/// Whether a folder is on another file system than the one above it.
pub(crate) fn is_mount_point(folder: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    matches!((device(folder), folder.parent().and_then(device)), (Some(own), Some(above)) if own != above)
}

/// The bytes that this user may still write to the disk of a folder.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Renames a file unless the name is taken.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that knows no such rename.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(Errno::EXIST.into()),
        renamed => Ok(renamed?),
    }
}

/// Gives a file a second name; makes a copy, on disk, where the file system does not.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fault::call("link").and_then(|()| fs::hard_link(from, to)) {
        Err(error) if cannot_link(error.kind()) => copy(from, to),
        linked => linked,
    }
}

fn cannot_link(kind: ErrorKind) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(kind, Unsupported | PermissionDenied | TooManyLinks | CrossesDevices)
}

/// Copies a file, with its time of change and its rights, to disk. What has the name is replaced.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut original = File::open(from)?;
    let metadata = original.metadata()?;
    match fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut copied = File::create_new(to)?;
    io::copy(&mut original, &mut copied)?;
    copied.set_modified(metadata.modified()?)?;
    copied.set_permissions(metadata.permissions())?;
    copied.sync_all()
}

/// Whether two files hold the same bytes.
pub(crate) fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let mut left = one.metadata()?.len();
    if left != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    while left > 0 {
        let length = left.min(1 << 16) as usize;
        one.read_exact(&mut a[..length])?;
        other.read_exact(&mut b[..length])?;
        if a[..length] != b[..length] {
            return Ok(false);
        }
        left -= length as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_absolute_path_however_it_is_written() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/b", root.join("link")).unwrap();
        for (written, path) in [("a/./b/../x", "a/x"), ("link/x", "link/x"), ("link/../x", "a/x"), ("gone/../x", "x")] {
            assert_eq!(absolute(&root.join(written)), root.join(path), "{written}");
        }
    }
}
