//! Recognises the format of a file from its beginning, and the dialect of a CSV file.

use std::collections::HashMap;

use encoding_rs::{Encoding, UTF_8};

use super::{beginning, guess};
use crate::format::csv::{LONGEST_FOOTER, footer};
use crate::format::jsonl::{RecordsPath, path_of_records};
use crate::format::text::{UTF_32_HELP, guessed, is_utf_32};

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::command) enum Form {
    Csv(Dialect),
    /// One JSON object per line.
    Jsonl,
    /// JSON documents, and the path of their records.
    Json(RecordsPath),
    Parquet,
    #[cfg(feature = "avro")]
    Avro,
    /// A sheet of workbooks.
    Excel(Table),
    /// What no source reads: what it is, and what to do.
    Other(&'static str, &'static str),
}

const ZIP: Form = Form::Other("a zip archive, and no workbook", "unpack it, and name the files or their folder");
#[cfg(feature = "avro")]
const AVRO: Form = Form::Avro;
#[cfg(not(feature = "avro"))]
const AVRO: Form = Form::Other("an Avro file", "export it as Parquet, CSV or JSON Lines");

/// The table of a workbook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::command) struct Table {
    /// The sheet, if others have content, too.
    pub(super) sheet: Option<String>,
    /// The header, and what is before it.
    pub(super) dialect: Dialect,
    /// Whether rows have merged cells.
    pub(super) has_merged: bool,
}

/// How a CSV file is written, where it differs from RFC 4180.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::command) struct Dialect {
    /// The label of its encoding, unless that is UTF-8.
    pub(super) encoding: Option<&'static str>,
    pub(super) delimiter: Option<String>,
    /// Lines before the header, or before the first row.
    pub(super) skip_lines: usize,
    /// Lines that begin with it are no records.
    pub(super) comment: Option<char>,
    /// Whether every record ends with a delimiter.
    pub(super) trailing_delimiter: bool,
    /// The names of the columns; none if the file has no header line.
    pub(super) header: Option<Vec<String>>,
    /// The number of columns.
    pub(super) columns: usize,
    /// Records at the end of the file that are no rows: totals or a footer.
    pub(super) skip_last: usize,
    /// Lines up to the end of each of the first records, the header among them.
    first_ends: Vec<usize>,
}

impl Dialect {
    /// Lines up to the end of the last row of the sample, and of as many records as are skipped behind it.
    pub(super) fn sample_lines(&self) -> usize {
        let records = usize::from(self.header.is_some()) + beginning::ROWS + self.skip_last;
        self.first_ends.get(records - 1).or(self.first_ends.last()).copied().unwrap_or(0)
    }
}

#[cfg(feature = "excel")]
impl Dialect {
    /// What a sheet has of a dialect.
    pub(super) fn of_sheet(header: Option<Vec<String>>, columns: usize, skip_lines: usize) -> Self {
        Self { header, columns, skip_lines, ..Self::default() }
    }
}

/// The separators of columns, the more likely ones first; those of several characters are no empty fields between others.
const DELIMITERS: [&str; 4] = [",", ";", "\t", "|"];
const LONG_DELIMITERS: [&str; 5] = ["||", "~|~", "|~|", "^|^", "::"];

/// Recognises a file by its beginning. `is_whole` if that is all of it.
pub(super) fn form(head: &[u8], is_whole: bool) -> Form {
    if is_utf_32(head) {
        return Form::Other("text in UTF-32, which is not read", UTF_32_HELP);
    }
    match head {
        [b'P', b'A', b'R', b'1', ..] => return Form::Parquet,
        head if cfg!(feature = "excel") && is_workbook(head) => return Form::Excel(Table::default()),
        [b'P', b'K', 3, 4, ..] => return ZIP,
        [b'O', b'b', b'j', 1, ..] => return AVRO,
        _ => {}
    }
    let (encoding, text) = decoded(head, is_whole);
    match text.trim_start().chars().next() {
        Some('[') => Form::Json(RecordsPath::default()),
        Some('{') => {
            let text = text.trim();
            let first = text.lines().next().unwrap_or_default();
            let is_object = serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok();
            // A line that is longer than what was read is one object, too.
            let is_line = is_object || !text.contains('\n');
            let path = if is_line && (text.contains('\n') || !is_whole) { None } else { path_of_records(text) };
            match path {
                None if is_line => Form::Jsonl,
                path => Form::Json(path.unwrap_or_default().into()),
            }
        }
        _ => Form::Csv(dialect(encoding, &text, is_whole)),
    }
}

