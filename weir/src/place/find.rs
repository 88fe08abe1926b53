//! Finds local files by a path or a pattern.

use std::path::{Path, PathBuf};

use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;

use super::{FoundFile, local_path};
use crate::error::{Error, Result};

/// A local file, under the name that the user knows.
pub(crate) async fn found(name: String, path: &Path) -> Result<FoundFile> {
    let meta = LocalFileSystem::new().head(&local_path(path)?).await;
    let meta =
        meta.map_err(|error| Error::input(&name, &error, "check that the file exists and can be read").because(error))?;
    Ok(FoundFile { name, meta })
}

/// The files that match a local path or pattern, without hidden ones. A match that cannot be accessed is an
/// error: skipping it would lose its rows.
pub(crate) fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        Error::input(path.display(), error, "fix or remove it, or give the user that runs weir read access")
    };
    let entries = glob::glob(pattern).map_err(|error| Error::input(pattern, error, "correct the pattern"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(error.path(), error.error()))?;
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if metadata.is_file() && !is_hidden {
            paths.push(path);
        }
    }
    check_readable_folder(pattern)?;
    paths.sort();
    Ok(paths)
}

/// Checks the pattern's folder: glob skips a folder that it may not list.
fn check_readable_folder(pattern: &str) -> Result<()> {
    let plain = pattern.split(['*', '?', '[']).next().unwrap_or(pattern);
    let folder = Path::new(plain.rsplit_once('/').map_or(".", |(folder, _)| folder));
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Error::input(folder.display(), error, "give the user that runs weir read access"))
        }
        _ => Ok(()),
    }
}
