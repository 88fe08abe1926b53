//! What a part of a source has come to, as whoever has read it to its end writes it.
//!
//! It is a function of the part alone. A part that was read twice, by two attempts, has one receipt, and it does not matter
//! whose.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result, state_io};
use crate::route::RouteCounts;
use crate::sink::Written;
use crate::system::{disk, unique};

/// What a part of a source has come to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SplitReceipt {
    /// The rows that were read, without those that were rejected.
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) counts: RouteCounts,
    /// What was found that matters for all parts.
    pub(super) found: Value,
    /// The parts of sinks with its unreadable records, with the positions of their sinks.
    pub(super) parts: Vec<(usize, Written)>,
}

impl SplitReceipt {
    /// Writes the receipt of a part.
    pub(super) fn write(&self, folder: &Path, split: usize) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|error| Error::internal(format!("a receipt: {error}")))?;
        let to = path(folder, split);
        let own = to.with_extension(unique());
        // The folder is made by the client, and is gone when nobody waits for the receipt.
        let written = std::fs::write(&own, text).and_then(|()| {
            disk::sync_file(&own)?;
            std::fs::rename(&own, &to)
        });
        written.map_err(state_io(&to))
    }

    /// The receipt of a part; none if nobody has read it to its end.
    pub(super) fn read(folder: &Path, split: usize) -> Result<Option<Self>> {
        let path = path(folder, split);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(state_io(&path))?,
        };
        let receipt = serde_json::from_slice(&text);
        receipt.map(Some).map_err(|error| Error::internal(format!("{}: {error}", path.display())))
    }

    /// Whether there is one.
    pub(super) fn is_there(folder: &Path, split: usize) -> bool {
        path(folder, split).exists()
    }
}

fn path(folder: &Path, split: usize) -> PathBuf {
    folder.join(format!("{split}.json"))
}
