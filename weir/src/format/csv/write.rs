//! Writes rows as CSV (RFC 4180): directly from string views into a buffer.
//!
//! Null is an empty field and the empty text is `""`, so that values survive a round trip.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m128i;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use memchr::memmem;

use super::style::{BYTE_ORDER_MARK, Style, Unwritable};
use crate::function::encode::{Column, MAX_ROOM, Special, has_any, mask, push_lowest, push_plain};

/// The form in which values are written.
pub(crate) trait Form {
    /// What separates the values of a row.
    fn delimiter(&self) -> &[u8];

    /// What ends a row.
    fn line_end(&self) -> &[u8];

    /// What encloses a value.
    fn quote(&self) -> Option<u8>;

    /// Appends a row's value.
    fn value(&self, column: &Column, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable>;

    /// Appends a text.
    fn text(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable>;
}

/// The number of rows, or the column with a value that cannot be written, if it is known, and why.
pub(crate) type Written = Result<u64, (Option<usize>, Unwritable)>;

/// Appends a header line.
pub(crate) fn header<F: Form>(form: &F, names: &[impl AsRef<str>], out: &mut Vec<u8>) -> Result<(), Unwritable> {
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(form.delimiter());
        }
        form.text(name.as_ref().as_bytes(), out)?;
    }
    out.extend_from_slice(form.line_end());
    Ok(())
}

/// Appends the chosen rows, or all. No row is written as the header is.
pub(crate) fn rows<F: Form>(
    form: &F,
    batch: &RecordBatch,
    columns: &[usize],
    chosen: Option<&BooleanBuffer>,
    header: &[u8],
    out: &mut Vec<u8>,
) -> Result<Written, ArrowError> {
    let columns = columns.iter().map(|column| Column::new(batch.column(*column))).collect::<Result<Vec<_>, _>>()?;
    let only = columns.len() == 1;
    let mut rows = 0;
    let mut failed = None;
    // Space for a typical batch, so that single values need not reserve any.
    out.reserve(columns.iter().map(|column| column.length() + batch.num_rows() * SLACK).sum::<usize>().min(MAX_ROOM));
    let mut row = |row: usize| {
        let start = out.len();
        for (i, column) in columns.iter().enumerate() {
            if let Err(what) = form.value(column, row, out) {
                failed.get_or_insert((Some(i), what));
            }
            out.extend_from_slice(form.delimiter());
        }
        out.truncate(out.len() - form.delimiter().len());
        if only && out.len() == start {
            // A blank line would be skipped when it is read again.
            match form.quote() {
                Some(quote) => out.extend_from_slice(&[quote, quote]),
                None => _ = failed.get_or_insert((Some(0), Unwritable::Blank)),
            }
        }
        out.extend_from_slice(form.line_end());
        if out[start..] == *header || out[start..].starts_with(BYTE_ORDER_MARK) {
            enclose_first(form, start, out);
        }
        rows += 1;
    };
    match chosen {
        Some(chosen) => chosen.set_indices().for_each(&mut row),
        None => (0..batch.num_rows()).for_each(&mut row),
    }
    Ok(failed.map_or(Ok(rows), Err))
}

/// Encloses the first value of a row in quotes, so that the row does not look like the beginning of a file.
#[cold]
fn enclose_first<F: Form>(form: &F, start: usize, out: &mut Vec<u8>) {
    let Some(quote) = form.quote().filter(|quote| out[start] != *quote) else { return };
    let row = &out[start..out.len() - form.line_end().len()];
    let end = start + memmem::find(row, form.delimiter()).unwrap_or(row.len());
    out.insert(end, quote);
    out.insert(start, quote);
}

