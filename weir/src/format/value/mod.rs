//! Texts become values, or are found not to fit their type. How that is done is chosen once per column.
//!
//! `number` and `time` read the forms that every source reads by default; `local`, `strftime` and `template` those that
//! a task declares; `bytes` has what is neither a number nor a time; `known` lists forms that values often have.

mod bytes;
mod form;
pub(crate) mod known;
mod local;
mod number;
mod strftime;
mod template;
#[cfg(test)]
mod tests;
mod time;

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanArray, PrimitiveArray, StringViewArray,
    StringViewBuilder,
};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::compute::{CastOptions, cast_with_options, nullif};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::scalar::ScalarValue;

pub(crate) use bytes::{Encoding, Words};
pub(crate) use form::Form;
pub(crate) use local::LocalNumbers;
pub(crate) use time::{Stamp, Zoneless};

/// Values of a column's type.
pub(crate) struct Typed {
    pub(crate) values: ArrayRef,
    /// The rows whose values do not fit the type, in order; `values` may have anything there.
    pub(crate) invalid: Vec<usize>,
}

impl Typed {
    /// Values that all fit.
    pub(crate) fn all(values: ArrayRef) -> Self {
        Self { values, invalid: vec![] }
    }
}

/// The engine's cast. A value that it cannot convert becomes null.
pub(crate) fn cast(values: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(values, kind, &CastOptions { safe: true, ..Default::default() })
}

/// Parses a text as a value in the form that every source reads by default.
pub(crate) fn value(text: &str, form: &Form) -> Option<ScalarValue> {
    let array: ArrayRef = Arc::new(StringViewArray::from_iter_values([text]));
    let typed = form.parse(&array).ok()?;
    let is_value = typed.invalid.is_empty() && typed.values.is_valid(0);
    is_value.then(|| ScalarValue::try_from_array(&typed.values, 0).ok()).flatten()
}

impl Form {
    /// Whether a text may be invalid.
    pub(crate) fn can_reject(&self) -> bool {
        !matches!(self, Self::Text { .. })
    }

    /// Parses the texts of a column. An empty text is null in all types but text.
    pub(crate) fn parse(&self, array: &ArrayRef) -> Result<Typed, ArrowError> {
        let text = array.as_string_view();
        Ok(match self {
            Self::Text { empty_as_null: false } => Typed::all(array.clone()),
            Self::Text { empty_as_null: true } => Typed::all(without_empty(array)?),
            Self::Boolean(words) => booleans(text, words),
            Self::Integer(numbers) => {
                let parse = |text: &[u8]| i32::try_from(number::whole(text)?).ok();
                parse_numbers::<Int32Type>(text, numbers.as_ref(), parse).done()
            }
            Self::Bigint(numbers) => parse_numbers::<Int64Type>(text, numbers.as_ref(), number::whole).done(),
            Self::Double(numbers) => parse_numbers::<Float64Type>(text, numbers.as_ref(), number::double).done(),
            Self::Decimal(numbers, precision, scale) => {
                let parse = |text: &[u8]| number::decimal(text, *precision, *scale);
                let parsed = parse_numbers::<Decimal128Type>(text, numbers.as_ref(), parse);
                parsed.try_map(|values| values.with_precision_and_scale(*precision, *scale as i8))?
            }
            Self::Date(forms) => match &forms[..] {
                [] => primitives::<Date32Type>(text, |text| time::day(text.as_bytes())).done(),
                forms => {
                    let mut written = String::new();
                    let parse = |text: &str| forms.iter().find_map(|form| form.day(text, &mut written));
                    primitives::<Date32Type>(text, parse).done()
                }
            },
            Self::Time(forms) => match &forms[..] {
                [] => primitives::<Time64MicrosecondType>(text, |text| time::time_of_day(text.as_bytes())).done(),
                forms => {
                    let mut written = String::new();
                    let parse = |text: &str| forms.iter().find_map(|form| form.time_of_day(text, &mut written));
                    primitives::<Time64MicrosecondType>(text, parse).done()
                }
            },
            Self::Timestamp { forms, zoneless, zone } => {
                let parsed = match &forms[..] {
                    [] => primitives::<TimestampMicrosecondType>(text, |text| {
                        time::stamp(text.as_bytes())?.micros(*zoneless)
                    }),
                    forms => {
                        let mut written = String::new();
                        primitives::<TimestampMicrosecondType>(text, |text| {
                            forms.iter().find_map(|form| form.stamp(text, &mut written)?.micros(*zoneless))
                        })
                    }
                };
                parsed.try_map(|values| Ok(values.with_timezone_opt(zone.clone())))?
            }
            Self::Uuid => texts(text, bytes::uuid),
            Self::Json => json(array, text),
            Self::Binary(encoding) => binaries(text, *encoding),
            Self::Other(kind) => by_cast(array, kind)?,
        })
    }
}

/// Parsed values, and the rows without one.
struct Parsed<T: ArrowPrimitiveType> {
    values: PrimitiveArray<T>,
    invalid: Vec<usize>,
}

impl<T: ArrowPrimitiveType> Parsed<T> {
    fn done(self) -> Typed {
        Typed { values: Arc::new(self.values), invalid: self.invalid }
    }

