//! `document_name(text, column, text, …)`: the name of the file that a sink of documents gives a row.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// A name on most file systems has at most that many bytes.
const LONGEST_NAME: usize = 255;

/// Names that Windows keeps for devices, whatever follows behind a dot.
const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];
const NUMBERED_DEVICES: [&str; 2] = ["COM", "LPT"];

/// How documents are named: the values of columns, and the texts before, between and behind them.
///
/// In a value all bytes but ASCII letters, digits, `-`, `.`, `_` and `~` become `%2F` and the like, as RFC 3986 has it for
/// the parts of a URL. In the whole name this is done also to a dot or an underscore at the beginning, to a dot at the end,
/// and to the first letter of what would be a device. Two different keys never have one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentName {
    /// One more than there are values.
    texts: Vec<String>,
}

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

impl DocumentName {
    /// Fails with what is wrong if a text could not stand in a name, or two values could not be told apart.
    pub(crate) fn new(texts: Vec<String>) -> Result<Self, String> {
        if texts.len() < 2 {
            return Err("the name of a document has a column: with one name all rows would be one file".to_owned());
        }
        if let Some(c) = texts.iter().flat_map(|text| text.chars()).find(|c| !c.is_ascii() || !is_plain(*c as u8)) {
            let message =
                "is not for the names of documents: besides columns they have letters, digits, `-`, `.`, `_` and `~`";
            return Err(format!("`{}` {message}", c.escape_debug()));
        }
        if texts[1..texts.len() - 1].iter().any(String::is_empty) {
            return Err(
                "two columns follow one another, so that two keys could have one name: write a text between them, \
                        such as `-`"
                    .to_owned(),
            );
        }
        Ok(Self { texts })
    }

    /// The texts before, between and behind the values.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Writes the name for some values in place of `name`; returns whether there is one: no value is null or empty, and it is
    /// not too long.
    pub(crate) fn write<'a>(&self, value: impl Fn(usize) -> Option<&'a str>, name: &mut String) -> bool {
        name.clear();
        name.push_str(&self.texts[0]);
        for (number, text) in self.texts[1..].iter().enumerate() {
            let Some(value) = value(number).filter(|value| !value.is_empty()) else { return false };
            // Where the next text begins must be seen.
            let is_last = number + 2 == self.texts.len();
            push_escaped(value, text.bytes().next().filter(|_| !is_last), name);
            name.push_str(text);
        }
        guard(name);
        name.len() <= LONGEST_NAME
    }
}

/// Appends a value, with one more byte escaped than usual.
fn push_escaped(value: &str, more: Option<u8>, name: &mut String) {
    let mut rest = value;
    let is_escaped = |byte: &u8| !is_plain(*byte) || Some(*byte) == more;
    while let Some(at) = rest.as_bytes().iter().position(is_escaped) {
        // What is before an escaped byte is ASCII.
        name.push_str(&rest[..at]);
        let length = rest[at..].chars().next().map_or(1, char::len_utf8);
        rest[at..at + length].bytes().for_each(|byte| push_byte(byte, name));
        rest = &rest[at + length..];
    }
    name.push_str(rest);
}

fn push_byte(byte: u8, name: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    name.push('%');
    name.push(DIGITS[usize::from(byte >> 4)] as char);
    name.push(DIGITS[usize::from(byte & 15)] as char);
}

/// Escapes what would mean something at the beginning or the end of a whole name.
fn guard(name: &mut String) {
    let mut escaped = String::new();
    if let Some(first) = name.bytes().next().filter(|first| matches!(first, b'.' | b'_') || is_device(name)) {
        push_byte(first, &mut escaped);
        name.replace_range(..1, &escaped);
    }
    if name.ends_with('.') {
        name.truncate(name.len() - 1);
        push_byte(b'.', name);
    }
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let is_one_of = |devices: &[&str], stem: &str| devices.iter().any(|device| device.eq_ignore_ascii_case(stem));
    let numbered = stem.len() == 4 && stem.ends_with(|last: char| last.is_ascii_digit());
    is_one_of(&DEVICES, stem) || numbered && is_one_of(&NUMBERED_DEVICES, &stem[..3])
}

