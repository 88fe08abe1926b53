//! Parses a block of whole records into string views that point into the block: no value is copied.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use memchr::memchr_iter;

use super::Layout;
use super::again::REPEATED_HEADER;
use super::dialect::{Rules, Strict, after_blanks, escape_length, find, is_delimiter, trimmed, unescape};
use super::records::{END_OF_FILE, Marks, QuotedEnd, before_return, broken_end, line_end, opens, quoted_end, text_end};
use crate::format::columns::{Column, Declared, ReadColumns};
use crate::format::text::{Parsed, Rejected, Shape, Span, TextOptions, Unvalued, Views, finish, view};

/// Parses a block of whole records.
pub(crate) fn parse<R: Rules>(rules: &R, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
    let is_utf8 = simdutf8::basic::from_utf8(block).is_ok();
    let mut reader = Reader::new(rules, block, layout, shape, is_utf8);
    reader.read();
    let Reader { columns, rows, spans, rejected, lines, extra, unvalued, .. } = reader;
    Parsed { columns: finish(columns, rows, block, extra), rows, spans, rejected, lines, lacking: vec![], unvalued }
}

/// The records of a text without header, as `columns` columns of text.
pub(crate) fn texts(block: &Bytes, columns: usize) -> Result<Vec<ArrayRef>, String> {
    let column = |i| Arc::new(Column::plain(&format!("c{i}"), DataType::Utf8View));
    let declared = Declared::of((0..columns).map(column).collect(), false);
    let all: Vec<usize> = (0..columns).collect();
    let read = ReadColumns::new(&declared, &all, std::iter::empty()).map_err(|error| error.to_string())?;
    let shape = Shape::new(read, &TextOptions::default());
    let parsed = parse(&Strict, block, &Layout::in_order(columns, columns), &shape);
    match parsed.rejected.first() {
        None => Ok(parsed.columns),
        Some(rejected) => Err(format!("record {}: {}", rejected.line, rejected.reason)),
    }
}

struct Reader<'a, R> {
    rules: &'a R,
    data: &'a [u8],
    block: &'a Bytes,
    layout: &'a Layout,
    shape: &'a Shape,
    is_utf8: bool,
    keep_spans: bool,
    /// Whether any column has texts for null.
    has_null_values: bool,
    columns: Vec<Views>,
    rows: usize,
    spans: Vec<Span>,
    rejected: Vec<Rejected>,
    unvalued: Vec<Unvalued>,
    lines: u64,
    /// Unescaped texts: the second buffer of the views.
    extra: Vec<u8>,
}

impl<'a, R: Rules> Reader<'a, R> {
    fn new(rules: &'a R, block: &'a Bytes, layout: &'a Layout, shape: &'a Shape, is_utf8: bool) -> Self {
        let rows = block.len() / (8 * layout.targets.len().max(1));
        Self {
            rules,
            // Only the last block of a file may end so: the others end with a record.
            data: block.strip_suffix(&[END_OF_FILE]).unwrap_or(block),
            block,
            layout,
            shape,
            is_utf8,
            keep_spans: !shape.columns.are_plain,
            has_null_values: shape.columns.columns.iter().any(|column| !column.null_values.is_empty()),
            columns: shape.columns.columns.iter().map(|_| Views::with_capacity(rows)).collect(),
            rows: 0,
            spans: Vec::new(),
            rejected: Vec::new(),
            unvalued: Vec::new(),
            lines: 0,
            extra: Vec::new(),
        }
    }

    fn read(&mut self) {
        let (rules, data) = (self.rules, self.data);
        let mut marks = Marks::new(rules, data);
        let mut record = 0; // the start of the record
        let mut start = 0; // the start of the field
        let mut field = 0; // the index of the field in its record
        let mut lines_in_record = 0;
        let mut escaped = 0; // the end of what was escaped last
        while record < data.len() {
            if let Some(comment) = rules.comment()
                && start == record
                && data[record..].starts_with(comment)
            {
                let next = line_end(rules, data, record).unwrap_or(data.len());
                self.lines += u64::from(data[next - 1] == rules.line_end());
                marks.restart(next);
                (record, start) = (next, next);
                continue;
            }
            let mark = marks.next().unwrap_or(data.len());
            match data.get(mark).copied() {
                Some(byte) if byte == rules.delimiter()[0] => {
                    if !is_delimiter(rules, data, mark) {
                        continue;
                    }
                    let (from, to) = trimmed(rules, data, start, mark);
                    self.plain(field, from, to);
                    (start, field) = (mark + rules.delimiter().len(), field + 1);
                    if rules.delimiter().len() > 1 {
                        marks.skip_to(start);
                    }
                }
                Some(byte) if Some(byte) == rules.quote() => {
                    if !opens(rules, data, start, mark) {
                        continue; // a quote inside a plain field is text
                    }
                    match quoted_end(rules, data, record, mark + 1, true, self.shape.max_record) {
                        QuotedEnd::Closed(closing) => {
                            lines_in_record += memchr_iter(rules.line_end(), &data[mark..closing]).count() as u64;
                            self.quoted(field, mark + 1, closing);
                            // A delimiter or the record's end follows: the empty rest of the field is skipped.
                            marks.skip_to(after_blanks(rules, data, closing + 1));
                            let next = marks.next().unwrap_or(data.len());
                            if data.get(next).is_some_and(|byte| *byte == rules.delimiter()[0]) {
                                (start, field) = (next + rules.delimiter().len(), field + 1);
                                if rules.delimiter().len() > 1 {
                                    marks.skip_to(start);
                                }
                            } else {
                                self.end_record(record, next, field + 1, false, lines_in_record);
                                (record, start, field, lines_in_record) = (next + 1, next + 1, 0, 0);
                            }
                        }
                        QuotedEnd::Broken | QuotedEnd::Unknown => {
                            let next = broken_end(rules, data, record).unwrap_or(data.len());
                            self.reject(record, text_end(rules, data, record, next), "invalid_quotes");
                            self.lines += memchr_iter(rules.line_end(), &data[record..next]).count() as u64;
                            marks.restart(next);
                            (record, start, field, lines_in_record) = (next, next, 0, 0);
                            escaped = 0; // what was escaped may be after the line that is next
                        }
                    }
                }
                Some(byte) if Some(byte) == rules.escape() => {
                    let next = (mark + escape_length(data, mark)).min(data.len());
                    lines_in_record += memchr_iter(rules.line_end(), &data[mark..next]).count() as u64;
                    marks.skip_to(next);
                    escaped = next;
                }
                _ => {
                    let end = before_return(rules, data, start.max(escaped), mark.max(escaped));
                    let (from, to) = trimmed(rules, data, start, end);
                    if field == 0 && to == from {
                        self.lines += u64::from(mark < data.len()); // a blank line is not a record
                    } else {
                        self.plain(field, from, to);
                        self.end_record(record, mark, field + 1, to == from, lines_in_record);
                    }
                    (record, start, field, lines_in_record) = (mark + 1, mark + 1, 0, 0);
                }
            }
        }
    }

