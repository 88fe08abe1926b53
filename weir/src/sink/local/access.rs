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
    let (old, own) = (fs::metadata(former)?, fs::metadata(new)?);
    let changed = |one: u32, other: u32| (one != other).then_some(one);
    for (user, group) in [(changed(old.uid(), own.uid()), None), (None, changed(old.gid(), own.gid()))] {
        match chown(new, user, group) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!(path = %new.display(), "the owner of the former content cannot be kept: {error}");
            }
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
    Ok(())
}

/// A file with rows in a folder, if there is one.
pub(in crate::sink) fn former_file(folder: &Path) -> Option<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.into_iter().find(|path| {
        let is_part = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"part-"));
        is_part && path.is_file()
    })
}
