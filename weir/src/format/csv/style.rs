//! The form of CSV files as a sink writes them.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use memchr::memchr2;

use super::declare::{Enclosing, charset_of, refuse, text};
use crate::format::text::Charset;
use crate::function::encode::Column;
use crate::task::{Format, LineEnd, OutputFilesSpec, Quoting, Task, TaskError};

/// How the CSV files of a sink are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct CsvStyle {
    /// Whether texts that look like formulas are escaped.
    pub(crate) escape_formulas: bool,
    /// What the task specifies, if it is not the default.
    pub(crate) declared: Option<Arc<Style>>,
}

/// A form that a task declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Style {
    pub(super) delimiter: String,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) line_end: &'static str,
    pub(super) null_text: String,
    pub(super) quote_all: bool,
    pub(super) header: bool,
    pub(super) bom: bool,
    pub(super) charset: Option<Charset>,
}

/// Why a value cannot be written in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwritable {
    /// It needs quotes, and there are none.
    Quotes,
    /// Without quotes it would be read as null.
    Null,
    /// Its row would be a blank line.
    Blank,
    /// The encoding does not have this character.
    Character(char, Charset),
}

impl CsvStyle {
    /// The declared form as text, by which a later run recognizes it; empty if it is the default.
    pub(crate) fn shown(&self) -> String {
        let Some(style) = &self.declared else { return String::new() };
        let Style { delimiter, quote, escape, line_end, null_text, quote_all: _, header, bom, charset } = &**style;
        let [quote, escape] =
            [quote, escape].map(|byte| byte.map_or("none".to_owned(), |byte| char::from(byte).to_string()));
        let charset = charset.map_or("UTF-8", Charset::name);
        format!(
            "delimiter {delimiter:?}, quote {quote}, escape {escape}, line end {line_end:?}, null {null_text:?}, header {header}, \
             byte order mark {bom}, encoding {charset}"
        )
    }
}

impl Style {
    /// Reads the form of a sink's files; `None` is the default form.
    pub(crate) fn take(task: &Task, files: &OutputFilesSpec) -> Result<Option<Self>, TaskError> {
        check_keys(task, files)?;
        let Enclosing { delimiter, quote, escape } =
            Enclosing::take(task, &files.delimiter, &files.quote, &files.escape)?;
        let style = Self {
            delimiter,
            quote,
            escape,
            line_end: match files.line_end.as_ref().map(|end| end.value) {
                Some(LineEnd::Crlf) => "\r\n",
                Some(LineEnd::Cr) => "\r",
                Some(LineEnd::Lf) | None => "\n",
            },
            null_text: files
                .null_text
                .as_ref()
                .map(|null| text(task, "null_text", null))
                .transpose()?
                .unwrap_or_default(),
            quote_all: files.quoting.as_ref().is_some_and(|quoting| quoting.value == Quoting::All),
            header: files.header.as_ref().is_none_or(|header| header.value),
            bom: files.bom.as_ref().is_some_and(|bom| bom.value),
            charset: charset_of(task, &files.encoding)?,
        };
        if let (Some(null), true) = (&files.null_text, style.is_special(style.null_text.as_bytes(), false)) {
            let error = task.error(null, "`null_text` has a delimiter or a quote");
            return Err(error.with_help("specify a text that needs no quotes, such as '\\N'"));
        }
        if let (Some(quoting), true) = (&files.quoting, style.quote_all && quote.is_none()) {
            return Err(task.error(quoting, "`quoting: all` needs a `quote`").with_help("remove one of the two"));
        }
        if let (Some(bom), Some(charset)) = (&files.bom, style.charset)
            && style.bom
            && !charset.is_unicode()
        {
            let error = task.error(bom, format!("`bom` is for encodings of Unicode, and {} is none", charset.name()));
            return Err(error.with_help("remove one of the two"));
        }
        let default = Self {
            delimiter: ",".to_owned(),
            quote: Some(b'"'),
            escape: None,
            line_end: "\n",
            null_text: String::new(),
            quote_all: false,
            header: true,
            bom: false,
            charset: None,
        };
        Ok((style != default).then_some(style))
    }

