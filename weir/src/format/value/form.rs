//! The form of a column's texts: its type, and what the task declares about it.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::bytes::{Encoding, Words};
use super::local::LocalNumbers;
use super::strftime::TimeFormat;
use super::time::{self, DAY, Stamp, Zoneless};
use crate::task::{ColumnSpec, SourceSpec, SqlType, UTC, ValueSpec, parse_zone};

/// How the texts of a column are read.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    Text {
        empty_as_null: bool,
    },
    Boolean(Words),
    Integer(Option<LocalNumbers>),
    Bigint(Option<LocalNumbers>),
    Double(Option<LocalNumbers>),
    /// Digits in all, digits after the point.
    Decimal(Option<LocalNumbers>, u8, u8),
    /// Without a format: ISO 8601.
    Date(Vec<TimeForm>),
    Time(Vec<TimeForm>),
    Timestamp {
        forms: Vec<TimeForm>,
        zoneless: Zoneless,
        /// The time zone of the Arrow type.
        zone: Option<Arc<str>>,
    },
    Uuid,
    Json,
    Binary(Encoding),
    /// A type that task files do not have.
    Other(DataType),
}

/// One of the formats of a date or time.
#[derive(Debug, Clone)]
pub(crate) enum TimeForm {
    Iso,
    /// ISO 8601 without the digits behind the microsecond.
    IsoTruncated,
    Strftime(TimeFormat),
    /// A number since 1970-01-01: of seconds (0), milliseconds (3) or microseconds (6).
    Epoch(u8),
    Excel,
}

/// The formats with a name.
const NAMED: [(&str, TimeForm); 6] = [
    ("iso8601", TimeForm::Iso),
    ("iso8601_truncated", TimeForm::IsoTruncated),
    ("epoch_seconds", TimeForm::Epoch(0)),
    ("epoch_milliseconds", TimeForm::Epoch(3)),
    ("epoch_microseconds", TimeForm::Epoch(6)),
    ("excel", TimeForm::Excel),
];

impl Form {
    /// The form that every source reads by default.
    pub(crate) fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Utf8View => Self::Text { empty_as_null: false },
            DataType::Boolean => Self::Boolean(Words::default()),
            DataType::Int32 => Self::Integer(None),
            DataType::Int64 => Self::Bigint(None),
            DataType::Float64 => Self::Double(None),
            DataType::Decimal128(precision, scale @ 0..) => Self::Decimal(None, *precision, *scale as u8),
            DataType::Date32 => Self::Date(vec![]),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(vec![]),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let zoneless = if zone.is_some() { Zoneless::Invalid } else { Zoneless::Kept };
                Self::Timestamp { forms: vec![], zoneless, zone: zone.clone() }
            }
            DataType::Binary => Self::Binary(Encoding::Hex),
            kind => Self::Other(kind.clone()),
        }
    }

    /// The form of a type, by default.
    pub(crate) fn of_type(sql_type: SqlType) -> Self {
        match sql_type {
            SqlType::Uuid => Self::Uuid,
            SqlType::Json => Self::Json,
            other => Self::of(&other.arrow()),
        }
    }

    /// The form that the task declares for a column; or the problem, and the remedy.
    pub(crate) fn take(column: &ColumnSpec, source: &SourceSpec) -> Result<Self, (String, &'static str)> {
        check_keys(column)?;
        let formats = column.format.as_ref().or_else(|| source.formats(column.sql_type));
        let values = column.values.clone().or(source.values());
        Self::declared(column.sql_type, &values, formats.map_or(&[][..], |formats| &formats.0))
    }

    /// The decimal point of its numbers, if it is not `.`.
    #[cfg(feature = "excel")]
    pub(crate) fn point(&self) -> Option<char> {
        match self {
            Self::Integer(numbers) | Self::Bigint(numbers) | Self::Double(numbers) | Self::Decimal(numbers, ..) => {
                numbers.as_ref().and_then(LocalNumbers::point)
            }
            _ => None,
        }
    }

    /// The form of a type by these settings; or the problem, and the remedy.
    pub(crate) fn declared(
        sql_type: SqlType,
        values: &ValueSpec,
        formats: &[String],
    ) -> Result<Self, (String, &'static str)> {
        let numbers = || LocalNumbers::take(values).map_err(|message| (message, SEPARATORS));
        Ok(match sql_type {
            SqlType::String => Self::Text { empty_as_null: values.empty_as_null.unwrap_or(false) },
            SqlType::Boolean => Self::Boolean(Words::take(values).map_err(|message| (message, WORDS))?),
            SqlType::Integer => Self::Integer(numbers()?),
            SqlType::Bigint => Self::Bigint(numbers()?),
            SqlType::Double => Self::Double(numbers()?),
            SqlType::Decimal(precision, scale) => Self::Decimal(numbers()?, precision, scale.unsigned_abs()),
            SqlType::Date => Self::Date(time_forms(formats, sql_type)?),
            SqlType::Time => Self::Time(time_forms(formats, sql_type)?),
            SqlType::Timestamp | SqlType::TimestampTz => {
                let zone = values.timezone.as_deref().map(zone).transpose()?;
                let (zoneless, utc) = match (zone, sql_type) {
                    (Some(zone), SqlType::Timestamp) => (Zoneless::Local(zone), None),
                    (None, SqlType::Timestamp) => (Zoneless::Kept, None),
                    (Some(zone), _) => (Zoneless::Local(zone), Some(UTC.into())),
                    (None, _) => (Zoneless::Invalid, Some(UTC.into())),
                };
                Self::Timestamp { forms: time_forms(formats, sql_type)?, zoneless, zone: utc }
            }
            SqlType::Uuid => Self::Uuid,
            SqlType::Json => Self::Json,
            SqlType::Binary => Self::Binary(Encoding::take(formats).map_err(|message| (message, ENCODINGS))?),
        })
    }

    /// The form of its numbers, if the task declares one.
    pub(crate) fn local_numbers(&self) -> Option<&LocalNumbers> {
        match self {
            Self::Integer(numbers) | Self::Bigint(numbers) | Self::Double(numbers) | Self::Decimal(numbers, ..) => {
                numbers.as_ref()
            }
            _ => None,
        }
    }

    /// Whether numbers in a file may be read as texts in this form: epochs, serial days and words for booleans.
    pub(crate) fn takes_numbers(&self) -> bool {
        let is_number = |form: &TimeForm| matches!(form, TimeForm::Epoch(_) | TimeForm::Excel);
        match self {
            Self::Boolean(words) => !words.is_default(),
            Self::Date(forms) | Self::Time(forms) | Self::Timestamp { forms, .. } => forms.iter().any(is_number),
            _ => false,
        }
    }

    /// What a time without an offset means.
    pub(crate) fn zoneless(&self) -> Zoneless {
        match self {
            Self::Timestamp { zoneless, .. } => *zoneless,
            _ => Zoneless::Kept,
        }
    }
}

