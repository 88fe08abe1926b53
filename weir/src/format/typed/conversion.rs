//! Conversion of a file's column to the declared one.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;

use crate::format::columns::{Column, Typed};
use crate::format::value::{Form, Stamp, Zoneless, cast};
use crate::function::encode::{invalid_value, json};

/// How a column of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// Unchanged.
    Same,
    /// Every value has an equal one in the declared type.
    Widened,
    /// Values without an equal one are detected: they do not survive a round trip.
    Checked,
    /// Times of a zone become UTC.
    Local(Tz),
    /// Bytes, which are text if they are UTF-8.
    Bytes,
    /// The sixteen bytes of a UUID.
    Uuid,
    /// Text, by the rules of the text formats.
    Text,
    /// The text of a JSON document.
    Json,
}

impl Conversion {
    /// The conversion from a file's type to the declared one; `None` if there is none.
    pub(crate) fn plan(file: &DataType, column: &Column) -> Option<Self> {
        use DataType::{
            Binary, Boolean, Date32, Decimal32, Decimal64, Decimal128, Decimal256, FixedSizeBinary, Float16, Float32,
            Float64, Int8, Int16, Int32, Int64, Null, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64,
            Utf8View,
        };
        let is_number = |kind: &DataType| kind.is_integer() || kind.is_floating() || kind.is_decimal();
        if is_number(file) && column.form.takes_numbers() {
            return Some(Self::Text);
        }
        let is_text = matches!(column.form, Form::Text { .. });
        Some(match (file, &column.kind) {
            (Null, _) => Self::Widened,
            (file, _) if matches!(column.form, Form::Json) && is_document(file) => Self::Json,
            (Float64, Float64) => Self::Checked, // not every double is a number
            (Timestamp(_, None) | Date32, Timestamp(..)) => match column.form.zoneless() {
                Zoneless::Local(zone) => Self::Local(zone),
                Zoneless::Invalid => return None,
                Zoneless::Kept if matches!(file, Timestamp(TimeUnit::Microsecond, _)) => Self::Widened,
                Zoneless::Kept => Self::Checked,
            },
            (Timestamp(TimeUnit::Microsecond, _), Timestamp(..)) => Self::Widened,
            (Utf8View, _) => Self::Text,
            (file, declared) if file == declared => Self::Same,
            (FixedSizeBinary(16), Utf8View) if matches!(column.form, Form::Uuid) => Self::Uuid,
            (FixedSizeBinary(_), Binary) => Self::Widened,
            (Binary, Utf8View) if is_text => Self::Bytes,
            (
                Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Date32 | Decimal32(..)
                | Decimal64(..) | Decimal128(..) | Decimal256(..) | Time32(_) | Time64(_),
                Utf8View,
            ) if is_text => Self::Widened,
            (Int8 | Int16 | UInt8 | UInt16, Int32 | Int64 | Float64) => Self::Widened,
            (Int32 | UInt32, Int64 | Float64) => Self::Widened,
            (Float16 | Float32, Float64) => Self::Checked,
            (file, declared) if is_number(file) && is_number(declared) => Self::Checked,
            (Timestamp(..) | Date32, Timestamp(..) | Date32) | (Time32(_) | Time64(_), Time64(_)) => Self::Checked,
            _ => return None,
        })
    }

    /// Whether a value may be invalid.
    pub(crate) fn can_reject(self, column: &Column) -> bool {
        match self {
            Self::Same | Self::Widened | Self::Uuid => false,
            Self::Text => column.form.can_reject(),
            Self::Checked | Self::Bytes | Self::Local(_) | Self::Json => true,
        }
    }

    /// Converts a column of a file.
    pub(crate) fn convert(self, values: &ArrayRef, column: &Column) -> Result<Typed, ArrowError> {
        // A timestamp with a zone is in UTC, whatever the writer's zone was.
        let values = match (values.data_type(), &column.kind) {
            (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, Some(_))) => values,
            (DataType::Timestamp(unit, Some(_)), _) => &cast(values, &DataType::Timestamp(*unit, None))?,
            _ => values,
        };
        match self {
            Self::Same => Ok(Typed::all(values.clone())),
            Self::Widened => Ok(Typed::all(cast(values, &column.kind)?)),
            Self::Text => column.form.parse(&without_null_values(&cast(values, &DataType::Utf8View)?, column)?),
            Self::Uuid => Ok(Typed::all(uuids(values))),
            Self::Local(zone) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
                let Typed { values: clocks, mut invalid } = checked(values, &micros)?;
                let zoneless = Zoneless::Local(zone);
                let utc = clocks
                    .as_primitive::<TimestampMicrosecondType>()
                    .unary_opt::<_, TimestampMicrosecondType>(|clock| Stamp { clock, offset: None }.micros(zoneless));
                invalid.extend((0..utc.len()).filter(|row| utc.is_null(*row) && clocks.is_valid(*row)));
                invalid.sort_unstable();
                invalid.dedup();
                let DataType::Timestamp(_, declared) = &column.kind else { return Ok(Typed::all(clocks)) };
                Ok(Typed { values: Arc::new(utc.with_timezone_opt(declared.clone())), invalid })
            }
            Self::Bytes => {
                let typed = cast(values, &column.kind)?;
                let invalid = (0..values.len()).filter(|row| values.is_valid(*row) && typed.is_null(*row)).collect();
                Ok(Typed { values: typed, invalid })
            }
            Self::Checked => checked(values, &column.kind),
            Self::Json => documents(values),
        }
    }
}

/// Whether values of a type are read as JSON documents: everything but texts, which are documents already, and bytes.
fn is_document(kind: &DataType) -> bool {
    !kind.is_string() && !kind.is_binary() && json::can_hold(kind)
}

/// Converts values to JSON, and finds those that cannot be: numbers that are not finite, and times that no column of a task
/// could have.
fn documents(values: &ArrayRef) -> Result<Typed, ArrowError> {
    let is_invalid = |row: &usize| invalid_value(&values.slice(*row, 1), None, true).is_some();
    let invalid = match invalid_value(values, None, true) {
        None => vec![],
        Some(_) => (0..values.len()).filter(is_invalid).collect(),
    };
    Ok(Typed { values: json::documents(values)?, invalid })
}

/// Converts values, and finds those that do not survive the way back.
fn checked(values: &ArrayRef, kind: &DataType) -> Result<Typed, ArrowError> {
    let typed = cast(values, kind)?;
    let back = cast(&typed, values.data_type())?;
    let other = distinct(values, &back)?;
    let finite = typed.as_primitive_opt::<Float64Type>();
    let is_finite = |row: usize| finite.is_none_or(|typed| typed.is_null(row) || typed.value(row).is_finite());
    let invalid = (0..values.len()).filter(|row| other.value(*row) || !is_finite(*row)).collect();
    Ok(Typed { values: typed, invalid })
}

/// Texts without those that mean null.
fn without_null_values(values: &ArrayRef, column: &Column) -> Result<ArrayRef, ArrowError> {
    if column.null_values.is_empty() {
        return Ok(values.clone());
    }
    let text = values.as_string_view();
    let is_null = BooleanBuffer::collect_bool(text.len(), |row| {
        text.is_valid(row) && column.is_null_value(text.value(row).as_bytes())
    });
    nullif(values, &BooleanArray::new(is_null, None))
}

fn uuids(values: &ArrayRef) -> ArrayRef {
    let text = |bytes: Option<&[u8]>| Some(uuid::Uuid::from_slice(bytes?).ok()?.to_string());
    Arc::new(values.as_fixed_size_binary().iter().map(text).collect::<StringViewArray>())
}
