//! The types of MySQL's columns.

use datafusion::arrow::datatypes::DataType;
use weir_mysql::load::Kind;

/// The type of a table's column that holds any value of a type; none if there is none.
pub(crate) fn kind_of(kind: &DataType) -> Option<Kind> {
    Some(match kind {
        DataType::Boolean => Kind::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => Kind::SmallInt,
        DataType::Int32 | DataType::UInt16 => Kind::Int,
        DataType::Int64 | DataType::UInt32 => Kind::BigInt,
        DataType::UInt64 => Kind::UnsignedBigInt,
        DataType::Float16 | DataType::Float32 => Kind::Float,
        DataType::Float64 => Kind::Double,
        DataType::Decimal32(digits, scale @ 0..=30)
        | DataType::Decimal64(digits, scale @ 0..=30)
        | DataType::Decimal128(digits, scale @ 0..=30) => Kind::Decimal(*digits, *scale as u8),
        DataType::Date32 => Kind::Date,
        DataType::Timestamp(_, None) => Kind::DateTime,
        DataType::Timestamp(_, Some(_)) => Kind::Instant,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Kind::Bytes,
        DataType::Dictionary(_, values) => kind_of(values)?,
        kind if kind.is_string() => Kind::Text,
        _ => return None,
    })
}
