//! What is written in place of a private value.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringViewArray, StringViewBuilder, new_null_array};
use datafusion::arrow::datatypes::DataType;
use regex_automata::Span;
use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;

use super::REDACTED;
use super::cache::TokenCache;
use super::token::KeyRing;
use crate::error::{Error, Result};
use crate::function::encode;
use crate::task::PrivateSpec;

/// A character that is not shown.
const MASK: char = '*';

/// What is written in place of the values of a column.
#[derive(Debug, Clone)]
pub(crate) enum Method {
    /// The keyed hash, with the key of this name.
    Hash(String),
    Redact,
    Partial(Regex),
    /// The value encrypted with the key of this name.
    Encrypt(String),
    Drop,
}

impl Method {
    /// The method of a column of this type. What has no single text is redacted.
    pub(super) fn new(spec: &PrivateSpec, kind: &DataType) -> Result<Self, String> {
        let has_text = encode::Column::takes(kind);
        Ok(match spec {
            PrivateSpec::Drop => Self::Drop,
            PrivateSpec::Redact => Self::Redact,
            _ if !has_text => Self::Redact,
            PrivateSpec::Hash { key } => Self::Hash(key.clone()),
            PrivateSpec::Encrypt { key } => Self::Encrypt(key.clone()),
            PrivateSpec::Partial { pattern } => Self::Partial(groups(pattern)?),
        })
    }

    /// The key that it needs.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Hash(key) | Self::Encrypt(key) => Some(key),
            Self::Redact | Self::Partial(_) | Self::Drop => None,
        }
    }

    /// The type of what is written.
    pub(super) fn kind(&self, of: &DataType) -> DataType {
        match self {
            Self::Drop => DataType::Null,
            Self::Redact if !of.is_string() => of.clone(),
            _ => DataType::Utf8View,
        }
    }

    /// Whether two different values are different in what is written, too.
    pub(super) fn keeps_values_apart(&self) -> bool {
        matches!(self, Self::Hash(_) | Self::Encrypt(_))
    }

    /// Whether null is written in place of every value, in a column of this type.
    pub(super) fn writes_null(&self, kind: &DataType) -> bool {
        matches!(self, Self::Drop) || matches!(self, Self::Redact) && !kind.is_string()
    }

    /// The most characters that are written; none if it depends on the value.
    pub(super) fn characters(&self) -> Option<u32> {
        match self {
            Self::Hash(_) => Some(64),
            Self::Redact => Some(REDACTED.len() as u32),
            Self::Partial(_) | Self::Encrypt(_) | Self::Drop => None,
        }
    }

    /// What is written in place of the values. Null stays null.
    pub(super) fn apply(&self, column: &ArrayRef, keys: &KeyRing, known: &mut TokenCache) -> Result<ArrayRef> {
        let failed = |error| Error::internal(format!("a private column: {error}"));
        if self.writes_null(column.data_type()) {
            return Ok(new_null_array(&self.kind(column.data_type()), column.len()));
        }
        let texts = encode::file_text(column).map_err(failed)?;
        let texts: &StringViewArray = texts.as_any().downcast_ref().ok_or_else(|| Error::internal("no texts"))?;
        let key = |name: &str| keys.current(name).ok_or_else(|| Error::internal(format!("key `{name}` is not open")));
        let mut out = StringViewBuilder::with_capacity(texts.len());
        let mut all = |token: &dyn Fn(&str) -> Result<String>| {
            texts.iter().try_for_each(|text| match text {
                None => {
                    out.append_null();
                    Ok(())
                }
                Some(text) => known.token(text, || token(text).map(Box::from), |token| out.append_value(token)),
            })
        };
        match self {
            Self::Hash(name) => {
                let key = key(name)?;
                all(&|text| Ok(hex::encode(key.hash(text))))?;
            }
            Self::Encrypt(name) => {
                let key = key(name)?;
                all(&|text| key.encrypt(text))?;
            }
            Self::Partial(pattern) => {
                let found = RefCell::new(pattern.create_captures());
                all(&|text| Ok(shown(pattern, &mut found.borrow_mut(), text)))?;
            }
            Self::Redact | Self::Drop => texts.iter().for_each(|text| out.append_option(text.map(|_| REDACTED))),
        }
        Ok(Arc::new(out.finish()))
    }
}

