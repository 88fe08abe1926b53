//! The archive of local files.
//!
//! Files and destinations are in the ledger before the commit record. Moving can be repeated after a crash at any
//! point, and moves only the version that was read: a file that arrived under the same name meanwhile stays.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Archive, FoundFile, Move};
use crate::error::{Error, Result};
use crate::place::pattern::{below, meet, split};
use crate::place::with_run;
use crate::system::path_text::{kept, path_of};
use crate::system::{disk, fault};

/// A folder on the same file system.
#[derive(Debug)]
pub(super) struct LocalArchive {
    folder: PathBuf,
    /// The pattern's folder up to the first wildcard: files keep their relative path below it.
    base: PathBuf,
    /// The rest of the pattern, by component.
    rest: Vec<String>,
}

impl Archive for LocalArchive {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn destination(&self, file: &FoundFile) -> String {
        let path = path_of(&file.path);
        let below = path.strip_prefix(&self.base).ok().or(path.file_name().map(Path::new)).unwrap_or(&path);
        kept(&self.folder.join(below))
    }

    fn check(&self, files: &[&FoundFile]) -> Result<()> {
        let mut folders: BTreeSet<PathBuf> =
            files.iter().filter_map(|file| Some(path_of(&file.path).parent()?.to_path_buf())).collect();
        folders.insert(self.folder.clone());
        for folder in &folders {
            disk::check_writable(folder).map_err(|(at, error)| {
                let message = format!("files cannot be moved to the archive {}: {error}", self.folder.display());
                Error::input(at.display(), message, "give the user that runs weir write access")
            })?;
        }
        // The check of the task file again, with links resolved.
        if meet(&self.pattern(&real(&self.base)), &self.pattern(&real(&self.folder))) {
            let message = "archived files would match the source's pattern and be read again";
            return Err(Error::input(self.folder.display(), message, "specify a folder next to the one that is read"));
        }
        Ok(())
    }
}

impl LocalArchive {
    pub(super) fn new(pattern: &str, folder: &str) -> Result<Self, String> {
        if folder.contains("://") {
            return Err(format!(
                "`{folder}` is no folder of this machine, and the files of `{pattern}` are moved to one"
            ));
        }
        let (base, rest) = split(&disk::absolute(Path::new(pattern)));
        let archive = Self { folder: disk::absolute(Path::new(folder)), base, rest };
        if meet(&archive.pattern(&archive.base), &archive.pattern(&archive.folder)) {
            return Err(format!("archived files in `{folder}` would match `{pattern}` and be read again"));
        }
        Ok(archive)
    }

    /// The pattern of the archived files below a folder, from that of the source's files.
    fn pattern(&self, folder: &Path) -> Vec<String> {
        below(folder, &self.rest)
    }
}

/// The path with links resolved, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|there| Some((there.canonicalize().ok()?, path.strip_prefix(there).ok()?)));
    found.map_or_else(|| path.to_path_buf(), |(there, rest)| there.join(rest))
}

/// Moves the files that a run has read, if they are not moved yet, and makes that durable.
pub(super) fn finish_moves(run: &str, moves: &[Move]) -> Result<()> {
    let failed = |of: &Move, error| {
        let message = format!("cannot be moved to the archive as {}: {error}", of.to);
        Error::input(&of.from, message, "check that both folders are writable and have free space")
    };
    for of in moves {
        LocalMove::of(of, run).finish().map_err(|error| failed(of, error))?;
    }
    // If a file were back in its place after a power failure, it would be read again.
    let mut synced = BTreeSet::new();
    for of in moves {
        for path in [&of.to, &of.from].map(|path| path_of(path)) {
            let Some(folder) = path.parent() else { continue };
            if synced.insert(folder.to_path_buf()) && folder.exists() {
                disk::sync_folder(folder).map_err(|error| failed(of, error))?;
            }
        }
    }
    Ok(())
}

