//! `date_diff(part, start, end)`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::compute::binary;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::{Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::{DAY, check_times, microseconds};
use crate::function::calendar;

/// `date_diff('month', start, end)`: how many months begin after `start` and up to `end`; negative if `end` is the earlier
/// one. So it is for every part, as in DuckDB and Spark; weeks begin on Monday. Null if one of the two is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateDiff {
    signature: Signature,
}

impl DateDiff {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(3, Volatility::Immutable) }
    }
}

const PARTS: &str = "year, quarter, month, week, day, hour, minute, second, microsecond";

impl ScalarUDFImpl for DateDiff {
    fn name(&self) -> &str {
        "date_diff"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.scalar_arguments[0].and_then(|part| part.try_as_str().flatten()) {
            Some(part) if number(part, 0).is_some() => {}
            _ => return plan_err!("the first argument of date_diff is one of the texts {PARTS}"),
        }
        let kinds: Vec<_> = args.arg_fields[1..].iter().map(|field| field.data_type().clone()).collect();
        check_times("date_diff", &kinds)?;
        Ok(Arc::new(Field::new(self.name(), DataType::Int64, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(part), start, end] = args.args.as_slice() else {
            return exec_err!("the first argument of date_diff must be a constant");
        };
        let part = part.try_as_str().flatten().unwrap_or_default();
        let is_scalar = [start, end].iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let (start, end) = (microseconds(&start.to_array(rows)?)?, microseconds(&end.to_array(rows)?)?);
        let of = |time: i64| number(part, time).unwrap_or(0);
        let difference: Int64Array = binary(&start, &end, |start, end| of(end) - of(start))?;
        let difference: ArrayRef = Arc::new(difference);
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&difference, 0)?),
            false => ColumnarValue::Array(difference),
        })
    }
}

/// The number of the year, month, … that a time is in; `None` if there is no such part.
fn number(part: &str, time: i64) -> Option<i64> {
    let days = time.div_euclid(DAY);
    let month = || {
        let (year, month, _) = calendar::date(days as i32);
        year * 12 + i64::from(month) - 1
    };
    Some(match part.to_ascii_lowercase().trim_end_matches('s') {
        "year" => month().div_euclid(12),
        "quarter" => month().div_euclid(3),
        "month" => month(),
        // 1970-01-01 was a Thursday.
        "week" => (days + 3).div_euclid(7),
        "day" => days,
        "hour" => time.div_euclid(3_600_000_000),
        "minute" => time.div_euclid(60_000_000),
        "second" => time.div_euclid(1_000_000),
        "microsecond" => time,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDateTime};

    use super::*;

    #[test]
    fn a_difference_is_the_number_of_parts_that_begin_in_between() {
        let at = |text: &str| text.parse::<NaiveDateTime>().unwrap().and_utc();
        let between = |part: &str, start: DateTime<_>, end: DateTime<_>| {
            number(part, end.timestamp_micros()).unwrap() - number(part, start.timestamp_micros()).unwrap()
        };
        let (eve, new_year) = (at("2023-12-31T23:59:59"), at("2024-01-01T00:00:00"));
        for part in ["year", "quarter", "month", "week", "day", "hour", "minute", "second", "days"] {
            assert_eq!((between(part, eve, new_year), between(part, new_year, eve)), (1, -1), "{part}");
            assert_eq!(between(part, eve, eve), 0);
        }
        assert_eq!(between("week", at("2024-01-01T00:00:00"), at("2024-01-07T23:00:00")), 0, "Monday to Sunday");
        assert_eq!(between("month", at("1969-01-31T00:00:00"), at("2024-03-01T00:00:00")), 662);
        assert_eq!(between("day", at("2024-02-28T00:00:00"), at("2024-03-01T00:00:00")), 2);
        assert_eq!(number("fortnight", 0), None);
    }
}