/// `document_name('', customer_no, '.json')` is `42%2F7.json` for `42/7`: how a sink of documents names a row. Null if a
/// value is null or empty, or the name is too long.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DocumentNameFunction {
    signature: Signature,
}

impl DocumentNameFunction {
    pub(super) fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DocumentNameFunction {
    fn name(&self) -> &str {
        "document_name"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        for (number, arg) in args.args.iter().enumerate() {
            match arg {
                ColumnarValue::Scalar(text) if number % 2 == 0 => match text.try_as_str() {
                    Some(Some(text)) => texts.push(text.to_owned()),
                    _ => return exec_err!("the texts of document_name are not null"),
                },
                ColumnarValue::Array(_) if number % 2 == 0 => {
                    return exec_err!(
                        "document_name takes in turn a constant text and a column: document_name('', key, '.json')"
                    );
                }
                value => values.push(cast(&value.to_array(args.number_rows)?, &DataType::Utf8View)?),
            }
        }
        if texts.len() == values.len() {
            texts.push(String::new());
        }
        let name = match DocumentName::new(texts) {
            Ok(name) => name,
            Err(message) => return exec_err!("{message}"),
        };
        let names = names(&name, &values, args.number_rows);
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) && !names.is_empty() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&names, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(names)))
    }
}

