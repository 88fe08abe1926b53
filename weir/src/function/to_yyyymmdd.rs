//! `to_yyyymmdd(date)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Date32Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{calendar, view};

/// `to_yyyymmdd(date '1986-01-10')` is `19860110`. Null stays null; a year outside 0 to 9999 is an error.
///
/// The same as `to_char(date, '%Y%m%d')`, which formats each row anew and takes twenty times as long.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToYyyymmdd {
    signature: Signature,
}

impl ToYyyymmdd {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Date32], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToYyyymmdd {
    fn name(&self) -> &str {
        "to_yyyymmdd"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [date] = args.args.as_slice() else { return exec_err!("to_yyyymmdd takes one date") };
        let days = date.to_array(args.number_rows)?;
        let days = days.as_primitive::<Date32Type>();
        let mut views = Vec::with_capacity(days.len());
        for (row, day) in days.values().iter().enumerate() {
            views.push(if days.is_valid(row) { view::inline_bytes(&digits(*day)?) } else { 0 });
        }
        // SAFETY: a view is empty, or holds eight ASCII digits itself.
        let texts = unsafe { view::array(views, vec![], days.nulls().cloned()) };
        match date {
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)),
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(Arc::new(texts))),
        }
    }
}

/// The eight digits of a day, given in days since 1970-01-01.
fn digits(day: i32) -> Result<[u8; 8]> {
    let (year, month, day_of_month) = calendar::date(day);
    if !(0..=9999).contains(&year) {
        return exec_err!("day {day} since 1970-01-01 is in no year of four digits");
    }
    let mut number = year as u32 * 10_000 + month * 100 + day_of_month;
    let mut digits = [0; 8];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Duration, NaiveDate};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_day_is_written_as_chrono_writes_it(day in -719_528i32..2_932_897) {
            let date = NaiveDate::default() + Duration::days(day.into());
            prop_assert_eq!(String::from_utf8(digits(day).unwrap().to_vec()).unwrap(), date.format("%Y%m%d").to_string());
        }
    }

    #[test]
    fn a_year_of_five_digits_is_an_error() {
        assert!(digits(2_932_897).is_err());
    }
}
