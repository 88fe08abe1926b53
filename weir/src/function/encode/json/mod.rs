//! Values as JSON: numbers exactly as they are, times as texts, lists as arrays, structs and maps as objects, documents as they
//! are written.
//!
//! Text is escaped only where RFC 8259 requires it. Values that JSON cannot represent are searched for before.

#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m128i;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, StringViewArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::arrow::error::ArrowError;
use memchr::{memchr2, memchr2_iter};
use serde_json::value::RawValue;

use super::{Column, Special, Texts, has_any, mask, push_lowest, push_plain};
use crate::task::is_json;

/// The bytes before the values of an object: its brace or a comma, the name and a colon.
pub(crate) struct Keys(Vec<Key>);

impl Keys {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().enumerate().map(|(i, name)| Key::new(if i == 0 { b'{' } else { b',' }, name)).collect())
    }

    /// The keys in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

/// The values of a column as the texts of JSON documents. Null stays null. Values that JSON cannot represent give wrong
/// documents.
pub(crate) fn documents(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let value = Value::new(column, false)?;
    let mut documents = Texts::with_capacity(column.len());
    for row in 0..column.len() {
        match column.is_valid(row) {
            true => documents.push(|out| value.write(row, out)),
            false => documents.push_null(),
        }
    }
    Ok(Arc::new(documents.finish()?))
}

/// Whether values of a type can be written as JSON and read again.
pub(crate) fn can_hold(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => can_hold(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => can_hold(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| can_hold(field.data_type())),
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(fields) => fields[0].data_type().is_string() && can_hold(fields[1].data_type()),
            _ => false,
        },
        kind => Column::takes(kind),
    }
}

/// The bytes before a value, in pieces that are copied as a whole.
pub(crate) struct Key {
    pieces: Vec<u128>,
    length: usize,
}

impl Key {
    /// Of a name, behind a brace or a comma.
    pub(crate) fn new(before: u8, name: &str) -> Self {
        let mut key = vec![before];
        text(name.as_bytes(), &mut key);
        key.push(b':');
        let length = key.len();
        key.resize(length.next_multiple_of(16), 0);
        Self { pieces: key.as_chunks().0.iter().map(|piece| u128::from_le_bytes(*piece)).collect(), length }
    }

    /// Its number of bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Appends it.
    #[inline(always)]
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        for piece in &self.pieces {
            out.extend_from_slice(&piece.to_le_bytes());
        }
        out.truncate(end);
    }
}

/// A column, in the form in which its values are written.
pub(crate) enum Value {
    Single(Column),
    /// Documents, which are written as they are but for their line breaks.
    Document(StringViewArray),
    Nested(Nested, Option<NullBuffer>),
}

/// A column of nested values. A range has the indices of a row's values.
pub(crate) enum Nested {
    List { items: Box<Value>, ranges: Vec<Range<usize>> },
    Map { names: StringViewArray, values: Box<Value>, ranges: Vec<Range<usize>> },
    Object { keys: Keys, values: Vec<Value> },
}

impl Value {
    /// The values of a column. Texts are documents if `are_documents`, and those inside of nested values if their field says it.
    pub(crate) fn new(column: &ArrayRef, are_documents: bool) -> Result<Self, ArrowError> {
        let of = |field: &Field, values: &ArrayRef| match is_json(field) {
            true => checked(values),
            false => Self::new(values, false),
        };
        let nested = match column.data_type() {
            DataType::Dictionary(_, values) => return Self::new(&cast(column, values)?, are_documents),
            kind if are_documents && kind.is_string() => {
                return Ok(Self::Document(cast(column, &DataType::Utf8View)?.as_string_view().clone()));
            }
            DataType::Map(..) => {
                let map = column.as_map();
                let names = cast(map.keys(), &DataType::Utf8View)?.as_string_view().clone();
                let values = Box::new(of(map.entries().fields()[1].as_ref(), map.values())?);
                Nested::Map { names, values, ranges: between(map.offsets()) }
            }
            DataType::Struct(fields) => {
                let keys = Keys::new(fields.iter().map(|field| field.name().as_str()));
                let values = fields.iter().zip(column.as_struct().columns());
                let values = values.map(|(field, values)| of(field, values)).collect::<Result<_, _>>()?;
                Nested::Object { keys, values }
            }
            _ => match list(column) {
                Some((item, items, ranges)) => Nested::List { items: Box::new(of(item, items)?), ranges },
                None => return Ok(Self::Single(Column::new(column)?)),
            },
        };
        Ok(Self::Nested(nested, column.nulls().cloned()))
    }

