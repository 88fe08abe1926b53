//! Entry points for the fuzz targets in `fuzz/`; compiled only with the feature `fuzzing`.

use std::path::Path;

use crate::format::fuzzing as source;
use crate::task::{ParamChoice, Task};

/// Result of reading a CSV file, sorted.
#[derive(Debug, PartialEq, Eq)]
pub struct CsvOutcome {
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
pub fn csv(file: &[u8], columns: usize, block_bytes: usize, readers: usize) -> crate::Result<CsvOutcome> {
    source::csv(file, columns, block_bytes, readers)
}

/// The same by a plain and slow reading of the rules, without a header.
pub fn csv_by_the_rules(text: &str, columns: usize) -> CsvOutcome {
    source::csv_by_the_rules(text, columns)
}
