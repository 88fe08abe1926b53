//! Parses a block of whole records into string views that point into the block: no value is copied.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use memchr::{memchr, memchr_iter};

use super::Layout;
use super::records::{Marks, QuotedEnd, line_end, quoted_end};
use crate::format::columns::{Column, Declared, ReadColumns};
use crate::format::text::{MAX_RECORD_BYTES, Parsed, Rejected, Shape, Span, Views, finish, trim_line_end, view};

/// Parses a block of whole records.
pub(crate) fn parse(block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
    let is_utf8 = simdutf8::basic::from_utf8(block).is_ok();
    let mut reader = Reader::new(block, layout, shape, is_utf8);
    reader.read();
    let Reader { columns, rows, spans, rejected, lines, extra, .. } = reader;
    Parsed { columns: finish(columns, rows, block, extra), rows, spans, rejected, lines }
}

/// The records of a text without header, as `columns` columns of text.
pub(crate) fn texts(block: &Bytes, columns: usize) -> Result<Vec<ArrayRef>, String> {
    let column = |i| Arc::new(Column::plain(&format!("c{i}"), DataType::Utf8View));
    let declared = Declared::of((0..columns).map(column).collect(), false, Arc::new([]));
    let all: Vec<usize> = (0..columns).collect();
    let columns = ReadColumns::new(&declared, &all, std::iter::empty()).map_err(|error| error.to_string())?;
    let shape = Shape { columns, null_values: declared.null_values.clone(), max_record: MAX_RECORD_BYTES };
    let parsed = parse(block, &Layout { targets: all.into_iter().map(Some).collect() }, &shape);
    match parsed.rejected.first() {
        None => Ok(parsed.columns),
        Some(rejected) => Err(format!("record {}: {}", rejected.line, rejected.reason)),
    }
}

struct Reader<'a> {
    data: &'a [u8],
    block: &'a Bytes,
    layout: &'a Layout,
    shape: &'a Shape,
    is_utf8: bool,
    keep_spans: bool,
    columns: Vec<Views>,
    rows: usize,
    spans: Vec<Span>,
    rejected: Vec<Rejected>,
    lines: u64,
    /// Unescaped texts: the second buffer of the views.
    extra: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(block: &'a Bytes, layout: &'a Layout, shape: &'a Shape, is_utf8: bool) -> Self {
        let rows = block.len() / (8 * layout.targets.len().max(1));
        Self {
            data: block,
            block,
            layout,
            shape,
            is_utf8,
            keep_spans: !shape.columns.are_plain,
            columns: shape.columns.columns.iter().map(|_| Views::with_capacity(rows)).collect(),
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
        let mut record = 0; // the start of the record
        let mut start = 0; // the start of the field
        let mut field = 0; // the index of the field in its record
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
                            // A comma or the record's end follows: the empty rest of the field is skipped.
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
                        self.lines += u64::from(mark < data.len()); // a blank line is not a record
                    } else {
                        self.plain(field, start, end);
                        self.end_record(record, mark, field + 1, lines_in_record);
                    }
                    (record, start, field, lines_in_record) = (mark + 1, mark + 1, 0, 0);
                }
            }
        }
    }

    /// Adds a plain field. An empty one is null.
    #[inline(always)]
    fn plain(&mut self, field: usize, start: usize, end: usize) {
        let Some(Some(target)) = self.layout.targets.get(field).copied() else { return };
        let is_null = start == end || self.is_null_value(start, end);
        let view = if is_null { 0 } else { view(self.data, start, end, 0) };
        self.push(target, view, is_null);
    }

    /// Adds a quoted field. An empty one is the empty text, not null.
    fn quoted(&mut self, field: usize, start: usize, end: usize) {
        let Some(Some(target)) = self.layout.targets.get(field).copied() else { return };
        if memchr(b'"', &self.data[start..end]).is_none() {
            return self.push(target, view(self.data, start, end, 0), false);
        }
        let from = self.extra.len();
        let mut rest = &self.data[start..end];
        while let Some(quote) = memchr(b'"', rest) {
            self.extra.extend_from_slice(&rest[..=quote]);
            rest = &rest[quote + 2..]; // every quote inside is doubled, or the field would have ended there
        }
        self.extra.extend_from_slice(rest);
        let view = view(&self.extra, from, self.extra.len(), 1);
        self.push(target, view, false);
    }

    #[inline(always)]
    fn push(&mut self, target: usize, view: u128, is_null: bool) {
        self.columns[target].push(self.rows, view, is_null);
    }

    #[inline(always)]
    fn is_null_value(&self, start: usize, end: usize) -> bool {
        !self.shape.null_values.is_empty()
            && self.shape.null_values.iter().any(|null| null.as_bytes() == &self.data[start..end])
    }

    /// Closes a record of `fields` fields that ends before the line feed at `end`, or rejects it.
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
        self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
        let raw = self.block.slice(record..trim_line_end(self.data, record, end));
        self.rejected.push(Rejected { line: self.lines, raw, reason: reason.to_owned() });
    }
}
