//! Parses a block of whole lines into string views that point into the block: no value is copied.

use bytes::Bytes;
use memchr::memchr;

use super::FixedWidth;
use super::layout::Layout;
use crate::format::csv::{END_OF_FILE, before_return};
use crate::format::text::{Parsed, Rejected, Shape, Span, Views, finish, view};

/// Parses a block of whole lines.
pub(super) fn parse(form: &FixedWidth, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
    let rules = &form.lines.rules;
    // Only the last block of a file may end so: the others end with a line.
    let data = block.strip_suffix(&[END_OF_FILE]).unwrap_or(block);
    let is_utf8 = simdutf8::basic::from_utf8(data).is_ok();
    let columns = &shape.columns.columns;
    let mut reader = Reader {
        form,
        layout,
        shape,
        data,
        is_ascii: data.is_ascii(),
        offsets: Vec::new(),
        columns: columns.iter().map(|_| Views::default()).collect(),
        lacking: shape.columns.with_default().map(|column| (column, Vec::new())).collect(),
        rows: 0,
    };
    let (mut spans, mut rejected, mut lines) = (Vec::new(), Vec::new(), 0);
    let mut start = 0;
    while start < data.len() {
        let next = memchr(rules.line_end, &data[start..]).map(|at| start + at);
        let end = before_return(rules, data, start, next.unwrap_or(data.len()));
        let line = &data[start..end];
        let is_comment = rules.comment.as_ref().is_some_and(|comment| line.starts_with(comment.as_bytes()));
        if !line.is_empty() && !is_comment {
            match reader.line(start, end, is_utf8) {
                Ok(()) if shape.columns.are_plain => {}
                Ok(()) => spans.push(Span { start: start as u32, end: end as u32, line: lines }),
                Err(reason) => {
                    rejected.push(Rejected { line: lines, raw: block.slice(start..end), reason: reason.to_owned() });
                }
            }
        }
        lines += u64::from(next.is_some());
        start = next.map_or(data.len(), |next| next + 1);
    }
    let Reader { columns, rows, mut lacking, .. } = reader;
    lacking.retain(|(_, rows)| !rows.is_empty());
    Parsed { columns: finish(columns, rows, block, vec![]), rows, spans, rejected, lines, lacking, unvalued: vec![] }
}

struct Reader<'a> {
    form: &'a FixedWidth,
    layout: &'a Layout,
    shape: &'a Shape,
    data: &'a [u8],
    /// Whether every character of the block is a byte.
    is_ascii: bool,
    /// The start of each character of a line in which they have several bytes.
    offsets: Vec<usize>,
    columns: Vec<Views>,
    /// For each column that has a default the rows that lack it.
    lacking: Vec<(usize, Vec<u32>)>,
    rows: usize,
}

impl Reader<'_> {
    /// Adds a line as a row, or returns why it is not one.
    fn line(&mut self, start: usize, end: usize, is_utf8: bool) -> Result<(), &'static str> {
        let (data, layout) = (self.data, self.layout);
        let line = &data[start..end];
        if line.len() > self.shape.max_record {
            return Err("record_too_long");
        }
        let text = match is_utf8 {
            // SAFETY: the whole block is UTF-8, and the line begins and ends next to line ends, which are ASCII.
            true => unsafe { std::str::from_utf8_unchecked(line) },
            false => simdutf8::basic::from_utf8(line).map_err(|_| self.shape.invalid_text)?,
        };
        let is_ascii = self.is_ascii || text.is_ascii();
        self.offsets.clear();
        if !is_ascii {
            self.offsets.extend(text.char_indices().map(|(at, _)| start + at));
        }
        let length = if is_ascii { line.len() } else { self.offsets.len() };
        let lacks = |least: usize, is_optional: bool, first: usize| length < least && !(is_optional && length <= first);
        if !self.form.fills && layout.columns().any(|(place, _)| lacks(place.least(), place.is_optional, place.start)) {
            return Err("too_few_characters");
        }
        let offsets = &self.offsets;
        let at = |character: usize| match is_ascii {
            true => (start + character.min(length)).min(end),
            false => offsets.get(character).copied().unwrap_or(end),
        };
        let is_blank = |range: &std::ops::Range<usize>| {
            let other = &text[at(range.start) - start..at(range.end) - start];
            other.chars().all(char::is_whitespace)
        };
        if !layout.others().iter().all(is_blank) {
            return Err("undeclared_characters");
        }
        for (place, target) in layout.columns() {
            let Some(target) = target else { continue };
            if place.is_optional && length <= place.start {
                if let Some((_, rows)) = self.lacking.iter_mut().find(|(column, _)| *column == target) {
                    rows.push(self.rows as u32);
                }
                self.columns[target].push(self.rows, 0, true);
                continue;
            }
            let (from, to) = (at(place.start), at(place.end));
            let value = &text[from - start..to - start];
            let trimmed = value.trim();
            let (from, to) = match self.form.trims {
                true => {
                    let from = from + (value.len() - value.trim_start().len());
                    (from, from + trimmed.len())
                }
                false => (from, to),
            };
            let is_null = trimmed.is_empty() || self.shape.columns.columns[target].is_null_value(trimmed.as_bytes());
            let view = if is_null { 0 } else { view(data, from, to, 0) };
            self.columns[target].push(self.rows, view, is_null);
        }
        self.rows += 1;
        Ok(())
    }
}
