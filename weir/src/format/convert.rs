//! Converts values to the type of their column, or finds that they do not fit it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::scalar::ScalarValue;

use super::columns::{Column, Typed};

/// Parses texts as values of a column.
pub(crate) fn from_text(text: &ArrayRef, column: &Column) -> Result<Typed, ArrowError> {
    match (&column.format, &column.kind) {
        (_, DataType::Utf8View) => Ok(Typed { values: text.clone(), invalid: vec![] }),
        (Some(format), _) => Ok(format.parse(text.as_string_view())),
        (None, kind) => by_form(text, kind),
    }
}

/// Parses a text as a value in the canonical form of its type.
pub(crate) fn value(text: &str, kind: &DataType) -> Option<ScalarValue> {
    let array: ArrayRef = Arc::new(StringViewArray::from_iter_values([text]));
    let typed = if kind == &DataType::Utf8View {
        Typed { values: array, invalid: vec![] }
    } else {
        by_form(&array, kind).ok()?
    };
    typed.invalid.is_empty().then(|| ScalarValue::try_from_array(&typed.values, 0).ok()).flatten()
}

fn by_form(text: &ArrayRef, kind: &DataType) -> Result<Typed, ArrowError> {
    let values = cast(text, kind)?;
    let text = text.as_string_view();
    let micros = values.as_primitive_opt::<TimestampMicrosecondType>();
    // An offset may lead out of the years that can be written.
    let is_in_years = |row: usize| micros.is_none_or(|micros| YEARS.contains(&micros.value(row)));
    let is_invalid = |row: &usize| {
        text.is_valid(*row) && (values.is_null(*row) || !has_form(kind, text.value(*row)) || !is_in_years(*row))
    };
    let invalid = (0..text.len()).filter(is_invalid).collect();
    Ok(Typed { values, invalid })
}

/// The engine's cast. A value that it cannot convert becomes null.
pub(crate) fn cast(values: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(values, kind, &CastOptions { safe: true, ..Default::default() })
}

/// Microseconds from 1970 of the years 1 to 9999.
const YEARS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;

/// A time without its offset from UTC, if it has one: the engine's cast has used it. None if that is no offset of ISO 8601.
fn without_offset(text: &str) -> Option<&str> {
    let Some(at) = text.get(10..).and_then(|time| time.find(['+', '-', 'Z', 'z'])) else { return Some(text) };
    let (time, offset) = text.split_at(10 + at);
    let is_offset = match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [_, hours @ ..] => {
            let (hours, minutes) = hours.split_at(hours.len().min(2));
            let minutes = minutes.strip_prefix(b":").filter(|minutes| !minutes.is_empty()).unwrap_or(minutes);
            let below = |digits: &[u8], limit: [u8; 2]| {
                digits.len() == 2 && digits.iter().all(u8::is_ascii_digit) && digits < &limit[..]
            };
            below(hours, *b"24") && (minutes.is_empty() || below(minutes, *b"60"))
        }
        [] => false,
    };
    is_offset.then_some(time.trim_end())
}

/// Whether a text is in the canonical form of a type. The engine's cast is more lenient: it reads
/// `ye` as true, rounds 1.005 to two digits, and moves a time with an offset to another day.
pub(crate) fn has_form(kind: &DataType, text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        DataType::Boolean => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        DataType::Date32 => text.len() == 10 && text.split('-').map(str::len).eq([4, 2, 2]),
        DataType::Float64 => text.parse::<f64>().is_ok_and(f64::is_finite),
        DataType::Timestamp(..) => {
            let is_clock = |time: &str| {
                let (fraction, clock) = (time.get(20..).unwrap_or_default(), time.get(11..).unwrap_or_default());
                // The engine knows names of time zones, too.
                fraction.len() <= 6 && clock.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
            };
            text.get(17..19) != Some("60") && without_offset(text).is_some_and(is_clock)
        }
        DataType::Decimal128(_, scale) => match text.split_once('.') {
            None => true,
            Some((_, fraction)) => digits(fraction) && fraction.trim_end_matches('0').len() <= *scale as usize,
        },
        _ => true,
    }
}
