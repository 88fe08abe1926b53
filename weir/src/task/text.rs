//! YAML shapes shared by several parts of a task file.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

/// A value with a short form, one scalar, and a long form, a mapping.
///
/// (An untagged enum would do as well, but loses the position of every error inside.)
pub(super) fn short_or_long<'de, D, T>(deserializer: D, what: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: ShortOrLong<'de>,
{
    deserializer.deserialize_any(ShortOrLongVisitor(what, PhantomData))
}

/// How a value is built from its two forms.
pub(super) trait ShortOrLong<'de>: Sized {
    /// The mapping's shape.
    type Long: Deserialize<'de>;
    /// Builds it from the scalar's text.
    fn short(text: &str) -> Result<Self, String>;
    /// Builds it from the mapping.
    fn long(long: Self::Long) -> Result<Self, String>;
}

struct ShortOrLongVisitor<T>(&'static str, PhantomData<T>);

impl<'de, T: ShortOrLong<'de>> de::Visitor<'de> for ShortOrLongVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::short(text).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::long(T::Long::deserialize(MapAccessDeserializer::new(map))?).map_err(de::Error::custom)
    }
}

/// A count of rows, or a share of them: `100` or `5%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// A count of rows.
    Count(u64),
    /// A share of the rows, from 0 to 1.
    Share(f64),
}

impl Limit {
    /// Whether `part` of `whole` rows is above the limit. Zero rows are never above a share.
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        match self {
            Self::Count(count) => part > count,
            Self::Share(share) => part as f64 > share * whole as f64,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither a count of rows (100) nor a share (5%)");
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
                (0.0..=100.0).contains(&percent).then_some(Self::Share(percent / 100.0)).ok_or_else(wrong)
            }
            None => text.trim().parse().map(Self::Count).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            // Rounded to the digits that were written: 0.07 * 100 is 7.000000000000001.
            Self::Share(share) => write!(f, "{}%", (share * 1e8).round() / 1e6),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Scalar::deserialize(deserializer)?.0).map_err(de::Error::custom)
    }
}

/// A scalar as the text it is written as, whatever type YAML resolves it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// One column name, or a list of column names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnNames(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for ColumnNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = OneOrMore { expected: "a column name or a list of column names", empty: "name at least one column" };
        deserializer.deserialize_any(kind).map(Self)
    }
}

/// One text, or a list of texts that is not empty.
pub(super) struct OneOrMore {
    pub(super) expected: &'static str,
    /// The error of an empty list.
    pub(super) empty: &'static str,
}

impl<'de> de::Visitor<'de> for OneOrMore {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![text.to_owned()])
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = seq.next_element()? {
            texts.push(text);
        }
        if texts.is_empty() { Err(de::Error::custom(self.empty)) } else { Ok(texts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_count_or_a_share() {
        assert_eq!(Limit::parse("100"), Ok(Limit::Count(100)));
        assert_eq!(Limit::parse("5%"), Ok(Limit::Share(0.05)));
        for text in ["", "-1", "101%", "five", "nan%"] {
            assert!(Limit::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_allows_its_own_value() {
        assert!(!Limit::Share(0.05).is_exceeded(5, 100));
        assert!(Limit::Share(0.05).is_exceeded(6, 100));
        assert!(!Limit::Share(0.05).is_exceeded(0, 0));
        assert!(Limit::Count(3).is_exceeded(4, 4));
    }
}
