//! Dates and times from their text in the form of ISO 8601.

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;

use super::number;
use crate::function::calendar;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;

/// Microseconds from 1970 of the years 1 to 9999.
const YEARS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;

/// A date and time as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Microseconds from 1970-01-01 on the clock that shows it.
    pub(crate) clock: i64,
    /// How far the clock is ahead of UTC, in seconds, if the text says so.
    pub(crate) offset: Option<i32>,
}

/// What a time without an offset means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zoneless {
    /// It is the time as it is written.
    Kept,
    /// It is a time of this zone, and becomes UTC.
    Local(Tz),
    /// It is no moment.
    Invalid,
}

impl Stamp {
    /// Microseconds from 1970 in UTC; `None` if it is no moment.
    #[inline]
    pub(crate) fn micros(self, zoneless: Zoneless) -> Option<i64> {
        let micros = match (self.offset, zoneless) {
            (Some(offset), _) => self.clock - i64::from(offset) * SECOND,
            (None, Zoneless::Kept) => self.clock,
            (None, Zoneless::Local(zone)) => utc(self.clock, zone)?,
            (None, Zoneless::Invalid) => return None,
        };
        YEARS.contains(&micros).then_some(micros)
    }
}

/// The moment at which the clocks of a zone show a time; `None` if they never do, or do so twice.
fn utc(clock: i64, zone: Tz) -> Option<i64> {
    let local = DateTime::from_timestamp_micros(clock)?.naive_utc();
    Some(zone.from_local_datetime(&local).single()?.timestamp_micros())
}

/// `2022-01-31`, as days since 1970-01-01.
#[inline]
pub(super) fn day(text: &[u8]) -> Option<i32> {
    let text: &[u8; 10] = text.try_into().ok()?;
    let mut wrong = u8::from(text[4] != b'-') | u8::from(text[7] != b'-');
    let mut digit = |at: usize| {
        let digit = text[at].wrapping_sub(b'0');
        wrong |= u8::from(digit > 9);
        u32::from(digit)
    };
    let year = digit(0) * 1000 + digit(1) * 100 + digit(2) * 10 + digit(3);
    let (month, day) = (digit(5) * 10 + digit(6), digit(8) * 10 + digit(9));
    if wrong != 0 {
        return None;
    }
    calendar::days(year, month, day)
}

/// `23:59:59.123456`, as microseconds since midnight.
#[inline]
pub(super) fn time_of_day(text: &[u8]) -> Option<i64> {
    clock(text).filter(|(_, rest)| rest.is_empty()).map(|(micros, _)| micros)
}

/// A date, or a date and a time, with or without an offset from UTC.
#[inline]
pub(super) fn stamp(text: &[u8]) -> Option<Stamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let midnight = i64::from(day(date)?) * DAY;
    let time = match rest {
        [] => return Some(Stamp { clock: midnight, offset: None }),
        [b'T' | b't' | b' ', time @ ..] => time,
        _ => return None,
    };
    let (micros, rest) = clock(time)?;
    let offset = if rest.is_empty() { None } else { Some(offset(rest.trim_ascii_start())?) };
    Some(Stamp { clock: midnight + micros, offset })
}

