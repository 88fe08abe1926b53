//! A block of whole records becomes a batch of string views that point into the block: no value is copied.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StringViewArray, make_view,
};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use memchr::{memchr, memchr_iter};

use super::records::{Marks, QuotedEnd, line_end, quoted_end};

/// What the fields of one file's records mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// For each field of a record, in the file's order, the column of the batch that takes it.
    pub(super) targets: Vec<Option<usize>>,
}

/// What is the same for all files of a scan.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The columns that the scan gives.
    pub(super) schema: SchemaRef,
    /// Texts that stand for null.
    pub(super) null_values: Arc<[String]>,
    /// Records longer than this are rejected.
    pub(super) max_record: usize,
}

/// A block, parsed.
pub(super) struct Parsed {
    /// The rows that could be read.
    pub(super) batch: RecordBatch,
    /// The records that could not.
    pub(super) rejected: Vec<Rejected>,
    /// Line feeds in the block.
    pub(super) lines: u64,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected {
    /// Line feeds in the block before it.
    pub(super) line: u64,
    /// The record as it came, without its line end.
    pub(super) raw: Bytes,
    /// Why.
    pub(super) reason: String,
}

/// Parses a block of whole records.
pub(super) fn parse(block: Bytes, layout: &Layout, shape: &Shape) -> Result<Parsed, ArrowError> {
    let is_utf8 = simdutf8::basic::from_utf8(&block).is_ok();
    let mut reader = Reader::new(&block, layout, shape, is_utf8);
    reader.read();
    let Reader { columns, rows, spans, rejected, lines, extra, .. } = reader;
    let buffers: Arc<[Buffer]> = match extra.is_empty() {
        true => Arc::new([Buffer::from(block.clone())]),
        false => Arc::new([Buffer::from(block.clone()), Buffer::from_vec(extra)]),
    };
    let texts = columns.into_iter().map(|column| column.finish(rows, buffers.clone())).collect();
    let parsed = Parsed { batch: batch(shape.schema.clone(), texts, rows)?, rejected, lines };
    cast(parsed, &spans, &block, shape)
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let text = match schema.fields().iter().all(|field| field.data_type() == &DataType::Utf8View) {
        true => schema,
        false => Arc::new(datafusion::arrow::datatypes::Schema::new(
            schema.fields().iter().map(|f| f.as_ref().clone().with_data_type(DataType::Utf8View)).collect::<Vec<_>>(),
        )),
    };
    RecordBatch::try_new_with_options(text, columns, &RecordBatchOptions::new().with_row_count(Some(rows)))
}

/// Gives every column its declared type. A text that does not fit makes its record a rejected one.
fn cast(parsed: Parsed, spans: &[Span], block: &Bytes, shape: &Shape) -> Result<Parsed, ArrowError> {
    if parsed.batch.schema_ref() == &shape.schema {
        return Ok(parsed);
    }
    let Parsed { batch, mut rejected, lines } = parsed;
    let mut misfits: Vec<Option<String>> = Vec::new();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (text, field) in batch.columns().iter().zip(shape.schema.fields()) {
        let typed = cast_with_options(text, field.data_type(), &CastOptions { safe: true, ..Default::default() })?;
        let text = text.as_string_view();
        let misfit = |row: &usize| {
            text.is_valid(*row) && (typed.is_null(*row) || !has_form(field.data_type(), text.value(*row)))
        };
        for row in (0..text.len()).filter(misfit) {
            misfits.resize(text.len(), None);
            let reasons: &mut String = misfits[row].get_or_insert_default();
            if !reasons.is_empty() {
                reasons.push(';');
            }
            reasons.push_str("invalid_");
            reasons.push_str(field.name());
        }
        columns.push(typed);
    }
    let batch = RecordBatch::try_new(shape.schema.clone(), columns)?;
    if misfits.is_empty() {
        return Ok(Parsed { batch, rejected, lines });
    }
    let kept = BooleanArray::new(BooleanBuffer::from_iter(misfits.iter().map(Option::is_none)), None);
    for (span, reason) in spans.iter().zip(misfits) {
        if let Some(reason) = reason {
            rejected.push(Rejected {
                line: span.line,
                raw: block.slice(span.start as usize..span.end as usize),
                reason,
            });
        }
    }
    rejected.sort_by_key(|rejected| rejected.line);
    Ok(Parsed { batch: filter_record_batch(&batch, &kept)?, rejected, lines })
}

/// Whether a text has the one form in which values of a type are written. The conversion is more generous: it takes
/// `ye` for true, rounds 1.005 to two digits, and moves a time with an offset to another day.
fn has_form(kind: &DataType, text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        DataType::Boolean => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        DataType::Date32 => text.len() == 10 && text.split('-').map(str::len).eq([4, 2, 2]),
        DataType::Float64 => text.parse::<f64>().is_ok_and(f64::is_finite),
        DataType::Timestamp(..) => {
            let (seconds, fraction) = (text.get(17..19), text.get(20..).unwrap_or_default());
            seconds != Some("60")
                && fraction.len() <= 6
                && text.get(10..).is_none_or(|t| !t.contains(['+', '-', 'Z', 'z']))
        }
        DataType::Decimal128(_, scale) => match text.split_once('.') {
            None => true,
            Some((_, fraction)) => digits(fraction) && fraction.trim_end_matches('0').len() <= *scale as usize,
        },
        _ => true,
    }
}