    /// Appends a row's value, or null.
    pub(super) fn value(&self, column: &Column, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        match column {
            Column::Text(values) | Column::Number(values) | Column::Time(values) if values.is_valid(row) => {
                self.text(values.value(row).as_bytes(), out)
            }
            Column::Boolean(values) if values.is_valid(row) => {
                self.text(if values.value(row) { b"true" } else { b"false" }, out)
            }
            _ => {
                out.extend_from_slice(self.null_text.as_bytes());
                Ok(())
            }
        }
    }

    /// Appends a text so that it is read as this text.
    pub(super) fn text(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let is_null = text == self.null_text.as_bytes();
        let is_special = self.is_special(text, true);
        match (self.quote, self.escape) {
            (Some(quote), escape) if is_special || is_null || text.is_empty() || self.quote_all => {
                out.push(quote);
                escaped(text, quote, escape, out);
                out.push(quote);
            }
            (None, Some(escape)) if is_special => {
                let from = out.len();
                self.without_quotes(text, escape, out);
                if &out[from..] == self.null_text.as_bytes() {
                    return Err(Unwritable::Null);
                }
            }
            (None, None) if is_special => return Err(Unwritable::Quotes),
            (None, _) if is_null => return Err(Unwritable::Null),
            _ => out.extend_from_slice(text),
        }
        Ok(())
    }

    /// Whether a text has what separates or encloses values, or escapes.
    fn is_special(&self, text: &[u8], with_escape: bool) -> bool {
        let first = self.delimiter.as_bytes()[0];
        let is_mark =
            |byte: &u8| *byte == first || Some(*byte) == self.quote || (with_escape && Some(*byte) == self.escape);
        memchr2(b'\n', b'\r', text).is_some() || text.iter().any(is_mark) || text.starts_with(BYTE_ORDER_MARK)
    }

    /// Appends a text with an escape before each special character.
    fn without_quotes(&self, text: &[u8], escape: u8, out: &mut Vec<u8>) {
        for byte in text {
            match byte {
                b'\n' if escape == b'\\' => out.extend_from_slice(b"\\n"),
                b'\r' if escape == b'\\' => out.extend_from_slice(b"\\r"),
                byte => {
                    let is_mark = *byte == self.delimiter.as_bytes()[0] || *byte == escape;
                    if is_mark || matches!(byte, b'\n' | b'\r') {
                        out.push(escape);
                    }
                    out.push(*byte);
                }
            }
        }
    }
}

/// With this a text would begin as a file does.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Appends a text within quotes.
fn escaped(text: &[u8], quote: u8, escape: Option<u8>, out: &mut Vec<u8>) {
    for byte in text {
        if *byte == quote || Some(*byte) == escape {
            out.push(escape.unwrap_or(quote));
        }
        out.push(*byte);
    }
}

/// Fails if a key is specified that is not for files of the format.
fn check_keys(task: &Task, files: &OutputFilesSpec) -> Result<(), TaskError> {
    let (format, csv) = (files.format.into(), &[Format::Csv]);
    refuse(task, format, "delimiter", &files.delimiter, csv)?;
    refuse(task, format, "quote", &files.quote, csv)?;
    refuse(task, format, "escape", &files.escape, csv)?;
    refuse(task, format, "encoding", &files.encoding, csv)?;
    refuse(task, format, "header", &files.header, csv)?;
    refuse(task, format, "line_end", &files.line_end, csv)?;
    refuse(task, format, "null_text", &files.null_text, csv)?;
    refuse(task, format, "quoting", &files.quoting, csv)?;
    refuse(task, format, "bom", &files.bom, csv)
}

impl Unwritable {
    /// What is wrong with the value.
    pub(crate) fn what(self) -> String {
        match self {
            Self::Quotes => {
                "a value with a delimiter or a line break, and `quote: none` has no way to write it".to_owned()
            }
            Self::Null => "a text that without quotes would be read as null".to_owned(),
            Self::Blank => "a null alone in its row, which would be a blank line".to_owned(),
            Self::Character(c, charset) => {
                format!("the character U+{:04X}, which {} does not have", u32::from(c), charset.name())
            }
        }
    }

    /// What to do about it.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Quotes => "specify `escape: \"\\\\\"` next to `quote: none`, or remove `quote: none`",
            Self::Null => {
                "specify another `null_text`, such as '\\N', or remove `quote: none`; nullif() in the model makes such texts null"
            }
            Self::Blank => "specify `null_text`, such as '\\N', or remove `quote: none`",
            Self::Character(..) => "specify `encoding: utf-8`, or replace such characters in the model",
        }
    }
}
