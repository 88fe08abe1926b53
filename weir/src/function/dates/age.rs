//! `age(end, start)` and `age(start)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, IntervalMonthDayNanoArray};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{DAY, check_times, microseconds};
use crate::function::calendar;

/// `age(end, start)` as in PostgreSQL: the years, months and days between the two, an interval. `age(start)` counts to the
/// day of the run. `extract(year from age(birthday))` is how old somebody is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Age {
    signature: Signature,
}

impl Age {
    pub(super) fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Age {
    fn name(&self) -> &str {
        "age"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if !(1..=2).contains(&types.len()) {
            return plan_err!("age takes one or two dates or timestamps: age(end, start)");
        }
        check_times("age", types)?;
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    /// With one argument the other one is the day of the run.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let (Some(now), 1) = (info.query_execution_start_time(), args.len()) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let today = ScalarValue::Date32(Some(now.timestamp().div_euclid(86_400) as i32));
        let args = [Expr::Literal(today, None)].into_iter().chain(args).collect();
        let call = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(Self::new())), args);
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(call)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [end, start] = args.args.as_slice() else { return exec_err!("age takes two dates or timestamps") };
        let is_scalar = [end, start].iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let (end, start) = (microseconds(&end.to_array(rows)?)?, microseconds(&start.to_array(rows)?)?);
        let ages = (0..rows)
            .map(|row| (end.is_valid(row) && start.is_valid(row)).then(|| age(end.value(row), start.value(row))));
        let ages: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from_iter(ages));
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&ages, 0)?),
            false => ColumnarValue::Array(ages),
        })
    }
}

/// The interval between two times in microseconds since 1970: whole months first, then the days and the rest.
fn age(end: i64, start: i64) -> IntervalMonthDayNano {
    let (late, early) = (end.max(start), end.min(start));
    let parts = |time: i64| {
        let (year, month, day) = calendar::date(time.div_euclid(DAY) as i32);
        (year * 12 + i64::from(month) - 1, i64::from(day), time.rem_euclid(DAY))
    };
    let ((mut months, mut days, mut rest), (month, day, of_day)) = (parts(late), parts(early));
    (months, days, rest) = (months - month, days - day, rest - of_day);
    if rest < 0 {
        (days, rest) = (days - 1, rest + DAY);
    }
    // A month that is not complete has as many days as the month of the earlier time.
    if days < 0 {
        (months, days) = (months - 1, days + length(month));
    }
    let sign = if end < start { -1 } else { 1 };
    IntervalMonthDayNano::new(sign * months as i32, sign * days as i32, i64::from(sign) * rest * 1000)
}

/// The days of a month, which is counted from the year 0.
fn length(month: i64) -> i64 {
    match month.rem_euclid(12) {
        1 => {
            let year = month.div_euclid(12);
            if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 29 } else { 28 }
        }
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::*;

    /// As PostgreSQL 15 prints `age(end, start)`.
    #[test]
    fn an_age_is_that_of_postgresql() {
        let at = |text: &str| text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros();
        for (end, start, months, days, hours) in [
            ("2024-03-01T00:00:00", "2000-02-29T00:00:00", 24 * 12, 1, 0),
            ("2001-04-10T00:00:00", "1957-06-13T00:00:00", 43 * 12 + 9, 27, 0),
            ("2024-03-31T00:00:00", "2024-02-29T00:00:00", 1, 2, 0),
            ("2024-03-30T00:00:00", "2024-01-31T00:00:00", 1, 30, 0),
            ("2024-01-31T00:00:00", "2024-03-30T00:00:00", -1, -30, 0),
            ("2024-01-02T01:00:00", "2024-01-01T02:00:00", 0, 0, 23),
            ("2024-03-01T00:00:00", "2024-01-31T12:00:00", 1, 0, 12),
        ] {
            let expected = IntervalMonthDayNano::new(months, days, hours * 3_600_000_000_000);
            assert_eq!(age(at(end), at(start)), expected, "{end} - {start}");
        }
    }
}
