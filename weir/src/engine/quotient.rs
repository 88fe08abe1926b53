//! Division of decimals: the quotient is rounded, half away from zero, and has enough digits.
//!
//! The engine's own division cuts the quotient off, four digits after those of the dividend. As in PostgreSQL, a quotient
//! has 16 digits after the point, or as many as an operand has; fewer, where the digits before the point need the room.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array};
use datafusion::arrow::compute::try_binary;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, i256};
use datafusion::arrow::error::ArrowError;
use datafusion::error::Result as QueryResult;

/// The digits after the point of a quotient.
pub(super) const DIGITS: u8 = 16;

/// It has at least these, however many are before the point.
const LEAST_DIGITS: u8 = 6;

/// The type of a quotient of two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QuotientType {
    precision: u8,
    scale: u8,
    /// The dividend is multiplied by this power of ten.
    shift: u32,
}

impl QuotientType {
    /// Of operands with these numbers of digits: all, and those after the point.
    pub(super) fn new((precision, scale): (u8, i8), (_, divisor_scale): (u8, i8)) -> Self {
        let (of_dividend, of_divisor) = (scale.max(0).unsigned_abs(), divisor_scale.max(0).unsigned_abs());
        let before_point = precision.saturating_sub(of_dividend) + of_divisor;
        let wanted = DIGITS.max(of_dividend).max(of_divisor);
        let least = wanted.min(of_dividend.max(LEAST_DIGITS));
        let room = DECIMAL128_MAX_PRECISION.saturating_sub(before_point);
        let digits = wanted.min(room).max(least);
        Self {
            precision: DECIMAL128_MAX_PRECISION.min(before_point + digits),
            scale: digits,
            shift: (i32::from(digits) + i32::from(divisor_scale) - i32::from(scale)).max(0).unsigned_abs(),
        }
    }

    /// Of operands of these types, if both are decimals of 128 bits.
    pub(super) fn of(dividend: &DataType, divisor: &DataType) -> Option<Self> {
        match (dividend, divisor) {
            (DataType::Decimal128(precision, scale), DataType::Decimal128(other_precision, other_scale)) => {
                Some(Self::new((*precision, *scale), (*other_precision, *other_scale)))
            }
            _ => None,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        DataType::Decimal128(self.precision, self.scale as i8)
    }

    /// The quotients of two columns.
    pub(super) fn divide(self, dividends: &Decimal128Array, divisors: &Decimal128Array) -> QueryResult<ArrayRef> {
        let quotients: Decimal128Array = try_binary(dividends, divisors, |dividend, divisor| {
            let quotient = self.quotient(dividend, divisor)?;
            Decimal128Type::validate_decimal_precision(quotient, self.precision, self.scale as i8)
                .map_err(|_| self.overflow())?;
            Ok(quotient)
        })?;
        Ok(Arc::new(quotients.with_data_type(self.data_type())))
    }

    fn quotient(self, dividend: i128, divisor: i128) -> Result<i128, ArrowError> {
        if divisor == 0 {
            return Err(ArrowError::DivideByZero);
        }
        if let Some(shifted) = 10_i128.checked_pow(self.shift).and_then(|power| dividend.checked_mul(power)) {
            let (quotient, rest) = (shifted / divisor, shifted % divisor);
            // Without doubling the rest, which may overflow.
            let is_up = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
            let away = if (shifted < 0) == (divisor < 0) { 1 } else { -1 };
            return Ok(quotient + if is_up { away } else { 0 });
        }
        let (dividend, divisor) = (i256::from_i128(dividend), i256::from_i128(divisor));
        let shifted = i256::from_i128(10).checked_pow(self.shift).and_then(|power| dividend.checked_mul(power));
        let shifted = shifted.ok_or_else(|| self.overflow())?;
        let quotient = shifted.wrapping_div(divisor);
        let rest = shifted.wrapping_rem(divisor).wrapping_abs();
        let is_up = rest >= divisor.wrapping_abs().wrapping_sub(rest);
        let away = if shifted.is_negative() == divisor.is_negative() { i256::ONE } else { i256::MINUS_ONE };
        let rounded = if is_up { quotient.wrapping_add(away) } else { quotient };
        rounded.to_i128().ok_or_else(|| self.overflow())
    }

    fn overflow(self) -> ArrowError {
        ArrowError::ArithmeticOverflow(format!("the quotient does not fit decimal({}, {})", self.precision, self.scale))
    }
}

/// The nearest multiple of a unit, in units; half is rounded away from zero. The unit is a power of ten.
pub(super) fn rounded(value: i128, unit: i128) -> i128 {
    let (whole, rest) = (value / unit, value % unit);
    if unit > 1 && rest.abs() >= unit / 2 { whole + value.signum() } else { whole }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use proptest::prelude::*;

    use super::*;

    fn quotient(kind: QuotientType, dividend: i128, divisor: i128) -> Option<i128> {
        let column = |value| Decimal128Array::from(vec![value]).with_precision_and_scale(38, 0).unwrap();
        let quotients = kind.divide(&column(dividend), &column(divisor)).ok()?;
        Some(quotients.as_primitive::<Decimal128Type>().value(0))
    }

    #[test]
    fn a_quotient_has_16_digits_unless_the_digits_before_the_point_need_the_room() {
        let kind = |dividend, divisor| QuotientType::new(dividend, divisor).data_type();
        assert_eq!(kind((10, 2), (10, 2)), DataType::Decimal128(26, 16));
        assert_eq!(kind((5, 0), (20, 18)), DataType::Decimal128(38, 15));
        assert_eq!(kind((38, 10), (38, 10)), DataType::Decimal128(38, 10));
        assert_eq!(kind((38, 10), (1, 0)), DataType::Decimal128(38, 10));
        assert_eq!(kind((38, 20), (1, 0)), DataType::Decimal128(38, 20));
    }

    #[test]
    fn large_operands_are_divided_in_256_bits() {
        let kind = QuotientType::new((38, 10), (38, 10));
        let large = 10_i128.pow(37) * 9;
        assert_eq!(quotient(kind, large, large), Some(10_i128.pow(10)));
        assert_eq!(quotient(kind, -large, large), Some(-(10_i128.pow(10))));
        assert_eq!(quotient(kind, large, 1), None);
        assert_eq!(quotient(kind, large, 0), None);
    }

    proptest! {
        /// Rounded half away from zero: no other number of that scale is nearer.
        #[test]
        fn a_quotient_is_the_nearest(dividend in -1_000_000_i128..1_000_000, divisor in 1_i128..1_000) {
            let kind = QuotientType { precision: 38, scale: 2, shift: 2 };
            for (dividend, divisor) in [(dividend, divisor), (dividend, -divisor)] {
                let found = quotient(kind, dividend, divisor).unwrap();
                let twice_rest = 2 * (dividend * 100 - found * divisor);
                prop_assert!(twice_rest.abs() <= divisor.abs(), "{dividend} / {divisor} = {found}");
                if twice_rest.abs() == divisor.abs() {
                    prop_assert!(found.abs() * divisor.abs() > dividend.abs() * 100, "half is rounded away from zero");
                }
            }
        }
    }
}
