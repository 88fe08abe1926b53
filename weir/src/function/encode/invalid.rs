//! Values that a type can hold but a file cannot, or no source could read: dates outside the years 1 to 9999, times with
//! a fraction of a microsecond, and floating-point numbers that are not finite.

use std::ops::RangeInclusive;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

/// Why a value cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidValue {
    /// A date or time outside the years 1 to 9999.
    Year,
    /// NaN or an infinity.
    NotFinite,
    /// A time with a fraction of a microsecond.
    Nanoseconds,
}

/// 0001-01-01 to 9999-12-31, in days since 1970-01-01.
const DAYS: RangeInclusive<i32> = -719_162..=2_932_896;

/// The first second of those days to the last one of them.
const SECONDS: RangeInclusive<i64> = *DAYS.start() as i64 * 86_400..=(*DAYS.end() as i64 + 1) * 86_400 - 1;

/// Searches for a chosen value that cannot be written.
pub(crate) fn invalid_value(
    column: &ArrayRef,
    chosen: Option<&BooleanBuffer>,
    must_be_finite: bool,
) -> Option<InvalidValue> {
    // Almost always none is found, and then it does not matter which rows are chosen.
    fast_check(column, must_be_finite)?;
    let at = |row| invalid_at(column, row, must_be_finite);
    match chosen {
        Some(chosen) => chosen.set_indices().find_map(at),
        None => (0..column.len()).find_map(at),
    }
}

/// An invalid value of any row, including rows that are null or not chosen.
fn fast_check(column: &dyn Array, must_be_finite: bool) -> Option<InvalidValue> {
    let year = |fits: bool| (!fits).then_some(InvalidValue::Year);
    let finite = |fits: bool| (!fits).then_some(InvalidValue::NotFinite);
    match column.data_type() {
        DataType::Date32 => year(all(column.as_primitive::<Date32Type>().values(), |day| DAYS.contains(day))),
        DataType::Date64 => year(within(column.as_primitive::<Date64Type>().values(), 1_000)),
        DataType::Time64(TimeUnit::Nanosecond) => nanoseconds(column.as_primitive::<Time64NanosecondType>().values()),
        DataType::Timestamp(unit, _) => year(match unit {
            TimeUnit::Second => within(column.as_primitive::<TimestampSecondType>().values(), 1),
            TimeUnit::Millisecond => within(column.as_primitive::<TimestampMillisecondType>().values(), 1_000),
            TimeUnit::Microsecond => within(column.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000),
            TimeUnit::Nanosecond => return nanoseconds(column.as_primitive::<TimestampNanosecondType>().values()),
        }),
        DataType::Float16 if must_be_finite => {
            finite(all(column.as_primitive::<Float16Type>().values(), |value| value.is_finite()))
        }
        DataType::Float32 if must_be_finite => {
            finite(all(column.as_primitive::<Float32Type>().values(), |value| value.is_finite()))
        }
        DataType::Float64 if must_be_finite => {
            finite(all(column.as_primitive::<Float64Type>().values(), |value| value.is_finite()))
        }
        DataType::Dictionary(..) => fast_check(column.as_any_dictionary().values(), must_be_finite),
        DataType::Struct(_) => column.as_struct().columns().iter().find_map(|field| fast_check(field, must_be_finite)),
        DataType::Map(..) => fast_check(column.as_map().entries(), must_be_finite),
        DataType::List(_) => fast_check(column.as_list::<i32>().values(), must_be_finite),
        DataType::LargeList(_) => fast_check(column.as_list::<i64>().values(), must_be_finite),
        DataType::FixedSizeList(..) => fast_check(column.as_fixed_size_list().values(), must_be_finite),
        DataType::ListView(_) => fast_check(column.as_list_view::<i32>().values(), must_be_finite),
        DataType::LargeListView(_) => fast_check(column.as_list_view::<i64>().values(), must_be_finite),
        _ => None,
    }
}

