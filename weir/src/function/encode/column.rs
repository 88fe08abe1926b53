//! Columns in the form in which text formats write their values.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray, StringViewBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use datafusion::arrow::error::ArrowError;

use super::digits;

/// The maximum of bytes reserved at once: only a few rows of a large batch may be chosen.
pub(crate) const MAX_ROOM: usize = 1 << 20;

/// A column of single values.
pub(crate) enum Column {
    Text(StringViewArray),
    Boolean(BooleanArray),
    Number(StringViewArray),
    /// Dates, times and durations, which have no characters that need quoting or escaping.
    Time(StringViewArray),
    /// Only nulls.
    Null,
}

impl Column {
    pub(crate) fn new(column: &ArrayRef) -> Result<Self, ArrowError> {
        let text = || Ok::<_, ArrowError>(cast(column, &DataType::Utf8View)?.as_string_view().clone());
        Ok(match column.data_type() {
            DataType::Utf8View => Self::Text(column.as_string_view().clone()),
            DataType::Boolean => Self::Boolean(column.as_boolean().clone()),
            DataType::Null => Self::Null,
            DataType::Dictionary(_, values) => Self::new(&cast(column, values)?)?,
            // The types of task files are handled without a cast.
            DataType::Int64 => Self::Number(digits::integers(column.as_primitive())),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Number(digits::integers(cast(column, &DataType::Int64)?.as_primitive())),
            DataType::Decimal128(_, 0..) => Self::Number(digits::decimals(column.as_primitive())),
            // A source reads them as doubles: the digits are those of the double that the value is.
            DataType::Float16 | DataType::Float32 => Self::new(&cast(column, &DataType::Float64)?)?,
            DataType::Date64 => Self::new(&cast(column, &DataType::Date32)?)?,
            DataType::Date32 => Self::Time(digits::days(column.as_primitive())),
            DataType::Time64(TimeUnit::Microsecond) => {
                let times = column.as_primitive::<Time64MicrosecondType>();
                Self::Time(digits::times_of_day(times.values(), times.nulls()))
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) if is_utc(zone) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                Self::Time(digits::times(times.values(), times.nulls(), 1_000_000, zone.is_some()))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_utc(zone) => {
                let times = column.as_primitive::<TimestampNanosecondType>();
                Self::Time(digits::times(times.values(), times.nulls(), 1_000_000_000, zone.is_some()))
            }
            kind if is_binary(kind) => Self::Text(hexadecimal(column)?),
            kind if kind.is_numeric() => Self::Number(text()?),
            kind if kind.is_temporal() => Self::Time(text()?),
            _ => Self::Text(text()?),
        })
    }

    /// Whether a column of this type has single values with a text form.
    pub(crate) fn takes(kind: &DataType) -> bool {
        match kind {
            DataType::Dictionary(_, values) => Self::takes(values),
            DataType::Boolean | DataType::Null => true,
            kind => kind.is_string() || kind.is_numeric() || kind.is_temporal() || is_binary(kind),
        }
    }

    /// The texts of the values; none if they are only nulls.
    fn texts(self) -> Option<StringViewArray> {
        match self {
            Self::Text(values) | Self::Number(values) | Self::Time(values) => Some(values),
            Self::Boolean(values) => {
                let text = |value| if value { "true" } else { "false" };
                Some(values.iter().map(|value| value.map(text)).collect())
            }
            Self::Null => None,
        }
    }

    /// The text of a value; none of null.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(values) | Self::Number(values) | Self::Time(values) => {
                values.is_valid(row).then(|| values.value(row))
            }
            Self::Boolean(values) => values.is_valid(row).then(|| if values.value(row) { "true" } else { "false" }),
            Self::Null => None,
        }
    }

    /// The bytes of all values before quoting or escaping.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Text(values) | Self::Number(values) | Self::Time(values) => {
                values.views().iter().map(|view| *view as u32 as usize).sum()
            }
            Self::Boolean(values) => values.len() * 5,
            Self::Null => 0,
        }
    }
}

/// The texts in which text formats write values.
pub(crate) fn file_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let null = || StringViewArray::new_null(column.len());
    Ok(Arc::new(Column::new(column)?.texts().unwrap_or_else(null)))
}

/// Whether times are written as they are: without a time zone, or with that of UTC.
fn is_utc(zone: &Option<Arc<str>>) -> bool {
    zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "+00:00" | "Z"))
}

fn is_binary(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// Bytes as PostgreSQL writes them: `\\x48656c6c6f`.
fn hexadecimal(column: &ArrayRef) -> Result<StringViewArray, ArrowError> {
    let bytes = cast(column, &DataType::BinaryView)?;
    let mut texts = StringViewBuilder::with_capacity(bytes.len());
    for value in bytes.as_binary_view() {
        texts.append_option(value.map(|value| format!("\\x{}", hex::encode(value))));
    }
    Ok(texts.finish())
}

/// Appends the lowest `length` bytes: all sixteen are copied at once, and `length` of them kept.
#[inline(always)]
pub(crate) fn push_lowest(bytes: u128, length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length;
    out.extend_from_slice(&bytes.to_le_bytes());
    out.truncate(end);
}

/// Appends a text without characters that need quoting or escaping.
#[inline(always)]
pub(crate) fn push_plain(values: &StringViewArray, row: usize, out: &mut Vec<u8>) {
    let view = values.views()[row];
    match view as u32 {
        length @ ..=12 => push_lowest(view >> 32, length as usize, out),
        _ => out.extend_from_slice(values.value(row).as_bytes()),
    }
}
