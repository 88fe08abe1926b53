//! Dates, times and durations of cells as the text of ISO 8601.
//!
//! Excel counts days: in the date system of 1900 from 1900-01-01, which is 1, with a 29 February 1900 that never was; in
//! that of 1904 from 1904-01-01, which is 0. A number has about a millisecond of precision, and is rounded to one.

use std::fmt::Write;

use chrono::NaiveDateTime;

use crate::function::calendar;

const MILLIS_OF_DAY: i64 = 86_400_000;

/// The day that never was.
const LEAP_DAY_1900: i64 = 60;

/// The days after the last one, 9999-12-31.
const END_1900: i64 = 2_958_466;
const END_1904: i64 = END_1900 - 1462;

/// Days from 1970-01-01 to 1899-12-30 and to 1904-01-01.
const EPOCH_1900: i64 = -25_569;
const EPOCH_1904: i64 = -24_107;

/// The date, the date and time, or only the time if the day is 0; `None` if Excel shows no such date.
pub(super) fn moment(serial: f64, is_1904: bool) -> Option<String> {
    let millis = millis(serial)?;
    let (day, time) = (millis.div_euclid(MILLIS_OF_DAY), millis.rem_euclid(MILLIS_OF_DAY));
    let end = if is_1904 { END_1904 } else { END_1900 };
    if !(0..end).contains(&day) || (!is_1904 && day == LEAP_DAY_1900) {
        return None;
    }
    let mut text = String::with_capacity(23);
    if day == 0 {
        write_time(time, &mut text);
        return Some(text);
    }
    let days = match is_1904 {
        true => EPOCH_1904 + day,
        false => EPOCH_1900 + day + i64::from(day < LEAP_DAY_1900),
    };
    write_moment(days, time, &mut text);
    Some(text)
}

/// A duration, whose hours may be more than those of a day.
pub(super) fn duration(days: f64) -> Option<String> {
    let millis = millis(days)?;
    let mut text = String::new();
    if millis < 0 {
        text.push('-');
    }
    write_time(millis.abs(), &mut text);
    Some(text)
}

/// `2024-01-31`, `2024-01-31T08:30:00.5` or `08:30:00`, to the nearest millisecond.
pub(super) fn iso_moment(text: &str) -> Option<String> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time),
        None if text.contains(':') => ("1970-01-01", text),
        None => (text, "00:00:00"),
    };
    let parsed = NaiveDateTime::parse_from_str(&format!("{date} {time}"), "%Y-%m-%d %H:%M:%S%.f").ok()?;
    // Half a millisecond is added, and what is below a millisecond is cut.
    let micros = parsed.and_utc().timestamp_micros() + 500;
    let millis = micros.div_euclid(1000);
    let (day, time) = (millis.div_euclid(MILLIS_OF_DAY), millis.rem_euclid(MILLIS_OF_DAY));
    let mut written = String::with_capacity(23);
    match text.contains('T') || !text.contains(':') {
        true => write_moment(day, time, &mut written),
        false => write_time(millis, &mut written),
    }
    Some(written)
}

/// A duration such as `PT08H30M15.5S` or `-P1DT2H`.
pub(super) fn iso_duration(text: &str) -> Option<String> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').unwrap_or((rest, ""));
    let seconds = parts(days, &[('D', 86_400.0)])? + parts(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?;
    let days = seconds / 86_400.0;
    duration(if is_negative { -days } else { days })
}

/// The sum of numbers with these letters behind them, in this order.
fn parts(mut text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut sum = 0.0;
    for (letter, seconds) in units {
        if let Some((number, rest)) = text.split_once(*letter) {
            if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                return None;
            }
            sum += number.parse::<f64>().ok()? * seconds;
            text = rest;
        }
    }
    text.is_empty().then_some(sum)
}

fn millis(days: f64) -> Option<i64> {
    let millis = (days * MILLIS_OF_DAY as f64).round();
    (millis.abs() < 1e15).then_some(millis as i64)
}

