//! Numbers, dates and times as text. All of it is ASCII and most of it short enough to be inlined in a view.

use datafusion::arrow::array::{Array, Date32Array, Decimal128Array, Int64Array, StringViewArray, make_view};
use datafusion::arrow::buffer::{Buffer, NullBuffer};

use crate::function::calendar;
use crate::function::view;

const SECONDS_OF_DAY: i64 = 86_400;

/// Integers.
pub(crate) fn integers(values: &Int64Array) -> StringViewArray {
    texts(values.values(), values.nulls(), |value, text| text.signed(u128::from(value.unsigned_abs()), *value < 0))
}

/// Decimals, with as many digits after the point as their scale, which is not negative.
pub(crate) fn decimals(values: &Decimal128Array) -> StringViewArray {
    let scale = usize::from(values.scale().unsigned_abs());
    texts(values.values(), values.nulls(), |value, text| {
        let mut whole = value.unsigned_abs();
        if scale > 0 {
            let fraction = match u64::try_from(whole) {
                Ok(small) if scale < 20 => {
                    let unit = 10_u64.pow(scale as u32);
                    whole = u128::from(small / unit);
                    u128::from(small % unit)
                }
                _ => {
                    let unit = 10_u128.pow(scale as u32);
                    let fraction = whole % unit;
                    whole /= unit;
                    fraction
                }
            };
            text.wide(fraction, scale);
            text.byte(b'.');
        }
        text.signed(whole, *value < 0);
    })
}

/// Days since 1970-01-01, as `2022-01-31`; years outside 0 to 9999 give wrong texts.
pub(crate) fn days(values: &Date32Array) -> StringViewArray {
    texts(values.values(), values.nulls(), |day, text| text.day(*day))
}

/// Times since 1970-01-01, as `2022-01-31T23:59:59.123456`, with a fraction of 0, 3, 6 or 9 digits; in units of
/// `1 / units` of a second, with a `Z` if they are `in_utc`. Years outside 0 to 9999 give wrong texts.
pub(crate) fn times(values: &[i64], nulls: Option<&NullBuffer>, units: i64, in_utc: bool) -> StringViewArray {
    texts(values, nulls, |time, text| {
        if in_utc {
            text.byte(b'Z');
        }
        let nanoseconds = time.rem_euclid(units) * (1_000_000_000 / units);
        let seconds = time.div_euclid(units);
        text.clock(seconds.rem_euclid(SECONDS_OF_DAY) as u64, nanoseconds);
        text.byte(b'T');
        text.day(seconds.div_euclid(SECONDS_OF_DAY) as i32);
    })
}

/// Times of day in microseconds, as `23:59:59.123456`.
pub(crate) fn times_of_day(values: &[i64], nulls: Option<&NullBuffer>) -> StringViewArray {
    texts(values, nulls, |time, text| {
        let time = time.rem_euclid(SECONDS_OF_DAY * 1_000_000);
        text.clock((time / 1_000_000) as u64, time % 1_000_000 * 1_000);
    })
}

/// An array of the texts of the values.
#[inline(always)]
fn texts<T>(values: &[T], nulls: Option<&NullBuffer>, write: impl Fn(&T, &mut Text)) -> StringViewArray {
    let mut views = Vec::with_capacity(values.len());
    let mut long = Vec::new();
    for value in values {
        let mut text = Text { bytes: [0; ROOM], start: ROOM };
        write(value, &mut text);
        let text = &text.bytes[text.start..];
        views.push(make_view(text, 0, long.len() as u32));
        if text.len() > view::INLINED {
            long.extend_from_slice(text);
        }
    }
    // SAFETY: every view was made of ASCII, inlined in it or in the only buffer at that offset: there are at
    // most as many bytes as a batch has values times `ROOM`. `nulls` are those of an array of the same length.
    unsafe { view::array(views, vec![Buffer::from_vec(long)], nulls.cloned()) }
}

/// The texts of 0 to 99, of two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The bytes reserved per text, more than the longest needs: 38 digits, a point, a zero before it and a sign.
const ROOM: usize = 48;

/// A text that is built from its end.
struct Text {
    bytes: [u8; ROOM],
    start: usize,
}

