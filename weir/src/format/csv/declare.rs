//! The form of CSV files as a task declares it, for a source and for a sink.

use serde_saphyr::Spanned;

use super::dialect::{Dialect, Strict};
use super::{Csv, Head};
use crate::format::text::Charset;
use crate::task::{FilesSpec, Format, HeaderSpec, LineEnd, RepeatedHeader, Task, TaskError};

/// The form of the files of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CsvForm {
    dialect: Dialect,
    head: Head,
}

/// The most records that can be skipped at the end of a file: they are held in memory.
const MOST_SKIPPED: u32 = 1000;

impl CsvForm {
    /// Reads the form of a source's files.
    pub(crate) fn take(task: &Task, files: &FilesSpec) -> Result<Self, TaskError> {
        let enclosing = Enclosing::take(task, &files.delimiter, &files.quote, &files.escape)?;
        let comment = files.comment.as_ref().map(|comment| text(task, "comment", comment)).transpose()?;
        let skip_last = match &files.skip_last {
            Some(number) if number.value > MOST_SKIPPED => {
                let error = task.error(number, format!("`skip_last` is at most {MOST_SKIPPED}"));
                return Err(error.with_help("reject such records by their values"));
            }
            number => number.as_ref().map_or(0, |number| number.value as usize),
        };
        let is = |flag: &Option<Spanned<bool>>| flag.as_ref().is_some_and(|flag| flag.value);
        let dialect = Dialect {
            delimiter: enclosing.delimiter,
            quote: enclosing.quote,
            escape: enclosing.escape,
            line_end: if files.line_end.as_ref().is_some_and(|end| end.value == LineEnd::Cr) { b'\r' } else { b'\n' },
            comment,
            trim: is(&files.trim),
            trailing_delimiter: is(&files.trailing_delimiter),
            skip_repeated_header: files.repeated_header.as_ref().is_some_and(|what| what.value == RepeatedHeader::Skip),
            skip_last,
            null_text: files.null_text.as_ref().map(|null| text(task, "null_text", null)).transpose()?,
        };
        Ok(Self { dialect, head: head(task, files)? })
    }

    /// Whether what follows a line feed can be read by itself.
    pub(crate) fn can_be_continued(&self) -> bool {
        self.dialect.skip_last == 0 && self.dialect.line_end == b'\n'
    }

    /// The number of lines before the first row, of files without a header.
    pub(crate) fn skip_lines(&self) -> usize {
        self.head.skip_lines
    }

    /// The number of lines before the first row.
    pub(crate) fn lines_before_rows(&self) -> usize {
        self.head.skip_lines + usize::from(self.head.header)
    }

    /// The parser, if the rules are those of RFC 4180.
    pub(crate) fn strict(&self) -> Option<Csv<Strict>> {
        (self.dialect == Dialect::default()).then_some(Csv { rules: Strict, head: self.head })
    }

    /// The parser for the rows of sheets.
    #[cfg(feature = "excel")]
    pub(crate) fn of_sheet<R>(&self, rules: impl Fn(&Dialect) -> R) -> Csv<R> {
        Csv { rules: rules(&self.dialect), head: self.head }
    }

    /// The parser for the rules as they are declared.
    pub(crate) fn declared(&self) -> Csv<Dialect> {
        Csv { rules: self.dialect.clone(), head: self.head }
    }
}

/// What is before the first row.
fn head(task: &Task, files: &FilesSpec) -> Result<Head, TaskError> {
    let skipped = files.skip_lines.as_ref().map_or(0, |lines| lines.value as usize);
    match files.header.as_ref().map(|header| (header, header.value)) {
        Some((header, HeaderSpec::Line(_))) if skipped > 0 => {
            let error = task.error(header, "`header` has the number of a line, and `skip_lines` the lines before it");
            Err(error.with_help("specify one of the two"))
        }
        Some((_, HeaderSpec::Line(line))) => Ok(Head { header: true, skip_lines: line as usize - 1 }),
        Some((_, HeaderSpec::None)) => Ok(Head { header: false, skip_lines: skipped }),
        Some((_, HeaderSpec::First)) | None => Ok(Head { header: true, skip_lines: skipped }),
    }
}

/// What separates and encloses the values, for reading and for writing.
pub(super) struct Enclosing {
    pub(super) delimiter: String,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
}

