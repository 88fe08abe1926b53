//! Booleans, UUIDs, JSON documents and bytes from their text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::task::{Scalar, ValueSpec};

/// The words for true and false, in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    is_true: Vec<String>,
    is_false: Vec<String>,
}

impl Default for Words {
    fn default() -> Self {
        Self { is_true: vec!["true".to_owned()], is_false: vec!["false".to_owned()] }
    }
}

impl Words {
    /// The words that the task declares, in addition to `true` and `false`, which JSON has as values.
    pub(super) fn take(spec: &ValueSpec) -> Result<Self, String> {
        let Self { is_true, is_false } = Self::default();
        let words = |key: &str, given: &Option<Vec<Scalar>>, default: Vec<String>| match given {
            None => Ok(default),
            Some(words) if words.is_empty() => Err(format!("`{key}` has no word")),
            Some(words) => Ok(default.into_iter().chain(words.iter().map(|Scalar(word)| word.clone())).collect()),
        };
        let is_true = words("true_values", &spec.true_values, is_true)?;
        let is_false = words("false_values", &spec.false_values, is_false)?;
        match is_true.iter().find(|word| has(&is_false, word)) {
            Some(word) => Err(format!("`{word}` cannot be both true and false")),
            None => Ok(Self { is_true, is_false }),
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    #[inline]
    pub(super) fn read(&self, text: &str) -> Option<bool> {
        match has(&self.is_true, text) {
            true => Some(true),
            false => has(&self.is_false, text).then_some(false),
        }
    }
}

fn has(words: &[String], text: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `\x48656c6c6f`, as PostgreSQL writes them, with or without `\x`.
    Hex,
    Base64,
}

impl Encoding {
    pub(super) fn take(formats: &[String]) -> Result<Self, String> {
        match formats.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] | ["hex"] => Ok(Self::Hex),
            ["base64"] => Ok(Self::Base64),
            _ => Err(format!("`{}` is not how bytes are written", formats.join(", "))),
        }
    }

    pub(super) fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            // An empty text is null; no bytes are `\x`.
            _ if text.is_empty() => None,
            Self::Hex => hex::decode(text.strip_prefix("\\x").unwrap_or(text)).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
        }
    }
}

/// A UUID in its canonical form.
pub(super) fn uuid(text: &str) -> Option<String> {
    Some(uuid::Uuid::try_parse(text).ok()?.to_string())
}

/// Whether a text is a JSON document.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}
