//! Values as JSON: numbers exactly as they are, times as texts, lists as arrays, structs and maps as objects, documents as they
//! are written.
//!
//! Text is escaped only where RFC 8259 requires it. Values that JSON cannot represent are searched for before.

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

#[cfg(test)]
mod tests {
    use super::*;

    use datafusion::arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, FixedSizeListArray, Float64Array, Int64Array, ListArray,
        ListViewArray, MapArray, NullArray, StructArray, TimestampMicrosecondArray, UInt64Array,
    };
    use datafusion::arrow::buffer::OffsetBuffer;
    use datafusion::arrow::datatypes::{Field, Int64Type};
    use indexmap::IndexMap;
    use proptest::prelude::*;
    use serde_json::json;
    use serde_json::value::RawValue;

    use crate::task::SqlType;

    fn written(columns: Vec<(&str, ArrayRef)>) -> String {
        let keys = Keys::new(columns.iter().map(|(name, _)| *name));
        assert!(columns.iter().all(|(_, column)| can_hold(column.data_type())));
        let values: Vec<_> = columns.iter().map(|(_, column)| Value::new(column, false).unwrap()).collect();
        let mut out = Vec::new();
        for row in 0..columns[0].1.len() {
            for (key, value) in keys.iter().zip(&values) {
                key.push(&mut out);
                value.write(row, &mut out);
            }
            out.extend_from_slice(b"}\n");
        }
        String::from_utf8(out).unwrap()
    }

    fn one(column: ArrayRef) -> String {
        written(vec![("a", column)])
    }

    #[test]
    fn every_type_has_one_form_and_every_key_is_there() {
        let decimal = Decimal128Array::from(vec![Some(-1230), None]).with_precision_and_scale(38, 2).unwrap();
        let text = written(vec![
            ("id", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("more", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
            ("ratio", Arc::new(Float64Array::from(vec![Some(1e300), None]))),
            ("amount", Arc::new(decimal)),
            ("paid", Arc::new(BooleanArray::from(vec![Some(false), None]))),
            ("on", Arc::new(Date32Array::from(vec![Some(19_023), None]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_643_673_599_123_456), None]))),
            ("name", Arc::new(StringViewArray::from(vec![Some(""), None]))),
            ("nothing", Arc::new(NullArray::new(2))),
        ]);
        let expected = [
            r#"{"id":-9223372036854775808,"more":18446744073709551615,"ratio":1e300,"amount":-12.30,"paid":false,"#,
            r#""on":"2022-01-31","at":"2022-01-31T23:59:59.123456","name":"","nothing":null}"#,
            "\n",
            r#"{"id":null,"more":null,"ratio":null,"amount":null,"paid":null,"on":null,"at":null,"name":null,"nothing":null}"#,
            "\n",
        ];
        assert_eq!(text, expected.concat());
    }

    #[test]
    fn documents_are_written_as_they_are_on_one_line() {
        let texts: ArrayRef =
            Arc::new(StringViewArray::from(vec![Some("{\"a\": 1.50,\r\n \"b\": \"x\\ny\"}"), None, Some("2")]));
        let value = Value::new(&texts, true).unwrap();
        let mut out = Vec::new();
        (0..3).for_each(|row| value.write(row, &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\": 1.50, \"b\": \"x\\ny\"}null2");
    }

    #[test]
    fn documents_in_lists_are_checked() {
        let list = |text: &str| -> ArrayRef {
            let item = Arc::new(SqlType::Json.field("item"));
            let texts: ArrayRef = Arc::new(StringViewArray::from(vec![text]));
            Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1]), texts, None))
        };
        let mut out = Vec::new();
        Value::new(&list("{}"), false).unwrap().write(0, &mut out);
        assert_eq!(out, b"[{}]");
        assert!(Value::new(&list("{"), false).is_err());
    }

    #[test]
    fn lists_are_arrays_in_every_layout() {
        let rows = [Some(vec![Some(1), None]), None, Some(vec![])];
        let expected = "{\"a\":[1,null]}\n{\"a\":null}\n{\"a\":[]}\n";
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>(rows.clone());
        let large = datafusion::arrow::array::LargeListArray::from_iter_primitive::<Int64Type, _, _>(rows);
        assert_eq!(one(Arc::new(ListViewArray::from(list.clone()))), expected);
        assert_eq!(one(Arc::new(large)), expected);
        // The middle of a longer column.
        let longer = [&list.slice(1, 2) as &dyn Array, &list, &list];
        let longer = datafusion::arrow::compute::concat(&longer).unwrap();
        assert_eq!(one(longer.slice(2, 3)), expected);
        let pairs = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(
            [Some(vec![Some(1), Some(2)]), None, Some(vec![Some(5), None])],
            2,
        );
        assert_eq!(one(Arc::new(pairs.slice(1, 2))), "{\"a\":null}\n{\"a\":[5,null]}\n");
    }

    #[test]
    fn structs_and_maps_are_objects() {
        let names: ArrayRef = Arc::new(StringViewArray::from(vec![Some("x\"y"), None]));
        let ages: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), Some(4)]));
        let field = |name: &str, kind| Arc::new(Field::new(name, kind, true));
        let person = StructArray::from(vec![
            (field("na\"me", DataType::Utf8View), names),
            (field("age", DataType::Int64), ages.clone()),
        ]);
        let nulls = Some(NullBuffer::from(vec![true, false]));
        let person = StructArray::new(person.fields().clone(), person.columns().to_vec(), nulls);
        assert_eq!(one(Arc::new(person)), "{\"a\":{\"na\\\"me\":\"x\\\"y\",\"age\":3}}\n{\"a\":null}\n");

        let entries = StructArray::from(vec![
            (
                Arc::new(Field::new("key", DataType::Utf8View, false)),
                Arc::new(StringViewArray::from(vec!["k", "\t"])) as ArrayRef,
            ),
            (field("value", DataType::Int64), ages),
        ]);
        let entry = field("entries", entries.data_type().clone()).as_ref().clone().with_nullable(false);
        let map = MapArray::new(Arc::new(entry), OffsetBuffer::from_lengths([2, 0]), entries, None, false);
        assert_eq!(one(Arc::new(map)), "{\"a\":{\"k\":3,\"\\t\":4}}\n{\"a\":{}}\n");
        let empty = StructArray::new_empty_fields(1, None);
        assert_eq!(one(Arc::new(empty)), "{\"a\":{}}\n");
    }

    #[test]
    fn keys_that_are_not_text_are_refused() {
        let list = |kind| DataType::List(Arc::new(Field::new("item", kind, true)));
        assert!(can_hold(&list(DataType::Int64)) && can_hold(&list(DataType::Binary)));
        let map = |key| {
            let fields = [Field::new("key", key, false), Field::new("value", DataType::Int64, true)];
            let entry = Field::new("entries", DataType::Struct(fields.into_iter().collect()), false);
            DataType::Map(Arc::new(entry), false)
        };
        assert!(can_hold(&map(DataType::Utf8)) && !can_hold(&map(DataType::Int64)));
    }

    #[test]
    fn nothing_is_escaped_without_need() {
        let text = "a/b é \u{7f} \u{2028} '<>& 😀";
        assert_eq!(one(Arc::new(StringViewArray::from(vec![text]))), format!("{{\"a\":\"{text}\"}}\n"));
    }

    proptest! {
        #[test]
        fn special_characters_are_found_at_every_position(value in "[a-z /é\u{7f}]{0,40}", at in 0usize..40, with in 0usize..5) {
            prop_assert!(!has_any::<Json>(value.as_bytes()));
            let special = [b'"', b'\\', 0, 0x1f, b'\n'][with];
            let mut value = value.into_bytes();
            value.insert(at.min(value.len()), special);
            prop_assert!(has_any::<Json>(&value));
            let mut sixteen = [b' '; 16];
            sixteen[at % 16] = special;
            prop_assert_eq!(mask::<Json>(u128::from_le_bytes(sixteen)), 1 << (at % 16));
        }

        #[test]
        fn serde_json_reads_what_is_written(
            rows in proptest::collection::vec(
                (
                    proptest::option::of("[a\"\\\\\\x00-\\x1f/é\u{7f}]{0,20}"),
                    proptest::option::of("\\PC{0,30}"),
                    proptest::option::of(any::<i64>()),
                    proptest::option::of(proptest::num::f64::NORMAL | proptest::num::f64::ZERO),
                    proptest::collection::vec(proptest::option::of("[a\"\n]{0,14}"), 0..3),
                ),
                1..20,
            ),
            names in proptest::collection::hash_set("[a\"\\\\é ]{0,20}", 5),
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut tags = datafusion::arrow::array::ListBuilder::new(datafusion::arrow::array::StringViewBuilder::new());
            rows.iter().for_each(|row| tags.append_value(row.4.iter().map(Option::as_deref)));
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row.0.as_deref()))),
                Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row.1.as_deref()))),
                Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.2))),
                Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.3))),
                Arc::new(tags.finish()),
            ];
            let text = written(names.iter().copied().zip(columns).collect());
            for (line, row) in text.lines().zip(&rows) {
                let object: IndexMap<String, &RawValue> = serde_json::from_str(line).unwrap();
                prop_assert_eq!(object.keys().collect::<Vec<_>>(), names.clone());
                let value = |at: usize| serde_json::from_str::<serde_json::Value>(object[at].get()).unwrap();
                prop_assert_eq!((value(0), value(1), value(2)), (json!(row.0), json!(row.1), json!(row.2)));
                // (serde_json itself reads numbers with a point exactly except for the last digit.)
                prop_assert_eq!(object[3].get().parse::<f64>().ok(), row.3);
                prop_assert_eq!(value(4), json!(row.4));
            }
        }
    }
}
