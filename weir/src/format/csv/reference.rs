//! The rules of CSV in a simple implementation for the tests of the parser: record by record, byte by byte.

use super::Dialect;
use crate::format::testing::{Outcome, Row};

/// The records after the header of a file with `columns` columns of text, by RFC 4180.
pub(crate) fn reference(text: &str, columns: usize) -> Outcome {
    reference_of(&Dialect::default(), text, columns)
}

/// The same by the rules of a dialect. `text` is what follows a header `c0`, `c1` and so on.
pub(crate) fn reference_of(dialect: &Dialect, text: &str, columns: usize) -> Outcome {
    let rules = Rules {
        delimiter: &dialect.delimiter,
        quote: dialect.quote.map(char::from),
        escape: dialect.escape.map(char::from),
        line_end: char::from(dialect.line_end),
        trim: dialect.trim,
        null_text: dialect.null_text.as_deref().unwrap_or(""),
    };
    let header = (0..columns).map(|i| format!("c{i}")).collect::<Vec<_>>().join(&dialect.delimiter);
    let mut records: Vec<Result<Row, (u64, String, String)>> = Vec::new();
    let mut rest = text.strip_suffix('\u{1a}').unwrap_or(text);
    let mut line = 2; // after the header
    while !rest.is_empty() {
        let is_comment = dialect.comment.as_ref().is_some_and(|comment| rest.starts_with(comment.as_str()));
        let read = if is_comment { None } else { rules.record(rest) };
        let length = match &read {
            Some(read) => read.1,
            None if is_comment => rest.find(rules.line_end).map_or(rest.len(), |i| i + 1),
            None => rules.broken_line(rest),
        };
        let raw = match &read {
            Some(read) if rest[read.3..].starts_with('\r') => &rest[..read.3],
            Some(read) => rules.without_return(&rest[..read.3]),
            None => rules.without_line_end(&rest[..length]),
        };
        let rejected = |reason: &str| Err((line, raw.to_owned(), reason.to_owned()));
        match read {
            None if is_comment => {}
            None => records.push(rejected("invalid_quotes")),
            Some(_) if rules.trimmed(raw).is_empty() && !raw.contains(rules.delimiter) => {}
            Some((mut record, _, is_last_empty, _)) => {
                if dialect.trailing_delimiter && record.len() == columns + 1 && is_last_empty {
                    record.pop();
                }
                let unmarked = raw.strip_prefix('\u{feff}');
                if record.len() < columns {
                    records.push(rejected("too_few_fields"));
                } else if record.len() > columns {
                    records.push(rejected("too_many_fields"));
                } else if columns > 1 && unmarked.unwrap_or(raw) == header {
                    records.push(rejected("repeated_header"));
                } else if unmarked.is_some() {
                    records.push(rejected("byte_order_mark"));
                } else {
                    records.push(Ok(record));
                }
            }
        }
        line += rest[..length].matches(rules.line_end).count() as u64;
        rest = &rest[length..];
    }
    records.truncate(records.len().saturating_sub(dialect.skip_last));
    let is_skipped = |reason: &str| dialect.skip_repeated_header && reason == "repeated_header";
    let mut outcome = Outcome::default();
    for record in records {
        match record {
            Ok(row) => outcome.rows.push(row),
            Err(rejected) if is_skipped(&rejected.2) => {}
            Err(rejected) => outcome.rejected.push(rejected),
        }
    }
    outcome
}

struct Rules<'a> {
    delimiter: &'a str,
    quote: Option<char>,
    escape: Option<char>,
    line_end: char,
    trim: bool,
    null_text: &'a str,
}

