//! `to_yyyymmdd(date)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Date32Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{calendar, view};

/// `to_yyyymmdd(date '1986-01-10')` is `19860110`. Null stays null, and a year outside 0 to 9999 is null.
///
/// The same as `to_char(date, '%Y%m%d')`, without parsing a format for each row.
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
        for day in days.values() {
            views.push(digits(*day).map_or(0, |digits| view::inline(digits.into(), 8)));
        }
        let written = BooleanBuffer::collect_bool(days.len(), |row| views[row] != 0);
        let nulls = NullBuffer::union(days.nulls(), Some(&NullBuffer::new(written)));
        // SAFETY: a view is empty, or has eight ASCII digits inlined.
        let texts = unsafe { view::array(views, vec![], nulls) };
        match date {
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)),
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(Arc::new(texts))),
        }
    }
}

/// The eight digits of a day, given in days since 1970-01-01, the first one in the lowest byte; `None` if its year
/// does not have four digits.
fn digits(day: i32) -> Option<u64> {
    let (year, month, day) = calendar::date(day);
    let year = u32::try_from(year).ok().filter(|year| *year <= 9999)?;
    let pair = |number: u32| u64::from(PAIRS[number as usize]);
    Some(pair(year / 100) | pair(year % 100) << 16 | pair(month) << 32 | pair(day) << 48)
}

/// The two digits of each number below a hundred, the first one in the lower byte.
const PAIRS: [u16; 100] = {
    let mut pairs = [0; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = u16::from_le_bytes([b'0' + number as u8 / 10, b'0' + number as u8 % 10]);
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Duration, NaiveDate};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_day_is_written_as_chrono_writes_it(day in -719_528i32..2_932_897) {
            let date = NaiveDate::default() + Duration::days(day.into());
            prop_assert_eq!(String::from_utf8(digits(day).unwrap().to_le_bytes().to_vec()).unwrap(), date.format("%Y%m%d").to_string());
        }
    }

    #[test]
    fn a_year_that_four_digits_cannot_write_is_null() {
        assert_eq!((digits(2_932_897), digits(-719_529)), (None, None));
    }
}
