//! The parameters of a query of a source: `$name`, as literals of their types.

use weir_postgres::sql::literal;

use crate::task::{Param, Params, RUN_STARTED_AT, SqlType};

/// A query with its parameters filled in. Texts, names in quotes and comments stay as they are. The error describes the
/// problem.
pub(super) fn filled(sql: &str, params: &Params) -> Result<String, String> {
    let mut rest = sql.trim_end().trim_end_matches(';');
    let mut filled = String::with_capacity(rest.len());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => quoted(rest, '\'', filled.ends_with(['e', 'E'])),
            '"' => quoted(rest, '"', false),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '$' => {
                let name = &rest[1..1 + name_length(&rest[1..])];
                let tag = format!("${name}$");
                if rest.starts_with(&tag) {
                    rest[tag.len()..].find(&tag).map_or(rest.len(), |end| end + 2 * tag.len())
                } else {
                    filled.push_str(&value(name, params)?);
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

fn value(name: &str, params: &Params) -> Result<String, String> {
    match params.get(name) {
        Some(param) => Ok(of_type(param)),
        None if name.is_empty() => Err("`$` is not followed by the name of a parameter".to_owned()),
        None if name == RUN_STARTED_AT => {
            Err(format!("`${name}` is there in models only: declare a parameter with `default: now`"))
        }
        None => Err(format!("unknown parameter `${name}`")),
    }
}

fn of_type(param: &Param) -> String {
    let text = literal(&param.text);
    match param.sql_type {
        SqlType::String => text,
        SqlType::Double => format!("{text}::float8"),
        kind => format!("{text}::{kind}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::task::{ParamChoice, Task};

    #[test]
    fn parameters_are_filled_in_as_values_and_only_where_they_are_ones() {
        let task = "name: t\nparams: {day: {type: date, default: 2024-01-31}, who: {type: string, default: \"O'Hara\"}}\n\
                    sources: {s: {files: {path: a, format: csv}, columns: {a: string}}}\n\
                    sinks: {o: {from: s, mode: overwrite, files: {path: o, format: csv}}}\n";
        let task = Task::parse(Path::new("t.yaml"), task.to_owned(), &ParamChoice::default()).unwrap();
        let of = |sql: &str| filled(sql, &task.params);
        assert_eq!(
            of("select 1 where a < $day and b = $who;").unwrap(),
            "select 1 where a < E'2024-01-31'::date and b = E'O''Hara'"
        );
        for same in
            ["'$day' || \"$day\"", "E'\\'$day'", "'it''s $day'", "-- $day\n/* $day */", "$$ $day $$", "$f$ $day $$ $f$"]
        {
            assert_eq!(of(same).unwrap(), same);
        }
        assert_eq!(of("a = $1").unwrap_err(), "unknown parameter `$1`");
        assert_eq!(of("a = $dya").unwrap_err(), "unknown parameter `$dya`");
    }
}
