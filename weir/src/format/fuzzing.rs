//! The CSV reader, as fuzzers see it.

use super::csv::{Csv, reference::reference};
use super::testing::{Outcome, Reading};
use crate::fuzzing::CsvOutcome;

/// Reads a file in blocks of so many bytes, by so many readers.
pub(crate) fn csv(file: &[u8], columns: usize, block_bytes: usize, readers: usize) -> crate::Result<CsvOutcome> {
    let outcome = Reading::texts(columns).cut(block_bytes, readers).read::<Csv>(file)?;
    Ok(plain(outcome))
}

/// What the rules of CSV make of what stands behind the header.
pub(crate) fn csv_by_the_rules(text: &str, columns: usize) -> CsvOutcome {
    plain(reference(text, columns))
}

fn plain(outcome: Outcome) -> CsvOutcome {
    let Outcome { rows, rejected } = outcome.sorted();
    CsvOutcome { rows, rejected }
}
