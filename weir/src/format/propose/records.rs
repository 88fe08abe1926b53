//! What a source has to declare to read records that it rejects.

use super::quoted;
use crate::error::number_of;
use crate::format::csv::{Dialect, fields_of};
use crate::format::text::guessed_encoding;
use crate::route::Unread;

/// What lines of comments often begin with.
const COMMENTS: [&str; 4] = ["#", "--", "//", "%"];

/// The option of CSV files with which most of the records are read.
pub(super) fn of_csv(reason: &str, dialect: &Dialect, fields: Option<usize>, unread: &Unread) -> Option<String> {
    let raws = &unread.texts[..];
    match reason {
        "invalid_quotes" | "too_few_fields" | "too_many_fields" => {}
        "repeated_header" => {
            let help = "if the file was put together from several, specify `repeated_header: skip` next to the path";
            return Some(help.to_owned());
        }
        reason => return of_text(reason, raws),
    }
    let mut options: Vec<(String, String, usize)> = Vec::new();
    let mut offer = |condition: &str, key: String, count: usize| options.push((condition.to_owned(), key, count));
    let counted = |rules: &Dialect, fields: Option<usize>| {
        let is_record = |raw: &&Vec<u8>| match fields_of(rules, raw) {
            Ok(found) => fields.is_none_or(|fields| found.len() == fields),
            Err(_) => false,
        };
        raws.iter().filter(is_record).count()
    };
    // Without their number any record would do that has no broken quotes.
    if reason == "invalid_quotes" || fields.is_some() {
        let has = |byte: u8| raws.iter().any(|raw| raw.contains(&byte));
        if dialect.escape.is_none() && has(b'\\') {
            let rules = Dialect { escape: Some(b'\\'), ..dialect.clone() };
            let condition = "if a backslash makes the next character part of a value";
            offer(condition, r#"escape: "\\""#.to_owned(), counted(&rules, fields));
        }
        if dialect.quote.is_some_and(has) {
            let rules = Dialect { quote: None, ..dialect.clone() };
            offer("if quotes are text", "quote: none".to_owned(), counted(&rules, fields));
        }
    }
    if let Some(fields) = fields.filter(|_| reason == "too_many_fields" && !dialect.trailing_delimiter) {
        let delimiter = dialect.delimiter.as_bytes();
        let ends = raws.iter().filter(|raw| raw.ends_with(delimiter));
        let ends = ends.filter(|raw| fields_of(dialect, raw).is_ok_and(|found| found.len() == fields + 1)).count();
        offer("if every record ends with a delimiter", "trailing_delimiter: true".to_owned(), ends);
    }
    if dialect.comment.is_none() {
        for comment in COMMENTS {
            let count = raws.iter().filter(|raw| raw.starts_with(comment.as_bytes())).count();
            let condition = format!("if lines that begin with {comment} are comments");
            offer(&condition, format!("comment: {}", quoted(comment)), count);
        }
    }
    if let Some(records) = unread.all_last().filter(|_| reason.ends_with("_fields")) {
        let number = dialect.skip_last + records;
        let last = match records {
            1 => "the last record of every file is".to_owned(),
            more => format!("the last {} of every file are", number_of(more, "record")),
        };
        offer(&format!("if {last} a total or a footer"), format!("skip_last: {number}"), raws.len());
    }
    // The first one of those that read as many.
    let (condition, key, count) = options.into_iter().rev().max_by_key(|(.., count)| *count)?;
    (count > 0 && count * 2 >= raws.len()).then(|| format!("{condition}, specify `{key}` next to the path"))
}

/// The option of text files with which most of the records are read.
pub(super) fn of_text(reason: &str, raws: &[Vec<u8>]) -> Option<String> {
    match reason {
        "invalid_utf8" => {
            let encoding = guessed_encoding(&raws.join(&b'\n'))?;
            Some(format!(
                "if the file is in {encoding}, as these records seem to be, specify `encoding: {encoding}` next to the path"
            ))
        }
        "invalid_json" if raws.iter().any(|raw| matches!(raw.trim_ascii(), b"{" | b"[" | b"}" | b"]" | b"},")) => {
            Some("if a record takes several lines, specify `format: json` next to the path".to_owned())
        }
        "too_few_characters" => Some(
            "if blanks are left out at the end of a line, specify `short_lines: fill` next to the path; if a line begins that is \
             no record, `skip_lines`, `skip_last` or `comment`"
                .to_owned(),
        ),
        "undeclared_characters" => Some(
            "check the `characters` of the columns; if those that no column has do not matter, specify `unknown_columns: ignore` \
             in the source"
                .to_owned(),
        ),
        "unknown_column" => Some(
            "if other keys than the declared columns do not matter, specify `unknown_columns: ignore` in the source"
                .to_owned(),
        ),
        _ => None,
    }
}
