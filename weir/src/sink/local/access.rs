//! Access rights: who could read the former content can read the new one, and nobody else.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::io::Errno;

/// The access control lists of a file and, for what is created in it, of a folder.
const LISTS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

/// The largest extended attribute that Linux has.
const LARGEST: usize = 64 << 10;

/// Gives a new file or folder the owner, the mode and the access control lists of the former one. An owner that this user may
/// not set is told.
pub(in crate::sink) fn take_over(former: &Path, new: &Path) -> io::Result<()> {
    tell(new, copy_rights(former, new)?);
    Ok(())
}

/// Tells why the owner of a former file could not be given to the new one.
fn tell(path: &Path, refused: Option<io::Error>) {
    if let Some(error) = refused {
        tracing::warn!(path = %path.display(), "the owner of the former content cannot be kept: {error}");
    }
}

/// Returns why the owner could not be set, if it could not.
fn copy_rights(former: &Path, new: &Path) -> io::Result<Option<io::Error>> {
    let (old, own) = (fs::metadata(former)?, fs::metadata(new)?);
    let mut refused = None;
    let changed = |one: u32, other: u32| (one != other).then_some(one);
    for (user, group) in [(changed(old.uid(), own.uid()), None), (None, changed(old.gid(), own.gid()))] {
        match chown(new, user, group) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused = Some(error),
            result => result?,
        }
    }
    // Before the lists: it would change them.
    fs::set_permissions(new, old.permissions())?;
    for list in LISTS {
        let mut value = vec![0; LARGEST];
        match getxattr(former, list, &mut value[..]) {
            Ok(length) => setxattr(new, list, &value[..length], XattrFlags::empty())?,
            // No list, or a file system without lists.
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(refused)
}

/// Gives new files, which were created alike, the rights of the former one: only where the first one differs there is anything
/// to do. What is told is told of their folder.
pub(in crate::sink) fn take_over_all(
    former: &Path,
    folder: &Path,
    mut new: impl Iterator<Item = PathBuf>,
) -> io::Result<()> {
    match new.next() {
        Some(first) if !is_alike(former, &first)? => {
            // What is told of one is true for all.
            tell(folder, copy_rights(former, &first)?);
            new.try_for_each(|file| copy_rights(former, &file).map(drop))
        }
        _ => Ok(()),
    }
}

/// Whether two files have the same rights.
fn is_alike(one: &Path, other: &Path) -> io::Result<bool> {
    let rights = |path: &Path| -> io::Result<_> {
        let metadata = fs::metadata(path)?;
        let lists = LISTS.map(|list| {
            let mut value = vec![0; LARGEST];
            getxattr(path, list, &mut value[..]).map(|length| value[..length].to_vec()).ok()
        });
        Ok((metadata.uid(), metadata.gid(), metadata.mode(), lists))
    };
    Ok(rights(one)? == rights(other)?)
}

/// Makes folders below `root`, with the rights of those that a former folder has at the same place, or else its own.
pub(in crate::sink) fn make_below(root: &Path, below: &str, former: &Path) -> io::Result<()> {
    for (end, _) in below.match_indices('/').chain([(below.len(), "")]).filter(|(end, _)| *end > 0) {
        let (new, old) = (root.join(&below[..end]), former.join(&below[..end]));
        match fs::create_dir(&new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        let old = if old.is_dir() && old != new { &old } else { former };
        if old.is_dir() {
            take_over(old, &new)?;
        }
    }
    Ok(())
}

/// A file with rows in a folder, or in its partitions, if there is one.
pub(in crate::sink) fn former_file(folder: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        let name = path.file_name()?.as_encoded_bytes();
        match path.is_dir() {
            true => former_file(&path).filter(|_| !name.starts_with(b".")),
            false => (name.starts_with(b"part-") && path.is_file()).then(|| path.clone()),
        }
    })
}
