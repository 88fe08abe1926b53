//! Data that is no file yet: it is written to the scratch folder of the run, and read there as a file is.

use std::path::Path;

use super::{FoundFile, Move};
use crate::error::{Error, Result};
use crate::system::stop::Stop;

/// Where data goes that arrives in a run.
pub(crate) struct Arrival<'a> {
    /// The scratch folder of the run.
    pub(crate) scratch: &'a Path,
    /// When it is not wanted any more.
    pub(crate) stop: &'a Stop,
}

/// The file that arrived, by the name that the user knows and the one that the ledger keeps.
pub(super) fn arrived(file: &Path, name: String, path: String) -> Result<FoundFile> {
    Ok(super::found(name, file)?.known_as(path))
}

/// The error of a disk that does not take what arrives.
pub(super) fn not_kept(name: &str, error: std::io::Error) -> Error {
    Error::input(
        name,
        format!("cannot be written to the scratch folder: {error}"),
        "free some space; then run it again",
    )
}

/// What arrives can be moved nowhere.
pub(super) fn no_archive(what: &str) -> String {
    format!("{what} cannot be moved to an archive")
}

/// The ledger has no moves of what arrives.
pub(super) fn no_moves(moves: &[Move]) -> Result<()> {
    match moves.first() {
        None => Ok(()),
        Some(of) => Err(Error::internal(format!("{} is no file that could be moved", of.from))),
    }
}
