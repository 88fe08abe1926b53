//! The first rows of a file, as a file of the same form.

use std::fs::File;
use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[cfg(feature = "avro")]
use super::avro;
use super::input::{Input, open, unreadable};
use super::json;
use super::sniff::{Dialect, Form};
use crate::error::{Error, Result};

/// The number of rows.
pub(super) const ROWS: usize = 10;

/// The maximum length of the beginning in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The first rows of the first file, decompressed, and what stands before them.
pub(super) fn beginning(input: &Input) -> Result<Vec<u8>> {
    let file = &input.first;
    match &input.form {
        Form::Csv(dialect) => Ok(csv(&text(file)?, dialect).to_vec()),
        Form::Jsonl => Ok(lines(&text(file)?, ROWS, b"\n").to_vec()),
        Form::Json(path) => Ok(document(&json::records(file, Some(path))?.read(0, MAX_BYTES)?.0, path)),
        Form::Parquet => parquet(file),
        #[cfg(feature = "avro")]
        Form::Avro => avro::sample(file),
        // The whole: nothing here writes workbooks.
        Form::Excel(_) => std::fs::read(file).map_err(|error| unreadable(file, error)),
        Form::Other(what, _) => Err(Error::internal(format!("{what} has no sample"))),
    }
}

fn text(file: &Path) -> Result<bytes::Bytes> {
    Ok(open(file)?.read(0, MAX_BYTES)?.0)
}

fn csv<'a>(text: &'a [u8], dialect: &Dialect) -> &'a [u8] {
    let line_end: &[u8] = match dialect.encoding {
        Some("UTF-16LE") => b"\n\0",
        Some("UTF-16BE") => b"\0\n",
        _ => b"\n",
    };
    lines(text, dialect.sample_lines(), line_end)
}

/// The first lines of a text. A line end of two bytes begins at an even place.
fn lines<'a>(text: &'a [u8], count: usize, line_end: &[u8]) -> &'a [u8] {
    let ends = text.chunks_exact(line_end.len()).enumerate().filter(|(_, unit)| *unit == line_end);
    match ends.map(|(at, _)| (at + 1) * line_end.len()).nth(count.saturating_sub(1)) {
        Some(end) if count > 0 => &text[..end],
        _ => text,
    }
}

/// A document with the first records, which are lines.
fn document(records: &[u8], path: &[String]) -> Vec<u8> {
    let records = String::from_utf8_lossy(lines(records, ROWS, b"\n"));
    // A record that is longer than what was read is none.
    let whole: Vec<&str> = records.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).collect();
    let key = |key: &String| format!("{{{}: ", serde_json::Value::from(key.as_str()));
    let (before, after): (String, String) = (path.iter().map(key).collect(), "}".repeat(path.len()));
    format!("{before}[\n{}\n]{after}\n", whole.join(",\n")).into_bytes()
}

fn parquet(path: &Path) -> Result<Vec<u8>> {
    let damaged = |error: &dyn std::fmt::Display| Error::input(path.display(), error, "write the complete file again");
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let schema = reader.schema().clone();
    let reader = reader.with_limit(ROWS).build().map_err(|error| damaged(&error))?;
    let mut written = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut written, schema, None).map_err(|error| damaged(&error))?;
    for rows in reader {
        writer.write(&rows.map_err(|error| damaged(&error))?).map_err(|error| damaged(&error))?;
    }
    writer.close().map_err(|error| damaged(&error))?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_end_at_a_line_end() {
        assert_eq!(lines(b"a\nb\nc", 2, b"\n"), b"a\nb\n");
        assert_eq!(lines(b"a\nb", 9, b"\n"), b"a\nb");
        assert_eq!(lines(b"\n\x01\n\0b\0", 1, b"\n\0"), b"\n\x01\n\0");
    }
}
