//! Custom formats of dates and times in a column.

use std::fmt::Write;

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Timelike};
use datafusion::arrow::array::{Array, ArrayRef, Date32Array, StringViewArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::Date32Type;

use super::columns::Typed;
use crate::task::SqlType;

/// A `strftime` format of a date or a timestamp.
#[derive(Debug)]
pub(crate) struct TimeFormat {
    items: Vec<Item<'static>>,
    /// The first items, up to this number, must be written as formatting would write them. The others have fractions
    /// of a second, whose number of digits may vary.
    strict: usize,
    /// The components of the format.
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Date,
    Timestamp,
    /// A timestamp with an offset, converted to UTC.
    Instant,
}

#[derive(Debug, PartialEq)]
enum Time {
    Date(NaiveDate),
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
            SqlType::Timestamp if has(is_offset) => Kind::Instant,
            SqlType::Timestamp => Kind::Timestamp,
            other => return Err(format!("a `format` is for dates and timestamps, but this is a {other}")),
        };
        let strict = items.iter().position(is_fraction).unwrap_or(items.len());
        let format_of = Self { items, strict, kind };
        // Not every format determines a value: that is tested with a distinctive time.
        let day = NaiveDate::from_ymd_opt(2022, 11, 30).unwrap_or_default();
        let time = day.and_hms_opt(21, 58, 0).unwrap_or_default();
        let sample = match kind {
            Kind::Date => Time::Date(day),
            Kind::Timestamp => Time::Timestamp(time),
            Kind::Instant => Time::Instant(time.and_utc().fixed_offset()),
        };
        let mut text = String::new();
        match sample.write(&mut text, &format_of.items).is_ok() && format_of.read(&text) == Some(sample) {
            true => Ok(format_of),
            false => Err(format!("`{format}` does not specify exactly the parts of a {sql_type}")),
        }
    }

    /// Parses the texts of a column.
    pub(crate) fn parse(&self, text: &StringViewArray) -> Typed {
        let mut invalid = Vec::new();
        let mut written = String::new();
        let mut times = Vec::with_capacity(text.len());
        for (row, text) in text.iter().enumerate() {
            let time = text.and_then(|text| self.read(text).filter(|time| self.is_written(time, text, &mut written)));
            if text.is_some() && time.is_none() {
                invalid.push(row);
            }
            times.push(time);
        }
        let values: ArrayRef = match self.kind {
            Kind::Date => {
                std::sync::Arc::new(times.iter().map(|time| Some(time.as_ref()?.days())).collect::<Date32Array>())
            }
            Kind::Timestamp | Kind::Instant => std::sync::Arc::new(
                times.iter().map(|time| Some(time.as_ref()?.micros())).collect::<TimestampMicrosecondArray>(),
            ),
        };
        Typed { values, invalid }
    }

    fn read(&self, text: &str) -> Option<Time> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        let time = match self.kind {
            Kind::Date => Time::Date(parsed.to_naive_date().ok()?),
            Kind::Timestamp => Time::Timestamp(parsed.to_naive_datetime_with_offset(0).ok()?),
            Kind::Instant => Time::Instant(parsed.to_datetime().ok()?),
        };
        // A leap second cannot be represented in a timestamp, nor can a fraction of a microsecond.
        let nanoseconds = match &time {
            Time::Date(_) => 0,
            Time::Timestamp(time) => time.nanosecond(),
            Time::Instant(time) => time.nanosecond(),
        };
        (nanoseconds < 1_000_000_000 && nanoseconds.is_multiple_of(1000)).then_some(time)
    }

    /// Whether formatting the time gives the text. Parsing is more lenient than that: it would
    /// read `2022111` as the first of November.
    fn is_written(&self, time: &Time, text: &str, written: &mut String) -> bool {
        written.clear();
        let is_whole = self.strict == self.items.len();
        time.write(written, &self.items[..self.strict]).is_ok()
            && text.get(..written.len()).is_some_and(|head| head.eq_ignore_ascii_case(written))
            && (!is_whole || text.len() == written.len())
    }
}

impl Time {
    fn write(&self, into: &mut String, items: &[Item<'static>]) -> std::fmt::Result {
        match self {
            Self::Date(date) => write!(into, "{}", date.format_with_items(items.iter())),
            Self::Timestamp(time) => write!(into, "{}", time.format_with_items(items.iter())),
            Self::Instant(time) => write!(into, "{}", time.format_with_items(items.iter())),
        }
    }

    fn days(&self) -> i32 {
        match self {
            Self::Date(date) => Date32Type::from_naive_date(*date),
            Self::Timestamp(time) => Date32Type::from_naive_date(time.date()),
            Self::Instant(time) => Date32Type::from_naive_date(time.date_naive()),
        }
    }

    fn micros(&self) -> i64 {
        match self {
            Self::Date(date) => date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros(),
            Self::Timestamp(time) => time.and_utc().timestamp_micros(),
            Self::Instant(time) => time.timestamp_micros(),
        }
    }
}

fn is_offset(item: &Item<'_>) -> bool {
    use Fixed::{
        RFC2822, RFC3339, TimezoneOffset, TimezoneOffsetColon, TimezoneOffsetColonZ, TimezoneOffsetDoubleColon,
        TimezoneOffsetTripleColon, TimezoneOffsetZ,
    };
    matches!(
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
    )
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
    use datafusion::arrow::array::AsArray;

    fn dates(format: &str, text: &str) -> Option<String> {
        let typed = TimeFormat::new(format, SqlType::Date).unwrap().parse(&StringViewArray::from_iter_values([text]));
        let date = typed.values.as_primitive::<Date32Type>().value_as_date(0)?;
        typed.invalid.is_empty().then(|| date.to_string())
    }

    fn times(format: &str, text: &str) -> Option<String> {
        use datafusion::arrow::datatypes::TimestampMicrosecondType;
        let typed =
            TimeFormat::new(format, SqlType::Timestamp).unwrap().parse(&StringViewArray::from_iter_values([text]));
        let time = typed.values.as_primitive::<TimestampMicrosecondType>();
        typed.invalid.is_empty().then(|| time.value_as_datetime(0).unwrap().to_string())
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
        assert_eq!(dates("%-d/%-m/%Y", "5/1/2022").unwrap(), "2022-01-05");
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
        assert_eq!(times("%s", "0").unwrap(), "1970-01-01 00:00:00");
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
        ] {
            assert!(TimeFormat::new(format, sql_type).is_err(), "{format}");
        }
    }
}
