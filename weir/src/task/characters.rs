//! `characters:` of a column.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::text::Scalar;

/// The characters of a line that a column has, from 1: `1-8`, `9`, or `20-` up to the end of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Characters {
    /// The first one.
    pub first: u32,
    /// The last one, unless that is the last one of the line.
    pub last: Option<u32>,
}

impl Characters {
    /// Whether a character belongs to both.
    pub(crate) fn overlap(self, other: Self) -> bool {
        let last = |characters: Self| characters.last.unwrap_or(u32::MAX);
        self.first <= last(other) && other.first <= last(self)
    }
}

impl FromStr for Characters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number > 0);
        let parsed = match text.split_once('-') {
            None => number(text).map(|only| Self { first: only, last: Some(only) }),
            Some((first, last)) if last.trim().is_empty() => number(first).map(|first| Self { first, last: None }),
            Some((first, last)) => {
                number(first).zip(number(last)).map(|(first, last)| Self { first, last: Some(last) })
            }
        };
        let in_order = parsed.filter(|parsed| parsed.last.is_none_or(|last| parsed.first <= last));
        in_order.ok_or_else(|| {
            format!(
                "`{text}` are no characters of a line: write the first and the last one, counted from 1, as in `1-8`"
            )
        })
    }
}

impl<'de> Deserialize<'de> for Characters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Scalar(text) = Scalar::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for Characters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) if last == self.first => write!(f, "{last}"),
            Some(last) => write!(f, "{}-{last}", self.first),
            None => write!(f, "{}-", self.first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_a_range_that_counts_from_1() {
        for text in ["1-8", "9", "20-"] {
            assert_eq!(text.parse::<Characters>().unwrap().to_string(), text);
        }
        assert_eq!("3 - 4".parse(), Ok(Characters { first: 3, last: Some(4) }));
        for text in ["", "-", "0", "0-3", "4-3", "a", "-3", "1-2-3", "1:8"] {
            assert!(text.parse::<Characters>().unwrap_err().contains("`1-8`"), "{text}");
        }
    }

    #[test]
    fn ranges_overlap_if_they_share_a_character() {
        let characters = |text: &str| text.parse::<Characters>().unwrap();
        for (one, other, overlap) in [("1-8", "9-", false), ("1-8", "8", true), ("5-", "1-4", false), ("5-", "9", true)]
        {
            assert_eq!(characters(one).overlap(characters(other)), overlap, "{one} {other}");
            assert_eq!(characters(other).overlap(characters(one)), overlap, "{other} {one}");
        }
    }
}
