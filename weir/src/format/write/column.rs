//! Columns in the form in which text formats write their values.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType};
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
            DataType::Date32 => Self::Time(digits::days(column.as_primitive())),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                Self::Time(digits::times(times.values(), times.nulls(), 1_000_000))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                let times = column.as_primitive::<TimestampNanosecondType>();
                Self::Time(digits::times(times.values(), times.nulls(), 1_000_000_000))
            }
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
            kind => kind.is_string() || kind.is_numeric() || kind.is_temporal(),
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
