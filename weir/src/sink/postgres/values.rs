//! Rows become the values of an `INSERT`: `('12'::bigint,'a'),(null::bigint,'b')`. Each but a text has its type, so that
//! the server has nothing to infer.

use std::io::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::error::ArrowError;
use weir_postgres::load::Kind;
use weir_postgres::load::redshift::{Literals, MOST_BYTES};

use super::fields::Field;
use crate::database::postgres::kind_of;

/// The columns of a batch.
pub(super) struct Values {
    columns: Vec<ValueColumn>,
    literals: Literals,
}

struct ValueColumn {
    field: Field,
    /// What is behind a value: its time zone, where the type has one.
    zone: &'static str,
    /// The cast to its type.
    cast: String,
}

impl Values {
    pub(super) fn new<'a>(columns: impl Iterator<Item = &'a ArrayRef>, literals: Literals) -> Result<Self, ArrowError> {
        let column = |column: &'a ArrayRef| {
            let kind = kind_of(column.data_type());
            let zone = if kind == Some(Kind::TimestampTz) { "+00" } else { "" };
            Ok(ValueColumn { field: Field::new(column)?, zone, cast: cast(kind) })
        };
        Ok(Self { columns: columns.map(column).collect::<Result<_, ArrowError>>()?, literals })
    }

    /// Appends a row; a comma is before all but the first.
    pub(super) fn append(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(if out.is_empty() { b"(" } else { b",(" });
        for (place, ValueColumn { field, zone, cast }) in self.columns.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            if field.nulls().is_some_and(|nulls| nulls.is_null(row)) {
                out.extend_from_slice(b"null");
                out.extend_from_slice(cast.as_bytes());
            } else if let Field::Text(texts) = field {
                // A cast could cut it off.
                self.literals.append(texts.value(row), out);
            } else {
                out.push(b'\'');
                value(field, row, out);
                out.extend_from_slice(zone.as_bytes());
                out.push(b'\'');
                out.extend_from_slice(cast.as_bytes());
            }
        }
        out.push(b')');
    }
}

fn cast(kind: Option<Kind>) -> String {
    match kind {
        Some(Kind::Text) => format!("::varchar({MOST_BYTES})"),
        Some(kind) => format!("::{kind}"),
        None => String::new(),
    }
}

/// Appends a value as the server reads it, without quotation marks: none has one.
fn value(field: &Field, row: usize, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = match field {
        Field::Boolean(values) => write!(out, "{}", values.value(row)),
        Field::Small(values) => write!(out, "{}", values.value(row)),
        Field::Integer(values) => write!(out, "{}", values.value(row)),
        Field::Big(values) => write!(out, "{}", values.value(row)),
        Field::Real(values) => float(f64::from(values.value(row)), &format!("{:e}", values.value(row)), out),
        Field::Double(values) => float(values.value(row), &format!("{:e}", values.value(row)), out),
        Field::Numeric(values, _) => write!(out, "{}", values.value_as_string(row)),
        // The years 1 to 9999 were looked for.
        Field::Date(values) => {
            let date = NaiveDate::from_epoch_days(values.value(row)).unwrap_or_default();
            day(date, out)
        }
        Field::Time(values) => {
            let time = DateTime::from_timestamp_micros(values.value(row)).unwrap_or_default().naive_utc();
            moment(time, out)
        }
        // Such a column is refused when the task is validated; a text is appended by the caller.
        Field::Text(_) | Field::Bytes(_) => Ok(()),
    };
}

/// The shortest digits that are read back as the same number.
fn float(value: f64, digits: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    match value {
        value if value.is_nan() => out.write_all(b"NaN"),
        value if value.is_infinite() => out.write_all(if value > 0.0 { b"Infinity" } else { b"-Infinity" }),
        _ => out.write_all(digits.as_bytes()),
    }
}

fn day(date: NaiveDate, out: &mut Vec<u8>) -> std::io::Result<()> {
    write!(out, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

fn moment(time: NaiveDateTime, out: &mut Vec<u8>) -> std::io::Result<()> {
    day(time.date(), out)?;
    let micros = time.nanosecond() / 1000;
    write!(out, " {:02}:{:02}:{:02}.{micros:06}", time.hour(), time.minute(), time.second())
}
