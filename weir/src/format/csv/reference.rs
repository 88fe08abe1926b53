//! The rules of CSV in a simple implementation for the tests of the parser: record by record, byte by byte.

use crate::format::testing::{Outcome, Row};

/// The records after the header of a file with `columns` columns of text.
pub(crate) fn reference(text: &str, columns: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = text;
    let mut line = 2; // after the header
    while !rest.is_empty() {
        let Some((record, length)) = strict_record(rest) else {
            let length = rest.find('\n').map_or(rest.len(), |i| i + 1);
            outcome.rejected.push((line, without_line_end(&rest[..length]).to_owned(), "invalid_quotes".into()));
            line += 1;
            rest = &rest[length..];
            continue;
        };
        let raw = without_line_end(&rest[..length]);
        let reason = if record.len() < columns { "too_few_fields" } else { "too_many_fields" };
        match record.len() {
            _ if raw.is_empty() => {}
            n if n == columns => outcome.rows.push(record),
            _ => outcome.rejected.push((line, raw.to_owned(), reason.into())),
        }
        line += rest[..length].matches('\n').count() as u64;
        rest = &rest[length..];
    }
    outcome
}

fn without_line_end(raw: &str) -> &str {
    let raw = raw.strip_suffix('\n').unwrap_or(raw);
    raw.strip_suffix('\r').unwrap_or(raw)
}

/// The fields of the first record and its length with its line end; `None` if its quotes are broken.
fn strict_record(text: &str) -> Option<(Row, usize)> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let quoted = rest.starts_with('"');
        let field = if quoted {
            let (field, behind) = quoted_field(&rest[1..])?;
            rest = behind;
            field
        } else {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            let field = &rest[..end];
            rest = &rest[end..];
            // A carriage return belongs to the line end, before a line feed and at the end of the file.
            let field = if rest.starts_with(',') { field } else { field.strip_suffix('\r').unwrap_or(field) };
            field.to_owned()
        };
        fields.push((quoted || !field.is_empty()).then_some(field));
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => {
                let rest = rest.strip_prefix('\r').unwrap_or(rest);
                let rest = rest.strip_prefix('\n').unwrap_or(rest);
                return Some((fields, text.len() - rest.len()));
            }
        }
    }
}

/// The text of a quoted field, and the text after its closing quote.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (before, behind) = rest.split_once('"')?;
        field.push_str(before);
        match behind.strip_prefix('"') {
            Some(next) => rest = next,
            None if ["", "\r"].contains(&behind) => return Some((field, behind)),
            None => return [",", "\n", "\r\n"].iter().any(|end| behind.starts_with(end)).then_some((field, behind)),
        }
        field.push('"');
    }
}