/// Whether a file is a workbook of Excel or OpenDocument.
fn is_workbook(head: &[u8]) -> bool {
    let has = |part: &[u8]| memchr::memmem::find(head, part).is_some();
    let is_new = head.starts_with(b"PK\x03\x04") && (has(b"xl/") || has(b"opendocument.spreadsheet"));
    is_new || head.starts_with(b"\xd0\xcf\x11\xe0")
}

/// The text of a file's beginning, and the label of its encoding if that is not UTF-8.
fn decoded(head: &[u8], is_whole: bool) -> (Option<&'static str>, String) {
    if let Some((encoding, _)) = Encoding::for_bom(head)
        && encoding != UTF_8
    {
        return (Some(label(encoding)), encoding.decode(head).0.into_owned());
    }
    let valid = match std::str::from_utf8(head) {
        Ok(_) => head.len(),
        Err(error) if error.error_len().is_none() && !is_whole => error.valid_up_to(), // cut within a character
        Err(_) => 0,
    };
    if valid > 0 || head.is_empty() {
        let text = String::from_utf8_lossy(&head[..valid]);
        return (None, text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned());
    }
    let encoding = guessed(head, is_whole);
    (Some(label(encoding)), encoding.decode_without_bom_handling(head).0.into_owned())
}

fn label(encoding: &'static Encoding) -> &'static str {
    encoding.name()
}

/// A record: its fields, and the lines up to its end.
struct Record {
    fields: Vec<String>,
    lines: usize,
}

fn dialect(encoding: Option<&'static str>, text: &str, is_whole: bool) -> Dialect {
    let named = text.lines().next().and_then(|line| line.strip_prefix("sep=")).and_then(|sep| sep.chars().next());
    let (above, text) = match named {
        Some(_) => (1, text.split_once('\n').map_or("", |(_, rest)| rest)),
        None => (0, text),
    };
    let comment = text.lines().any(|line| line.starts_with('#')).then_some('#').filter(|_| is_commented(text));
    let candidates: Vec<String> = match named {
        Some(named) => vec![named.to_string()],
        None => LONG_DELIMITERS.iter().chain(&DELIMITERS).map(|delimiter| (*delimiter).to_owned()).collect(),
    };
    let mut best: Option<(usize, usize, String, Vec<Record>)> = None;
    for delimiter in candidates {
        let is_long = delimiter.len() > 1;
        if best.as_ref().is_some_and(|(_, _, best, _)| best.contains(&delimiter)) {
            continue; // its fields would be parts of the longer one's
        }
        let mut records = records(text, &delimiter, comment);
        if !is_whole && records.len() > 1 {
            records.pop(); // cut within it
        }
        let (fields, count) = most_frequent(&records);
        // Half of the records must agree on it; the delimiter of more columns is the better one.
        let is_table = fields > 1 && count * 2 > records.len();
        // Where the first record has another number of fields, the longer delimiter is an empty field.
        let is_table = is_table && (!is_long || records.first().is_some_and(|first| first.fields.len() == fields));
        if is_table && best.as_ref().is_none_or(|(known, most, ..)| (count, fields) > (*most, *known)) {
            best = Some((fields, count, delimiter, records));
        }
    }
    let (fields, _, delimiter, records) = best.unwrap_or_else(|| (1, 0, ",".to_owned(), records(text, ",", comment)));
    let is_of_table = |record: &Record| record.fields.len() == fields || is_header_of(record, fields);
    let first = records.iter().position(is_of_table).unwrap_or(0);
    let first = first + titles(&records[first.min(records.len())..], fields);
    // The reader skips a line with the separator alone.
    let skip_lines = records[..first.min(records.len())].last().map_or(0, |record| above + record.lines);
    let table = &records[first.min(records.len())..];
    let trailing_delimiter =
        fields > 1 && table.iter().all(|record| record.fields.len() < fields || record.fields[fields - 1].is_empty());
    let columns = fields - usize::from(trailing_delimiter);
    let header = table.first().map(|record| record.fields.iter().take(columns).cloned().collect::<Vec<_>>());
    let header = header.filter(|names| !names.iter().any(|name| guess::is_value(name)));
    let rows = &table[usize::from(header.is_some()).min(table.len())..];
    let skip_last = if is_whole { footer(rows.iter().map(|row| row.fields.as_slice()), fields) } else { 0 };
    let first_ends = table.iter().take(1 + beginning::ROWS + LONGEST_FOOTER).map(|record| above + record.lines);
    Dialect {
        encoding,
        delimiter: Some(delimiter).filter(|delimiter| delimiter != ","),
        skip_lines,
        comment,
        trailing_delimiter,
        header,
        columns,
        skip_last,
        first_ends: first_ends.collect(),
    }
}

/// The records of a report's titles above the header, which have one field with text.
fn titles(records: &[Record], fields: usize) -> usize {
    // Two columns may be a name and values without one.
    let is_title = |record: &&Record| record.fields.iter().filter(|field| !field.trim().is_empty()).count() <= 1;
    let titles = records.iter().take_while(is_title).count();
    let is_name = |field: &String| !field.trim().is_empty() && !guess::is_value(field);
    let is_header = |record: &Record| record.fields.iter().take(fields).all(is_name);
    if fields > 2 && records.get(titles).is_some_and(is_header) { titles } else { 0 }
}

/// A header may end with a delimiter where the rows do not.
fn is_header_of(record: &Record, fields: usize) -> bool {
    record.fields.len() == fields + 1 && record.fields.last().is_some_and(String::is_empty)
}

/// Whether lines that begin with `#` are comments: none of them is the header, which may begin with `#` itself.
fn is_commented(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    match lines.next() {
        Some(first) if first.starts_with('#') => {
            lines.next().is_some_and(|next| next.starts_with('#') || first.starts_with("# "))
        }
        _ => lines.any(|line| line.starts_with("# ")),
    }
}

/// The number of fields that most records have, and how many have it.
fn most_frequent(records: &[Record]) -> (usize, usize) {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    records.iter().for_each(|record| *counts.entry(record.fields.len()).or_default() += 1);
    counts.into_iter().max_by_key(|(fields, count)| (*count, *fields)).unwrap_or((1, 0))
}

/// The records of a text, without blank lines and comments.
fn records(text: &str, delimiter: &str, comment: Option<char>) -> Vec<Record> {
    let (mut records, mut lines) = (Vec::new(), 0);
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.split_inclusive('\n').next().unwrap_or(rest);
        if line.trim().is_empty() || comment.is_some_and(|comment| line.starts_with(comment)) {
            (rest, lines) = (&rest[line.len()..], lines + 1);
            continue;
        }
        let (fields, length) = record(rest, delimiter);
        lines += rest[..length].matches('\n').count().max(1);
        rest = &rest[length..];
        records.push(Record { fields, lines });
    }
    records
}