/// The names of rows; null where there is none.
fn names(of: &DocumentName, values: &[ArrayRef], rows: usize) -> StringViewArray {
    let values: Vec<&StringViewArray> = values.iter().map(|values| values.as_string_view()).collect();
    let mut names = StringViewBuilder::with_capacity(rows);
    let mut name = String::new();
    for row in 0..rows {
        let value = |number: usize| values[number].is_valid(row).then(|| values[number].value(row));
        names.append_option(of.write(value, &mut name).then_some(&name));
    }
    names.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(texts: &[&str]) -> DocumentName {
        DocumentName::new(texts.iter().map(|text| (*text).to_owned()).collect()).unwrap()
    }

    fn named(texts: &[&str], values: &[&str]) -> Option<String> {
        let mut name = String::new();
        of(texts).write(|number| Some(values[number]), &mut name).then_some(name)
    }

    /// Takes a name apart: the reverse of what gives it.
    fn values_of(texts: &[&str], name: &str) -> Vec<String> {
        // Each character, and whether it was escaped.
        let (bytes, mut at, mut read) = (name.as_bytes(), 0, Vec::new());
        while at < bytes.len() {
            let is_escaped = bytes[at] == b'%';
            let byte = if is_escaped { u8::from_str_radix(&name[at + 1..at + 3], 16).unwrap() } else { bytes[at] };
            read.push((byte, is_escaped));
            at += if is_escaped { 3 } else { 1 };
        }
        let mut rest = &read[texts[0].len()..read.len() - texts[texts.len() - 1].len()];
        let mut values = vec![];
        for text in &texts[1..texts.len() - 1] {
            let end = rest.iter().position(|(byte, is_escaped)| !is_escaped && *byte == text.as_bytes()[0]).unwrap();
            values.push(&rest[..end]);
            rest = &rest[end + text.len()..];
        }
        values.push(rest);
        let text = |value: &[(u8, bool)]| String::from_utf8(value.iter().map(|(byte, _)| *byte).collect()).unwrap();
        values.into_iter().map(text).collect()
    }

    #[test]
    fn a_name_leads_nowhere_and_means_nothing() {
        for (key, name) in [
            ("a-1_b.c~", "a-1_b.c~.json"),
            ("../x", "%2E.%2Fx.json"),
            ("/etc/passwd", "%2Fetc%2Fpasswd.json"),
            ("a\\b:c*?\"<>|", "a%5Cb%3Ac%2A%3F%22%3C%3E%7C.json"),
            ("100%", "100%25.json"),
            ("_SUCCESS", "%5FSUCCESS.json"),
            (".weir-20261127T171142Z-0123456789ab", "%2Eweir-20261127T171142Z-0123456789ab.json"),
            ("a b ", "a%20b%20.json"),
            ("\0\u{1f}\u{7f}", "%00%1F%7F.json"),
            ("Müller", "M%C3%BCller.json"),
            ("Mu\u{308}ller", "Mu%CC%88ller.json"),
            ("東", "%E6%9D%B1.json"),
            ("CON", "%43ON.json"),
            ("nul.x", "%6Eul.x.json"),
            ("lpt9", "%6Cpt9.json"),
            ("COM10", "COM10.json"),
            ("CONSOLE", "CONSOLE.json"),
        ] {
            assert_eq!(named(&["", ".json"], &[key]).as_deref(), Some(name), "{key}");
        }
        for (key, name) in
            [(".", "%2E"), ("..", "%2E%2E"), ("a.", "a%2E"), ("_", "%5F"), ("aux", "%61ux"), ("%2E", "%252E")]
        {
            assert_eq!(named(&["", ""], &[key]).as_deref(), Some(name), "{key}");
        }
        assert_eq!(named(&["doc-", ""], &["CON"]).as_deref(), Some("doc-CON"));
    }

    #[test]
    fn there_is_no_name_of_nothing_and_none_that_is_too_long() {
        assert_eq!(named(&["", ".json"], &[""]), None);
        let mut name = String::new();
        assert!(!of(&["", ".json"]).write(|_| None, &mut name));
        assert!(named(&["", ".json"], &[&"x".repeat(250)]).is_some());
        assert_eq!(named(&["", ".json"], &[&"x".repeat(251)]), None);
        assert!(named(&["", ""], &[&"é".repeat(42)]).is_some());
        assert_eq!(named(&["", ""], &[&"é".repeat(43)]), None);
        assert_eq!(named(&["", ""], &[&format!("_{}", "x".repeat(253))]), None);
    }

    #[test]
    fn values_are_told_apart_by_the_text_between_them() {
        let texts = ["", "-", ".json"];
        assert_eq!(named(&texts, &["x-y", "z"]).as_deref(), Some("x%2Dy-z.json"));
        assert_eq!(named(&texts, &["x", "y-z"]).as_deref(), Some("x-y-z.json"));
        for (texts, said) in [
            (&["x"][..], "all rows would be one file"),
            (&["", "", ""], "write a text between them"),
            (&["a/", ""], "`/` is not for the names"),
            (&["%2F", ""], "`%` is not for the names"),
            (&["é", ""], "is not for the names"),
        ] {
            let error = DocumentName::new(texts.iter().map(|text| (*text).to_owned()).collect()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    const TEXTS: [&[&str]; 9] = [
        &["", ".json"],
        &["", ""],
        &["C", ""],
        &["._", "."],
        &["", "-", ".json"],
        &["", ".", ""],
        &["", "C", ""],
        &["", "_A", "x", "."],
        &["x", "2", "E", ""],
    ];

    /// Keys with what means something, or looks as if it was escaped.
    fn key() -> impl Strategy<Value = String> {
        prop_oneof![".{1,12}", "[-._~%/25ECcOoNn]{1,6}", "(con|NUL|com1|%2E|_SUCCESS|\\.\\.)[.]?"]
    }

    proptest! {
        #[test]
        fn a_key_can_be_read_from_its_name(texts in 0usize..9, keys in proptest::collection::vec(key(), 3)) {
            let texts = TEXTS[texts];
            let keys: Vec<&str> = keys[..texts.len() - 1].iter().map(String::as_str).collect();
            if let Some(name) = named(texts, &keys) {
                prop_assert_eq!(values_of(texts, &name), keys);
                prop_assert!(name.bytes().all(|byte| is_plain(byte) || byte == b'%'));
                prop_assert!(name.len() <= LONGEST_NAME && !name.starts_with(['.', '_']) && !name.ends_with('.'));
                prop_assert!(!is_device(&name));
            }
        }
    }
}
