//! What the values of a type are: numbers, times, texts; their places on a line, and their texts.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DecimalType, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion::error::Result as QueryResult;

use crate::task::SqlType;

/// Microseconds of a day.
const DAY: f64 = 86_400e6;

/// What is measured of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Numbers; whether all of them are whole.
    Number {
        whole: bool,
    },
    /// Dates, times and moments, whose places are microseconds.
    Time,
    Boolean,
    Text,
    /// Nothing but nulls.
    Unprofiled,
}

impl Kind {
    pub(crate) fn of(sql_type: SqlType) -> Self {
        match sql_type {
            SqlType::Integer | SqlType::Bigint | SqlType::Decimal(_, 0) => Self::Number { whole: true },
            SqlType::Double | SqlType::Decimal(..) => Self::Number { whole: false },
            SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz => Self::Time,
            SqlType::Boolean => Self::Boolean,
            SqlType::String | SqlType::Uuid | SqlType::Json => Self::Text,
            SqlType::Binary => Self::Unprofiled,
        }
    }

    /// Whether values have places on a line.
    pub(crate) fn has_places(self) -> bool {
        matches!(self, Self::Number { .. } | Self::Time | Self::Boolean)
    }
}

/// The places of values: numbers as they are, times in microseconds, false and true as 0 and 1. NaN for null.
pub(super) fn places(values: &ArrayRef) -> QueryResult<Vec<f64>> {
    let scale = if *values.data_type() == DataType::Date32 { DAY } else { 1.0 };
    let numbers = match values.data_type() {
        DataType::Date32 => cast(&cast(values, &DataType::Int32)?, &DataType::Float64)?,
        DataType::Time64(_) | DataType::Timestamp(..) => cast(&cast(values, &DataType::Int64)?, &DataType::Float64)?,
        _ => cast(values, &DataType::Float64)?,
    };
    let numbers = numbers.as_primitive::<Float64Type>();
    let mut places: Vec<f64> = numbers.values().iter().map(|number| number * scale).collect();
    if let Some(nulls) = numbers.nulls() {
        places.iter_mut().zip(nulls).filter(|(_, is_valid)| !is_valid).for_each(|(place, _)| *place = f64::NAN);
    }
    Ok(places)
}

/// The values that are not null, each as a number that identifies it.
pub(super) fn keys(values: &ArrayRef) -> Vec<i128> {
    macro_rules! keys {
        ($kind:ty, $key:expr) => {
            values.as_primitive::<$kind>().iter().flatten().map($key).collect()
        };
    }
    match values.data_type() {
        DataType::Boolean => values.as_boolean().iter().flatten().map(i128::from).collect(),
        DataType::Int32 => keys!(Int32Type, i128::from),
        DataType::Int64 => keys!(Int64Type, i128::from),
        DataType::Decimal128(..) => keys!(Decimal128Type, |value| value),
        // The zeros are one value.
        DataType::Float64 => keys!(Float64Type, |value| i128::from((value + 0.0).to_bits())),
        DataType::Date32 => keys!(Date32Type, i128::from),
        DataType::Time64(_) => keys!(Time64MicrosecondType, i128::from),
        DataType::Timestamp(..) => keys!(TimestampMicrosecondType, i128::from),
        _ => vec![],
    }
}

/// The text of a value with a key.
pub(super) fn text(sql_type: SqlType, key: i128) -> String {
    match sql_type {
        SqlType::Boolean => (key != 0).to_string(),
        SqlType::Double => f64::from_bits(key as u64).to_string(),
        SqlType::Decimal(precision, scale) => Decimal128Type::format_decimal(key, precision, scale),
        SqlType::Date => text_at(sql_type, key as f64 * DAY),
        SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz => text_of_micros(sql_type, key as i64),
        _ => key.to_string(),
    }
}

/// The text of a value at a place.
pub(super) fn text_at(sql_type: SqlType, place: f64) -> String {
    match Kind::of(sql_type) {
        Kind::Number { whole: true } => format!("{place:.0}"),
        Kind::Boolean => (place != 0.0).to_string(),
        Kind::Time => text_of_micros(sql_type, place as i64),
        _ => number(place),
    }
}

/// A number without what calculations in binary have added to it.
pub(crate) fn number(number: f64) -> String {
    let short = format!("{number:.12e}").parse::<f64>().unwrap_or(number);
    let magnitude = short.abs();
    if magnitude != 0.0 && !(1e-6..1e15).contains(&magnitude) { format!("{short:e}") } else { short.to_string() }
}

fn text_of_micros(sql_type: SqlType, micros: i64) -> String {
    let outside = || format!("{micros} µs");
    match sql_type {
        SqlType::Date => {
            let days = TimeDelta::try_days(micros.div_euclid(DAY as i64));
            let date = days.and_then(|days| NaiveDate::default().checked_add_signed(days));
            date.map_or_else(outside, |date| date.to_string())
        }
        SqlType::Time => {
            let time = NaiveTime::MIN.overflowing_add_signed(TimeDelta::microseconds(micros)).0;
            time.format("%H:%M:%S%.f").to_string()
        }
        _ => {
            let zone = if sql_type == SqlType::TimestampTz { "Z" } else { "" };
            let moment = DateTime::from_timestamp_micros(micros);
            moment.map_or_else(outside, |moment| moment.format("%Y-%m-%d %H:%M:%S%.f").to_string() + zone)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, TimestampMicrosecondArray,
    };

    use super::*;

    #[test]
    fn a_value_has_the_text_that_files_have() {
        assert_eq!(text(SqlType::Decimal(18, 2), -150), "-1.50");
        assert_eq!(text(SqlType::Double, i128::from(0.1_f64.to_bits())), "0.1");
        assert_eq!(text(SqlType::Bigint, i128::from(i64::MAX)), "9223372036854775807");
        assert_eq!(text(SqlType::Date, 19_023), "2022-01-31");
        assert_eq!(text(SqlType::Date, -1), "1969-12-31");
        assert_eq!(text(SqlType::Time, 45_000_000_000), "12:30:00");
        assert_eq!(text(SqlType::TimestampTz, 1), "1970-01-01 00:00:00.000001Z");
        assert_eq!(text_at(SqlType::Double, 0.1 + 0.2), "0.3");
        assert_eq!(number(1e20), "1e20");
    }

    #[test]
    fn places_are_in_the_order_of_the_values() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(1), None]));
        assert_eq!(places(&dates).unwrap()[0], DAY);
        assert!(places(&dates).unwrap()[1].is_nan());
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![5]).with_timezone("UTC"));
        assert_eq!(places(&times).unwrap(), [5.0]);
        let decimals = Decimal128Array::from(vec![150]).with_precision_and_scale(18, 2).unwrap();
        assert_eq!(places(&(Arc::new(decimals) as ArrayRef)).unwrap(), [1.5]);
        let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![false, true]));
        assert_eq!(places(&booleans).unwrap(), [0.0, 1.0]);
    }

    #[test]
    fn both_zeros_are_one_value() {
        let zeros: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0]));
        assert_eq!(keys(&zeros), [0, 0]);
    }
}