/// The fields of the first record of a text, and its length with its line end.
fn record(text: &str, delimiter: &str) -> (Vec<String>, usize) {
    let mut fields = vec![String::new()];
    let (mut is_quoted, mut is_start) = (false, true);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if is_quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                field.push('"');
            }
            '"' if is_quoted || is_start => is_quoted = !is_quoted,
            '\n' if !is_quoted => return (without_line_end(fields), at + 1),
            _ if !is_quoted && text[at..].starts_with(delimiter) => {
                delimiter.chars().skip(1).for_each(|_| _ = chars.next());
                fields.push(String::new());
                is_start = true;
                continue;
            }
            c => field.push(c),
        }
        is_start = false;
    }
    (without_line_end(fields), text.len())
}

fn without_line_end(mut fields: Vec<String>) -> Vec<String> {
    if let Some(last) = fields.last_mut()
        && last.ends_with('\r')
    {
        last.pop();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: impl AsRef<[u8]>) -> Dialect {
        match form(text.as_ref(), true) {
            Form::Csv(dialect) => Dialect { first_ends: vec![], ..dialect },
            other => panic!("{other:?}"),
        }
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_plain_file_has_no_dialect() {
        let plain = Dialect { header: names(&["id", "name, full"]), columns: 2, ..Dialect::default() };
        assert_eq!(csv("id,\"name, full\"\r\n1,\"a\nb\"\r\n"), plain);
        assert_eq!(csv("\u{feff}id,\"name, full\"\n1,x"), plain);
        assert_eq!(csv("name\nAnn\nBob\n"), Dialect { header: names(&["name"]), columns: 1, ..Dialect::default() });
    }

    #[test]
    fn delimiters_are_recognised() {
        for (delimiter, text) in [
            (";", "id;amount\n1;1,5\n2;2,75\n"),
            ("\t", "id\tamount\n1\ta, b\n"),
            ("|", "id|amount\n1|x\n"),
            ("||", "id||amount\n1||x\n2||\n"),
            ("~|~", "id~|~amount\n1~|~x\n"),
        ] {
            let dialect = csv(text);
            assert_eq!((dialect.delimiter.as_deref(), dialect.columns), (Some(delimiter), 2), "{text}");
        }
        let empty = csv("id|a|b\n1||x\n2||y\n3||z\n");
        assert_eq!((empty.delimiter.as_deref(), empty.columns), (Some("|"), 3));
        let dialect = csv("sep=;\nid;name\n1;x\n");
        assert_eq!(
            (dialect.delimiter.as_deref(), dialect.skip_lines, dialect.header),
            (Some(";"), 0, names(&["id", "name"]))
        );
    }

    #[test]
    fn a_first_line_of_values_is_no_header() {
        let dialect = csv("17,Ann,1990-01-01\n18,Bob,1991-01-01\n");
        assert_eq!((dialect.header, dialect.columns), (None, 3));
    }

    #[test]
    fn lines_before_the_header_are_skipped() {
        let dialect = csv("Report of May\n\nStore 7\nid,name,amount\n1,Ann,2\n2,Bob,3\n3,Cid,4\n4,Dee,5\n");
        assert_eq!((dialect.skip_lines, dialect.header), (3, names(&["id", "name", "amount"])));
        let dialect = csv("# made by x\n# on Monday\nid,name\n1,Ann\n");
        assert_eq!((dialect.comment, dialect.skip_lines, dialect.header), (Some('#'), 0, names(&["id", "name"])));
    }

    #[test]
    fn titles_and_totals_are_no_rows() {
        let report = csv("Report,,\nMay,,\n\nid,name,amount\n1,Ann,2\n2,Bob,3\nTotal:,,5\n");
        assert_eq!((report.skip_lines, report.skip_last), (2, 1));
        assert_eq!(report.header, names(&["id", "name", "amount"]));
        assert_eq!(csv("id,name\n1,Ann\n2,Bob\n3,Cid\n4,Dee\n\nTotal\n4 people\n").skip_last, 2);
        // A name may be missing, and so may a value.
        let plain = csv(",name\n1,Ann\n2,\n");
        assert_eq!((plain.skip_lines, plain.skip_last, plain.header), (0, 0, names(&["", "name"])));
        assert_eq!(csv("word,n,m\nTotal,1,1\nTotal,2,2\n").skip_last, 0);
    }

    #[test]
    fn a_delimiter_at_the_end_of_every_record_is_no_column() {
        let dialect = csv("id|name|\n1|Ann|\n2|Bob|\n");
        assert_eq!((dialect.trailing_delimiter, dialect.columns), (true, 2));
        assert_eq!(dialect.header, names(&["id", "name"]));
    }

    #[test]
    fn encodings_are_recognised() {
        assert_eq!(csv(b"id,name\n1,M\xfcller\n2,J\xe4ger\n").encoding, Some("windows-1252"));
        let utf16: Vec<u8> = "id\tname\n1\tMüller\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(csv(&utf16).encoding, Some("UTF-16LE"));
        let marked = [&[0xff, 0xfe][..], &utf16].concat();
        let dialect = csv(&marked);
        assert_eq!((dialect.encoding, dialect.delimiter.as_deref()), (Some("UTF-16LE"), Some("\t")));
        assert_eq!(dialect.header, names(&["id", "name"]));
    }

    #[test]
    fn other_formats_are_recognised() {
        assert_eq!(form(b"{\"id\": 1}\n{\"id\": 2}\n", true), Form::Jsonl);
        assert_eq!(form(b"\n[{\"id\": 1},\n {\"id\": 2}]\n", true), Form::Json([].into()));
        assert_eq!(form(b"{\n  \"rows\": [{\"id\": 1}]\n}\n", true), Form::Json(["rows".to_owned()].into()));
        assert_eq!(form(b"{\n  \"id\": 1\n}\n{\n", false), Form::Json([].into()));
        assert_eq!(form(b"PAR1....", true), Form::Parquet);
        assert_eq!(form(b"PK\x03\x04....", true), ZIP);
    }
}