/// The column of a batch with a character.
pub(crate) fn column_with(
    batch: &RecordBatch,
    columns: &[usize],
    character: char,
) -> Result<Option<usize>, ArrowError> {
    for (i, column) in columns.iter().enumerate() {
        if let Column::Text(values) = Column::new(batch.column(*column))?
            && values.iter().flatten().any(|text| text.contains(character))
        {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// Whether values of a type can be written as CSV and read again.
pub(crate) fn can_hold(kind: &DataType) -> bool {
    Column::takes(kind)
}

/// RFC 4180.
pub(crate) struct Rfc4180;

impl Form for Rfc4180 {
    #[inline(always)]
    fn delimiter(&self) -> &[u8] {
        b","
    }

    #[inline(always)]
    fn line_end(&self) -> &[u8] {
        b"\n"
    }

    #[inline(always)]
    fn quote(&self) -> Option<u8> {
        Some(b'"')
    }

    #[inline(always)]
    fn value(&self, column: &Column, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        match column {
            Column::Text(values) if values.is_valid(row) => {
                let view = values.views()[row];
                match view as u32 {
                    0 => out.extend_from_slice(b"\"\""),
                    length @ 1..=12 if mask::<Csv>(view >> 32) == 0 => push_lowest(view >> 32, length as usize, out),
                    _ => text(values.value(row).as_bytes(), out),
                }
            }
            Column::Boolean(values) if values.is_valid(row) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Column::Number(values) | Column::Time(values) if values.is_valid(row) => {
                push_plain(values, row, out);
            }
            _ => {}
        }
        Ok(())
    }

    #[inline(always)]
    fn text(&self, value: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
        text(value, out);
        Ok(())
    }
}

impl Form for Style {
    fn delimiter(&self) -> &[u8] {
        self.delimiter.as_bytes()
    }

    fn line_end(&self) -> &[u8] {
        self.line_end.as_bytes()
    }

    fn quote(&self) -> Option<u8> {
        self.quote
    }

    fn value(&self, column: &Column, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        Style::value(self, column, row, out)
    }

    fn text(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
        Style::text(self, text, out)
    }
}

/// Bytes per value in addition to its own: a comma.
const SLACK: usize = 1;

/// The characters that need quoting: commas, quotes and line ends.
struct Csv;

impl Special for Csv {
    fn has(byte: u8) -> bool {
        matches!(byte, b',' | b'"' | b'\n' | b'\r')
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn find(bytes: __m128i) -> __m128i {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_or_si128, _mm_set1_epi8};
        // SAFETY: SSE2 is part of x86_64.
        unsafe {
            let find = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
            _mm_or_si128(_mm_or_si128(find(b','), find(b'"')), _mm_or_si128(find(b'\n'), find(b'\r')))
        }
    }
}

/// Appends a text, quoted if necessary.
#[inline(always)]
fn text(value: &[u8], out: &mut Vec<u8>) {
    if has_any::<Csv>(value) { quoted(value, out) } else { out.extend_from_slice(value) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, StringViewArray};
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
        rows(&Rfc4180, batch, &columns, chosen, &[], &mut out).unwrap().unwrap();
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
    fn a_null_alone_in_its_row_is_not_a_blank_line() {
        let batch = batch(vec![Arc::new(StringViewArray::from(vec![None::<&str>]))]);
        assert_eq!(written(&batch, None), "\"\"\n");
    }

    proptest! {
        #[test]
        fn special_characters_are_found_at_every_position(value in "[a-z\\-é]{0,40}", at in 0usize..40, with in 0usize..4) {
            prop_assert!(!has_any::<Csv>(value.as_bytes()));
            let mut value = value.into_bytes();
            value.insert(at.min(value.len()), b",\"\n\r"[with]);
            prop_assert!(has_any::<Csv>(&value));
            let mut sixteen = [b'x'; 16];
            sixteen[at % 16] = b",\"\n\r"[with];
            prop_assert_eq!(mask::<Csv>(u128::from_le_bytes(sixteen)), 1 << (at % 16));
        }

        #[test]
        fn the_csv_crate_reads_what_is_written(values in proptest::collection::vec(("[a,\"\r\n é]{0,20}", "[a-z,]{0,14}"), 1..20)) {
            let left = StringViewArray::from_iter_values(values.iter().map(|(a, _)| a));
            let right = StringViewArray::from_iter_values(values.iter().map(|(_, b)| b));
            let text = written(&batch(vec![Arc::new(left), Arc::new(right)]), None);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let read: Vec<(String, String)> = reader.deserialize().map(Result::unwrap).collect();
            prop_assert_eq!(read, values);
        }
    }
}