const STRFTIME: &str = "use strftime conversions, such as %d/%m/%Y or %Y-%m-%d %H:%M:%S%.f, or iso8601, iso8601_truncated, \
    epoch_seconds, epoch_milliseconds, epoch_microseconds or excel";
const SEPARATORS: &str = "as in `decimal_point: \",\"` with `thousands: \".\"`";
const WORDS: &str = "as in `true_values: [\"Y\"]` with `false_values: [\"N\"]`";
const ENCODINGS: &str = "specify `format: hex` or `format: base64`";

/// The keys of a column must concern its type; those of a source concern the columns of the type.
fn check_keys(column: &ColumnSpec) -> Result<(), (String, &'static str)> {
    let (sql_type, values) = (column.sql_type, &column.values);
    let wrong = |key: &str, of: &str| Err((format!("`{key}` is for {of}, but this is a {sql_type}"), "remove it"));
    let has_format = matches!(sql_type, SqlType::Date | SqlType::Time | SqlType::Binary) || sql_type.is_timestamp();
    if column.format.is_some() && !has_format {
        return wrong("format", "dates, times and binary columns");
    }
    if let Some(key) = values.number_key().filter(|_| !sql_type.is_number()) {
        return wrong(key, "numbers");
    }
    if let Some(key) = values.boolean_key().filter(|_| sql_type != SqlType::Boolean) {
        return wrong(key, "booleans");
    }
    if values.timezone.is_some() && !sql_type.is_timestamp() {
        return wrong("timezone", "timestamps");
    }
    if values.empty_as_null == Some(false) && sql_type != SqlType::String {
        let message = format!("an empty text is no {sql_type}: it is always null");
        return Err((message, "remove `empty_as_null`, or add `not_null: true` to reject such rows"));
    }
    Ok(())
}

fn time_forms(formats: &[String], sql_type: SqlType) -> Result<Vec<TimeForm>, (String, &'static str)> {
    let form = |format: &String| match NAMED.iter().find(|(name, _)| name == format) {
        None => Ok(TimeForm::Strftime(TimeFormat::new(format, sql_type).map_err(|message| (message, STRFTIME))?)),
        Some((_, TimeForm::Epoch(_))) if !sql_type.is_timestamp() => {
            Err((format!("`{format}` is for timestamps, but this is a {sql_type}"), STRFTIME))
        }
        Some((_, TimeForm::IsoTruncated)) if sql_type == SqlType::Date => {
            Err((format!("`{format}` is for times, but this is a {sql_type}"), STRFTIME))
        }
        Some((_, form)) => Ok(form.clone()),
    };
    formats.iter().map(form).collect()
}

fn zone(name: &str) -> Result<Tz, (String, &'static str)> {
    let help = "specify a name of the IANA time zone database, such as Europe/Berlin, or UTC";
    parse_zone(name).map_err(|message| (message, help))
}

impl TimeForm {
    #[inline]
    pub(super) fn stamp(&self, text: &str, written: &mut String) -> Option<Stamp> {
        match self {
            Self::Iso => time::stamp(text.as_bytes()),
            Self::IsoTruncated => time::stamp(time::truncated(text, written).as_bytes()),
            Self::Strftime(format) => format.stamp(text, written),
            Self::Epoch(scale) => time::epoch(text.as_bytes(), *scale),
            Self::Excel => time::excel(text.as_bytes()),
        }
    }

    /// A date, in days since 1970-01-01.
    #[inline]
    pub(super) fn day(&self, text: &str, written: &mut String) -> Option<i32> {
        match self {
            Self::Iso => time::day(text.as_bytes()),
            form => {
                let clock = form.stamp(text, written)?.clock;
                (clock.rem_euclid(DAY) == 0).then_some(clock.div_euclid(DAY) as i32)
            }
        }
    }

    /// A time of day, in microseconds.
    #[inline]
    pub(super) fn time_of_day(&self, text: &str, written: &mut String) -> Option<i64> {
        match self {
            Self::Iso => time::time_of_day(text.as_bytes()),
            Self::IsoTruncated => time::time_of_day(time::truncated(text, written).as_bytes()),
            // A time of day is a fraction of a day.
            Self::Excel => time::excel_time(text.as_bytes()),
            form => Some(form.stamp(text, written)?.clock),
        }
    }
}
