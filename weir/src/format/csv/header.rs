//! The beginning of a file: lines before the header, the header line, and the mapping of its fields to columns.

use bytes::Bytes;
use memchr::memchr_iter;

use super::again::Again;
use super::dialect::{Rules, after_blanks, escape_length, is_delimiter, trimmed, unescape};
use super::propose;
use super::records::{Marks, QuotedEnd, is_record, line_end, quoted_end, record_end, text_end};
use super::{Csv, Layout};
use crate::error::{Error, Result};
use crate::format::columns::Declared;
use crate::format::names::ExpectedNames;
use crate::format::text::{Beginning, HEAD_BYTES, TextStream, byte_order_mark, check_text};

/// The maximum length of what is read to find the header, in bytes; a longer one is not a header.
const MAX_HEADER_BYTES: usize = 4 << 20;

/// Reads a file's header, or its first row if it has none, and maps its fields to columns.
pub(crate) fn begin<R: Rules>(
    csv: &Csv<R>,
    stream: &mut TextStream,
    name: &str,
    declared: &Declared,
) -> Result<Beginning<Layout>> {
    let rules = &csv.rules;
    let has_separator_line = !declared.columns.iter().any(|column| column.header.starts_with("sep="));
    let mut first = First::read(csv, stream, name, has_separator_line)?;
    propose::another_delimiter(rules, name, &first.fields, declared.columns.len())?;
    let names = ExpectedNames { are_a_line: true, ..declared.names() };
    if !csv.head.header {
        propose::a_header(name, &first.fields, &names)?;
        let layout = Layout { targets: names.by_position(name, first.fields.len())?, again: Again::of(&[]) };
        return Ok(Beginning { head: first.head, data_start: first.start, layout });
    }
    if rules.trailing_delimiter() && first.fields.len() > 1 && first.fields.last().is_some_and(|last| last.is_empty()) {
        first.fields.pop();
    }
    propose::what_is_the_header(rules, name, &first, &names, stream)?;
    let First { head, start, end, fields } = first;
    let targets = names.match_with(name, &fields)?;
    // A row of a single column could equal the header.
    let line = head.slice(start..text_end(rules, &head, start, end));
    let again = Again::of(if fields.len() > 1 { &line } else { &[] });
    Ok(Beginning { head, data_start: end, layout: Layout { targets, again } })
}

/// The first record of a file: its header, or its first row.
pub(super) struct First {
    /// The beginning of the file.
    pub(super) head: Bytes,
    pub(super) start: usize,
    /// After its line end.
    end: usize,
    pub(super) fields: Vec<String>,
}

impl First {
    fn read<R: Rules>(csv: &Csv<R>, stream: &mut TextStream, name: &str, has_separator_line: bool) -> Result<Self> {
        let mut length = HEAD_BYTES;
        loop {
            let (head, is_whole) = stream.read(0, length)?;
            if head.is_empty() {
                let what = if csv.head.header { "is empty: it has no header line" } else { "is empty" };
                let help = "remove the file, or write at least the header line";
                return Err(Error::input(name, what, help));
            }
            check_text(&head, name)?;
            propose::json(name, &head)?;
            let from = match has_separator_line && csv.head.skip_lines == 0 {
                true => propose::after_separator_line(&csv.rules, name, &head)?,
                false => byte_order_mark(&head),
            };
            if let Some((start, end)) = first_record(csv, &head, from, is_whole, name)? {
                let record = &head[start..end];
                propose::another_line_end(&csv.rules, name, record, &head[end..])?;
                let fields = fields(&csv.rules, record).map_err(|what| propose::readable(name, what))?;
                return Ok(Self { head, start, end, fields });
            }
            if is_whole || length >= MAX_HEADER_BYTES {
                let help = "check that the file is CSV with a header line, and that quotes in the header are closed";
                return Err(Error::input(name, "has no readable header line", help));
            }
            length *= 4;
        }
    }
}

/// The first record after the lines that are skipped; `None` if more must be read.
fn first_record<R: Rules>(
    csv: &Csv<R>,
    head: &[u8],
    from: usize,
    is_whole: bool,
    name: &str,
) -> Result<Option<(usize, usize)>> {
    let Some(mut at) = skipped(csv, head, from, is_whole, name)? else { return Ok(None) };
    while at < head.len() {
        let end = record_end(&csv.rules, head, at, is_whole, MAX_HEADER_BYTES);
        let Some(end) = end else { return Ok(None) };
        if is_record(&csv.rules, head, at, end) {
            return Ok(Some((at, end)));
        }
        at = end;
    }
    // Without a header a file may have no row.
    Ok((is_whole && !csv.head.header).then_some((at, at)))
}