/// The date alone at midnight, which both a date and a timestamp are read from.
fn write_moment(days: i64, time: i64, out: &mut String) {
    let (year, month, day) = calendar::date(days as i32);
    // Writing to a text cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    if time > 0 {
        out.push('T');
        write_time(time, out);
    }
}

fn write_time(millis: i64, out: &mut String) {
    let (seconds, part) = (millis / 1000, millis % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}");
    if part > 0 {
        let _ = write!(out, ".{part:03}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_in_both_date_systems() {
        for (serial, in_1900, in_1904) in [
            (1.0, Some("1900-01-01"), Some("1904-01-02")),
            (59.0, Some("1900-02-28"), Some("1904-02-29")),
            (60.0, None, Some("1904-03-01")),
            (60.5, None, Some("1904-03-01T12:00:00")),
            (61.0, Some("1900-03-01"), Some("1904-03-02")),
            (1462.0, Some("1904-01-01"), Some("1908-01-02")),
            (36_526.0, Some("2000-01-01"), Some("2004-01-02")),
            (43_831.0, Some("2020-01-01"), Some("2024-01-02")),
            (45_351.0, Some("2024-02-29"), Some("2028-03-01")),
            (2_957_003.0, Some("9995-12-30"), Some("9999-12-31")),
            (2_958_465.0, Some("9999-12-31"), None),
            (2_958_466.0, None, None),
            (-1.0, None, None),
            (f64::NAN, None, None),
            (f64::INFINITY, None, None),
        ] {
            assert_eq!(moment(serial, false).as_deref(), in_1900, "{serial}");
            assert_eq!(moment(serial, true).as_deref(), in_1904, "{serial}");
        }
    }

    #[test]
    fn times_are_rounded_to_milliseconds() {
        for (serial, text) in [
            (0.0, "00:00:00"),
            (0.354_166_666_666_666_7, "08:30:00"),
            (0.999_988_425_925_925_9, "23:59:59"),
            (45_000.5, "2023-03-15T12:00:00"),
            (45_000.750_011_574_08, "2023-03-15T18:00:01"),
            (45_000.000_000_001, "2023-03-15"),
            (45_000.999_999_999_99, "2023-03-16"),
            (45_000.000_005_787_04, "2023-03-15T00:00:00.500"),
        ] {
            assert_eq!(moment(serial, false).as_deref(), Some(text), "{serial}");
        }
    }

    #[test]
    fn durations_have_more_hours_than_a_day() {
        for (days, text) in [(0.0, "00:00:00"), (1.260_416_666_666_666_7, "30:15:00"), (-0.0625, "-01:30:00")] {
            assert_eq!(duration(days).as_deref(), Some(text), "{days}");
        }
        for (iso, text) in [
            ("PT08H30M15S", Some("08:30:15")),
            ("PT30H15M00.5S", Some("30:15:00.500")),
            ("-P1DT2H", Some("-26:00:00")),
            ("PT8H30", None),
            ("PT-1H", None),
            ("8 hours", None),
        ] {
            assert_eq!(iso_duration(iso).as_deref(), text, "{iso}");
        }
    }

    #[test]
    fn iso_texts_get_the_same_form() {
        for (iso, text) in [
            ("2024-01-31", Some("2024-01-31")),
            ("2024-01-31T00:00:00", Some("2024-01-31")),
            ("2024-01-31T08:30:00", Some("2024-01-31T08:30:00")),
            ("2024-01-31T08:29:59.999999999", Some("2024-01-31T08:30:00")),
            ("2024-01-31T08:30:00.5", Some("2024-01-31T08:30:00.500")),
            ("2024-01-31T08:30:00Z", None),
            ("08:30:00", Some("08:30:00")),
            ("2024-02-30", None),
            ("31.01.2024", None),
        ] {
            assert_eq!(iso_moment(iso).as_deref(), text, "{iso}");
        }
    }
}