/// A pattern with groups.
pub(super) fn groups(pattern: &str) -> Result<Regex, String> {
    let regex = Regex::new(pattern).map_err(|error| {
        // The last line says what is wrong, those before it show where.
        let message = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
        let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("the pattern `{pattern}` is not a regular expression: {last}")
    })?;
    match regex.group_info().all_group_len() > 1 {
        true => Ok(regex),
        false => Err(format!("the pattern `{pattern}` has no group, which says what stays: `^.*(.{{4}})$`")),
    }
}

/// The text with only those of its characters that the groups match; `found` is where they are noted.
fn shown(pattern: &Regex, found: &mut Captures, text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    let mask = |shown: &mut String, text: &str| text.chars().for_each(|_| shown.push(MASK));
    pattern.captures(text, found);
    let groups = || found.iter().skip(1).flatten();
    let mut in_order: Vec<Span> = vec![];
    // Where groups repeat, one may be before another one that is before it in the pattern.
    let are_in_order = groups().is_sorted_by_key(|group| group.start);
    if !are_in_order {
        in_order.extend(groups());
        in_order.sort_unstable_by_key(|group| group.start);
    }
    let groups = groups().filter(|_| are_in_order).chain(in_order);
    // One may lie in another.
    for group in groups {
        if group.start > at {
            mask(&mut shown, &text[at..group.start]);
        }
        if group.end > at {
            shown.push_str(&text[at.max(group.start)..group.end]);
            at = group.end;
        }
    }
    mask(&mut shown, &text[at..]);
    shown
}

/// Of two methods for values of which one output is computed, the one that tells less.
pub(super) fn stronger<'a>(one: Cow<'a, PrivateSpec>, other: Cow<'a, PrivateSpec>) -> Cow<'a, PrivateSpec> {
    if one == other {
        return one;
    }
    let strength = |spec: &PrivateSpec| match spec {
        PrivateSpec::Drop => 4,
        PrivateSpec::Redact => 3,
        PrivateSpec::Encrypt { .. } => 2,
        PrivateSpec::Hash { .. } => 1,
        PrivateSpec::Partial { .. } => 0,
    };
    match strength(&one).cmp(&strength(&other)) {
        std::cmp::Ordering::Greater => one,
        std::cmp::Ordering::Less => other,
        // Two keys or two patterns: neither is right for the other's values.
        std::cmp::Ordering::Equal => Cow::Owned(PrivateSpec::Redact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_groups_match_is_shown() {
        let show = |pattern: &str, text: &str| {
            let pattern = groups(pattern).unwrap();
            shown(&pattern, &mut pattern.create_captures(), text)
        };
        assert_eq!(show("^.*(.{4})$", "123-45-6789"), "*******6789");
        assert_eq!(show("^(.).*(@.*)$", "ann.lee@example.com"), "a******@example.com");
        assert_eq!(show("^(.).*(@.*)$", "née Ø"), "*****");
        assert_eq!(show("(é)", "née"), "*é*");
        assert_eq!(show("((.)b)(c)?", "abd"), "ab*", "a group in another one, and one that has no part");
        assert_eq!(show("(x)", "abc"), "***");
        assert_eq!(show("(?:(b)|(a))+", "ab"), "ab", "a group that is before another one in the text");
        assert!(groups("^.*$").unwrap_err().contains("has no group"));
        assert!(groups("(").unwrap_err().contains("unclosed group"));
    }

    #[test]
    fn of_two_methods_the_one_that_tells_less_is_taken() {
        let hash = |key: &str| PrivateSpec::Hash { key: key.to_owned() };
        let of =
            |one: &PrivateSpec, other: &PrivateSpec| stronger(Cow::Borrowed(one), Cow::Borrowed(other)).into_owned();
        assert_eq!(of(&hash("a"), &PrivateSpec::Drop), PrivateSpec::Drop);
        assert_eq!(of(&PrivateSpec::Partial { pattern: "(.)".to_owned() }, &hash("a")), hash("a"));
        assert_eq!(of(&hash("a"), &hash("a")), hash("a"));
        assert_eq!(of(&hash("a"), &hash("b")), PrivateSpec::Redact);
    }
}
