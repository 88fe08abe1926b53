//! Errors in a task file or a SQL file, with the place they point at.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use indicatif::HumanCount;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use serde_saphyr::Location;

/// A text file that the user wrote: its name as given, and its content.
#[derive(Debug, Clone)]
pub struct SourceText(Arc<NamedSource<String>>);

impl SourceText {
    /// Keeps the text of `path` for error messages.
    pub fn new(path: &Path, text: String) -> Self {
        Self(Arc::new(NamedSource::new(path.display().to_string(), text)))
    }

    /// The file's content.
    pub fn text(&self) -> &str {
        self.0.inner()
    }

    /// The file's name as the user gave it.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

/// Where in a text something stands: line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place of a YAML node, if the parser knew it.
    pub fn of(location: Location) -> Option<Self> {
        (location != Location::UNKNOWN)
            .then(|| Self { line: location.line() as usize, column: location.column() as usize })
    }

    fn offset(self, text: &str) -> usize {
        let line_start: usize = text.split_inclusive('\n').take(self.line - 1).map(str::len).sum();
        let in_line = text[line_start..].chars().take(self.column.saturating_sub(1)).take_while(|c| *c != '\n');
        line_start + in_line.map(char::len_utf8).sum::<usize>()
    }
}

/// Something is wrong in a file that the user wrote.
#[derive(Debug, Clone)]
pub struct TaskError {
    source: SourceText,
    place: Option<Place>,
    message: String,
    help: Option<String>,
}

impl TaskError {
    /// An error at `place` of `source`.
    pub fn new(source: &SourceText, place: Option<Place>, message: impl fmt::Display) -> Self {
        Self { source: source.clone(), place, message: message.to_string(), help: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// Says which of `known` is nearest to the unknown `name`, and lists them.
    #[must_use]
    pub fn nearest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        if known.is_empty() {
            return self;
        }
        let list = known.iter().map(|word| in_yaml(word)).collect::<Vec<_>>().join(", ");
        match nearest(name, &known) {
            Some(near) if name.trim_matches('"') == near => {
                self.with_help(format!("write `{}`, without the quotes of SQL. Known here: {list}", in_yaml(near)))
            }
            Some(near) => self.with_help(format!("did you mean `{}`? Known here: {list}", in_yaml(near))),
            None => self.with_help(format!("known here: {list}")),
        }
    }

    /// Where the error is.
    pub fn place(&self) -> Option<Place> {
        self.place
    }
}

/// A text in which a terminal finds nothing to obey: control characters, and those that change the direction of what
/// follows, are shown escaped; a line break and a tab are a blank.
pub(crate) fn printable(text: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => printable.push(' '),
            c if is_plain(c) => printable.push(c),
            c => printable.extend(c.escape_unicode()),
        }
    }
    printable
}

/// A count with its noun: `1 file`, `1,200 files`.
pub(crate) fn number_of(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{} {noun}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// A word as a list in YAML has it: in quotes if it would be something else without them.
fn in_yaml(word: &str) -> Cow<'_, str> {
    let is_plain = word.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && word.chars().all(|c| c.is_alphanumeric() || "_-./() $".contains(c))
        && !word.ends_with(' ');
    if is_plain { word.into() } else { serde_json::Value::from(word).to_string().into() }
}

/// The known word that a mistyped one most likely means.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&name.to_lowercase(), &word.to_lowercase()), *word))
        .filter(|(distance, word)| *distance <= (word.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { line, column }) => {
                write!(f, "{}:{line}:{column}: {}", self.source.name(), self.message)
            }
            None => write!(f, "{}: {}", self.source.name(), self.message),
        }
    }
}

impl std::error::Error for TaskError {}

impl Diagnostic for TaskError {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.map(|_| &*self.source.0 as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let offset = self.place?.offset(self.source.text());
        let span = SourceSpan::new(offset.into(), word_length(&self.source.text()[offset..]));
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }
}

/// How much to underline: to the end of the word that the error points at.
fn word_length(rest: &str) -> usize {
    rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '}' | ']' | ')')).unwrap_or(rest.len()).max(1)
}
