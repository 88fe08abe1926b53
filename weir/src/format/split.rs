//! Parts of the files of a source, for readers of other processes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::place::FileRecord;

/// What one reader reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Split {
    pub(crate) file: FileRecord,
    pub(crate) part: FilePart,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FilePart {
    Whole,
    Text(TextPart),
    /// Row groups of a Parquet file.
    RowGroups(Range<usize>),
}

/// Whole records of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextPart {
    /// The offset of the first record, in bytes.
    pub(crate) start: u64,
    /// That of the first record after it; none at the end of the text.
    pub(crate) end: Option<u64>,
    /// The lines before it.
    pub(crate) lines: u64,
}
