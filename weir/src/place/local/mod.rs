//! Files of the local file system, found by a path or a pattern.

mod archive;
mod not_utf8;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::stdin::is_stdin;
use super::{Archive, Arrival, FileSystem, FoundFile, Kind, Move};
use crate::error::{Error, Result};
use crate::place::pattern;
use crate::system::path_text::{kept, shown};
use crate::system::{disk, threads};
use archive::LocalArchive;

pub(super) const KIND: Kind = Kind { name: "local paths", holds: is_local, open: |_| Arc::new(LocalFiles) };

fn is_local(location: &str) -> bool {
    !location.contains("://") && !is_stdin(location)
}

/// The local file system.
#[derive(Debug)]
struct LocalFiles;

#[async_trait]
impl FileSystem for LocalFiles {
    fn check(&self, pattern: &str) -> Result<(), String> {
        let valid = glob::Pattern::new(pattern).map(drop);
        valid.map_err(|error| format!("`{pattern}` is not a valid pattern: {error}"))
    }

    async fn find(&self, pattern: &str, _: &Arrival<'_>) -> Result<Vec<FoundFile>> {
        let files = threads::map(&matching(pattern)?, |path| {
            let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            metadata.is_file().then(|| found_as(shown(path), path, &metadata)).transpose()
        });
        Ok(files?.into_iter().flatten().collect())
    }

    fn archive(&self, pattern: &str, folder: &str) -> Result<Box<dyn Archive>, String> {
        Ok(Box::new(LocalArchive::new(pattern, folder)?))
    }

    async fn finish_moves(&self, run: &str, moves: &[Move]) -> Result<()> {
        archive::finish_moves(run, moves)
    }

    async fn remove_archived(&self, run: &str, moves: &[Move]) -> Result<u64> {
        archive::remove_archived(run, moves)
    }
}

/// A local file, under the name that the user knows.
pub(crate) fn found(name: String, path: &Path) -> Result<FoundFile> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    found_as(name, path, &metadata)
}

fn found_as(name: String, path: &Path, metadata: &Metadata) -> Result<FoundFile> {
    let path = disk::absolute(path);
    FoundFile::local(name, kept(&path), path, metadata)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::input(shown(path), error, "fix or remove it, or give the user that runs weir read access")
}

/// The files and folders that match a pattern. One with brackets that is the very name of a file means that file.
fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    if let Some(path) = pattern::named(Path::new(pattern)).filter(|path| path.is_file()) {
        return Ok(vec![path]);
    }
    let entries = glob::glob(pattern).map_err(|error| Error::input(pattern, error, "correct the pattern"))?;
    let entries = entries.map(|entry| entry.map_err(|error| unreadable(error.path(), error.error())));
    let others = not_utf8::matching(pattern).map_err(|error| unreadable(Path::new(pattern), &error))?;
    let (base, _) = pattern::split(Path::new(pattern));
    let mut paths = Vec::new();
    for path in entries.chain(others.into_iter().map(Ok)) {
        let path = path?;
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            || not_utf8::is_hidden(&path, &base);
        if !is_hidden {
            paths.push(path);
        }
    }
    check_readable_folder(pattern)?;
    paths.sort();
    // The glob library finds some files in folders whose names are not UTF-8.
    paths.dedup();
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