/// Two digits.
#[inline]
fn pair(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// `23:59:59.123456`, `23:59` or `235959`, as microseconds since midnight, and what follows.
#[inline]
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let hour = pair(text, 0)?;
    let (minute, second, rest) = match text.get(2) == Some(&b':') {
        true if text.get(5) == Some(&b':') => (pair(text, 3)?, pair(text, 6)?, &text[8..]),
        true => (pair(text, 3)?, 0, &text[5..]),
        false => (pair(text, 2)?, pair(text, 4)?, &text[6..]),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let whole = ((hour * 60 + minute) * 60 + second) * SECOND;
    match rest {
        // There are no fractions of a minute.
        [b'.', fraction @ ..] if text.len() - rest.len() > 5 => {
            let (part, rest) = micros(fraction)?;
            Some((whole + part, rest))
        }
        rest => Some((whole, rest)),
    }
}

/// The digits of a fraction of a second as microseconds, and what follows. Further digits are zero.
#[inline]
fn micros(text: &[u8]) -> Option<(i64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    let (kept, beyond) = digits.split_at(length.min(6));
    if length == 0 || beyond.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let micros = kept.iter().fold(0, |micros, byte| micros * 10 + i64::from(byte - b'0'));
    Some((micros * 10_i64.pow(6 - kept.len() as u32), rest))
}

/// A time without the digits of a second behind the sixth.
pub(super) fn truncated<'a>(text: &'a str, kept: &'a mut String) -> &'a str {
    let Some((before, fraction)) = text.split_once('.') else { return text };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    match fraction.len() - rest.len() {
        ..=6 => text,
        _ => {
            kept.clear();
            kept.extend([before, ".", &fraction[..6], rest]);
            kept
        }
    }
}

/// `Z`, `+08:00`, `+0800` or `+08`, in seconds.
fn offset(text: &[u8]) -> Option<i32> {
    let (is_negative, rest) = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (false, rest),
        [b'-', rest @ ..] => (true, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.len() {
        2 => (pair(rest, 0)?, 0),
        4 => (pair(rest, 0)?, pair(rest, 2)?),
        5 if rest[2] == b':' => (pair(rest, 0)?, pair(rest, 3)?),
        _ => return None,
    };
    let seconds = ((hours * 60 + minutes) * 60) as i32;
    (hours < 24 && minutes < 60).then_some(if is_negative { -seconds } else { seconds })
}

/// A number of units since 1970-01-01 in UTC; `scale` is that of a unit: 0 for seconds, 3 for milliseconds.
pub(super) fn epoch(text: &[u8], scale: u8) -> Option<Stamp> {
    let micros = number::exact(text, 18, i64::from(6 - scale))?;
    Some(Stamp { clock: i64::try_from(micros).ok()?, offset: Some(0) })
}

/// A date and time as Excel counts it, in days, to the nearest millisecond. Excel has a 29 February 1900, which is none.
pub(super) fn excel(text: &[u8]) -> Option<Stamp> {
    let days = number::double(text).filter(|days| (1.0..60.0).contains(days) || (61.0..2_958_466.0).contains(days))?;
    let epoch = day(if days < 60.0 { b"1899-12-31" } else { b"1899-12-30" })?;
    let millis = (days * MILLIS_OF_DAY).round() as i64;
    Some(Stamp { clock: i64::from(epoch) * DAY + millis * MILLI, offset: None })
}

/// A time of day as Excel writes it: a fraction of a day, to the nearest millisecond.
pub(super) fn excel_time(text: &[u8]) -> Option<i64> {
    let part = number::double(text).filter(|part| (0.0..1.0).contains(part))?;
    let millis = (part * MILLIS_OF_DAY).round() as i64;
    (millis < DAY / MILLI).then_some(millis * MILLI)
}

const MILLI: i64 = 1000;
const MILLIS_OF_DAY: f64 = 86_400_000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> Option<i64> {
        stamp(text.as_bytes())?.micros(Zoneless::Kept)
    }

    /// The time that chrono reads, which has one form only.
    fn of(text: &str) -> Option<i64> {
        Some(chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap().and_utc().timestamp_micros())
    }

    #[test]
    fn a_time_may_have_an_offset_fewer_or_more_digits() {
        for (text, expected) in [
            ("2023-01-15", of("2023-01-15 00:00:00")),
            ("2023-01-15 08:00", of("2023-01-15 08:00:00")),
            ("2023-01-15T08:00Z", of("2023-01-15 08:00:00")),
            ("2023-01-15 080001", of("2023-01-15 08:00:01")),
            ("2023-01-15T08:00:00.5", of("2023-01-15 08:00:00.5")),
            ("2023-01-15t08:00:00.123456000z", of("2023-01-15 08:00:00.123456")),
            ("2023-01-15T08:00:00-05:00", of("2023-01-15 13:00:00")),
            ("2023-01-15T08:00:00+05", of("2023-01-15 03:00:00")),
            ("2023-01-15 08:00:00.25 +0530", of("2023-01-15 02:30:00.25")),
            ("9999-12-31T23:59:59.999999", of("9999-12-31 23:59:59.999999")),
        ] {
            assert_eq!((micros(text), expected.is_some()), (expected, true), "{text}");
        }
        for text in [
            "",
            "2023-01-15 ",
            "2023-01-15T08",
            "2023-01-15 08:00.5",
            "2023-01-15T08:00:00.",
            "2023-01-15T08:00:00.123456789",
            "2023-01-15T08:00:60",
            "2023-01-15T24:00:00",
            "2023-01-15T08:00:00 ",
            "2023-01-15T08:00:00+5",
            "2023-01-15T08:00:00+24:00",
            "2023-01-15T08:00:00+08:60",
            "2023-01-15T08:00:00 UTC",
            "2023-02-29T08:00:00",
            "0000-01-01",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2023-1-15",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn digits_behind_the_microsecond_are_cut_off_on_demand() {
        let mut kept = String::new();
        for (text, expected) in [
            ("2023-01-15T08:00:00.123456789Z", "2023-01-15T08:00:00.123456Z"),
            ("2023-01-15 08:00:00.1234567 +05:30", "2023-01-15 08:00:00.123456 +05:30"),
            ("1969-12-31T23:59:59.999999999", "1969-12-31T23:59:59.999999"),
            ("08:00:00.123456", "08:00:00.123456"),
            ("08:00:00.12345678x", "08:00:00.123456x"),
            ("08:00:00.", "08:00:00."),
            ("08:00:00", "08:00:00"),
            ("é.é23456789", "é.é23456789"),
        ] {
            assert_eq!(truncated(text, &mut kept), expected);
        }
    }

    #[test]
    fn a_time_of_a_zone_is_a_moment_unless_it_is_none_or_two() {
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        let at = |text: &str| stamp(text.as_bytes()).unwrap().micros(Zoneless::Local(zone));
        assert_eq!(at("2024-07-01 12:00:00"), of("2024-07-01 10:00:00"));
        assert_eq!(at("2024-07-01 12:00:00Z"), of("2024-07-01 12:00:00"));
        assert_eq!(at("2024-03-31 02:30:00"), None, "the clocks leap over it");
        assert_eq!(at("2024-10-27 02:30:00"), None, "the clocks show it twice");
        assert_eq!(stamp(b"2024-07-01 12:00:00").unwrap().micros(Zoneless::Invalid), None);
    }

    #[test]
    fn numbers_are_times_in_the_unit_that_is_declared() {
        let at = |stamp: Option<Stamp>| stamp.and_then(|stamp| stamp.micros(Zoneless::Kept));
        assert_eq!(at(epoch(b"1700000000", 0)), of("2023-11-14 22:13:20"));
        assert_eq!(at(epoch(b"1700000000.25", 0)), of("2023-11-14 22:13:20.25"));
        assert_eq!(at(epoch(b"1700000000123", 3)), of("2023-11-14 22:13:20.123"));
        assert_eq!(at(epoch(b"1.5", 6)), None);
        assert_eq!(at(epoch(b"999999999999999", 0)), None);
        assert_eq!(at(excel(b"45000.5")), of("2023-03-15 12:00:00"));
        assert_eq!(at(excel(b"45000.75001157408")), of("2023-03-15 18:00:01"));
        assert_eq!(at(excel(b"59")), of("1900-02-28 00:00:00"));
        assert_eq!(at(excel(b"61")), of("1900-03-01 00:00:00"));
        assert_eq!((at(excel(b"60")), at(excel(b"0")), at(excel(b"x"))), (None, None, None));
    }

    proptest! {
        #[test]
        fn every_time_is_read_as_chrono_writes_it(time in YEARS, minutes in -1439i32..1440) {
            let moment = DateTime::from_timestamp_micros(time).unwrap();
            let text = moment.naive_utc().to_string();
            prop_assert_eq!(micros(&text), Some(time));
            prop_assert_eq!(day(&text.as_bytes()[..10]), Some(time.div_euclid(DAY) as i32));
            prop_assert_eq!(time_of_day(&text.as_bytes()[11..]), Some(time.rem_euclid(DAY)));
            let there = moment.with_timezone(&chrono::FixedOffset::east_opt(minutes * 60).unwrap()).to_rfc3339();
            // A year of five digits, or before the first, is not written as one.
            prop_assume!(there.as_bytes()[4] == b'-' && !there.starts_with("0000"));
            prop_assert_eq!(micros(&there), Some(time));
        }
    }
}
