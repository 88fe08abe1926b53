//! The header line of a file, and the mapping of its fields to columns.

use std::fmt::Display;
use std::path::Path;

use bytes::Bytes;
use memchr::memchr;

use super::Layout;
use super::records::{QuotedEnd, quoted_end};
use crate::error::{Error, Result};
use crate::format::columns::Declared;
use crate::format::text::{Beginning, Codec, HEAD_BYTES, TextStream, byte_order_mark, check_text};
use crate::place::{found, wait};

/// The maximum length of a header in bytes; a longer one is not a header.
const MAX_HEADER_BYTES: usize = 4 << 20;

/// Reads a file's header and maps its fields to columns.
pub(crate) fn begin(stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
    let (head, data_start, fields) = read_fields(stream, name)?;
    check_separator(name, &fields, declared.columns.len())?;
    declared.names().check_header(name, &fields)?;
    let layout = Layout { targets: declared.names().match_with(name, &fields)? };
    Ok(Beginning { head, data_start, layout })
}

/// The names in the header of a local file without a declaration.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let name = path.display().to_string();
    let unreadable = |error: &dyn Display| Error::input(&name, error, "specify a CSV file that this user can read");
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(unreadable(&"is not a file"));
    }
    let path = std::path::absolute(path).map_err(|error| unreadable(&error))?;
    let mut stream = TextStream::open(&wait(found(name.clone(), &path))?, Codec::of(&name, None))?;
    let (_, _, fields) = read_fields(&mut stream, &name)?;
    // A single column's name may contain anything, but another separator is very unlikely.
    check_separator(&name, &fields, usize::MAX)?;
    Ok(fields)
}

/// The beginning of the file, the end of its header line, and the names in it.
fn read_fields(stream: &mut TextStream, name: &str) -> Result<(Bytes, usize, Vec<String>)> {
    let (head, end) = read_header(stream, name)?;
    let fields = fields(&head[..end]).map_err(|what| {
        Error::input(name, format!("its header line {what}"), "fix the header: column names separated by commas")
    })?;
    Ok((head, end, fields))
}

/// The beginning of the file, and the end of its header line.
fn read_header(stream: &mut TextStream, name: &str) -> Result<(Bytes, usize)> {
    let mut length = HEAD_BYTES;
    loop {
        let (head, is_whole) = stream.read(0, length)?;
        if head.is_empty() {
            let help = "remove the file, or write at least the header line";
            return Err(Error::input(name, "is empty: it has no header line", help));
        }
        check_text(&head, name)?;
        if let Some(end) = header_end(&head, is_whole) {
            return Ok((head, end));
        }
        if is_whole || length >= MAX_HEADER_BYTES {
            let help = "check that the file is CSV with a header line, and that quotes in the header are closed";
            return Err(Error::input(name, "has no readable header line", help));
        }
        length *= 4;
    }
}

/// The index after the header's line feed, or the end of a file that has only a header.
fn header_end(head: &[u8], complete: bool) -> Option<usize> {
    let mut at = byte_order_mark(head);
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

/// The names in a header line.
fn fields(line: &[u8]) -> Result<Vec<String>, String> {
    let line = &line[byte_order_mark(line)..];
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

/// Rejects a file whose columns are clearly separated by something else.
fn check_separator(name: &str, fields: &[String], expected: usize) -> Result<()> {
    if let ([only], true) = (fields, expected > 1)
        && let Some(separator) = [';', '\t', '|'].into_iter().find(|separator| only.contains(*separator))
    {
        let message = format!("its columns are separated by {separator:?}, not by commas");
        return Err(Error::input(name, message, "separate columns by commas, and quote values that contain one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_quoted_and_follow_a_byte_order_mark() {
        assert_eq!(fields("\u{feff}\"name\",e-mail\r\n".as_bytes()).unwrap(), ["name", "e-mail"]);
    }

    #[test]
    fn another_separator_is_reported() {
        let error = check_separator("in.csv", &["name;email".to_owned()], 2).unwrap_err();
        assert!(error.to_string().starts_with("in.csv: its columns are separated by ';', not by commas"));
    }

    #[test]
    fn a_header_may_be_quoted_over_two_lines() {
        let head = b"\"na\nme\",b\r\n1,2\n";
        let end = header_end(head, false).unwrap();
        assert_eq!(end, 11);
        assert_eq!(fields(&head[..end]).unwrap(), ["na\nme", "b"]);
    }
}
