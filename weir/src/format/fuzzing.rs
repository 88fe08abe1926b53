//! The interface of the CSV reader for fuzzers.

use super::csv::{Csv, reference::reference};
use super::testing::{Outcome, Reading};
use crate::fuzzing::CsvOutcome;

/// Reads a file in blocks of `block_bytes`, with `readers` readers.
pub(crate) fn csv(file: &[u8], columns: usize, block_bytes: usize, readers: usize) -> crate::Result<CsvOutcome> {
    let outcome = Reading::texts(columns).cut(block_bytes, readers).read::<Csv>(file)?;
    Ok(plain(outcome))
}

/// The records after the header by the simple implementation of the rules.
pub(crate) fn csv_by_the_rules(text: &str, columns: usize) -> CsvOutcome {
    plain(reference(text, columns))
}

fn plain(outcome: Outcome) -> CsvOutcome {
    let Outcome { rows, rejected } = outcome.sorted();
    CsvOutcome { rows, rejected }
}