/// The invalid value of one row.
fn invalid_at(column: &dyn Array, row: usize, must_be_finite: bool) -> Option<InvalidValue> {
    let any = |values: ArrayRef| (0..values.len()).find_map(|row| invalid_at(&values, row, must_be_finite));
    match column.data_type() {
        _ if column.is_null(row) => None,
        DataType::Dictionary(..) => {
            let column = column.as_any_dictionary();
            invalid_at(column.values(), column.normalized_keys()[row], must_be_finite)
        }
        DataType::Struct(_) => {
            column.as_struct().columns().iter().find_map(|field| invalid_at(field, row, must_be_finite))
        }
        DataType::Map(..) => column.as_map().value(row).columns().iter().cloned().find_map(any),
        DataType::List(_) => any(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => any(column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => any(column.as_fixed_size_list().value(row)),
        DataType::ListView(_) => any(column.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => any(column.as_list_view::<i64>().value(row)),
        _ => fast_check(&column.slice(row, 1), must_be_finite),
    }
}

/// Whether all times are within the calendar's years, with `units` per second.
fn within(times: &[i64], units: i64) -> bool {
    let first = SECONDS.start().saturating_mul(units);
    let last = SECONDS.end().saturating_mul(units).saturating_add(units - 1);
    all(times, |time| (first..=last).contains(time))
}

/// Times between 1677 and 2262, which may be no whole number of microseconds.
fn nanoseconds(times: &[i64]) -> Option<InvalidValue> {
    (!all(times, |time| time % 1000 == 0)).then_some(InvalidValue::Nanoseconds)
}

/// Whether all values pass; checks every one, without a branch.
fn all<T>(values: &[T], is_so: impl Fn(&T) -> bool) -> bool {
    values.iter().fold(true, |so, value| so & is_so(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use datafusion::arrow::array::{
        Date32Array, Float64Array, ListArray, StringViewArray, StructArray, TimestampMicrosecondArray,
        TimestampNanosecondArray, TimestampSecondArray,
    };
    use datafusion::arrow::datatypes::Field;

    #[test]
    fn the_calendar_begins_and_ends_with_years_of_four_digits() {
        let day = |text: &str| Date32Type::from_naive_date(text.parse().unwrap());
        assert_eq!((*DAYS.start(), *DAYS.end()), (day("0001-01-01"), day("9999-12-31")));
        for (days, expected) in
            [(*DAYS.start(), None), (*DAYS.end(), None), (*DAYS.end() + 1, Some(InvalidValue::Year))]
        {
            let column: ArrayRef = Arc::new(Date32Array::from(vec![0, days]));
            assert_eq!(invalid_value(&column, None, false), expected, "{days}");
        }
    }

    #[test]
    fn times_are_of_the_calendar_up_to_their_last_unit() {
        let last = SECONDS.end() * 1_000_000 + 999_999;
        for (time, expected) in
            [(last, None), (last + 1, Some(InvalidValue::Year)), (i64::MIN, Some(InvalidValue::Year))]
        {
            let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![time]));
            assert_eq!(invalid_value(&column, None, false), expected, "{time}");
        }
        let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![SECONDS.start() - 1]));
        assert_eq!(invalid_value(&seconds, None, false), Some(InvalidValue::Year));
        let whole = |time: i64| time - time % 1000;
        let nanoseconds: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![whole(i64::MIN), whole(i64::MAX)]));
        assert_eq!(invalid_value(&nanoseconds, None, false), None, "all of them are within 1677 and 2262");
        let nanoseconds: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1000, 1001]));
        assert_eq!(invalid_value(&nanoseconds, None, false), Some(InvalidValue::Nanoseconds));
    }

    #[test]
    fn only_rows_that_are_chosen_and_not_null_count() {
        let values = Float64Array::new(vec![1.0, f64::NAN, f64::INFINITY].into(), Some(vec![true, false, true].into()));
        let column: ArrayRef = Arc::new(values);
        let chosen = |rows: [bool; 3]| BooleanBuffer::from(rows.to_vec());
        assert_eq!(invalid_value(&column, Some(&chosen([true, true, false])), true), None);
        assert_eq!(invalid_value(&column, Some(&chosen([false, false, true])), true), Some(InvalidValue::NotFinite));
        assert_eq!(invalid_value(&column, None, false), None, "rejected rows may have them");
    }

    #[test]
    fn values_inside_lists_and_structs_count_too() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(i32::MAX)]));
        let field = Arc::new(Field::new("item", DataType::Date32, true));
        let offsets = datafusion::arrow::buffer::OffsetBuffer::from_lengths([2, 1]);
        let list: ArrayRef = Arc::new(ListArray::new(field.clone(), offsets, days, None));
        let inside: ArrayRef = Arc::new(StructArray::from(vec![
            (
                Arc::new(Field::new("name", DataType::Utf8View, true)),
                Arc::new(StringViewArray::from(vec!["a", "b"])) as ArrayRef,
            ),
            (Arc::new(Field::new("days", list.data_type().clone(), true)), list),
        ]));
        assert_eq!(invalid_value(&inside, Some(&BooleanBuffer::from(vec![true, false])), false), None);
        assert_eq!(invalid_value(&inside, None, false), Some(InvalidValue::Year));
    }
}