impl Rules<'_> {
    /// The length of the first line of a broken record, with its end, which is not escaped.
    fn broken_line(&self, text: &str) -> usize {
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            if c == self.line_end {
                return at + 1;
            }
            if Some(c) == self.escape && characters.next().is_some_and(|(_, next)| next == '\r') {
                characters.next_if(|(_, after)| *after == '\n');
            }
        }
        text.len()
    }

    fn without_line_end<'a>(&self, raw: &'a str) -> &'a str {
        self.without_return(raw.strip_suffix(self.line_end).unwrap_or(raw))
    }

    fn without_return<'a>(&self, raw: &'a str) -> &'a str {
        raw.strip_suffix('\r').filter(|_| self.line_end == '\n').unwrap_or(raw)
    }

    fn trimmed<'a>(&self, text: &'a str) -> &'a str {
        if self.trim { text.trim() } else { text }
    }

    /// A text behind the blanks with which it begins.
    fn after_blanks<'a>(&self, text: &'a str) -> &'a str {
        let mut rest = text;
        while self.trim && !rest.starts_with(self.delimiter) && rest.starts_with([' ', '\t', '\u{a0}']) {
            rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
        }
        rest
    }

    /// The fields of the first record, its length with its line end, whether it ends with an empty field without quotes, and
    /// its length without its line end; `None` if its quotes are broken.
    fn record(&self, text: &str) -> Option<(Row, usize, bool, usize)> {
        let mut fields = Vec::new();
        let mut rest = text;
        let mut is_last_empty;
        loop {
            is_last_empty = false;
            let opened = self.quote.and_then(|quote| self.after_blanks(rest).strip_prefix(quote));
            fields.push(match opened {
                Some(quoted) => {
                    let (field, behind) = self.quoted(quoted)?;
                    rest = behind;
                    Some(field)
                }
                None => {
                    let (field, behind) = self.plain(rest);
                    is_last_empty = self.trimmed(&rest[..rest.len() - behind.len()]).is_empty();
                    rest = behind;
                    field
                }
            });
            match rest.strip_prefix(self.delimiter) {
                Some(next) => rest = next,
                None => {
                    let length = text.len() - rest.len();
                    let rest = rest.strip_prefix('\r').filter(|_| self.line_end == '\n').unwrap_or(rest);
                    let rest = rest.strip_prefix(self.line_end).unwrap_or(rest);
                    return Some((fields, text.len() - rest.len(), is_last_empty, length));
                }
            }
        }
    }

    /// The value of a plain field, and the text after it.
    fn plain<'a>(&self, text: &'a str) -> (Option<String>, &'a str) {
        let mut value: Vec<(char, bool)> = Vec::new(); // and whether it was escaped
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if Some(c) == self.escape {
                rest = &rest[c.len_utf8()..];
                match rest.chars().next() {
                    None => value.push((c, true)),
                    Some('\r') if rest.starts_with("\r\n") => {
                        value.extend([('\r', true), ('\n', true)]);
                        rest = &rest[2..];
                    }
                    Some(next) => {
                        value.push((next, true));
                        rest = &rest[next.len_utf8()..];
                    }
                }
            } else if rest.starts_with(self.delimiter) || c == self.line_end {
                break;
            } else {
                value.push((c, false));
                rest = &rest[c.len_utf8()..];
            }
        }
        // A carriage return belongs to the line end, before a line feed and at the end of the file.
        if self.line_end == '\n' && !rest.starts_with(self.delimiter) && value.last() == Some(&('\r', false)) {
            value.pop();
            let at = text.len() - rest.len() - 1;
            rest = &text[at..];
        }
        let is_blank = |part: &(char, bool)| self.trim && !part.1 && part.0.is_whitespace();
        let from = value.iter().position(|part| !is_blank(part)).unwrap_or(value.len());
        let to = value.iter().rposition(|part| !is_blank(part)).map_or(from, |last| last + 1);
        let field: String = value[from..to].iter().map(|part| part.0).collect();
        let is_plain = !value[from..to].iter().any(|part| part.1);
        ((field != self.null_text || !is_plain).then_some(field), rest)
    }

    /// The text of a quoted field, and the text after its closing quote and blanks.
    fn quoted<'a>(&self, text: &'a str) -> Option<(String, &'a str)> {
        let (mut field, mut rest) = (String::new(), text);
        loop {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            if Some(c) == self.escape {
                let next = rest.chars().next()?;
                field.push(next);
                rest = &rest[next.len_utf8()..];
            } else if Some(c) != self.quote {
                field.push(c);
            } else if let Some(next) = rest.strip_prefix(c) {
                field.push(c);
                rest = next;
            } else {
                let behind = self.after_blanks(rest);
                let is_at_end = match behind {
                    "" | "\r" => true,
                    _ => {
                        behind.starts_with(self.delimiter)
                            || behind.starts_with(self.line_end)
                            || (self.line_end == '\n' && behind.starts_with("\r\n"))
                    }
                };
                return is_at_end.then_some((field, behind));
            }
        }
    }
}
