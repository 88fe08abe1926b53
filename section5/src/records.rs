//! The records of a CSV text, each with the line number of its start.

use csv::{ByteRecord, StringRecord};

use crate::columns::Wrong;
use crate::{Error, Result};

/// A reader of records.
pub(crate) struct Records<'t> {
    /// Without a byte order mark, which spreadsheets write.
    text: &'t [u8],
    name: &'t str,
    reader: csv::Reader<&'t [u8]>,
    /// Position up to which lines were counted.
    counted: usize,
    line: u64,
}

impl<'t> Records<'t> {
    /// `name` is the name of the text in errors.
    pub(crate) fn new(text: &'t [u8], name: &'t str) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        Self { text, name, reader, counted: 0, line: 1 }
    }

    /// Reads the next record; returns the number of its first line, from 1, or none at the end.
    pub(crate) fn next(&mut self, record: &mut ByteRecord) -> Result<Option<u64>> {
        let more = self.reader.read_byte_record(record).map_err(|error| Error::Table {
            place: self.name.to_owned(),
            message: error.to_string(),
            help: "it must be a CSV file of cars".to_owned(),
        })?;
        let begin = record.position().map_or(0, |position| position.byte() as usize);
        Ok(more.then(|| self.line_of(begin)))
    }

    /// The reader attributes skipped empty lines to the following record.
    fn line_of(&mut self, mut begin: usize) -> u64 {
        while let Some(b'\n' | b'\r') = self.text.get(begin) {
            begin += 1;
        }
        let new = &self.text[self.counted..begin];
        let ends = |at: usize| new[at] == b'\n' || new[at] == b'\r' && new.get(at + 1) != Some(&b'\n');
        self.line += (0..new.len()).filter(|at| ends(*at)).count() as u64;
        self.counted = begin;
        self.line
    }
}

/// Decodes a record.
pub(crate) fn text(record: &ByteRecord) -> Result<StringRecord, Wrong> {
    StringRecord::from_byte_record(record.clone()).map_err(|_| Wrong {
        column: None,
        message: "the line is not valid UTF-8".to_owned(),
        help: "save the file as UTF-8".to_owned(),
    })
}

/// An error on a line, with its position.
pub(crate) fn at_line(name: &str, line: u64, Wrong { column, message, help }: Wrong) -> Error {
    let column = column.map_or(String::new(), |column| format!(", column {column}"));
    Error::Table { place: format!("{name}, line {line}{column}"), message, help }
}

/// Reads a file.
pub(crate) fn read(path: &std::path::Path, help: &'static str) -> Result<Vec<u8>> {
    let path_name = || path.display().to_string();
    std::fs::read(path).map_err(|error| Error::File { path: path_name(), message: error.to_string(), help })
}
