//! Files of the local file system, found by a path or a pattern.

mod archive;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use object_store::local::LocalFileSystem;

use super::{Archive, FileSystem, FoundFile, Kind, Move};
use crate::error::{Error, Result, printable};
use crate::system::disk;
use archive::LocalArchive;

pub(super) const KIND: Kind =
    Kind { name: "local paths", holds: |location| !location.contains("://"), open: |_| Arc::new(LocalFiles) };

/// The local file system.
#[derive(Debug)]
struct LocalFiles;

#[async_trait]
impl FileSystem for LocalFiles {
    fn check(&self, pattern: &str) -> Result<(), String> {
        let valid = glob::Pattern::new(pattern).map(drop);
        valid.map_err(|error| format!("`{pattern}` is not a valid pattern: {error}"))
    }

    async fn find(&self, pattern: &str) -> Result<Vec<FoundFile>> {
        let mut files = Vec::new();
        for path in matching(pattern)? {
            files.push(found(path.display().to_string(), &path).await?);
        }
        Ok(files)
    }

    fn archive(&self, pattern: &str, folder: &str) -> Result<Box<dyn Archive>, String> {
        Ok(Box::new(LocalArchive::new(pattern, folder)?))
    }

    async fn finish_moves(&self, run: &str, moves: &[Move]) -> Result<()> {
        archive::finish_moves(run, moves)
    }
}

/// A local file, under the name that the user knows.
pub(crate) async fn found(name: String, path: &Path) -> Result<FoundFile> {
    let location = object_store::path::Path::from_filesystem_path(path);
    let location =
        location.map_err(|error| Error::input(&name, error, "check that the file exists and can be read"))?;
    let path = disk::absolute(path).display().to_string();
    FoundFile::of(Arc::new(LocalFileSystem::new()), name, path, &location).await
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
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
    check_names(pattern)?;
    paths.sort();
    Ok(paths)
}

/// Checks that no file is passed over because its name is not UTF-8, which no pattern matches.
fn check_names(pattern: &str) -> Result<()> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let Ok(name) = glob::Pattern::new(name) else { return Ok(()) };
    let folders = glob::glob(if folder.is_empty() { "/" } else { folder });
    for folder in folders.into_iter().flatten().flatten() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let file = entry.file_name();
            if file.to_str().is_none() && name.matches(&file.to_string_lossy()) {
                let shown = printable(&format!("{:?}", entry.path()));
                return Err(Error::input(shown, "its name is not UTF-8", "rename it: it would be passed over"));
            }
        }
    }
    Ok(())
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
