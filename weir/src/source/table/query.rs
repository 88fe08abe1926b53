//! The parameters of a query of a source: `$name`, as literals of their types.

use crate::task::{Param, Params, RUN_STARTED_AT};

/// Where a query has what is no parameter, in the SQL of a server.
pub(in crate::source) struct Quotes {
    /// The marks around texts and names.
    pub(in crate::source) marks: &'static [char],
    /// Whether a backslash escapes the next character of a text in these marks, which follows what is given.
    pub(in crate::source) has_escapes: fn(mark: char, before: &str) -> bool,
    /// What begins a comment that ends with the line.
    pub(in crate::source) comments: &'static [&'static str],
    /// Whether `$` also quotes texts, as in `$tag$ … $tag$`, or is a letter of names.
    pub(in crate::source) dollar: Dollar,
    /// A parameter in SQL.
    pub(in crate::source) value: fn(&Param) -> String,
}

/// What else a `$` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Dollar {
    Quotes,
    Letter,
}

/// A query with its parameters filled in. Texts, names in quotes and comments stay as they are. The error describes the
/// problem.
pub(super) fn filled(sql: &str, params: &Params, quotes: &Quotes) -> Result<String, String> {
    let mut rest = sql.trim_end().trim_end_matches(';');
    let mut filled = String::with_capacity(rest.len());
    while let Some(first) = rest.chars().next() {
        let is_in_name = || filled.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        let length = match first {
            mark if quotes.marks.contains(&mark) => quoted(rest, mark, (quotes.has_escapes)(mark, &filled)),
            _ if quotes.comments.iter().any(|comment| rest.starts_with(comment)) => {
                rest.find('\n').unwrap_or(rest.len())
            }
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '$' if quotes.dollar == Dollar::Letter && is_in_name() => 1,
            '$' => {
                let name = &rest[1..1 + name_length(&rest[1..])];
                let tag = format!("${name}$");
                if quotes.dollar == Dollar::Quotes && rest.starts_with(&tag) {
                    rest[tag.len()..].find(&tag).map_or(rest.len(), |end| end + 2 * tag.len())
                } else {
                    filled.push_str(&value(name, params, quotes)?);
                    rest = &rest[1 + name.len()..];
                    continue;
                }
            }
            other => other.len_utf8(),
        };
        filled.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Ok(filled)
}

/// The length of a text in quotes at the beginning, quotes included.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if has_escapes => is_escaped = true,
            // A doubled quote begins another text right here.
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn value(name: &str, params: &Params, quotes: &Quotes) -> Result<String, String> {
    match params.get(name) {
        Some(param) => Ok((quotes.value)(param)),
        None if name.is_empty() => Err("`$` is not followed by the name of a parameter".to_owned()),
        None if name == RUN_STARTED_AT => {
            Err(format!("`${name}` is there in models only: declare a parameter with `default: now`"))
        }
        None => Err(format!("unknown parameter `${name}`")),
    }
}
