//! How values are written in a source's files: what is null, the words of booleans, the form of numbers, dates and times.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::text::{OneOrMore, Scalar};

/// How values are written: the settings of a source, or of one of its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueSpec {
    /// Texts that mean null.
    pub null_values: Option<Vec<String>>,
    /// Whether an empty text is null in a column of text.
    pub empty_as_null: Option<bool>,
    /// The words for true.
    pub true_values: Option<Vec<Scalar>>,
    /// The words for false.
    pub false_values: Option<Vec<Scalar>>,
    /// The decimal point of numbers.
    pub decimal_point: Option<String>,
    /// The character between groups of digits.
    pub thousands: Option<String>,
    /// Texts that may stand before or behind a number.
    pub strip: Option<Vec<String>>,
    /// Further ways in which a negative number is written.
    pub negative: Option<Vec<Negative>>,
    /// The time zone of times without an offset.
    pub timezone: Option<String>,
}

/// The formats of a date or time: one, or several that are tried in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats(pub Vec<String>);

impl<'de> Deserialize<'de> for Formats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = OneOrMore { expected: "a format or a list of formats", empty: "the list of formats is empty" };
        deserializer.deserialize_any(kind).map(Self)
    }
}

/// A way to write a negative number, in addition to a minus sign before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Negative {
    /// `(1234.50)`, as in accounting.
    Parentheses,
    /// `1234.50-`
    TrailingMinus,
}

impl ValueSpec {
    /// These settings, with those of the source where there are none.
    pub(crate) fn or(self, source: Self) -> Self {
        Self {
            null_values: self.null_values.or(source.null_values),
            empty_as_null: self.empty_as_null.or(source.empty_as_null),
            true_values: self.true_values.or(source.true_values),
            false_values: self.false_values.or(source.false_values),
            decimal_point: self.decimal_point.or(source.decimal_point),
            thousands: self.thousands.or(source.thousands),
            strip: self.strip.or(source.strip),
            negative: self.negative.or(source.negative),
            timezone: self.timezone.or(source.timezone),
        }
    }

    /// Whether the form of numbers is set.
    pub(crate) fn has_numbers(&self) -> bool {
        self.number_key().is_some()
    }

    /// The first key that is set and only concerns numbers.
    pub(crate) fn number_key(&self) -> Option<&'static str> {
        let keys = [
            ("decimal_point", self.decimal_point.is_some()),
            ("thousands", self.thousands.is_some()),
            ("strip", self.strip.is_some()),
            ("negative", self.negative.is_some()),
        ];
        keys.into_iter().find(|(_, is_set)| *is_set).map(|(key, _)| key)
    }

    /// The first key that is set and only concerns booleans.
    pub(crate) fn boolean_key(&self) -> Option<&'static str> {
        match (&self.true_values, &self.false_values) {
            (Some(_), _) => Some("true_values"),
            (None, Some(_)) => Some("false_values"),
            (None, None) => None,
        }
    }

    /// The first key that is set.
    pub(crate) fn any_key(&self) -> Option<&'static str> {
        let null_values = self.null_values.as_ref().is_some_and(|texts| !texts.is_empty());
        let keys = [
            ("null_values", null_values),
            ("empty_as_null", self.empty_as_null.is_some()),
            ("timezone", self.timezone.is_some()),
        ];
        let other = || keys.into_iter().find(|(_, is_set)| *is_set).map(|(key, _)| key);
        self.number_key().or_else(|| self.boolean_key()).or_else(other)
    }
}
