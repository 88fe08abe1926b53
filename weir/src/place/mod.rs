//! Files and their locations: matched by a pattern, opened in one version, identified by content, moved to an archive.

mod archive;
mod content;
mod find;
mod store;

use std::path::Path;

use object_store::ObjectMeta;

pub(crate) use archive::{Archive, Move, finish_moves};
pub(crate) use content::hashes;
pub(crate) use find::{found, matching};
pub(crate) use store::{Opener, RangeReader, local_path, wait};

use crate::system::disk;

/// A file that a source reads.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    /// The name as the user would write it.
    pub(crate) name: String,
    /// Its location in the store, its size and its version.
    pub(crate) meta: ObjectMeta,
}

impl FoundFile {
    /// Its absolute path, the ledger's key for it, independent of the working directory of a run.
    pub(crate) fn path(&self) -> String {
        disk::absolute(Path::new(&self.name)).display().to_string()
    }

    /// The file at a path, in its current version.
    #[cfg(test)]
    pub(crate) fn at(path: &Path) -> Self {
        let metadata = std::fs::metadata(path).unwrap();
        let location = local_path(path).unwrap();
        let last_modified = metadata.modified().unwrap().into();
        let meta = ObjectMeta { location, last_modified, size: metadata.len(), e_tag: None, version: None };
        Self { name: path.display().to_string(), meta }
    }

    /// Its modification time, as the ledger has it.
    pub(crate) fn modified(&self) -> String {
        self.meta.last_modified.to_rfc3339()
    }
}
