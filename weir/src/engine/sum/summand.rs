//! The types that can be summed, and the types that hold their sums.

use datafusion::arrow::array::ArrowNativeTypeOp;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Int64Type,
    IntervalDayTimeType, IntervalMonthDayNanoType, IntervalYearMonthType, UInt64Type,
};

/// A type whose values can be summed.
pub(super) trait Summand: ArrowPrimitiveType<Native: ArrowNativeTypeOp> + Send {
    /// The type of a sum while it grows.
    type State: ArrowPrimitiveType<Native: ArrowNativeTypeOp> + Send;

    /// The type of the column of partial sums.
    fn state_type(result: &DataType) -> DataType;
    fn widen(value: Self::Native) -> StateOf<Self>;
    /// The sum as a value of the result's type; `None` if it does not fit.
    fn result(sum: StateOf<Self>, result: &DataType) -> Option<Self::Native>;
}

pub(super) type StateOf<T> = <<T as Summand>::State as ArrowPrimitiveType>::Native;

macro_rules! in_128_bits {
    ($($kind:ty),*) => {$(
        impl Summand for $kind {
            type State = Decimal128Type;

            fn state_type(_: &DataType) -> DataType {
                DataType::Decimal128(38, 0)
            }

            fn widen(value: Self::Native) -> i128 {
                i128::from(value)
            }

            fn result(sum: i128, _: &DataType) -> Option<Self::Native> {
                Self::Native::try_from(sum).ok()
            }
        }
    )*};
}

macro_rules! as_they_are {
    ($fits:expr; $($kind:ty),*) => {$(
        impl Summand for $kind {
            type State = Self;

            fn state_type(result: &DataType) -> DataType {
                result.clone()
            }

            fn widen(value: Self::Native) -> Self::Native {
                value
            }

            fn result(sum: Self::Native, result: &DataType) -> Option<Self::Native> {
                let fits: fn(Self::Native, &DataType) -> bool = $fits;
                fits(sum, result).then_some(sum)
            }
        }
    )*};
}

macro_rules! decimals {
    ($($kind:ty, $type:path);*) => {$(
        as_they_are!(
            |sum, result| match result {
                $type(precision, _) => <$kind>::is_valid_decimal_precision(sum, *precision),
                _ => false,
            };
            $kind
        );
    )*};
}

in_128_bits!(
    Int64Type,
    UInt64Type,
    DurationSecondType,
    DurationMillisecondType,
    DurationMicrosecondType,
    DurationNanosecondType
);
as_they_are!(|_, _| true; IntervalYearMonthType, IntervalDayTimeType, IntervalMonthDayNanoType);
decimals!(
    Decimal32Type, DataType::Decimal32;
    Decimal64Type, DataType::Decimal64;
    Decimal128Type, DataType::Decimal128;
    Decimal256Type, DataType::Decimal256
);
