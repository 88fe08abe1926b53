//! The dialects of CSV: what separates fields and records, and what encloses a field.

use std::fmt::Debug;

use memchr::{memchr, memchr2};

/// What the parser must know of a dialect. Those of RFC 4180 are constants, so that the others cost it nothing.
pub(crate) trait Rules: Debug + Send + Sync + 'static {
    /// What separates fields; not empty.
    fn delimiter(&self) -> &[u8];
    /// What encloses a field.
    fn quote(&self) -> Option<u8>;
    /// What makes the next character part of the value, inside quotes and outside.
    fn escape(&self) -> Option<u8>;
    /// What ends a line; before a line feed a carriage return belongs to it.
    fn line_end(&self) -> u8;
    /// What a line begins with that is no record.
    fn comment(&self) -> Option<&[u8]>;
    /// Whether blanks around values without quotes, and around quotes, are no part of them.
    fn trims(&self) -> bool;
    /// Whether a record may end with a delimiter behind its last field.
    fn trailing_delimiter(&self) -> bool;
    /// Whether a record that repeats the header is skipped and not rejected.
    fn skips_repeated_header(&self) -> bool;
    /// The number of records at the end of a file that are no rows.
    fn skip_last(&self) -> usize;
    /// What means null in place of the empty field.
    fn null_text(&self) -> Option<&[u8]>;

    /// Whether a text in quotes can be one of those that mean null in a column of text, too.
    #[inline(always)]
    fn quoted_can_be_null(&self) -> bool {
        false
    }

    /// Why a field without quotes has no value that can be read, if it has none: the reason before the column's name.
    #[inline(always)]
    fn no_value(&self, _field: &[u8]) -> Option<&'static str> {
        None
    }
}

/// RFC 4180.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Strict;

impl Rules for Strict {
    #[inline(always)]
    fn delimiter(&self) -> &[u8] {
        b","
    }

    #[inline(always)]
    fn quote(&self) -> Option<u8> {
        Some(b'"')
    }

    #[inline(always)]
    fn escape(&self) -> Option<u8> {
        None
    }

    #[inline(always)]
    fn line_end(&self) -> u8 {
        b'\n'
    }

    #[inline(always)]
    fn comment(&self) -> Option<&[u8]> {
        None
    }

    #[inline(always)]
    fn trims(&self) -> bool {
        false
    }

    #[inline(always)]
    fn trailing_delimiter(&self) -> bool {
        false
    }

    #[inline(always)]
    fn skips_repeated_header(&self) -> bool {
        false
    }

    #[inline(always)]
    fn skip_last(&self) -> usize {
        0
    }

    #[inline(always)]
    fn null_text(&self) -> Option<&[u8]> {
        None
    }
}

/// A dialect that a task declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: String,
    pub(crate) quote: Option<u8>,
    pub(crate) escape: Option<u8>,
    pub(crate) line_end: u8,
    pub(crate) comment: Option<String>,
    pub(crate) trim: bool,
    pub(crate) trailing_delimiter: bool,
    pub(crate) skip_repeated_header: bool,
    pub(crate) skip_last: usize,
    pub(crate) null_text: Option<String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: ",".to_owned(),
            quote: Some(b'"'),
            escape: None,
            line_end: b'\n',
            comment: None,
            trim: false,
            trailing_delimiter: false,
            skip_repeated_header: false,
            skip_last: 0,
            null_text: None,
        }
    }
}

impl Rules for Dialect {
    fn delimiter(&self) -> &[u8] {
        self.delimiter.as_bytes()
    }

    fn quote(&self) -> Option<u8> {
        self.quote
    }

    fn escape(&self) -> Option<u8> {
        self.escape
    }

    fn line_end(&self) -> u8 {
        self.line_end
    }

    fn comment(&self) -> Option<&[u8]> {
        self.comment.as_deref().map(str::as_bytes)
    }

    fn trims(&self) -> bool {
        self.trim
    }

    fn trailing_delimiter(&self) -> bool {
        self.trailing_delimiter
    }

