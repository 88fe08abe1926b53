//! Dates and times by a `strftime` format.

use std::fmt::Write;

use chrono::format::{Fixed, Item, Numeric, Pad, Parsed, StrftimeItems, parse};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::template::Template;
use super::time::Stamp;
use crate::task::SqlType;

/// A `strftime` format of a date or a time.
#[derive(Debug, Clone)]
pub(crate) struct TimeFormat {
    items: Vec<Item<'static>>,
    /// The first items, up to this number, must be written as formatting would write them. The others are an offset, or
    /// have fractions of a second, whose number of digits may vary.
    strict: usize,
    /// The components of the format.
    kind: Kind,
    /// The same format, if every part of it has a fixed place.
    template: Option<Template>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Date,
    Time,
    Timestamp,
    /// A timestamp with an offset from UTC.
    Instant,
}

#[derive(Debug, PartialEq)]
enum Time {
    Date(NaiveDate),
    OfDay(NaiveTime),
    Timestamp(NaiveDateTime),
    Instant(DateTime<FixedOffset>),
}

impl TimeFormat {
    /// Parses a format. It must determine a value of the type completely.
    pub(crate) fn new(format: &str, sql_type: SqlType) -> Result<Self, String> {
        let items = StrftimeItems::new(format).parse_to_owned();
        let items = items.map_err(|_| format!("`{format}` has an unknown conversion"))?;
        let has = |wanted: fn(&Item<'_>) -> bool| items.iter().any(wanted);
        if has(|item| matches!(item, Item::Fixed(Fixed::TimezoneName))) {
            return Err(format!("`{format}`: time zone names are not supported, only offsets (%:z)"));
        }
        let kind = match sql_type {
            SqlType::Date => Kind::Date,
            SqlType::Time => Kind::Time,
            SqlType::Timestamp | SqlType::TimestampTz if has(is_offset) => Kind::Instant,
            SqlType::Timestamp | SqlType::TimestampTz => Kind::Timestamp,
            other => return Err(format!("a `format` is for dates and times, but this is a {other}")),
        };
        let strict = items.iter().position(|item| is_fraction(item) || is_offset(item)).unwrap_or(items.len());
        let template = Template::new(&items);
        let format_of = Self { items, strict, kind, template };
        // Not every format determines a value: that is tested with a distinctive time.
        let day = NaiveDate::from_ymd_opt(2022, 11, 30).unwrap_or_default();
        let time = day.and_hms_opt(21, 58, 0).unwrap_or_default();
        let sample = match kind {
            Kind::Date => Time::Date(day),
            Kind::Time => Time::OfDay(time.time()),
            Kind::Timestamp => Time::Timestamp(time),
            Kind::Instant => Time::Instant(time.and_utc().fixed_offset()),
        };
        let mut text = String::new();
        let written = format_of.items.iter().all(|item| sample.write(&mut text, written_as(item)).is_ok());
        match written && format_of.read(&text) == Some(sample) {
            true => Ok(format_of),
            false => Err(format!("`{format}` does not specify exactly the parts of a {sql_type}")),
        }
    }

    /// Parses a text: a date is its midnight, and a time of day one of 1970-01-01.
    pub(super) fn stamp(&self, text: &str, written: &mut String) -> Option<Stamp> {
        if let Some(template) = &self.template {
            return template.stamp(text.as_bytes());
        }
        let time = self.read(text)?;
        self.is_written(&time, text, written).then(|| time.stamp())
    }

    fn read(&self, text: &str) -> Option<Time> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        let time = match self.kind {
            Kind::Date => Time::Date(parsed.to_naive_date().ok()?),
            Kind::Time => Time::OfDay(parsed.to_naive_time().ok()?),
            Kind::Timestamp => Time::Timestamp(parsed.to_naive_datetime_with_offset(0).ok()?),
            Kind::Instant => Time::Instant(parsed.to_datetime().ok()?),
        };
        // A leap second cannot be represented in a timestamp, nor can a fraction of a microsecond.
        let nanoseconds = match &time {
            Time::Date(_) => 0,
            Time::OfDay(time) => time.nanosecond(),
            Time::Timestamp(time) => time.nanosecond(),
            Time::Instant(time) => time.nanosecond(),
        };
        (nanoseconds < 1_000_000_000 && nanoseconds.is_multiple_of(1000)).then_some(time)
    }

