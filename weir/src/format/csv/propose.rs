//! Errors about the beginning of a file that propose the option with which it can be read.

use super::dialect::Rules;
use super::footer::footer_of;
use super::header::{First, fields, has_bare_return};
use super::records::line_end;
use crate::error::{Error, Result};
use crate::format::names::ExpectedNames;
use crate::format::text::{TextStream, byte_order_mark};

/// Lines that are looked at for a header.
const LINES: usize = 100;

/// Bytes of a file that are looked at for records at its end.
const LOOKED_AT: usize = 1 << 20;

/// What separates columns in other programs' files: several characters before single ones.
const DELIMITERS: [&str; 18] =
    ["~|~", "|~|", "^|^", "|^|", "||", ";;", "~~", "^^", "::", "##", ",", ";", "\t", "|", "\u{1}", "~", "^", "¦"];

/// The delimiter as a task file has it.
pub(super) fn shown(delimiter: &str) -> String {
    match delimiter {
        "\t" => "tab".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Fails if the columns are clearly separated by something else than the delimiter.
pub(super) fn another_delimiter<R: Rules>(rules: &R, name: &str, fields: &[String], expected: usize) -> Result<()> {
    if let ([only], true) = (fields, expected > 1)
        && let Some(found) = delimiter_in(rules, only)
    {
        let own = String::from_utf8_lossy(rules.delimiter());
        let message = format!("its columns are separated by {found:?}, not by {own:?}");
        return Err(Error::input(name, message, format!("specify `delimiter: {}` next to its path", shown(found))));
    }
    Ok(())
}

/// What separates the columns in a line that has only one by the rules.
pub(super) fn delimiter_in<R: Rules>(rules: &R, line: &str) -> Option<&'static str> {
    DELIMITERS
        .into_iter()
        .filter(|delimiter| delimiter.as_bytes() != rules.delimiter())
        .find(|delimiter| is_separated_by(line, delimiter))
}

/// Whether fields of a line are separated by a text; by several characters only if no field is empty or has one of them.
fn is_separated_by(line: &str, delimiter: &str) -> bool {
    let is_field = |field: &str| !field.is_empty() && !field.contains(|c| delimiter.contains(c));
    line.contains(delimiter) && (delimiter.chars().count() == 1 || line.split(delimiter).all(is_field))
}

/// Fails if the file is JSON.
pub(super) fn json(name: &str, head: &[u8]) -> Result<()> {
    let text = head[byte_order_mark(head)..].trim_ascii_start();
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    let is_object = first.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok();
    let begins = |brackets: &[u8], next: u8| {
        let rest = text.strip_prefix(brackets).map(<[u8]>::trim_ascii_start);
        rest.is_some_and(|rest| rest.first() == Some(&next))
    };
    // The first line may be the beginning of an object.
    let is_document = begins(b"[", b'{') || (first == b"{" && begins(b"{", b'"'));
    match (is_object, is_document) {
        (true, _) => {
            Err(Error::input(name, "its first line is a JSON object", "specify `format: jsonl` next to its path"))
        }
        (_, true) => Err(Error::input(name, "is JSON, and no CSV", "specify `format: json` next to its path")),
        _ => Ok(()),
    }
}

/// Fails if the first record of a file that should have no header is a header.
pub(super) fn a_header(name: &str, fields: &[String], names: &ExpectedNames) -> Result<()> {
    if !fields.is_empty() && names.are_all_in(fields) {
        let message = "its first line has the names of the columns, and `header: false` takes it for a row";
        return Err(Error::input(name, message, "remove `header: false`; or `skip_lines: 1` skips that line"));
    }
    Ok(())
}

/// Fails if the line that should be the header is not one. It may be a row, whose values belong in no message.
pub(super) fn what_is_the_header<R: Rules>(
    rules: &R,
    name: &str,
    first: &First,
    names: &ExpectedNames,
    stream: &mut TextStream,
) -> Result<()> {
    let First { head, start, fields, .. } = first;
    if names.knows_any(fields) {
        if let Some((last, others)) = fields.split_last()
            && last.trim().is_empty()
            && !others.iter().any(|field| field.trim().is_empty())
            && !names.ignore_unknown
            && !names.has_position(fields.len())
        {
            let message = "its header ends with a delimiter: the last column has no name";
            let help = "specify `trailing_delimiter: true` next to its path: an empty field behind the last column is then \
                        nothing, in the header and in every row";
            return Err(Error::input(name, message, help));
        }
        return Ok(());
    }
    let message = "its first line has none of the declared columns";
    let help = if rules.comment().is_none() && head[*start..].starts_with(b"#") {
        "if lines that begin with # are comments, specify `comment: \"#\"` next to its path".to_owned()
    } else if let Some(found) = header_line(rules, head, names) {
        let (text, is_whole) = stream.read(0, LOOKED_AT)?;
        let behind =
            if is_whole && rules.skip_last() == 0 { footer_of(rules, &text[found.end..], found.fields) } else { 0 };
        found.help(behind)
    } else if fields.len() == names.columns.len() {
        "if the file has no header line, specify `header: false` next to its path: the columns are then those that are \
         declared, in their order; otherwise correct `columns` of the source"
            .to_owned()
    } else {
        "write a header line with the names of the columns, specify `header: false` next to its path if the file has none, \
         or correct `columns` of the source"
            .to_owned()
    };
    Err(Error::input(name, message, help))
}

/// A line in which all declared columns are.
struct HeaderLine {
    /// Its number, from 1.
    number: usize,
    /// Where it ends in the file.
    end: usize,
    fields: usize,
}

impl HeaderLine {
    /// The options that read the file, of which some records at the end seem to be no rows.
    fn help(&self, behind: usize) -> String {
        let number = self.number;
        let last = match behind {
            0 => return format!("its line {number} has them: specify `header: {number}` next to its path"),
            1 => "its last record seems".to_owned(),
            more => format!("its last {more} records seem"),
        };
        format!(
            "its line {number} has them, and {last} to be a total or a footer: specify `header: {number}, skip_last: {behind}` \
             next to its path if every file ends so, otherwise only `header: {number}`"
        )
    }
}

fn header_line<R: Rules>(rules: &R, head: &[u8], names: &ExpectedNames) -> Option<HeaderLine> {
    let mut at = byte_order_mark(head);
    for number in 1..=LINES {
        let end = line_end(rules, head, at)?;
        if let Ok(fields) = fields(rules, &head[at..end])
            && names.are_all_in(&fields)
        {
            return Some(HeaderLine { number, end, fields: fields.len() });
        }
        at = end;
    }
    None
}

/// The end of a first line such as `sep=;`, with which Excel is told the delimiter; fails if it is another one.
pub(super) fn after_separator_line<R: Rules>(rules: &R, name: &str, head: &[u8]) -> Result<usize> {
    let start = byte_order_mark(head);
    let end = line_end(rules, head, start).unwrap_or(start);
    let line = head[start..end].trim_ascii_end();
    // The delimiter itself may be a blank.
    let line = if head[start..end].starts_with(b"sep=\t") { &head[start..start + 5] } else { line };
    let Some(delimiter) = line.strip_prefix(b"sep=") else { return Ok(start) };
    match std::str::from_utf8(delimiter) {
        Ok(delimiter) if delimiter.as_bytes() == rules.delimiter() => Ok(end),
        Ok(delimiter) if delimiter.chars().count() == 1 => {
            let message = format!("its first line says that columns are separated by {delimiter:?}");
            Err(Error::input(name, message, format!("specify `delimiter: {}` next to its path", shown(delimiter))))
        }
        _ => Ok(start),
    }
}

/// Fails if lines end in another way than the dialect has it.
pub(super) fn another_line_end<R: Rules>(rules: &R, name: &str, record: &[u8], rest: &[u8]) -> Result<()> {
    let is_first = |byte: u8| rest.first() == Some(&byte);
    if rules.line_end() == b'\n' && has_bare_return(record) {
        let message = "its first line has a bare carriage return: lines must end with a line feed";
        let help = "specify `line_end: cr` next to its path if its lines end with carriage returns only";
        return Err(Error::input(name, message, help));
    }
    if rules.line_end() == b'\r' && is_first(b'\n') {
        return Err(Error::input(name, "its lines do not end with a carriage return only", "remove `line_end: cr`"));
    }
    if rules.line_end() == b'\r' && record.contains(&b'\n') {
        return Err(Error::input(name, "its first line has a line feed: lines end with it", "remove `line_end: cr`"));
    }
    Ok(())
}

/// A header that cannot be read.
pub(super) fn readable(name: &str, what: &str) -> Error {
    let help = match what {
        "is not UTF-8" => {
            "specify its encoding next to its path, such as `encoding: windows-1252` for Western European text of Windows"
        }
        _ => {
            "close the quote; specify `quote: none` next to its path if quotes are text, or `escape: \"\\\\\"` if a backslash \
             stands before quotes within values"
        }
    };
    Error::input(name, format!("its header line {what}"), help)
}

/// A file with fewer lines than are skipped.
pub(super) fn fewer_lines(name: &str, skipped: usize, lines: usize) -> Error {
    let message = format!("has only {lines} lines, and {skipped} are skipped before the first record");
    Error::input(name, message, "correct `skip_lines` or `header`, or remove the file")
}

#[cfg(test)]
mod tests {
    use super::super::Dialect;
    use super::*;

    #[test]
    fn another_delimiter_is_proposed_as_the_task_has_to_specify_it() {
        let help = |field: &str| {
            let error = another_delimiter(&Dialect::default(), "in.csv", &[field.to_owned()], 2).unwrap_err();
            (error.to_string(), miette::Diagnostic::help(&error).unwrap().to_string())
        };
        let (message, proposed) = help("name;email");
        assert_eq!(message, "in.csv: its columns are separated by \";\", not by \",\"");
        assert!(proposed.contains("`delimiter: \";\"`"), "{proposed}");
        assert!(help("name\temail").1.contains("`delimiter: tab`"));
        assert!(help("name||email||age").1.contains("`delimiter: \"||\"`"));
        assert!(help("name~|~email").1.contains("`delimiter: \"~|~\"`"));
        assert!(help("name||email|age").1.contains("`delimiter: \"|\"`"));
    }
}
