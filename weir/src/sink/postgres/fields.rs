//! Columns in the form in which `COPY` takes their values.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Decimal128Array, PrimitiveArray, StringViewArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use weir_postgres::load::Kind;

use crate::database::postgres::kind_of;

/// A column's values.
pub(super) enum Field {
    Boolean(BooleanArray),
    Small(PrimitiveArray<Int16Type>),
    Integer(PrimitiveArray<Int32Type>),
    Big(PrimitiveArray<Int64Type>),
    Real(PrimitiveArray<Float32Type>),
    Double(PrimitiveArray<Float64Type>),
    /// With the number of digits after the point.
    Numeric(Decimal128Array, u8),
    Text(StringViewArray),
    Date(PrimitiveArray<Date32Type>),
    /// Microseconds.
    Time(PrimitiveArray<TimestampMicrosecondType>),
    Bytes(BinaryViewArray),
}

impl Field {
    pub(super) fn new(column: &ArrayRef) -> Result<Self, ArrowError> {
        let of_type = |kind: &DataType| cast(column, kind);
        Ok(match kind_of(column.data_type()) {
            Some(Kind::Boolean) => Self::Boolean(of_type(&DataType::Boolean)?.as_boolean().clone()),
            Some(Kind::SmallInt) => Self::Small(of_type(&DataType::Int16)?.as_primitive().clone()),
            Some(Kind::Integer) => Self::Integer(of_type(&DataType::Int32)?.as_primitive().clone()),
            Some(Kind::BigInt) => Self::Big(of_type(&DataType::Int64)?.as_primitive().clone()),
            Some(Kind::Real) => Self::Real(of_type(&DataType::Float32)?.as_primitive().clone()),
            Some(Kind::Double) => Self::Double(of_type(&DataType::Float64)?.as_primitive().clone()),
            Some(Kind::Numeric(Some((digits, scale)))) => {
                let values = of_type(&DataType::Decimal128(digits as u8, scale as i8))?;
                Self::Numeric(values.as_primitive().clone(), scale as u8)
            }
            Some(Kind::Text) => Self::Text(of_type(&DataType::Utf8View)?.as_string_view().clone()),
            Some(Kind::Date) => Self::Date(of_type(&DataType::Date32)?.as_primitive().clone()),
            Some(Kind::Timestamp | Kind::TimestampTz) => {
                let times = of_type(&DataType::Timestamp(TimeUnit::Microsecond, None))?;
                Self::Time(times.as_primitive().clone())
            }
            Some(Kind::Bytes) => Self::Bytes(of_type(&DataType::BinaryView)?.as_binary_view().clone()),
            _ => return Err(ArrowError::NotYetImplemented(format!("{} in a table", column.data_type()))),
        })
    }

    pub(super) fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Boolean(values) => values.nulls(),
            Self::Small(values) => values.nulls(),
            Self::Integer(values) => values.nulls(),
            Self::Big(values) => values.nulls(),
            Self::Real(values) => values.nulls(),
            Self::Double(values) => values.nulls(),
            Self::Numeric(values, _) => values.nulls(),
            Self::Text(values) => values.nulls(),
            Self::Date(values) => values.nulls(),
            Self::Time(values) => values.nulls(),
            Self::Bytes(values) => values.nulls(),
        }
    }
}