    /// Whether formatting the time gives the text. Parsing is more lenient than that: it would
    /// read `2022111` as the first of November. A number without padding (`%-d`) may have a zero before it.
    fn is_written(&self, time: &Time, text: &str, written: &mut String) -> bool {
        let mut rest = text;
        for item in &self.items[..self.strict] {
            written.clear();
            if time.write(written, item).is_err() {
                return false;
            }
            let padded = rest.strip_prefix('0').filter(|_| matches!(item, Item::Numeric(_, Pad::None)));
            let behind = |rest: &'_ str| {
                let head = rest.get(..written.len())?;
                head.eq_ignore_ascii_case(written).then_some(rest.len() - written.len())
            };
            match padded.and_then(behind).or_else(|| behind(rest)) {
                Some(left) => rest = &rest[rest.len() - left..],
                None => return false,
            }
        }
        rest.is_empty() || self.strict < self.items.len()
    }
}

impl Time {
    fn write(&self, into: &mut String, item: &Item<'static>) -> std::fmt::Result {
        let items = std::iter::once(item);
        match self {
            Self::Date(date) => write!(into, "{}", date.format_with_items(items)),
            Self::OfDay(time) => write!(into, "{}", time.format_with_items(items)),
            Self::Timestamp(time) => write!(into, "{}", time.format_with_items(items)),
            Self::Instant(time) => write!(into, "{}", time.format_with_items(items)),
        }
    }

    fn stamp(&self) -> Stamp {
        let local = |time: NaiveDateTime| Stamp { clock: time.and_utc().timestamp_micros(), offset: None };
        match self {
            Self::Date(date) => local(date.and_time(NaiveTime::MIN)),
            Self::OfDay(time) => local(NaiveDate::default().and_time(*time)),
            Self::Timestamp(time) => local(*time),
            Self::Instant(time) => {
                let offset = time.offset().local_minus_utc();
                Stamp { clock: time.naive_local().and_utc().timestamp_micros(), offset: Some(offset) }
            }
        }
    }
}

/// How an item is written: `%#z` is only for parsing.
fn written_as<'a>(item: &'a Item<'static>) -> &'a Item<'static> {
    const OFFSET: Item<'static> = Item::Fixed(Fixed::TimezoneOffsetColon);
    if is_permissive_offset(item) { &OFFSET } else { item }
}

fn is_permissive_offset(item: &Item<'_>) -> bool {
    matches!(item, Item::Fixed(Fixed::Internal(_))) && format!("{item:?}").contains("TimezoneOffsetPermissive")
}

fn is_offset(item: &Item<'_>) -> bool {
    use Fixed::{
        RFC2822, RFC3339, TimezoneOffset, TimezoneOffsetColon, TimezoneOffsetColonZ, TimezoneOffsetDoubleColon,
        TimezoneOffsetTripleColon, TimezoneOffsetZ,
    };
    let is_fixed = matches!(
        item,
        Item::Fixed(
            RFC2822
                | RFC3339
                | TimezoneOffset
                | TimezoneOffsetColon
                | TimezoneOffsetColonZ
                | TimezoneOffsetDoubleColon
                | TimezoneOffsetTripleColon
                | TimezoneOffsetZ
        )
    );
    is_fixed || is_permissive_offset(item)
}