    /// Adds a plain field. An empty one is null, unless another text is.
    #[inline(always)]
    fn plain(&mut self, field: usize, start: usize, end: usize) {
        let Some(Some(target)) = self.layout.targets.get(field).copied() else { return };
        let is_null = match self.rules.null_text() {
            None => start == end,
            Some(null) => null == &self.data[start..end],
        };
        let is_null = is_null || self.is_null_value(target, start, end);
        if !is_null && let Some(kind) = self.rules.no_value(&self.data[start..end]) {
            self.unvalued.push(Unvalued { column: target, row: self.rows, kind });
            return self.push(target, 0, true);
        }
        if !is_null
            && self.rules.escape().is_some()
            && find(None, self.rules.escape(), &self.data[start..end]).is_some()
        {
            return self.unescaped(target, start, end, false);
        }
        let view = if is_null { 0 } else { view(self.data, start, end, 0) };
        self.push(target, view, is_null);
    }

    /// Adds a quoted field. An empty one is the empty text, not null, which only a column of text has.
    fn quoted(&mut self, field: usize, start: usize, end: usize) {
        let Some(Some(target)) = self.layout.targets.get(field).copied() else { return };
        let can_be_null =
            self.rules.quoted_can_be_null() || self.shape.columns.columns[target].kind != DataType::Utf8View;
        if can_be_null && self.is_null_value(target, start, end) {
            return self.push(target, 0, true);
        }
        match find(self.rules.quote(), self.rules.escape(), &self.data[start..end]) {
            None => self.push(target, view(self.data, start, end, 0), false),
            Some(_) => self.unescaped(target, start, end, true),
        }
    }

    /// Adds a field whose text is not its value.
    fn unescaped(&mut self, target: usize, start: usize, end: usize, is_quoted: bool) {
        let from = self.extra.len();
        unescape(self.rules, &self.data[start..end], is_quoted, &mut self.extra);
        let view = view(&self.extra, from, self.extra.len(), 1);
        self.push(target, view, false);
    }

    #[inline(always)]
    fn push(&mut self, target: usize, view: u128, is_null: bool) {
        self.columns[target].push(self.rows, view, is_null);
    }

    #[inline(always)]
    fn is_null_value(&self, target: usize, start: usize, end: usize) -> bool {
        self.has_null_values && self.shape.columns.columns[target].is_null_value(&self.data[start..end])
    }

    /// Closes a record of `fields` fields that ends before the line end at `end`, or rejects it.
    #[inline(always)]
    fn end_record(&mut self, record: usize, end: usize, fields: usize, is_last_empty: bool, lines_in_record: u64) {
        let columns = self.layout.targets.len();
        let reason = if fields < columns {
            "too_few_fields"
        } else if fields > columns && !(self.rules.trailing_delimiter() && is_last_empty && fields == columns + 1) {
            "too_many_fields"
        } else if end - record > self.shape.max_record {
            "record_too_long"
        } else if !self.is_utf8 && simdutf8::basic::from_utf8(&self.data[record..end]).is_err() {
            self.shape.invalid_text
        } else if self.layout.again.may_be(self.data, record) {
            self.layout.again.reason(&self.data[record..before_return(self.rules, self.data, record, end)])
        } else {
            ""
        };
        if reason.is_empty() {
            if self.keep_spans {
                let end = before_return(self.rules, self.data, record, end);
                self.spans.push(Span { start: record as u32, end: end as u32, line: self.lines });
            }
            self.rows += 1;
        } else {
            self.reject(record, before_return(self.rules, self.data, record, end), reason);
        }
        self.lines += lines_in_record + u64::from(end < self.data.len());
    }

    /// Rejects the record between two indexes.
    #[cold]
    fn reject(&mut self, record: usize, end: usize, reason: &str) {
        self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
        while self.unvalued.last().is_some_and(|field| field.row == self.rows) {
            self.unvalued.pop();
        }
        if reason == REPEATED_HEADER && self.rules.skips_repeated_header() {
            return;
        }
        self.rejected.push(Rejected {
            line: self.lines,
            raw: self.block.slice(record..end),
            reason: reason.to_owned(),
        });
    }
}
