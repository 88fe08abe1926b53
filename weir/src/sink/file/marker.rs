//! The marker of a file: which run wrote it, and what it left.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is known of a file that a run has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The task and its environment.
    pub(super) task: String,
    pub(super) sink: String,
    pub(super) run: String,
    pub(super) rows: u64,
    /// The file as the run left it.
    pub(super) content: Version,
    /// The file that it replaces: if the run died between the renames of the marker and of the file, this one is still there.
    pub(super) former: Option<Version>,
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    bytes: u64,
    modified: String,
}

impl Version {
    /// The version that a file is in now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { bytes: metadata.len(), modified: DateTime::<Utc>::from(metadata.modified()?).to_rfc3339() })
    }

    /// The same, if there is a file.
    pub(super) fn if_there(path: &Path) -> io::Result<Option<Self>> {
        match Self::of(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            version => version.map(Some),
        }
    }
}

impl Marker {
    /// The place of a file's marker.
    pub(super) fn path_of(target: &Path) -> PathBuf {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        target.with_file_name(format!(".{name}.weir-success"))
    }

    /// Reads a marker, if there is one.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it to a new file, to last.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let mut file = File::create_new(path)?;
        file.write_all(&text)?;
        file.sync_all()
    }
}