    /// The bytes of all values before escaping, without the punctuation of nested ones.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Single(column) => column.length(),
            Self::Document(texts) => texts.views().iter().map(|view| *view as u32 as usize).sum(),
            Self::Nested(Nested::List { items: values, .. } | Nested::Map { values, .. }, _) => values.length(),
            Self::Nested(Nested::Object { values, .. }, _) => values.iter().map(Self::length).sum(),
        }
    }

    /// Appends the value of a row.
    #[inline(always)]
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Single(Column::Text(values)) if values.is_valid(row) => {
                let view = values.views()[row];
                let length = view as u32 as usize;
                // The zeros after a text that is inlined in its view are not part of it.
                if length <= 12 && mask::<Json>(view >> 32) & ((1 << length) - 1) == 0 {
                    let quote = u128::from(b'"');
                    push_lowest(quote | view >> 32 << 8 | quote << (8 * length + 8), length + 2, out);
                } else {
                    text(values.value(row).as_bytes(), out);
                }
            }
            Self::Single(Column::Boolean(values)) if values.is_valid(row) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Self::Single(Column::Number(values)) if values.is_valid(row) => {
                push_plain(values, row, out);
            }
            Self::Single(Column::Time(values)) if values.is_valid(row) => {
                out.push(b'"');
                push_plain(values, row, out);
                out.push(b'"');
            }
            Self::Document(texts) if texts.is_valid(row) => document(texts.value(row).as_bytes(), out),
            Self::Nested(nested, nulls) if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) => {
                nested.write(row, out);
            }
            _ => out.extend_from_slice(b"null"),
        }
    }
}

impl Nested {
    #[inline(never)]
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::List { items, ranges } => {
                out.push(b'[');
                for item in ranges[row].clone() {
                    if item > ranges[row].start {
                        out.push(b',');
                    }
                    items.write(item, out);
                }
                out.push(b']');
            }
            Self::Map { names, values, ranges } => {
                out.push(b'{');
                for entry in ranges[row].clone() {
                    if entry > ranges[row].start {
                        out.push(b',');
                    }
                    text(names.value(entry).as_bytes(), out);
                    out.push(b':');
                    values.write(entry, out);
                }
                out.push(b'}');
            }
            Self::Object { keys, values } => {
                if values.is_empty() {
                    out.push(b'{');
                }
                for (key, value) in keys.0.iter().zip(values) {
                    key.push(out);
                    value.write(row, out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Documents inside of nested values, of which functions of lists may have made anything.
fn checked(values: &ArrayRef) -> Result<Value, ArrowError> {
    let documents = cast(values, &DataType::Utf8View)?;
    let check = |json: &str| serde_json::from_str::<&RawValue>(json).map(|_| ());
    documents
        .as_string_view()
        .iter()
        .flatten()
        .try_for_each(check)
        .map_err(|error| ArrowError::InvalidArgumentError(format!("a text inside of a list is not JSON: {error}")))?;
    Value::new(&documents, true)
}

/// The items of a list's rows, the field of the items and the range of each row, for each of Arrow's list layouts.
fn list(column: &ArrayRef) -> Option<(&Field, &ArrayRef, Vec<Range<usize>>)> {
    let sized = |start: usize, length: usize| start..start + length;
    let (item, items, ranges) = match column.data_type() {
        DataType::List(item) => (item, column.as_list::<i32>().values(), between(column.as_list::<i32>().offsets())),
        DataType::LargeList(item) => {
            (item, column.as_list::<i64>().values(), between(column.as_list::<i64>().offsets()))
        }
        DataType::FixedSizeList(item, length) => {
            let list = column.as_fixed_size_list();
            let range = |row| sized(list.value_offset(row) as usize, *length as usize);
            (item, list.values(), (0..list.len()).map(range).collect())
        }
        DataType::ListView(item) => {
            let list = column.as_list_view::<i32>();
            let range = |row| sized(list.value_offset(row) as usize, list.value_size(row) as usize);
            (item, list.values(), (0..list.len()).map(range).collect())
        }
        DataType::LargeListView(item) => {
            let list = column.as_list_view::<i64>();
            let range = |row| sized(list.value_offset(row) as usize, list.value_size(row) as usize);
            (item, list.values(), (0..list.len()).map(range).collect())
        }
        _ => return None,
    };
    Some((item, items, ranges))
}

/// The ranges between one offset and the next.
fn between<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<Range<usize>> {
    offsets.windows(2).map(|pair| pair[0].as_usize()..pair[1].as_usize()).collect()
}

/// The characters that need escaping: quotes, backslashes and control characters.
struct Json;

impl Special for Json {
    fn has(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\' | ..b' ')
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn find(bytes: __m128i) -> __m128i {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_min_epu8, _mm_or_si128, _mm_set1_epi8};
        // SAFETY: SSE2 is part of x86_64.
        unsafe {
            let find = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
            let control = _mm_cmpeq_epi8(bytes, _mm_min_epu8(bytes, _mm_set1_epi8(0x1f)));
            _mm_or_si128(control, _mm_or_si128(find(b'"'), find(b'\\')))
        }
    }
}

/// Appends a document without its line breaks, which are blanks between its tokens: those inside of texts are escaped.
#[inline(always)]
fn document(json: &[u8], out: &mut Vec<u8>) {
    match memchr2(b'\n', b'\r', json) {
        None => out.extend_from_slice(json),
        Some(_) => on_one_line(json, out),
    }
}

#[cold]
fn on_one_line(json: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for end in memchr2_iter(b'\n', b'\r', json) {
        out.extend_from_slice(&json[start..end]);
        start = end + 1;
    }
    out.extend_from_slice(&json[start..]);
}

/// Appends a text in quotes, escaped if necessary.
#[inline(always)]
pub(crate) fn text(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if has_any::<Json>(value) {
        escaped(value, out)
    } else {
        out.extend_from_slice(value)
    }
    out.push(b'"');
}

#[cold]
fn escaped(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| Json::has(*byte)) {
        out.extend_from_slice(&rest[..at]);
        let digit = |number: u8| b"0123456789abcdef"[usize::from(number)];
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
