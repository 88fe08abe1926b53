//! `x at time zone zone`, as PostgreSQL has it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::zone::{Moments, Zone};
use crate::task::UTC;

/// The name under which the syntax `x at time zone zone` is planned.
pub(crate) const AT_TIME_ZONE: &str = "at_time_zone";

/// `at_time_zone(x, zone)`: of a moment (`timestamptz`) what the clocks of the zone show then, a `timestamp`; of what the
/// clocks show the moment, in UTC. A time that the clocks never show, or show twice, cannot be computed, where PostgreSQL
/// takes one of the two. Null if one of the two is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtTimeZone {
    signature: Signature,
}

impl AtTimeZone {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        AT_TIME_ZONE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        let is_zone =
            |kind: &DataType| kind.is_string() || matches!(kind, DataType::Interval(IntervalUnit::MonthDayNano));
        match kinds {
            [_, zone] if !is_zone(zone) => {
                plan_err!(
                    "a time zone is a name such as 'Asia/Singapore' or an interval such as interval '8 hours', not {zone}"
                )
            }
            [DataType::Timestamp(unit, Some(_)), _] => Ok(DataType::Timestamp(*unit, None)),
            [DataType::Timestamp(unit, None), _] => Ok(DataType::Timestamp(*unit, Some(UTC.into()))),
            [kind, ..] => plan_err!("at time zone takes timestamps, not {kind}: write cast(… as timestamp) before it"),
            [] => plan_err!("at time zone takes a timestamp"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let kinds: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let kind = self.return_type(&kinds)?;
        if let Some(Some(value)) = args.scalar_arguments.get(1)
            && !value.is_null()
        {
            zones(&value.to_array()?).of(0).map_err(|what| plan_datafusion_err!("{what}"))?;
        }
        Ok(Arc::new(Field::new(self.name(), kind, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let [times, zone] = args.args.as_slice() else { return exec_err!("at time zone takes two arguments") };
        let times = times.to_array(rows)?;
        let zone = match zone {
            // One zone is looked up once.
            ColumnarValue::Scalar(zone) => zone.to_array()?,
            ColumnarValue::Array(zones) => Arc::clone(zones),
        };
        let at = at_time_zone(&times, &zone)?;
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&at, 0)?),
            false => ColumnarValue::Array(at),
        })
    }
}

/// The times at the zones of their rows, or all at the only zone.
fn at_time_zone(times: &ArrayRef, zone: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, label) = times.data_type() else {
        return exec_err!("at time zone takes timestamps, not {}", times.data_type());
    };
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let numbers = cast(times, &DataType::Int64)?;
    let mut zones = zones(zone);
    let only = zone.len() == 1;
    let mut at = |row: usize, time: i64| -> Result<Option<i64>> {
        let Some(zone) = zones.of(if only { 0 } else { row }).map_err(|what| exec_datafusion_err!("{what}"))? else {
            return Ok(None);
        };
        let second = time.div_euclid(per_second);
        let offset = match label {
            Some(_) => zone.offset(second),
            None => match zone.moments(second) {
                Moments::One { offset } => Some(-offset),
                Moments::OutOfRange => None,
                Moments::None => {
                    return exec_err!("{} does not exist in {zone}: its clocks are moved past it", shown(second));
                }
                Moments::Two => return exec_err!("{} is twice in {zone}: its clocks are moved back", shown(second)),
            },
        };
        let moved = offset.and_then(|offset| time.checked_add(offset.checked_mul(per_second)?));
        moved.map(Some).ok_or_else(|| exec_datafusion_err!("a time is out of range at time zone {zone}"))
    };
    let moved = numbers.as_primitive::<Int64Type>().iter().enumerate();
    let moved = moved.map(|(row, time)| time.map_or(Ok(None), |time| at(row, time)));
    let moved: Int64Array = moved.collect::<Result<_>>()?;
    let to = if label.is_some() { None } else { Some(UTC.into()) };
    Ok(cast(&moved, &DataType::Timestamp(*unit, to))?)
}

fn shown(second: i64) -> String {
    chrono::DateTime::from_timestamp(second, 0).map_or_else(String::new, |time| time.naive_utc().to_string())
}

/// The zones of rows. The one of the row before is not looked up again.
struct Zones<'a> {
    values: &'a dyn Array,
    texts: Option<ArrayRef>,
    last: Option<(String, Zone)>,
}

