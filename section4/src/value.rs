//! Strict parsers of the sources' dates and numbers.

use std::fmt;

use chrono::NaiveDate;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// More than the world's population: a larger total is not a count of cases.
pub(crate) const MOST_CASES: u64 = 10_000_000_000;

/// The month of the first known case. Earlier dates are wrong data or zero values.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2019, 12, 1).expect("that is a day");

/// Cumulative confirmed cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cases(pub(crate) u64);

impl Cases {
    fn of(cases: u64) -> Result<Self, String> {
        match cases {
            0..=MOST_CASES => Ok(Self(cases)),
            _ => Err(format!("{cases} cases exceed the world's population")),
        }
    }

    /// Parses digits and nothing else.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{}` is not an integer number of cases", shown(text)));
        }
        if digits != text {
            return Err(format!("`{}` is a negative number of cases", shown(text)));
        }
        let cases = text.parse().map_err(|_| format!("`{}` cases exceed the world's population", shown(text)))?;
        Self::of(cases)
    }
}

impl<'de> Deserialize<'de> for Cases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeNumber;
        impl Visitor<'_> for WholeNumber {
            type Value = Cases;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer number of cases")
            }

            fn visit_u64<E: de::Error>(self, cases: u64) -> Result<Cases, E> {
                Cases::of(cases).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, cases: i64) -> Result<Cases, E> {
                match u64::try_from(cases) {
                    Ok(cases) => self.visit_u64(cases),
                    Err(_) => Err(E::custom(format!("`{cases}` is a negative number of cases"))),
                }
            }

            fn visit_f64<E: de::Error>(self, cases: f64) -> Result<Cases, E> {
                // An integer too large for 64 bits is passed as a float.
                if cases.abs() > MOST_CASES as f64 {
                    return Err(E::custom(format!("{cases:e} cases exceed the world's population")));
                }
                Err(E::custom(format!("`{cases:?}` is not an integer number of cases")))
            }
        }
        deserializer.deserialize_any(WholeNumber)
    }
}

/// Parses a date in American format, with a two-digit year: `1/22/20`.
pub(crate) fn american_date(text: &str) -> Result<NaiveDate, String> {
    let number = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        let is_number = lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<u32>().ok()).flatten()
    };
    let mut parts = text.split('/');
    let date = (|| {
        let (month, day) = (number(parts.next()?, 1..=2)?, number(parts.next()?, 1..=2)?);
        let year = number(parts.next()?, 2..=2)?;
        parts.next().is_none().then(|| NaiveDate::from_ymd_opt(2000 + year as i32, month, day)).flatten()
    })();
    known(date, text, "m/d/yy")
}

/// `2020-01-22`.
pub(crate) fn iso_date(text: &str) -> Result<NaiveDate, String> {
    known(iso(text), text, "yyyy-mm-dd")
}

/// Parses a day given as its midnight: `2020-01-22T00:00:00Z`.
pub(crate) fn midnight(text: &str) -> Result<NaiveDate, String> {
    known(text.strip_suffix("T00:00:00Z").and_then(iso), text, "yyyy-mm-ddT00:00:00Z")
}

fn iso(text: &str) -> Option<NaiveDate> {
    // chrono alone would also accept `+2020-1-22`.
    (text.len() == 10 && text.starts_with(|first: char| first.is_ascii_digit())).then_some(())?;
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

fn known(date: Option<NaiveDate>, text: &str, form: &str) -> Result<NaiveDate, String> {
    match date {
        Some(date) if date < FIRST_DAY => Err(format!("the date {date} is before the first known case")),
        Some(date) => Ok(date),
        None => Err(format!("`{}` is not a date ({form})", shown(text))),
    }
}

/// A day in JSON, given as its midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Midnight(pub(crate) NaiveDate);

impl fmt::Display for Midnight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T00:00:00Z", self.0)
    }
}

impl Serialize for Midnight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Midnight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        midnight(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

/// External text, safe to print on one line: without control characters, and of limited length.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut words = text.split_whitespace().flat_map(|word| [" ", word]).skip(1).flat_map(str::chars);
    let mut shown: String = words.by_ref().filter(|letter| !letter.is_control()).take(MOST).collect();
    if words.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn american_dates_are_month_first_and_of_this_century() {
        assert_eq!(american_date("1/22/20"), Ok(date(2020, 1, 22)));
        assert_eq!(american_date("12/01/22"), Ok(date(2022, 12, 1)));
    }

    #[test]
    fn invalid_american_dates_are_refused() {
        for text in ["", "22/1/20", "2/30/20", "1/22/2020", "1/22", "1/22/20/1", "1/ 2/20", "+1/2/20", "2020-01-22"] {
            assert_eq!(american_date(text), Err(format!("`{text}` is not a date (m/d/yy)")));
        }
    }

    #[test]
    fn invalid_iso_dates_and_midnights_are_refused() {
        assert_eq!(iso_date("2020-02-29"), Ok(date(2020, 2, 29)));
        for text in ["2021-02-29", "2020-1-22", "+2020-1-22", "2020-01-22 ", "20200122", "2020-01-2२"] {
            assert!(iso_date(text).is_err(), "{text}");
        }
        assert_eq!(midnight("2020-02-29T00:00:00Z"), Ok(date(2020, 2, 29)));
        for text in ["2020-02-29", "2020-02-29T12:00:00Z", "2020-02-29T00:00:00+08:00"] {
            assert!(midnight(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_before_the_first_case_is_refused() {
        assert_eq!(midnight("0001-01-01T00:00:00Z"), Err("the date 0001-01-01 is before the first known case".into()));
    }

    #[test]
    fn cases_are_integers_below_the_limit() {
        assert_eq!(Cases::parse("10000000000"), Ok(Cases(MOST_CASES)));
        for (text, expected) in [
            ("", "`` is not an integer number of cases"),
            ("12.5", "`12.5` is not an integer number of cases"),
            ("+3", "`+3` is not an integer number of cases"),
            ("NaN", "`NaN` is not an integer number of cases"),
            ("-3", "`-3` is a negative number of cases"),
            ("10000000001", "10000000001 cases exceed the world's population"),
            ("99999999999999999999", "`99999999999999999999` cases exceed the world's population"),
        ] {
            assert_eq!(Cases::parse(text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn cases_in_json_are_integers() {
        assert_eq!(serde_json::from_str::<Cases>("12").unwrap(), Cases(12));
        for (json, expected) in [
            ("12.5", "`12.5` is not an integer number"),
            ("12.0", "`12.0` is not an integer number"),
            ("-3", "`-3` is a negative number of cases"),
            ("1e30", "1e30 cases exceed the world's population"),
            ("99999999999999999999", "1e20 cases exceed the world's population"),
            ("\"12\"", "invalid type: string \"12\", expected an integer number of cases"),
            ("null", "invalid type: null, expected an integer number of cases"),
        ] {
            let error = serde_json::from_str::<Cases>(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn external_text_is_shown_on_one_line_without_control_characters() {
        assert_eq!(shown("a\u{1b}[31m\n b"), "a[31m b");
        assert_eq!(shown(&"x".repeat(100)), "x".repeat(80) + "…");
    }
}
