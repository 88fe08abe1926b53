//! Rows as text for a reader: samples of reasons, in the summary, the log, the report and error messages.

use std::fmt;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};

use crate::error::printable;

/// Characters of a row that are shown.
const ROW_CHARACTERS: usize = 120;
/// Characters of a raw record that are shown.
const RECORD_CHARACTERS: usize = 80;

/// A row, a record or a key as text, shortened, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Shown(String);

impl Shown {
    /// The values of some columns of a row.
    pub(crate) fn row(batch: &RecordBatch, columns: &[usize], row: usize) -> Result<Self, ArrowError> {
        let values = columns.iter().map(|column| value(batch.column(*column), row)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(shortened(&values.join(", "), ROW_CHARACTERS)))
    }

    /// A record of a file, as it stands there.
    pub(crate) fn record(file: &str, line: u64, raw: &str) -> Self {
        let mut text = shortened(raw, RECORD_CHARACTERS);
        if raw.chars().nth(RECORD_CHARACTERS).is_some() {
            text.push('…');
        }
        Self(format!("{file}:{line}: {text}"))
    }

    /// The values of a key, whose columns these are.
    pub(crate) fn key(columns: &[ArrayRef], row: usize) -> Result<Self, ArrowError> {
        let values = columns.iter().map(|column| value(column, row)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(printable(&values.join(", "))))
    }

    /// The message of an error that one row has caused, which may hold a value of it.
    pub(crate) fn message(text: &str) -> Self {
        Self(printable(text))
    }

    /// Several, for one line.
    pub(crate) fn joined(samples: &[Self]) -> String {
        samples.iter().map(|sample| sample.0.as_str()).collect::<Vec<_>>().join(" | ")
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Shown> for String {
    fn from(shown: Shown) -> Self {
        shown.0
    }
}

fn value(column: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    Ok(ArrayFormatter::try_new(column, &FormatOptions::default())?.value(row).to_string())
}

fn shortened(text: &str, characters: usize) -> String {
    printable(&text.chars().take(characters).collect::<String>())
}
