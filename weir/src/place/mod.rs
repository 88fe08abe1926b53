//! Where files are: found by a pattern, opened in one version, identified by content, moved to an archive.
//!
//! Each kind of file system is a module of its own, and a line in [`KINDS`]: `local`, `object`, `stdin`, `http`. What
//! arrives from the latter two becomes a file in the scratch folder (`arriving`). `store` reads a file by ranges and
//! `content` hashes it, whatever file system it is on; `pattern` has what patterns of paths have in common.

mod arriving;
mod content;
#[cfg(feature = "http")]
mod http;
mod local;
#[cfg(feature = "object-stores")]
mod object;
mod pattern;
mod record;
mod stdin;
mod store;

use std::ffi::OsStr;
use std::fmt::Debug;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

pub(crate) use arriving::Arrival;
pub(crate) use content::{former_end, hashes};
pub(crate) use local::found;
#[cfg(feature = "object-stores")]
pub(crate) use object::{Failure, ObjectUrl, Store};
pub(crate) use record::FileRecord;
pub(crate) use stdin::is_stdin;
pub(crate) use store::{ChosenRecords, FoundFile, RangeReader, map, wait};

use crate::error::{Error, Result};
use crate::system::disk;
use crate::system::path_text::path_of;
use crate::task::{Project, Task};

/// A file system, or an object store.
#[async_trait]
pub(crate) trait FileSystem: Debug + Send + Sync {
    /// Fails if a pattern is not valid.
    fn check(&self, pattern: &str) -> Result<(), String>;

    /// The files that match a pattern, sorted by name, without hidden ones. One that matches and cannot be accessed is an
    /// error: skipping it would lose its rows.
    async fn find(&self, pattern: &str, arrival: &Arrival<'_>) -> Result<Vec<FoundFile>>;

    /// Whether to find the files is to read them, which only a run does.
    fn arrives(&self) -> bool {
        false
    }

    /// A path or pattern as messages have it.
    fn shown(&self, pattern: &str) -> String {
        pattern.to_owned()
    }

    /// The error of a source that needs a file, where none is found.
    fn nothing_found(&self, pattern: &str, source: &str) -> Error {
        Error::input(
            disk::absolute(Path::new(pattern)).display(),
            format!("no file matches, but source `{source}` needs one"),
            "check the path (a relative one starts from the folder of the task file, or from `base_folder`), or specify \
             `if_missing: skip` or `empty`",
        )
    }

    /// A folder to which the files that match the pattern are moved once they are read. Fails if they would be found there
    /// again.
    fn archive(&self, pattern: &str, folder: &str) -> Result<Box<dyn Archive>, String>;

    /// Moves files that a run has read, if they are not moved yet, and makes that durable. Safe to repeat after a crash at
    /// any point. A file that has changed since it was read stays.
    async fn finish_moves(&self, run: &str, moves: &[Move]) -> Result<()>;

    /// Removes files that a run has moved. One that has changed since then stays. Returns how many were removed.
    async fn remove_archived(&self, run: &str, moves: &[Move]) -> Result<u64>;
}

/// A folder to which the files of a source are moved after the run that has read them is published.
pub(crate) trait Archive: Debug + Send + Sync {
    /// The folder, as an absolute path.
    fn folder(&self) -> &Path;

    /// The destination of a file.
    fn destination(&self, file: &FoundFile) -> String;

    /// Fails if the files could not be moved there now. Nothing is changed.
    fn check(&self, files: &[&FoundFile]) -> Result<()>;
}

/// A file to move. The ledger has it before the commit record.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    /// Its path when it was read.
    pub(crate) from: String,
    pub(crate) to: String,
    /// Its size then, and its version, as the ledger has it: a file that arrives under the same name is another one.
    pub(crate) bytes: u64,
    pub(crate) modified: String,
}

/// A kind of file system.
struct Kind {
    /// What it holds, in messages.
    name: &'static str,
    /// Whether a path or pattern is one of this kind.
    holds: fn(&str) -> bool,
    /// Its settings are those of the project.
    open: fn(&Project) -> Arc<dyn FileSystem>,
}

/// All kinds of file systems.
const KINDS: &[Kind] = &[
    local::KIND,
    #[cfg(feature = "object-stores")]
    object::KIND,
    stdin::KIND,
    #[cfg(feature = "http")]
    http::KIND,
];

/// The file system of a path or pattern.
pub(crate) fn file_system(task: &Task, location: &str) -> Result<Arc<dyn FileSystem>, String> {
    let kind = KINDS.iter().find(|kind| (kind.holds)(location));
    let known = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    // A URL may have secrets.
    let shown = location.split_once("://").map_or(location, |(scheme, _)| scheme);
    kind.map(|kind| (kind.open)(&task.project)).ok_or_else(|| format!("`{shown}`: only {} can be read", known()))
}

/// Fails if no object could be written to the folder of a URL, and removed; or, if asked, on condition of what is there.
pub(crate) async fn try_writing(project: &Project, folder: &str, conditional: bool) -> Result<()> {
    #[cfg(feature = "object-stores")]
    return object::try_writing(project, folder, conditional).await;
    #[cfg(not(feature = "object-stores"))]
    return Err(without_objects(project, &format!("{folder} ({conditional})")));
}

/// Brings an object to a local file.
pub(crate) async fn fetch(project: &Project, url: &str, to: &Path) -> Result<()> {
    #[cfg(feature = "object-stores")]
    return object::fetch(project, url, to).await;
    #[cfg(not(feature = "object-stores"))]
    return Err(without_objects(project, &format!("{url} -> {}", to.display())));
}

#[cfg(not(feature = "object-stores"))]
fn without_objects(_: &Project, what: &str) -> Error {
    Error::input(what, "this program was built without object stores", "build it with the feature `object-stores`")
}

/// Whether a file is still at a path of the ledger: one of as many bytes. One that cannot be looked for, such as a URL, counts
/// as there.
pub(crate) fn is_there(path: &str, bytes: u64) -> bool {
    let path = path_of(path);
    match std::fs::metadata(&path) {
        Ok(found) => found.len() == bytes,
        Err(error) => !path.is_absolute() || error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Moves files that a run has read to their archives.
pub(crate) async fn finish_moves(project: &Project, run: &str, moves: &[Move]) -> Result<()> {
    for (file_system, moves) in by_file_system(project, moves) {
        file_system.finish_moves(run, &moves).await?;
    }
    Ok(())
}

/// Removes files that a run has moved to their archives. Returns how many were removed.
pub(crate) async fn remove_archived(project: &Project, run: &str, moves: &[Move]) -> Result<u64> {
    let mut removed = 0;
    for (file_system, moves) in by_file_system(project, moves) {
        removed += file_system.remove_archived(run, &moves).await?;
    }
    Ok(removed)
}

fn by_file_system(project: &Project, moves: &[Move]) -> Vec<(Arc<dyn FileSystem>, Vec<Move>)> {
    let of_kind = |kind: &Kind| {
        let moves: Vec<Move> = moves.iter().filter(|of| (kind.holds)(&of.from)).cloned().collect();
        (!moves.is_empty()).then(|| ((kind.open)(project), moves))
    };
    KINDS.iter().filter_map(of_kind).collect()
}

/// The name with the run's id before its suffixes.
fn with_run(path: &Path, run: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let at = name.iter().skip(1).position(|byte| *byte == b'.').map_or(name.len(), |at| at + 1);
    let (stem, endings) = name.split_at(at);
    path.with_file_name(OsStr::from_bytes(&[stem, b"-", run.as_bytes(), endings].concat()))
}
