//! Rows become CSV as RFC 4180 has it: straight from string views into a buffer.
//!
//! Null is an empty field and the empty text is `""`, so that what was read is written back as it came.

use std::io::Write;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

/// Appends a header line.
pub(super) fn header<'a>(names: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (i, name) in names.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        text(name.as_bytes(), out);
    }
    out.push(b'\n');
}

/// Appends the chosen rows, or all; gives how many.
pub(super) fn rows(
    batch: &RecordBatch,
    columns: &[usize],
    chosen: Option<&BooleanBuffer>,
    out: &mut Vec<u8>,
) -> Result<u64, ArrowError> {
    let columns = columns.iter().map(|column| Column::new(batch.column(*column))).collect::<Result<Vec<_>, _>>()?;
    let only = columns.len() == 1;
    let mut rows = 0;
    let mut row = |row: usize| {
        let start = out.len();
        for column in &columns {
            column.write(row, out);
            out.push(b',');
        }
        if only && out.len() == start + 1 {
            // A blank line would be passed over when it is read again.
            out.splice(start.., *b"\"\",");
        }
        if let Some(last) = out.last_mut() {
            *last = b'\n';
        }
        rows += 1;
    };
    match chosen {
        Some(chosen) => chosen.set_indices().for_each(&mut row),
        None => (0..batch.num_rows()).for_each(&mut row),
    }
    Ok(rows)
}

/// A column, in the form in which its values are written.
enum Column {
    Text(StringViewArray),
    Boolean(datafusion::arrow::array::BooleanArray),
    /// Text that holds nothing that would have to be quoted: numbers, days, times.
    Plain(StringViewArray),
}

impl Column {
    fn new(column: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match column.data_type() {
            DataType::Utf8View => Self::Text(column.as_string_view().clone()),
            DataType::Boolean => Self::Boolean(column.as_boolean().clone()),
            DataType::Utf8 | DataType::LargeUtf8 => {
                Self::Text(cast(column, &DataType::Utf8View)?.as_string_view().clone())
            }
            _ => Self::Plain(cast(&cast(column, &DataType::Utf8)?, &DataType::Utf8View)?.as_string_view().clone()),
        })
    }

    #[inline(always)]
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text(values) if values.is_valid(row) => {
                let value = values.value(row).as_bytes();
                if value.is_empty() { out.extend_from_slice(b"\"\"") } else { text(value, out) }
            }
            Self::Boolean(values) if values.is_valid(row) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Self::Plain(values) if values.is_valid(row) => out.extend_from_slice(values.value(row).as_bytes()),
            _ => {}
        }
    }
}

/// Appends a text, in quotes where it has to be.
#[inline(always)]
fn text(value: &[u8], out: &mut Vec<u8>) {
    // Without an early end the compiler looks at sixteen bytes at a time.
    let special = |byte: u8| byte == b',' || byte == b'"' || byte == b'\n' || byte == b'\r';
    if value.iter().fold(false, |found, byte| found | special(*byte)) {
        quoted(value, out)
    } else {
        out.extend_from_slice(value)
    }
}

#[cold]
fn quoted(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for part in value.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// A buffer in front of a file: rows collect until there is enough for a large write.
#[derive(Debug)]
pub(super) struct Buffered<W> {
    file: W,
    buffer: Vec<u8>,
    written: u64,
}

/// So much is written at once.
const WRITE_BYTES: usize = 1 << 20;

impl<W: Write> Buffered<W> {
    pub(super) fn new(file: W) -> Self {
        Self { file, buffer: Vec::with_capacity(WRITE_BYTES + (WRITE_BYTES >> 2)), written: 0 }
    }

    /// The buffer, to be appended to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes if there is enough.
    pub(super) fn settle(&mut self) -> std::io::Result<()> {
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left; gives the file and its size.
    pub(super) fn finish(mut self) -> std::io::Result<(W, u64)> {
        self.flush()?;
        Ok((self.file, self.written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{BooleanArray, Date32Array, Int64Array};
    use datafusion::arrow::datatypes::{Field, Schema};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let fields = columns.iter().enumerate().map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true));
        RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
    }

    fn written(batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> String {
        let mut out = Vec::new();
        let columns: Vec<usize> = (0..batch.num_columns()).collect();
        rows(batch, &columns, chosen, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_type_is_written_as_it_is_read() {
        let batch = batch(vec![
            Arc::new(Int64Array::from(vec![Some(-5), None])),
            Arc::new(Date32Array::from(vec![Some(18_993), None])),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(StringViewArray::from(vec![Some(""), None])),
        ]);
        assert_eq!(written(&batch, None), "-5,2022-01-01,true,\"\"\n,,,\n");
    }

    #[test]
    fn only_the_chosen_rows_are_written() {
        let batch = batch(vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]);
        assert_eq!(written(&batch, Some(&BooleanBuffer::from(vec![true, false, true]))), "1\n3\n");
    }

    #[test]
    fn a_null_alone_in_its_row_is_no_blank_line() {
        let batch = batch(vec![Arc::new(StringViewArray::from(vec![None::<&str>]))]);
        assert_eq!(written(&batch, None), "\"\"\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_the_csv_crate_reads(values in proptest::collection::vec(("[a,\"\r\n é]{0,20}", "[a-z,]{0,14}"), 1..20)) {
            let left = StringViewArray::from_iter_values(values.iter().map(|(a, _)| a));
            let right = StringViewArray::from_iter_values(values.iter().map(|(_, b)| b));
            let text = written(&batch(vec![Arc::new(left), Arc::new(right)]), None);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let read: Vec<(String, String)> = reader.deserialize().map(Result::unwrap).collect();
            prop_assert_eq!(read, values);
        }
    }
}
