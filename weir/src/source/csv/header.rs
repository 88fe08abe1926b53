//! Columns go by name: the header of every file is held against the declared columns before a row is read.

use std::collections::HashMap;

use bytes::Bytes;
use memchr::memchr;
use object_store::ObjectMeta;

use super::blocks::{CsvFile, Opener, RangeReader};
use super::parse::Layout;
use super::records::{QuotedEnd, quoted_end};
use crate::error::{Error, Result};

/// So much of a file is read at first to find its header, and to guess how long its lines are.
const HEADER_BYTES: u64 = 64 << 10;
/// A header longer than this is taken for something else.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// What a header must have.
#[derive(Debug, Clone)]
pub(super) struct ExpectedHeader {
    /// The table's columns: name in the task, name in the files.
    pub(super) columns: Vec<(String, String)>,
    /// Whether other columns may stand in the files.
    pub(super) ignore_unknown: bool,
}

/// Reads a file's header and works out which field is which column.
pub(super) fn open(opener: &Opener, name: String, meta: ObjectMeta, expected: &ExpectedHeader) -> Result<CsvFile> {
    let reader = opener.open(&name, &meta)?;
    let (head, end) = read_header(&reader, &name, meta.size)?;
    let fields = fields(&head[..end]).map_err(|what| {
        Error::input(
            &name,
            format!("its header line {what}"),
            "mend the header; it names the columns, separated by commas",
        )
    })?;
    let layout = match_columns(&name, &fields, expected)?;
    let rest = &head[end..];
    let lines = memchr::memchr_iter(b'\n', rest).count().max(1);
    Ok(CsvFile {
        name,
        meta,
        data_start: end as u64,
        header_lines: memchr::memchr_iter(b'\n', &head[..end]).count() as u64,
        layout,
        mean_line: (rest.len() / lines).max(1) as u64,
    })
}

/// The beginning of the file, and where in it the header line ends.
fn read_header(reader: &RangeReader, name: &str, size: u64) -> Result<(Bytes, usize)> {
    let mut length = HEADER_BYTES;
    loop {
        let head = reader.read(0, length)?;
        if head.is_empty() {
            let help = "remove the file, or write at least the header line";
            return Err(Error::input(name, "is empty: it has no header line", help));
        }
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            let help = "convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
            return Err(Error::input(name, "is UTF-16, not UTF-8", help));
        }
        let complete = head.len() as u64 == size;
        if let Some(end) = header_end(&head, complete) {
            return Ok((head, end));
        }
        if complete || length >= MAX_HEADER_BYTES {
            let help = "check that the file is CSV with a header line, and that quotes in the header are closed";
            return Err(Error::input(name, "has no header line that could be read", help));
        }
        length *= 4;
    }
}

/// The index behind the header's line feed, or the end of a file that has nothing else.
fn header_end(head: &[u8], complete: bool) -> Option<usize> {
    let mut at = bom(head);
    loop {
        if head.get(at) == Some(&b'"') {
            match quoted_end(head, 0, at + 1, complete, usize::MAX) {
                QuotedEnd::Closed(closing) => at = closing + 1,
                QuotedEnd::Broken | QuotedEnd::Unknown => return None,
            }
        }
        match memchr::memchr2(b',', b'\n', &head[at..]).map(|i| at + i) {
            Some(mark) if head[mark] == b',' => at = mark + 1,
            Some(mark) => return Some(mark + 1),
            None => return complete.then_some(head.len()),
        }
    }
}

fn bom(head: &[u8]) -> usize {
    if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

/// The names in a header line.
fn fields(line: &[u8]) -> Result<Vec<String>, String> {
    let line = &line[bom(line)..];
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
    if memchr(b'\r', line).is_some() {
        return Err("has a bare carriage return: lines must end with a line feed".to_owned());
    }
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let (name, end) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted_end(rest.as_bytes(), 0, 1, true, usize::MAX) {
                QuotedEnd::Closed(closing) => (quoted[..closing - 1].replace("\"\"", "\""), closing + 1),
                QuotedEnd::Broken | QuotedEnd::Unknown => return Err("has a quote that is not closed".to_owned()),
            },
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), end)
            }
        };
        names.push(name);
        match rest[end..].strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(names),
        }
    }
}