fn zones(values: &ArrayRef) -> Zones<'_> {
    let texts = values.data_type().is_string().then(|| cast(values, &DataType::Utf8).ok()).flatten();
    Zones { values, texts, last: None }
}

impl Zones<'_> {
    fn of(&mut self, row: usize) -> Result<Option<Zone>, String> {
        if self.values.is_null(row) {
            return Ok(None);
        }
        let Some(texts) = &self.texts else {
            let intervals = self.values.as_primitive_opt::<IntervalMonthDayNanoType>();
            let IntervalMonthDayNano { months, days, nanoseconds } =
                intervals.ok_or("a time zone is a text or an interval")?.value(row);
            return match (months, days) {
                (0, 0) => Ok(Some(Zone::Fixed(nanoseconds / 1_000_000_000))),
                _ => Err("the interval of a time zone must not have months or days".to_owned()),
            };
        };
        let name = texts.as_string::<i32>().value(row);
        match &self.last {
            Some((last, zone)) if last == name => Ok(Some(*zone)),
            _ => {
                let zone = Zone::named(name)?;
                self.last = Some((name.to_owned(), zone));
                Ok(Some(zone))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use datafusion::arrow::array::{StringArray, TimestampMicrosecondArray};

    use super::*;

    fn micros(text: &str) -> i64 {
        text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros()
    }

    /// What a moment or, without a label, a local time is at a zone.
    fn at(time: &str, label: Option<&str>, zone: &str) -> Result<String, String> {
        let times = TimestampMicrosecondArray::from(vec![micros(time)]).with_timezone_opt(label);
        let zone: ArrayRef = Arc::new(StringArray::from(vec![zone]));
        let at = at_time_zone(&(Arc::new(times) as ArrayRef), &zone).map_err(|error| error.to_string())?;
        let at =
            cast(&cast(&at, &DataType::Int64).unwrap(), &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
        Ok(cast(&at, &DataType::Utf8).unwrap().as_string::<i32>().value(0).to_owned())
    }

    #[test]
    fn moments_become_local_times_and_local_times_moments() {
        for (moment, local, zone) in [
            ("2023-01-15T23:30:00.000001", "2023-01-16T07:30:00.000001", "Asia/Singapore"),
            ("2024-07-01T12:00:00", "2024-07-01T08:00:00", "america/new_york"),
            ("2024-01-01T12:00:00", "2024-01-01T17:45:00", "Asia/Kathmandu"),
            ("1969-12-31T23:59:59.5", "1969-12-31T23:59:59.500", "UTC"),
            // In the years after those of the tables, too.
            ("2200-07-01T12:00:00", "2200-07-01T14:00:00", "Europe/Berlin"),
            ("9999-12-31T12:00:00", "9999-12-31T13:00:00", "Europe/Berlin"),
            ("9999-12-31T12:00:00", "9999-12-31T23:00:00", "Australia/Sydney"),
        ] {
            let (of_moment, of_local) = (at(moment, Some("UTC"), zone), at(local, None, zone));
            assert_eq!((of_moment.as_deref(), micros(&of_local.unwrap())), (Ok(local), micros(moment)), "{zone}");
        }
        // Whatever zone a moment is labelled with.
        assert_eq!(at("2024-01-01T00:00:00", Some("+05:00"), "Asia/Tokyo").as_deref(), Ok("2024-01-01T09:00:00"));
    }

    #[test]
    fn a_local_time_that_is_never_or_twice_is_an_error() {
        let of = |time: &str| at(time, None, "Europe/Berlin").unwrap_err();
        assert!(of("2024-03-31T02:30:00").contains("2024-03-31 02:30:00 does not exist in Europe/Berlin"));
        assert!(of("2024-10-27T02:30:00").contains("2024-10-27 02:30:00 is twice in Europe/Berlin"));
        assert!(of("2301-03-31T02:30:00").contains("does not exist"));
        assert!(at("2024-10-27T03:00:00", None, "Europe/Berlin").is_ok());
    }

    #[test]
    fn nulls_stay_nulls_and_each_row_has_its_zone() {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(0), Some(0)]));
        let zones: ArrayRef =
            Arc::new(StringArray::from(vec![Some("Asia/Tokyo"), Some("UTC"), None, Some("Etc/GMT+1")]));
        let at = at_time_zone(&times, &zones).unwrap();
        let at = cast(&at, &DataType::Int64).unwrap();
        let hour = 3_600_000_000;
        assert_eq!(at.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(-9 * hour), None, None, Some(hour)]));
    }
}