    fn skips_repeated_header(&self) -> bool {
        self.skip_repeated_header
    }

    fn skip_last(&self) -> usize {
        self.skip_last
    }

    fn null_text(&self) -> Option<&[u8]> {
        self.null_text.as_deref().map(str::as_bytes)
    }
}

/// Whether a delimiter begins at an index, given that its first byte is there.
#[inline(always)]
pub(crate) fn is_delimiter<R: Rules>(rules: &R, data: &[u8], at: usize) -> bool {
    rules.delimiter().len() == 1 || data[at..].starts_with(rules.delimiter())
}

/// A range without the blanks at its ends, if the dialect trims.
#[inline(always)]
pub(crate) fn trimmed<R: Rules>(rules: &R, data: &[u8], start: usize, end: usize) -> (usize, usize) {
    if rules.trims() { trim(rules.escape(), data, start, end) } else { (start, end) }
}

fn trim(escape: Option<u8>, data: &[u8], start: usize, end: usize) -> (usize, usize) {
    // What is not UTF-8 rejects its record, blanks or not.
    let Ok(text) = std::str::from_utf8(&data[start..end]) else { return (start, end) };
    let from = text.len() - text.trim_start().len();
    let mut to = from + text.trim().len();
    let mut at = from;
    // An escaped blank at the end is part of the value.
    while let Some(escape) = find(None, escape, &data[start + at..end]).map(|i| at + i) {
        let character = text[escape + 1..].chars().next().map_or(0, char::len_utf8);
        at = text.len().min(escape + escape_length(data, start + escape).max(1 + character));
        to = to.max(at);
    }
    (start + from, start + to)
}

/// The index of the first byte that is not a blank, from `at`; a delimiter may be one.
#[inline(always)]
pub(crate) fn after_blanks<R: Rules>(rules: &R, data: &[u8], at: usize) -> usize {
    if rules.trims() { blanks_end(rules.delimiter(), data, at) } else { at }
}

fn blanks_end(delimiter: &[u8], data: &[u8], mut at: usize) -> usize {
    while !data[at..].starts_with(delimiter) {
        match &data[at..] {
            [b' ' | b'\t', ..] => at += 1,
            [0xc2, 0xa0, ..] => at += 2, // a no-break space
            _ => break,
        }
    }
    at
}

/// The value of a field whose text has escapes, or doubled quotes if it was quoted.
pub(crate) fn unescape<R: Rules>(rules: &R, text: &[u8], is_quoted: bool, out: &mut Vec<u8>) {
    let quote = rules.quote().filter(|_| is_quoted);
    let mut rest = text;
    while let Some(at) = find(quote, rules.escape(), rest) {
        let special = rest[at];
        out.extend_from_slice(&rest[..at]);
        // Every quote inside is doubled, or the field would have ended there. An escape at the end escapes nothing.
        let next = rest.get(at + 1).copied().unwrap_or(special);
        out.push(if Some(special) == quote { special } else { escaped(special, next) });
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The first of two bytes, if there are such.
#[inline(always)]
pub(crate) fn find(one: Option<u8>, other: Option<u8>, data: &[u8]) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => memchr2(one, other, data),
        (Some(byte), None) | (None, Some(byte)) => memchr(byte, data),
        (None, None) => None,
    }
}

/// The character that an escaped one stands for. Those after a backslash are the ones of MySQL and PostgreSQL.
fn escaped(escape: u8, next: u8) -> u8 {
    match (escape, next) {
        (b'\\', b'0') => 0,
        (b'\\', b'b') => 8,
        (b'\\', b'n') => b'\n',
        (b'\\', b'r') => b'\r',
        (b'\\', b't') => b'\t',
        (b'\\', b'Z') => 0x1a,
        _ => next,
    }
}

/// The number of bytes of an escape and what it escapes: a character, or both of a carriage return and a line feed.
pub(crate) fn escape_length(data: &[u8], at: usize) -> usize {
    if data[at + 1..].starts_with(b"\r\n") { 3 } else { 2 }
}