impl Text {
    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }

    /// Pads to a minimum number of digits.
    #[inline(always)]
    fn padded(&mut self, mut number: u64, digits: usize) {
        let end = self.start;
        while number >= 10 {
            self.start -= 2;
            self.bytes[self.start..][..2].copy_from_slice(&PAIRS[(number % 100) as usize]);
            number /= 100;
        }
        if number > 0 {
            self.byte(b'0' + number as u8);
        }
        while end - self.start < digits {
            self.byte(b'0');
        }
    }

    /// Pads to a minimum number of digits.
    #[inline(always)]
    fn wide(&mut self, mut number: u128, digits: usize) {
        const UNIT: u128 = 10_u128.pow(18);
        let end = self.start;
        while number >= UNIT {
            self.padded((number % UNIT) as u64, 18);
            number /= UNIT;
        }
        self.padded(number as u64, digits.saturating_sub(end - self.start));
    }

    #[inline(always)]
    fn signed(&mut self, number: u128, is_negative: bool) {
        self.wide(number, 1);
        if is_negative {
            self.byte(b'-');
        }
    }

    /// A second of a day and its fraction.
    #[inline(always)]
    fn clock(&mut self, second: u64, nanoseconds: i64) {
        let fraction = [(3, 1_000_000), (6, 1_000), (9, 1)].into_iter().find(|(_, unit)| nanoseconds % unit == 0);
        if let Some((digits, unit)) = fraction.filter(|_| nanoseconds > 0) {
            self.padded((nanoseconds / unit) as u64, digits);
            self.byte(b'.');
        }
        self.padded(second % 60, 2);
        self.byte(b':');
        self.padded(second / 60 % 60, 2);
        self.byte(b':');
        self.padded(second / 3_600, 2);
    }

    #[inline(always)]
    fn day(&mut self, day: i32) {
        let (year, month, day) = calendar::date(day);
        self.padded(u64::from(day), 2);
        self.byte(b'-');
        self.padded(u64::from(month), 2);
        self.byte(b'-');
        self.padded(year.rem_euclid(10_000) as u64, 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, AsArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    };
    use datafusion::arrow::compute::cast;
    use datafusion::arrow::datatypes::DataType;
    use proptest::prelude::*;

    /// The texts by Arrow, value by value.
    fn by_arrow(values: ArrayRef) -> StringViewArray {
        cast(&values, &DataType::Utf8View).unwrap().as_string_view().clone()
    }

    /// Numbers of every length, not only long ones.
    fn number() -> impl Strategy<Value = i128> {
        let digits = 10_i128.pow(38) - 1;
        (any::<i128>(), 0u32..39).prop_map(move |(number, length)| number % digits % 10_i128.pow(length).max(2))
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_arrow_writes_them(numbers in proptest::collection::vec(proptest::option::of(number()), 1..20), scale in 0i8..39) {
            let integers_of_64_bits = Int64Array::from_iter(numbers.iter().map(|n| n.map(|n| n as i64)));
            prop_assert_eq!(integers(&integers_of_64_bits), by_arrow(Arc::new(integers_of_64_bits)));
            let exact = Decimal128Array::from(numbers).with_precision_and_scale(38, scale).unwrap();
            prop_assert_eq!(decimals(&exact), by_arrow(Arc::new(exact)));
        }

        #[test]
        fn days_and_times_are_written_as_arrow_writes_them(
            day in -719_162i32..2_932_897,
            time in -62_135_596_800_000_000i64..253_402_300_800_000_000,
            rounded_to in 0u32..8,
        ) {
            let dates = Date32Array::from(vec![Some(day), None]);
            prop_assert_eq!(days(&dates), by_arrow(Arc::new(dates)));
            let time = time - time.rem_euclid(10_i64.pow(rounded_to));
            let microseconds = TimestampMicrosecondArray::from(vec![Some(time), None]);
            let written = times(microseconds.values(), microseconds.nulls(), 1_000_000, false);
            prop_assert_eq!(written, by_arrow(Arc::new(microseconds.clone())));
            let written = times(microseconds.values(), microseconds.nulls(), 1_000_000, true);
            prop_assert_eq!(written, by_arrow(Arc::new(microseconds.with_timezone("UTC"))));
            let nanoseconds = TimestampNanosecondArray::from(vec![time]);
            prop_assert_eq!(times(nanoseconds.values(), None, 1_000_000_000, false), by_arrow(Arc::new(nanoseconds)));
            let of_day = Time64MicrosecondArray::from(vec![Some(time.rem_euclid(86_400_000_000)), None]);
            prop_assert_eq!(times_of_day(of_day.values(), of_day.nulls()), by_arrow(Arc::new(of_day)));
        }
    }

    #[test]
    fn the_least_and_the_greatest_numbers_are_complete() {
        let ends = Int64Array::from(vec![i64::MIN, i64::MAX, 0, -1, 10, 100, 101]);
        assert_eq!(integers(&ends), by_arrow(Arc::new(ends)));
        let end = 10_i128.pow(38) - 1;
        let ends = Decimal128Array::from(vec![-end, end, 0, 1, -1]).with_precision_and_scale(38, 38).unwrap();
        assert_eq!(decimals(&ends), by_arrow(Arc::new(ends)));
    }

    #[test]
    fn values_outside_the_calendar_do_not_panic() {
        days(&Date32Array::from(vec![i32::MIN, i32::MAX]));
        for units in [1, 1_000, 1_000_000, 1_000_000_000] {
            times(&[i64::MIN, i64::MAX], None, units, true);
            times_of_day(&[i64::MIN, i64::MAX], None);
        }
    }
}