    fn try_map(
        self,
        map: impl FnOnce(PrimitiveArray<T>) -> Result<PrimitiveArray<T>, ArrowError>,
    ) -> Result<Typed, ArrowError> {
        Ok(Typed { values: Arc::new(map(self.values)?), invalid: self.invalid })
    }
}

/// The rows whose text is not a value: invalid, or empty and thereby null.
#[derive(Default)]
struct Odd {
    empty: Vec<usize>,
    invalid: Vec<usize>,
}

impl Odd {
    #[cold]
    fn add(&mut self, row: usize, text: &str) {
        if text.is_empty() { self.empty.push(row) } else { self.invalid.push(row) }
    }

    /// The nulls of the texts, and those of empty texts.
    fn nulls(&self, text: &StringViewArray) -> Option<NullBuffer> {
        if self.empty.is_empty() {
            return text.nulls().cloned();
        }
        let mut is_value: Vec<bool> = (0..text.len()).map(|row| text.is_valid(row)).collect();
        self.empty.iter().for_each(|row| is_value[*row] = false);
        Some(NullBuffer::from(is_value))
    }
}

#[inline(always)]
fn primitives<T: ArrowPrimitiveType>(
    text: &StringViewArray,
    mut parse: impl FnMut(&str) -> Option<T::Native>,
) -> Parsed<T> {
    let mut odd = Odd::default();
    let mut values = Vec::with_capacity(text.len());
    for row in 0..text.len() {
        let mut value = T::default_value();
        if text.is_valid(row) {
            // SAFETY: the row is below the length.
            let text = unsafe { text.value_unchecked(row) };
            match parse(text) {
                Some(parsed) => value = parsed,
                None => odd.add(row, text),
            }
        }
        values.push(value);
    }
    Parsed { values: PrimitiveArray::new(values.into(), odd.nulls(text)), invalid: odd.invalid }
}

#[inline(always)]
fn parse_numbers<T: ArrowPrimitiveType>(
    text: &StringViewArray,
    numbers: Option<&LocalNumbers>,
    parse: impl Fn(&[u8]) -> Option<T::Native>,
) -> Parsed<T> {
    match numbers {
        None => primitives(text, |text| parse(text.as_bytes())),
        Some(numbers) => {
            let mut plain = Vec::new();
            primitives(text, |text| numbers.plain(text, &mut plain).then(|| parse(&plain)).flatten())
        }
    }
}

fn booleans(text: &StringViewArray, words: &Words) -> Typed {
    let mut odd = Odd::default();
    let values = BooleanBuffer::collect_bool(text.len(), |row| {
        if text.is_null(row) {
            return false;
        }
        let text = text.value(row);
        words.read(text).unwrap_or_else(|| {
            odd.add(row, text);
            false
        })
    });
    Typed { values: Arc::new(BooleanArray::new(values, odd.nulls(text))), invalid: odd.invalid }
}

/// Texts that have one form for each value.
fn texts(text: &StringViewArray, parse: impl Fn(&str) -> Option<String>) -> Typed {
    let mut odd = Odd::default();
    let mut values = StringViewBuilder::with_capacity(text.len());
    for (row, text) in text.iter().enumerate() {
        let value = text.and_then(&parse);
        if let (None, Some(text)) = (&value, text) {
            odd.add(row, text);
        }
        values.append_option(value);
    }
    Typed { values: Arc::new(values.finish()), invalid: odd.invalid }
}

/// Documents, whose texts are kept.
fn json(array: &ArrayRef, text: &StringViewArray) -> Typed {
    let mut odd = Odd::default();
    for (row, text) in text.iter().enumerate() {
        if let Some(text) = text.filter(|text| !bytes::is_json(text)) {
            odd.add(row, text);
        }
    }
    let values = match odd.empty.is_empty() {
        true => array.clone(),
        false => {
            let (views, buffers, _) = text.clone().into_parts();
            Arc::new(StringViewArray::new(views, buffers.to_vec(), odd.nulls(text)))
        }
    };
    Typed { values, invalid: odd.invalid }
}

fn binaries(text: &StringViewArray, encoding: Encoding) -> Typed {
    let mut odd = Odd::default();
    let mut values = BinaryBuilder::new();
    for (row, text) in text.iter().enumerate() {
        let value = text.and_then(|text| encoding.read(text));
        if let (None, Some(text)) = (&value, text) {
            odd.add(row, text);
        }
        values.append_option(value);
    }
    Typed { values: Arc::new(values.finish()), invalid: odd.invalid }
}

fn without_empty(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let views = array.as_string_view().views();
    let is_empty = BooleanBuffer::collect_bool(views.len(), |row| views[row] as u32 == 0);
    nullif(array, &BooleanArray::new(is_empty, None))
}

/// Types that no column of a source has.
fn by_cast(array: &ArrayRef, kind: &DataType) -> Result<Typed, ArrowError> {
    let values = cast(array, kind)?;
    let invalid = (0..array.len()).filter(|row| array.is_valid(*row) && values.is_null(*row)).collect();
    Ok(Typed { values, invalid })
}
