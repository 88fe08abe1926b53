//! Entry points for the fuzz targets in `fuzz/`; compiled only with the feature `fuzzing`.

use std::path::Path;

use crate::format::fuzzing as source;
use crate::task::{ParamChoice, Task};

/// Result of reading a file, sorted.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rows; no text is null.
    pub rows: Vec<Vec<Option<String>>>,
    /// The records that could not be read: line, text, reason.
    pub rejected: Vec<(u64, String, String)>,
}

/// Reads a task file, as `weir validate` does before it looks at the SQL.
pub fn task_file(text: &str) -> crate::Result<()> {
    Task::parse(Path::new("task.yaml"), text.to_owned(), &ParamChoice::default()).map(|_| ())
}

/// Reads a CSV file with the columns `c0`, `c1` and so on, all of them text, in blocks of
/// `block_bytes` bytes, by `readers` readers.
pub fn csv(file: &[u8], columns: usize, block_bytes: usize, readers: usize) -> crate::Result<Outcome> {
    source::csv(file, columns, block_bytes, readers)
}

/// The format of a file.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// CSV as MySQL writes it: tabs, a backslash before what is special, `\N` for null.
    Escaped,
    /// CSV whose columns have several characters between them, with comments and a line of totals at the end.
    Report,
    /// JSON Lines.
    Jsonl,
    /// JSON documents.
    Json,
    /// Lines whose columns are their first three characters and the others.
    FixedWidth,
    /// Avro.
    Avro,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Escaped, Self::Report, Self::Jsonl, Self::Json, Self::FixedWidth, Self::Avro];
}

/// Reads a file with the columns `c0` and `c1`, both of them text, in blocks of `block_bytes` bytes, by `readers` readers. An
/// error is that of a file that cannot be read.
pub fn file(format: Format, file: &[u8], block_bytes: usize, readers: usize) -> crate::Result<Outcome> {
    source::file(format, file, block_bytes, readers)
}

/// The same by a plain and slow reading of the rules, without a header.
pub fn csv_by_the_rules(text: &str, columns: usize) -> Outcome {
    source::csv_by_the_rules(text, columns)
}