/// Removes the files that a run has moved, in the version that it has moved. Returns how many were removed.
pub(super) fn remove_archived(run: &str, moves: &[Move]) -> Result<u64> {
    let mut removed = 0;
    for of in moves {
        let to = path_of(&of.to);
        for path in [with_run(&to, run), to] {
            let failed = |error| Error::input(path.display(), error, "give the user that runs weir write access");
            match is_version(&path, of) {
                Ok(true) => {
                    fs::remove_file(&path).map_err(failed)?;
                    removed += 1;
                    break;
                }
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(removed)
}

/// Whether a file is in the version that a run has read.
fn is_version(path: &Path, of: &Move) -> io::Result<bool> {
    let metadata = fs::metadata(path)?;
    let modified = DateTime::<Utc>::from(metadata.modified()?).to_rfc3339();
    Ok((metadata.len(), &modified) == (of.bytes, &of.modified))
}

/// A move of a run.
struct LocalMove<'a> {
    from: PathBuf,
    to: PathBuf,
    of: &'a Move,
    run: &'a str,
    /// The name of a copy until it is complete.
    copy: PathBuf,
}

impl<'a> LocalMove<'a> {
    fn of(of: &'a Move, run: &'a str) -> Self {
        let to = path_of(&of.to);
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let copy = to.with_file_name(format!(".{name}.weir-{run}"));
        Self { from: path_of(&of.from), to, of, run, copy }
    }

    fn finish(&self) -> io::Result<()> {
        remove_if_there(&self.copy)?; // an incomplete copy
        match is_version(&self.from, self.of) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Ok(false) => {
                tracing::warn!(file = self.of.from, "changed after it was read: it is not moved");
                return Ok(());
            }
            is_version => is_version?,
        };
        self.to.parent().map_or(Ok(()), disk::make_folder)?;
        for to in [self.to.clone(), with_run(&self.to, self.run)] {
            let renamed = fault::call("archive_rename").and_then(|()| disk::rename_new(&self.from, &to));
            let moved = match renamed {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => self.copy(&to),
                renamed => renamed,
            };
            match moved {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if disk::same_content(&self.from, &to)? {
                        return fs::remove_file(&self.from);
                    }
                }
                moved => {
                    fault::point("file_archived");
                    return moved;
                }
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// The copy is renamed when it is on disk, and only then the original is removed.
    fn copy(&self, to: &Path) -> io::Result<()> {
        let copied = disk::copy(&self.from, &self.copy).and_then(|()| {
            fault::point("archive_copied");
            disk::rename_new(&self.copy, to)?;
            to.parent().map_or(Ok(()), disk::sync_folder)?;
            fault::point("archive_named");
            fs::remove_file(&self.from)
        });
        if copied.is_err() {
            // The error to report is the first one; the next attempt removes the copy, too.
            let _ = remove_if_there(&self.copy);
        }
        copied
    }
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn move_of(from: PathBuf, to: PathBuf) -> Move {
        let metadata = fs::metadata(&from).unwrap();
        let modified = DateTime::<Utc>::from(metadata.modified().unwrap()).to_rfc3339();
        let [from, to] = [from, to].map(|path| path.display().to_string());
        Move { from, to, bytes: metadata.len(), modified }
    }

    #[test]
    fn a_taken_name_gets_the_runs_id_and_the_same_content_is_kept_once() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("a.csv.gz"), "two").unwrap();
        fs::write(at("same.csv"), "same").unwrap();
        fs::create_dir(at("done")).unwrap();
        fs::write(at("done/a.csv.gz"), "one").unwrap();
        fs::write(at("done/same.csv"), "same").unwrap();
        let moves = [move_of(at("a.csv.gz"), at("done/a.csv.gz")), move_of(at("same.csv"), at("done/same.csv"))];
        finish_moves("7", &moves).unwrap();
        finish_moves("7", &moves).unwrap();
        assert_eq!(fs::read(at("done/a.csv.gz")).unwrap(), b"one");
        assert_eq!(fs::read(at("done/a-7.csv.gz")).unwrap(), b"two");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(at("done")).unwrap().count(), 3);
    }

    #[test]
    fn a_file_that_arrived_under_the_same_name_after_reading_stays() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("a.csv"), root.path().join("done/a.csv"));
        fs::write(&from, "read").unwrap();
        let moves = [move_of(from.clone(), to.clone())];
        fs::write(&from, "not read").unwrap();
        finish_moves("7", &moves).unwrap();
        assert_eq!(fs::read(&from).unwrap(), b"not read");
        assert!(!to.exists());
    }
}
