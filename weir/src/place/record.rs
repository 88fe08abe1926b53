//! Files as they are told to other processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::store::FormerEnd;

/// One version of a file of a folder that several machines have under the same path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) location: PathBuf,
    pub(super) size: u64,
    pub(super) modified: DateTime<Utc>,
    pub(super) former_end: Option<FormerEnd>,
    pub(super) chosen: Option<(String, BTreeMap<String, BTreeSet<u64>>)>,
}

impl FileRecord {
    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The archive that it is a member of.
    pub(crate) fn of_archive(mut self) -> Self {
        // The name of a member is that of the archive, and its own.
        let location = self.location.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(at) = self.name.find(&format!("{location}/")) {
            self.name.truncate(at + location.len());
        }
        self
    }
}
