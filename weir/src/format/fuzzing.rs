//! The interface of the readers for fuzzers.

use std::sync::Arc;

use super::avro::AvroFiles;
use super::csv::{Csv, CsvForm, Dialect, Head, reference::reference};
use super::fixed_width::FixedWidth;
use super::jsonl::{Jsonl, RecordsPath};
use super::testing::{Outcome, Reading};
use crate::error::Result;
use crate::fuzzing::{self, Format};
use crate::task::ShortLines;

/// Reads a CSV file in blocks of `block_bytes`, with `readers` readers.
pub(crate) fn csv(file: &[u8], columns: usize, block_bytes: usize, readers: usize) -> Result<fuzzing::Outcome> {
    Reading::texts(columns).cut(block_bytes, readers).read::<Csv>(file).map(plain)
}

/// The records after the header by the simple implementation of the rules.
pub(crate) fn csv_by_the_rules(text: &str, columns: usize) -> fuzzing::Outcome {
    plain(reference(text, columns))
}

/// Reads a file of a format in blocks of `block_bytes`, with `readers` readers.
pub(crate) fn file(format: Format, file: &[u8], block_bytes: usize, readers: usize) -> Result<fuzzing::Outcome> {
    let mut reading = Reading::texts(2).cut(block_bytes, readers);
    let without_header = |rules| Csv { rules, head: Head { header: false, skip_lines: 0 } };
    let outcome = match format {
        Format::Escaped => {
            let rules = Dialect {
                delimiter: "\t".to_owned(),
                quote: None,
                escape: Some(b'\\'),
                null_text: Some("\\N".to_owned()),
                ..Dialect::default()
            };
            reading.read_as(without_header(rules), file)
        }
        Format::Report => {
            let rules = Dialect {
                delimiter: "||".to_owned(),
                comment: Some("#".to_owned()),
                trim: true,
                trailing_delimiter: true,
                skip_last: 1,
                ..Dialect::default()
            };
            reading.read_as(without_header(rules), file)
        }
        Format::Jsonl => reading.read::<Jsonl>(file),
        Format::Json => reading.read_as(Jsonl::documents(RecordsPath::default()), file),
        Format::FixedWidth => {
            for (column, characters) in reading.columns.iter_mut().zip(["1-3", "4-"]) {
                Arc::make_mut(column).characters = characters.parse().ok();
            }
            reading.read_as(FixedWidth::new(&CsvForm::default(), true, ShortLines::Reject), file)
        }
        Format::Avro => reading.open_and_read(&[file], |found, declared| AvroFiles::open(found, declared, None)),
    };
    outcome.map(plain)
}

fn plain(outcome: Outcome) -> fuzzing::Outcome {
    let Outcome { rows, rejected } = outcome.sorted();
    fuzzing::Outcome { rows, rejected }
}
