//! Multiplication of decimals whose product has more digits than a decimal can have.
//!
//! A product has all digits after the point that its operands have together, and is exact. Where they leave no room for those
//! before the point, as those of two quotients do, it is rounded, half away from zero, but not to fewer than a quotient has.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array};
use datafusion::arrow::compute::try_binary;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, i256};
use datafusion::arrow::error::ArrowError;
use datafusion::error::Result as QueryResult;

use super::quotient::{DIGITS, rounded};

/// The type of a product that is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProductType {
    scale: u8,
    /// The digits that are rounded away.
    excess: u32,
}

impl ProductType {
    /// Of operands of these types, if their product has to be rounded.
    pub(super) fn of(left: &DataType, right: &DataType) -> Option<Self> {
        let (DataType::Decimal128(precision, scale @ 0..), DataType::Decimal128(other_precision, other_scale @ 0..)) =
            (left, right)
        else {
            return None;
        };
        let exact = scale.unsigned_abs() + other_scale.unsigned_abs();
        let before_point = (precision + other_precision + 1).saturating_sub(exact);
        if precision + other_precision < DECIMAL128_MAX_PRECISION || exact <= DIGITS {
            return None;
        }
        let scale = exact.min(DIGITS.max(DECIMAL128_MAX_PRECISION.saturating_sub(before_point)));
        (scale < exact).then(|| Self { scale, excess: u32::from(exact - scale) })
    }

    pub(super) fn data_type(self) -> DataType {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.scale as i8)
    }

    pub(super) fn multiply(self, left: &Decimal128Array, right: &Decimal128Array) -> QueryResult<ArrayRef> {
        let overflow = || {
            ArrowError::ArithmeticOverflow(format!(
                "the product does not fit decimal({DECIMAL128_MAX_PRECISION}, {})",
                self.scale
            ))
        };
        // At most 22 digits are rounded away: 38 and 38, of which 16 stay, are more than any two operands have after the point.
        let unit = 10_i128.checked_pow(self.excess).ok_or_else(overflow)?;
        let products: Decimal128Array = try_binary(left, right, |left, right| {
            let product = match left.checked_mul(right) {
                Some(product) => Some(rounded(product, unit)),
                None => {
                    let product = i256::from_i128(left).wrapping_mul(i256::from_i128(right));
                    let (unit, half) = (i256::from_i128(unit), i256::from_i128(unit / 2));
                    let half = if product.is_negative() { half.wrapping_neg() } else { half };
                    product.wrapping_add(half).wrapping_div(unit).to_i128()
                }
            };
            let product = product.ok_or_else(overflow)?;
            Decimal128Type::validate_decimal_precision(product, DECIMAL128_MAX_PRECISION, self.scale as i8)
                .map_err(|_| overflow())?;
            Ok(product)
        })?;
        Ok(Arc::new(products.with_data_type(self.data_type())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_rounded_only_where_it_has_too_many_digits() {
        let decimal = |precision, scale| DataType::Decimal128(precision, scale);
        let scale = |left, right| ProductType::of(&left, &right).map(|kind| kind.scale);
        assert_eq!(scale(decimal(18, 4), decimal(18, 4)), None);
        assert_eq!(scale(decimal(38, 8), decimal(38, 8)), None);
        assert_eq!(scale(decimal(26, 16), decimal(26, 16)), Some(17));
        assert_eq!(scale(decimal(38, 17), decimal(26, 16)), Some(16));
        assert_eq!(scale(decimal(38, 38), decimal(38, 38)), Some(37));
    }
}
