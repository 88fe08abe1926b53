//! Differences between dates and times, times of zones, and the sign of a number.

mod age;
mod at_time_zone;
mod date_diff;
mod sign;
mod zone;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ScalarUDF;

pub(crate) use at_time_zone::AT_TIME_ZONE;

const DAY: i64 = 86_400_000_000;

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(age::Age::new()),
        ScalarUDF::from(at_time_zone::AtTimeZone::new()),
        ScalarUDF::from(date_diff::DateDiff::new()),
        ScalarUDF::from(sign::Sign::new()),
    ]
}

/// Fails unless a function is given dates or times.
fn check_times(function: &str, kinds: &[DataType]) -> Result<()> {
    let is_time = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Timestamp(..) | DataType::Null);
    match kinds.iter().find(|kind| !is_time(kind)) {
        Some(wrong) => plan_err!("{function} takes dates and timestamps, not {wrong}: write cast(… as date) around it"),
        None => Ok(()),
    }
}

/// Dates and times as microseconds since 1970 in UTC.
fn microseconds(values: &ArrayRef) -> Result<Int64Array> {
    let zone = match values.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let times = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    Ok(cast(&times, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}