/// The end of the lines that are skipped; `None` if more must be read.
fn skipped<R: Rules>(csv: &Csv<R>, head: &[u8], from: usize, is_whole: bool, name: &str) -> Result<Option<usize>> {
    let mut at = from;
    for before in 0..csv.head.skip_lines {
        match line_end(&csv.rules, head, at) {
            Some(next) => at = next,
            None if !is_whole => return Ok(None),
            None => return Err(propose::fewer_lines(name, csv.head.skip_lines, before + usize::from(at < head.len()))),
        }
    }
    Ok(Some(at))
}

impl<R: Rules> Csv<R> {
    /// Reads the beginning of a file whose rows follow the lines that are skipped; returns where they begin in it.
    pub(crate) fn before_rows(&self, stream: &mut TextStream, name: &str) -> Result<(Bytes, usize)> {
        let mut length = HEAD_BYTES;
        loop {
            let (head, is_whole) = stream.read(0, length)?;
            check_text(&head, name)?;
            let is_whole = is_whole || length >= MAX_HEADER_BYTES;
            if let Some(start) = skipped(self, &head, byte_order_mark(&head), is_whole, name)? {
                return Ok((head, start));
            }
            length *= 4;
        }
    }
}

/// The fields of a record.
pub(crate) fn fields<R: Rules>(rules: &R, record: &[u8]) -> Result<Vec<String>, &'static str> {
    if std::str::from_utf8(record).is_err() {
        return Err("is not UTF-8");
    }
    let line = &record[..text_end(rules, record, 0, record.len())];
    let (mut fields, mut start) = (Vec::new(), 0);
    if line.is_empty() {
        return Ok(fields);
    }
    loop {
        let open = after_blanks(rules, line, start);
        let is_quoted = rules.quote().is_some() && line.get(open).copied() == rules.quote();
        let (from, to, next) = if is_quoted {
            match quoted_end(rules, line, 0, open + 1, true, usize::MAX) {
                QuotedEnd::Closed(closing) => (open + 1, closing, after_blanks(rules, line, closing + 1)),
                QuotedEnd::Broken | QuotedEnd::Unknown => return Err("has a quote that is not closed"),
            }
        } else {
            let next = plain_end(rules, line, start);
            let (from, to) = trimmed(rules, line, start, next);
            (from, to, next)
        };
        let mut field = Vec::new();
        unescape(rules, &line[from..to], is_quoted, &mut field);
        fields.push(String::from_utf8_lossy(&field).into_owned());
        if !line[next..].starts_with(rules.delimiter()) {
            return Ok(fields);
        }
        start = next + rules.delimiter().len();
    }
}

/// The end of a field without quotes.
fn plain_end<R: Rules>(rules: &R, line: &[u8], start: usize) -> usize {
    let mut marks = Marks::new(rules, line);
    marks.restart(start);
    while let Some(mark) = marks.next() {
        if Some(line[mark]) == rules.escape() {
            marks.skip_to(mark + escape_length(line, mark));
        } else if line[mark] == rules.delimiter()[0] && is_delimiter(rules, line, mark) {
            return mark;
        }
    }
    line.len()
}

/// Whether a text has a carriage return that is not before a line feed.
pub(super) fn has_bare_return(text: &[u8]) -> bool {
    memchr_iter(b'\r', text).any(|at| text.get(at + 1).is_some_and(|next| *next != b'\n'))
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Strict};
    use super::*;

    #[test]
    fn names_may_be_quoted() {
        assert_eq!(fields(&Strict, "\"name\",e-mail\r\n".as_bytes()).unwrap(), ["name", "e-mail"]);
        assert_eq!(fields(&Strict, b"\"na\r\nme\",b\r\n").unwrap(), ["na\r\nme", "b"]);
    }

    #[test]
    fn names_are_read_by_the_rules_of_the_dialect() {
        let rules = Dialect {
            delimiter: "||".to_owned(),
            quote: Some(b'\''),
            escape: Some(b'\\'),
            trim: true,
            ..Dialect::default()
        };
        assert_eq!(fields(&rules, b" 'a''b' || c\\|| d|e||\n").unwrap(), ["a'b", "c|| d|e", ""]);
    }
}