/// Where a row's record stands in the block.
struct Span {
    start: u32,
    end: u32,
    line: u64,
}

/// The views of one column.
#[derive(Default)]
struct Column {
    views: Vec<u128>,
    nulls: Vec<u32>,
}

impl Column {
    fn finish(self, rows: usize, buffers: Arc<[Buffer]>) -> ArrayRef {
        let nulls = (!self.nulls.is_empty()).then(|| {
            let mut valid = datafusion::arrow::array::BooleanBufferBuilder::new(rows);
            valid.append_n(rows, true);
            self.nulls.iter().for_each(|row| valid.set_bit(*row as usize, false));
            NullBuffer::new(valid.finish())
        });
        // SAFETY: every view was made by `Reader::view` from a range of the block or of `extra`, the buffers 0
        // and 1; both are valid UTF-8 there, and the ranges begin and end next to ASCII bytes.
        Arc::new(unsafe { StringViewArray::new_unchecked(ScalarBuffer::from(self.views), buffers, nulls) })
    }
}

struct Reader<'a> {
    data: &'a [u8],
    block: &'a Bytes,
    layout: &'a Layout,
    shape: &'a Shape,
    is_utf8: bool,
    keep_spans: bool,
    columns: Vec<Column>,
    rows: usize,
    spans: Vec<Span>,
    rejected: Vec<Rejected>,
    lines: u64,
    /// Texts that had to be unescaped: the second buffer of the views.
    extra: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(block: &'a Bytes, layout: &'a Layout, shape: &'a Shape, is_utf8: bool) -> Self {
        let fields = shape.schema.fields();
        let rows = block.len() / (8 * layout.targets.len().max(1));
        let column = || Column { views: Vec::with_capacity(rows), nulls: Vec::new() };
        Self {
            data: block,
            block,
            layout,
            shape,
            is_utf8,
            keep_spans: fields.iter().any(|field| field.data_type() != &DataType::Utf8View),
            columns: fields.iter().map(|_| column()).collect(),
            rows: 0,
            spans: Vec::new(),
            rejected: Vec::new(),
            lines: 0,
            extra: Vec::new(),
        }
    }

    fn read(&mut self) {
        let data = self.data;
        let mut marks = Marks::new(data);
        let mut record = 0; // where the record begins
        let mut start = 0; // where the field begins
        let mut field = 0; // which field of the record it is
        let mut lines_in_record = 0;
        while record < data.len() {
            let mark = marks.next().unwrap_or(data.len());
            match data.get(mark) {
                Some(b',') => {
                    self.plain(field, start, mark);
                    (start, field) = (mark + 1, field + 1);
                }
                Some(b'"') if mark == start => {
                    match quoted_end(data, record, start + 1, true, self.shape.max_record) {
                        QuotedEnd::Closed(closing) => {
                            lines_in_record += memchr_iter(b'\n', &data[start..closing]).count() as u64;
                            self.quoted(field, start + 1, closing);
                            // What follows is a comma or the record's end: the empty rest of the field is passed over.
                            marks.skip_to(closing + 1);
                            let next = marks.next().unwrap_or(data.len());
                            if data.get(next) == Some(&b',') {
                                (start, field) = (next + 1, field + 1);
                            } else {
                                self.end_record(record, next, field + 1, lines_in_record);
                                (record, start, field, lines_in_record) = (next + 1, next + 1, 0, 0);
                            }
                        }
                        QuotedEnd::Broken | QuotedEnd::Unknown => {
                            let next = line_end(data, record).unwrap_or(data.len());
                            self.reject(record, next, "invalid_quotes");
                            self.lines += u64::from(data[next - 1] == b'\n');
                            marks.restart(next);
                            (record, start, field, lines_in_record) = (next, next, 0, 0);
                        }
                    }
                }
                Some(b'"') => {} // a quote inside a plain field is text
                _ => {
                    let end = if mark > start && data[mark - 1] == b'\r' { mark - 1 } else { mark };
                    if field == 0 && end == start {
                        self.lines += u64::from(mark < data.len()); // a blank line is no record
                    } else {
                        self.plain(field, start, end);
                        self.end_record(record, mark, field + 1, lines_in_record);
                    }
                    (record, start, field, lines_in_record) = (mark + 1, mark + 1, 0, 0);
                }
            }
        }
    }

    /// Takes a plain field. Without text it is null.
    #[inline(always)]
    fn plain(&mut self, field: usize, start: usize, end: usize) {
        let Some(Some(target)) = self.layout.targets.get(field).copied() else { return };
        let is_null = start == end || self.is_null_value(start, end);
        let view = if is_null { 0 } else { view(self.data, start, end, 0) };
        self.push(target, view, is_null);
    }

    /// Takes a quoted field. Without text it is the empty text, not null.
    fn quoted(&mut self, field: usize, start: usize, end: usize) {
        let Some(Some(target)) = self.layout.targets.get(field).copied() else { return };
        if memchr(b'"', &self.data[start..end]).is_none() {
            return self.push(target, view(self.data, start, end, 0), false);
        }
        let from = self.extra.len();
        let mut rest = &self.data[start..end];
        while let Some(quote) = memchr(b'"', rest) {
            self.extra.extend_from_slice(&rest[..=quote]);
            rest = &rest[quote + 2..]; // every quote inside is doubled, or the field had ended there
        }
        self.extra.extend_from_slice(rest);
        let view = view(&self.extra, from, self.extra.len(), 1);
        self.push(target, view, false);
    }

    #[inline(always)]
    fn push(&mut self, target: usize, view: u128, is_null: bool) {
        let column = &mut self.columns[target];
        if is_null {
            column.nulls.push(self.rows as u32);
        }
        column.views.push(view);
    }

    #[inline(always)]
    fn is_null_value(&self, start: usize, end: usize) -> bool {
        !self.shape.null_values.is_empty()
            && self.shape.null_values.iter().any(|null| null.as_bytes() == &self.data[start..end])
    }

    /// Closes a record of `fields` fields that ends before the line feed at `end`, or takes it back.
    #[inline(always)]
    fn end_record(&mut self, record: usize, end: usize, fields: usize, lines_in_record: u64) {
        let reason = if fields < self.layout.targets.len() {
            "too_few_fields"
        } else if fields > self.layout.targets.len() {
            "too_many_fields"
        } else if end - record > self.shape.max_record {
            "record_too_long"
        } else if !self.is_utf8 && simdutf8::basic::from_utf8(&self.data[record..end]).is_err() {
            "invalid_utf8"
        } else {
            ""
        };
        if reason.is_empty() {
            if self.keep_spans {
                let end = trim_line_end(self.data, record, end);
                self.spans.push(Span { start: record as u32, end: end as u32, line: self.lines });
            }
            self.rows += 1;
        } else {
            self.reject(record, end, reason);
        }
        self.lines += lines_in_record + u64::from(end < self.data.len());
    }

    #[cold]
    fn reject(&mut self, record: usize, end: usize, reason: &str) {
        for column in &mut self.columns {
            column.views.truncate(self.rows);
            while column.nulls.last().is_some_and(|row| *row as usize >= self.rows) {
                column.nulls.pop();
            }
        }
        let raw = self.block.slice(record..trim_line_end(self.data, record, end));
        self.rejected.push(Rejected { line: self.lines, raw, reason: reason.to_owned() });
    }
}

/// The end of a record's text: before its line feed and carriage return.
fn trim_line_end(data: &[u8], record: usize, end: usize) -> usize {
    let text = &data[record..end];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    record + text.strip_suffix(b"\r").unwrap_or(text).len()
}

/// The view of a range of a buffer, as Arrow lays it out: texts of up to 12 bytes stand in the view itself.
#[inline(always)]
fn view(data: &[u8], start: usize, end: usize, buffer: u32) -> u128 {
    let length = end - start;
    let Some(head) = data.get(start..start + 16) else {
        return make_view(&data[start..end], buffer, start as u32);
    };
    // The 16 bytes from `start` are loaded whatever the length is, and what is too much is masked out.
    let head = u128::from_le_bytes(head.try_into().unwrap_or_default());
    if length <= 12 {
        (length as u128) | ((head & ((1 << (length * 8)) - 1)) << 32)
    } else {
        (length as u128) | ((head & 0xffff_ffff) << 32) | (u128::from(buffer) << 64) | ((start as u128) << 96)
    }
}
