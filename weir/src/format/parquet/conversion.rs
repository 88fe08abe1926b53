//! Conversion of a file's column to the declared type.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::arrow::error::ArrowError;

use crate::format::columns::{Column, Typed};
use crate::format::convert::{cast, from_text};

/// How a column of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// Unchanged.
    Same,
    /// Every value has an equal one in the declared type.
    Widened,
    /// Values without an equal one are detected: they do not survive a round trip.
    Checked,
    /// Bytes, which are text if they are UTF-8.
    Bytes,
    /// Text, by the rules of the text formats.
    Text,
}

impl Conversion {
    /// The conversion from a file's type to the declared one; `None` if there is none.
    pub(crate) fn plan(file: &DataType, declared: &DataType) -> Option<Self> {
        use DataType::{
            Binary, Boolean, Date32, Decimal32, Decimal64, Decimal128, Decimal256, Float16, Float32, Float64, Int8,
            Int16, Int32, Int64, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8View,
        };
        let is_number = |kind: &DataType| kind.is_integer() || kind.is_floating() || kind.is_decimal();
        Some(match (file, declared) {
            (Float64, Float64) => Self::Checked, // not every double is a number
            (Timestamp(TimeUnit::Microsecond, _), Timestamp(..)) => Self::Widened,
            (file, declared) if file == declared => Self::Same,
            (Utf8View, _) => Self::Text,
            (Binary, Utf8View) => Self::Bytes,
            (
                Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Date32 | Decimal32(..)
                | Decimal64(..) | Decimal128(..) | Decimal256(..),
                Utf8View,
            ) => Self::Widened,
            (Int8 | Int16 | UInt8 | UInt16, Int32 | Int64 | Float64) => Self::Widened,
            (Int32 | UInt32, Int64 | Float64) => Self::Widened,
            (Float16 | Float32, Float64) => Self::Checked,
            (file, declared) if is_number(file) && is_number(declared) => Self::Checked,
            (Timestamp(..) | Date32, Timestamp(..) | Date32) => Self::Checked,
            _ => return None,
        })
    }

    /// Whether a value may be invalid.
    pub(crate) fn can_reject(self, declared: &DataType) -> bool {
        match self {
            Self::Same | Self::Widened => false,
            Self::Text => declared != &DataType::Utf8View,
            Self::Checked | Self::Bytes => true,
        }
    }

    /// Converts a column of a file.
    pub(crate) fn convert(self, values: &ArrayRef, column: &Column) -> Result<Typed, ArrowError> {
        // A timestamp with a zone is in UTC, whatever the writer's zone was.
        let values = match values.data_type() {
            DataType::Timestamp(unit, Some(_)) => &cast(values, &DataType::Timestamp(*unit, None))?,
            _ => values,
        };
        let fits = |typed: ArrayRef| Typed { values: typed, invalid: vec![] };
        match self {
            Self::Same => Ok(fits(values.clone())),
            Self::Widened => Ok(fits(cast(values, &column.kind)?)),
            Self::Text => from_text(values, column),
            Self::Bytes => {
                let typed = cast(values, &column.kind)?;
                let invalid = (0..values.len()).filter(|row| values.is_valid(*row) && typed.is_null(*row)).collect();
                Ok(Typed { values: typed, invalid })
            }
            Self::Checked => {
                let typed = cast(values, &column.kind)?;
                let back = cast(&typed, values.data_type())?;
                let other = distinct(values, &back)?;
                let finite = typed.as_primitive_opt::<Float64Type>();
                let is_finite =
                    |row: usize| finite.is_none_or(|typed| typed.is_null(row) || typed.value(row).is_finite());
                let invalid = (0..values.len()).filter(|row| other.value(*row) || !is_finite(*row)).collect();
                Ok(Typed { values: typed, invalid })
            }
        }
    }
}