/// Whether an item has, or may have, a fraction of a second.
fn is_fraction(item: &Item<'_>) -> bool {
    use Fixed::{Nanosecond, Nanosecond3, Nanosecond6, Nanosecond9, RFC2822, RFC3339};
    matches!(
        item,
        Item::Numeric(Numeric::Nanosecond, _)
            | Item::Fixed(Nanosecond | Nanosecond3 | Nanosecond6 | Nanosecond9 | RFC2822 | RFC3339)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql_type: SqlType, format: &str, text: &str) -> Option<NaiveDateTime> {
        let format = TimeFormat::new(format, sql_type).unwrap();
        let Stamp { clock, offset } = format.stamp(text, &mut String::new())?;
        let micros = clock - i64::from(offset.unwrap_or(0)) * 1_000_000;
        Some(DateTime::from_timestamp_micros(micros).unwrap().naive_utc())
    }

    fn dates(format: &str, text: &str) -> Option<String> {
        read(SqlType::Date, format, text).map(|time| time.date().to_string())
    }

    fn times(format: &str, text: &str) -> Option<String> {
        read(SqlType::Timestamp, format, text).map(|time| time.to_string())
    }

    #[test]
    fn a_date_is_parsed_by_its_format_only() {
        assert_eq!(dates("%d/%m/%Y", "05/11/2022").unwrap(), "2022-11-05");
        assert_eq!(dates("%Y%m%d", "20221105").unwrap(), "2022-11-05");
        assert_eq!(dates("%d %b %y", "05 NOV 22").unwrap(), "2022-11-05");
        for (format, text) in [("%d/%m/%Y", "5/11/2022"), ("%Y%m%d", "2022115"), ("%d/%m/%Y", "31/02/2022")] {
            assert_eq!(dates(format, text), None, "{text}");
        }
        assert_eq!(dates("%d/%m/%Y", "05/11/2022 "), None);
    }

    #[test]
    fn a_number_without_padding_may_have_a_zero_before_it() {
        for text in ["5/1/2022", "05/01/2022", "5/01/2022", "05/1/2022"] {
            assert_eq!(dates("%-d/%-m/%Y", text).unwrap(), "2022-01-05", "{text}");
        }
        for text in ["005/1/2022", "5/1/22", "5/1/02022", " 5/1/2022", "32/1/2022"] {
            assert_eq!(dates("%-d/%-m/%Y", text), None, "{text}");
        }
        assert_eq!(times("%-d.%-m.%Y %-H:%M", "05.1.2022 0:30").unwrap(), "2022-01-05 00:30:00");
        assert_eq!(times("%-d.%-m.%Y %-H:%M", "5.1.2022 00:30").unwrap(), "2022-01-05 00:30:00");
    }

    #[test]
    fn a_timestamp_has_its_fraction_and_its_offset() {
        assert_eq!(times("%d.%m.%Y %H:%M", "05.11.2022 07:09").unwrap(), "2022-11-05 07:09:00");
        assert_eq!(times("%Y-%m-%d %H:%M:%S%.f", "2022-11-05 07:09:01.5").unwrap(), "2022-11-05 07:09:01.500");
        assert_eq!(times("%Y-%m-%d %H:%M:%S%.f", "2022-11-05 07:09:01").unwrap(), "2022-11-05 07:09:01");
        assert_eq!(times("%Y-%m-%d %H:%M:%S%.f", "2022-11-05 07:09:01.1234567"), None);
        assert_eq!(times("%Y-%m-%d %H:%M:%S", "2022-11-05 07:09:60"), None);
        assert_eq!(times("%Y-%m-%d %H:%M:%S%:z", "2022-11-05 07:09:01+08:00").unwrap(), "2022-11-04 23:09:01");
        assert_eq!(times("%+", "2022-11-05T07:09:01.25Z").unwrap(), "2022-11-05 07:09:01.250");
        assert_eq!(times("%Y-%m-%dT%H:%M:%S%#z", "2022-11-05T07:09:01+08").unwrap(), "2022-11-04 23:09:01");
        assert_eq!(times("%Y-%m-%dT%H:%M:%S%#z", "2022-11-05T07:09:01Z").unwrap(), "2022-11-05 07:09:01");
        assert_eq!(times("%s", "0").unwrap(), "1970-01-01 00:00:00");
        assert_eq!(read(SqlType::Time, "%I:%M %p", "09:05 PM").unwrap().to_string(), "1970-01-01 21:05:00");
    }

    #[test]
    fn a_format_must_specify_exactly_its_type() {
        for (format, sql_type) in [
            ("%Y-%m", SqlType::Date),
            ("%Y-%m-%d %H:%M", SqlType::Date),
            ("%Y-%m-%d", SqlType::Timestamp),
            ("%Y-%m-%d %I:%M", SqlType::Timestamp),
            ("%Y-%m-%d %H:%M %Z", SqlType::Timestamp),
            ("%Q", SqlType::Date),
            ("", SqlType::Date),
            ("%Y", SqlType::Integer),
            ("%H", SqlType::Time),
        ] {
            assert!(TimeFormat::new(format, sql_type).is_err(), "{format}");
        }
    }
}
