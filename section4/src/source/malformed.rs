//! Errors of responses that do not have their format.

use serde::de::DeserializeOwned;

use crate::Error;
use crate::value::shown;

/// What is wrong with a response, and its position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    message: String,
    help: &'static str,
}

impl Malformed {
    /// A value that does not match the format.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let help = "nothing was written; the source has an error, or its format has changed";
        Self { message: message.into(), help }
    }

    fn cut_off() -> Self {
        let message = "the response is truncated: incomplete JSON".to_owned();
        Self { message, help: "nothing was written; try again later" }
    }

    /// A response that is not data at all.
    fn no_data(bytes: &[u8], expected: &str) -> Option<Self> {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
        let start = start.trim_start_matches('\u{feff}').trim_start();
        if start.is_empty() {
            let message = format!("the response is empty; expected {expected}");
            return Some(Self { message, help: "nothing was written; check the server: --base-url" });
        }
        start.starts_with('<').then(|| {
            let message = format!("the response is an HTML page{} instead of {expected}", titled(start));
            let help = "nothing was written; it may be a proxy, a login or an error page: open the URL in a \
                        browser, and check --base-url";
            Self { message, help }
        })
    }

    /// The error with the URL of the response.
    pub(crate) fn at(self, url: &str) -> Error {
        Error::Malformed { url: url.to_owned(), message: self.message, help: self.help }
    }
}

/// The title of a page, to identify it.
fn titled(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        Some(&page[start..start + lower[start..].find("</title>")?])
    });
    title.map(|title| format!(" (“{}”)", shown(title))).unwrap_or_default()
}

/// Parses JSON. Errors have their path: `[17].Cases`.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    if let Some(malformed) = Malformed::no_data(bytes, "JSON") {
        return Err(malformed);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        if error.is_eof() {
            return Malformed::cut_off();
        }
        let message = error.to_string();
        if !error.is_data() {
            return Malformed::new(format!("the response is not JSON: {}", shown(&message)));
        }
        // The path is the position; columns of one long line are useless.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        match path.as_str() {
            "." => Malformed::new(shown(message)),
            path => Malformed::new(format!("{}: {}", shown(path), shown(message))),
        }
    })?;
    reader.end().map_err(|error| Malformed::new(format!("unexpected text after the JSON: {error}")))?;
    Ok(value)
}

/// Opens a CSV; a byte order mark is skipped.
pub(crate) fn csv(bytes: &[u8]) -> Result<::csv::Reader<&[u8]>, Malformed> {
    match Malformed::no_data(bytes, "CSV") {
        Some(malformed) => Err(malformed),
        None => Ok(::csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))),
    }
}

impl From<::csv::Error> for Malformed {
    fn from(error: ::csv::Error) -> Self {
        let line = error.position().map(|position| format!("line {}: ", position.line())).unwrap_or_default();
        Self::new(match error.kind() {
            ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{line}{len} fields instead of {expected_len}")
            }
            ::csv::ErrorKind::Utf8 { .. } => format!("{line}the text is not valid UTF-8"),
            _ => format!("{line}{error}"),
        })
    }
}

/// The position of a column in a header.
pub(crate) fn column(header: &::csv::StringRecord, names: &[&str]) -> Result<usize, Malformed> {
    let mut found = header.iter().enumerate().filter(|(_, of)| names.contains(of)).map(|(i, _)| i);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (Some(_), Some(_)) => Err(Malformed::new(format!("line 1: duplicate column `{}`", names[0]))),
        (None, _) => {
            let first: Vec<_> = header.iter().take(5).map(shown).collect();
            let message = format!("line 1: column `{}` is missing; the header is {} …", names[0], first.join(","));
            Err(Malformed::new(message))
        }
    }
}