impl Enclosing {
    pub(super) fn take(
        task: &Task,
        delimiter: &Option<Spanned<String>>,
        quote: &Option<Spanned<String>>,
        escape: &Option<Spanned<String>>,
    ) -> Result<Self, TaskError> {
        let at = [("quote", quote.as_ref().or(delimiter.as_ref())), ("escape", escape.as_ref().or(delimiter.as_ref()))];
        let delimiter = match delimiter {
            None => ",".to_owned(),
            Some(delimiter) => match text(task, "delimiter", delimiter)?.as_str() {
                "tab" | "\\t" => "\t".to_owned(),
                other if other.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
                    let error = task.error(delimiter, "`delimiter` begins with a letter or a digit");
                    return Err(error.with_help("specify the characters between the columns, or `tab`"));
                }
                other => other.to_owned(),
            },
        };
        let quote = match quote {
            None => Some(b'"'),
            Some(quote) if quote.value == "none" => None,
            Some(quote) => Some(character(task, "quote", quote, ", or `none`")?),
        };
        let escape = escape.as_ref().map(|escape| character(task, "escape", escape, "")).transpose()?;
        for ((key, at), byte) in at.into_iter().zip([quote, escape]) {
            if let (Some(at), Some(byte)) = (at, byte)
                && delimiter.as_bytes().contains(&byte)
            {
                let error = task.error(at, format!("`delimiter` and `{key}` have the same character"));
                return Err(error.with_help("specify different characters"));
            }
        }
        // A quote that escapes itself is a doubled one.
        Ok(Self { delimiter, quote, escape: escape.filter(|escape| Some(*escape) != quote) })
    }
}

/// A text that a line can have.
pub(super) fn text(task: &Task, key: &str, text: &Spanned<String>) -> Result<String, TaskError> {
    if text.value.is_empty() || text.value.contains(['\n', '\r']) {
        let error = task.error(text, format!("`{key}` is empty, or has a line break"));
        return Err(error.with_help("specify one or more characters of a line"));
    }
    Ok(text.value.clone())
}

fn character(task: &Task, key: &str, text: &Spanned<String>, or: &str) -> Result<u8, TaskError> {
    match text.value.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => {
            let error =
                task.error(text, format!("`{key}` is one character of ASCII that is no letter and no digit{or}"));
            Err(error.with_help(format!("write it as in `{key}: \"{}\"`", if key == "quote" { "'" } else { "\\\\" })))
        }
    }
}

/// The encoding of files, if it is not UTF-8.
pub(crate) fn charset_of(task: &Task, encoding: &Option<Spanned<String>>) -> Result<Option<Charset>, TaskError> {
    let Some(encoding) = encoding else { return Ok(None) };
    Charset::named(&encoding.value).map_err(|message| {
        task.error(encoding, message).with_help(
            "specify a label of the WHATWG encoding standard, such as utf-8, windows-1252, iso-8859-15, utf-16, shift_jis or gbk",
        )
    })
}

/// Fails if a key is specified that is not for files of the format.
pub(crate) fn check_keys(task: &Task, files: &FilesSpec) -> Result<(), TaskError> {
    let csv = &[Format::Csv][..];
    let lines = &[Format::Csv, Format::FixedWidth][..];
    let rows = &[Format::Csv, Format::Excel][..];
    let records = &[Format::Csv, Format::FixedWidth, Format::Excel][..];
    let text = &[Format::Csv, Format::Jsonl, Format::Json, Format::FixedWidth][..];
    let named = &[Format::Csv, Format::Jsonl, Format::Json, Format::Parquet, Format::Avro, Format::Excel][..];
    refuse(task, files.format, "short_lines", &files.short_lines, &[Format::FixedWidth])?;
    refuse(task, files.format, "sheet", &files.sheet, &[Format::Excel])?;
    refuse(task, files.format, "merged_cells", &files.merged_cells, &[Format::Excel])?;
    refuse(task, files.format, "records", &files.records, &[Format::Json])?;
    refuse(task, files.format, "delimiter", &files.delimiter, csv)?;
    refuse(task, files.format, "quote", &files.quote, csv)?;
    refuse(task, files.format, "escape", &files.escape, csv)?;
    refuse(task, files.format, "encoding", &files.encoding, text)?;
    refuse(task, files.format, "header", &files.header, rows)?;
    refuse(task, files.format, "headers", &files.headers, named)?;
    refuse(task, files.format, "skip_lines", &files.skip_lines, records)?;
    refuse(task, files.format, "skip_last", &files.skip_last, records)?;
    refuse(task, files.format, "comment", &files.comment, lines)?;
    refuse(task, files.format, "trim", &files.trim, lines)?;
    refuse(task, files.format, "trailing_delimiter", &files.trailing_delimiter, csv)?;
    refuse(task, files.format, "repeated_header", &files.repeated_header, rows)?;
    refuse(task, files.format, "line_end", &files.line_end, lines)?;
    refuse(task, files.format, "null_text", &files.null_text, csv)
}

/// Fails if a key is specified and the format is not one of those that have it.
pub(super) fn refuse<T>(
    task: &Task,
    format: Format,
    key: &str,
    specified: &Option<Spanned<T>>,
    formats: &[Format],
) -> Result<(), TaskError> {
    match specified {
        Some(at) if !formats.contains(&format) => {
            let message = format!("`{key}` is not for files with `format: {}`", format.name());
            Err(task.error(at, message).with_help("remove it"))
        }
        _ => Ok(()),
    }
}