/// Holds a file's columns against the declared ones.
fn match_columns(name: &str, fields: &[String], expected: &ExpectedHeader) -> Result<Layout> {
    let mut targets = Vec::with_capacity(fields.len());
    let mut seen = HashMap::new();
    for field in fields {
        let target = expected.columns.iter().position(|(_, header)| header == field);
        if let Some(target) = target
            && seen.insert(target, field).is_some()
        {
            let help = "remove one of the two from the file";
            return Err(Error::input(name, format!("column `{field}` stands twice in its header"), help));
        }
        targets.push(target);
    }
    if let ([only], true) = (fields, expected.columns.len() > 1)
        && let Some(separator) = [';', '\t', '|'].into_iter().find(|separator| only.contains(*separator))
    {
        let message = format!("its columns are separated by {separator:?}, not by commas");
        return Err(Error::input(name, message, "write the file with commas, and quotes where a value holds one"));
    }
    let unknown: Vec<_> = fields.iter().zip(&targets).filter(|(_, t)| t.is_none()).map(|(f, _)| f.as_str()).collect();
    if let Some((_, (column, header))) = expected.columns.iter().enumerate().find(|(i, _)| !seen.contains_key(i)) {
        let found = format!("its header has: {}", fields.join(", "));
        let help = match renamed(header, &unknown) {
            Some(now) => {
                format!("if it is now called `{now}`, declare {column}: {{type: ..., header: \"{now}\"}}; {found}")
            }
            None => format!("mend the file, or the `columns` of the source; {found}"),
        };
        return Err(Error::input(name, format!("column `{header}` is missing"), help));
    }
    match unknown.first() {
        Some(unknown) if !expected.ignore_unknown => Err(Error::input(
            name,
            format!("column `{unknown}` is not declared"),
            "declare it under `columns`, or say `unknown_columns: ignore`",
        )),
        _ => Ok(Layout { targets }),
    }
}

/// The undeclared column that a missing one most likely is.
fn renamed<'a>(missing: &str, unknown: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let missing = plain(missing);
    let near = |name: &&&str| strsim::damerau_levenshtein(&plain(name), &missing) <= missing.len() / 3;
    unknown.iter().find(near).copied().or(match unknown {
        [only] => Some(only),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(header: &str, ignore_unknown: bool) -> Result<Layout> {
        let columns = ["name", "email"].map(|c| (c.to_owned(), c.to_owned())).to_vec();
        match_columns("in.csv", &fields(header.as_bytes()).unwrap(), &ExpectedHeader { columns, ignore_unknown })
    }

    fn message(header: &str) -> String {
        let error = layout(header, false).unwrap_err();
        format!("{error}; {}", miette::Diagnostic::help(&error).unwrap())
    }

    #[test]
    fn columns_go_by_name() {
        assert_eq!(layout("email,name\r\n", false).unwrap().targets, [Some(1), Some(0)]);
        assert_eq!(layout("\u{feff}\"name\",email", false).unwrap().targets, [Some(0), Some(1)]);
    }

    #[test]
    fn an_undeclared_column_is_an_error_unless_ignored() {
        assert!(message("name,email,age").starts_with("in.csv: column `age` is not declared"));
        assert_eq!(layout("name,age,email", true).unwrap().targets, [Some(0), None, Some(1)]);
    }

    #[test]
    fn a_missing_column_is_an_error_that_guesses_its_new_name() {
        assert!(message("name").starts_with("in.csv: column `email` is missing"));
        assert!(message("name,E-Mail").contains("if it is now called `E-Mail`"));
    }

    #[test]
    fn another_separator_is_named() {
        assert!(message("name;email").starts_with("in.csv: its columns are separated by ';', not by commas"));
    }

    #[test]
    fn a_repeated_column_is_an_error() {
        assert!(message("name,email,name").starts_with("in.csv: column `name` stands twice"));
    }

    #[test]
    fn a_header_may_be_quoted_over_two_lines() {
        let head = b"\"na\nme\",b\r\n1,2\n";
        let end = header_end(head, false).unwrap();
        assert_eq!(end, 11);
        assert_eq!(fields(&head[..end]).unwrap(), ["na\nme", "b"]);
    }
}
