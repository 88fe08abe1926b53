//! Writes rows as JSON Lines: one object per line, with all keys in the order of the columns.
//!
//! Text is escaped only where RFC 8259 requires it. Values that JSON cannot represent are searched for before.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m128i;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

use crate::format::write::{Column, MAX_ROOM, Special, has_any, mask, push_lowest, push_plain};

/// The bytes before the values of an object: its brace or a comma, the name and a colon.
pub(crate) struct Keys(Vec<Key>);

impl Keys {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().enumerate().map(|(i, name)| Key::new(if i == 0 { b'{' } else { b',' }, name)).collect())
    }
}

/// Appends the chosen rows, or all; returns their number.
pub(crate) fn rows(
    batch: &RecordBatch,
    columns: &[usize],
    keys: &Keys,
    chosen: Option<&BooleanBuffer>,
    out: &mut Vec<u8>,
) -> Result<u64, ArrowError> {
    let values = columns.iter().map(|column| Value::new(batch.column(*column))).collect::<Result<Vec<_>, _>>()?;
    let mut rows = 0;
    let room = |(key, value): (&Key, &Value)| value.length() + batch.num_rows() * (key.length + SLACK);
    out.reserve(keys.0.iter().zip(&values).map(room).sum::<usize>().min(MAX_ROOM));
    let mut row = |row: usize| {
        for (key, value) in keys.0.iter().zip(&values) {
            key.push(out);
            value.write(row, out);
        }
        out.extend_from_slice(b"}\n");
        rows += 1;
    };
    match chosen {
        Some(chosen) => chosen.set_indices().for_each(&mut row),
        None => (0..batch.num_rows()).for_each(&mut row),
    }
    Ok(rows)
}

/// The values of a column as the texts of JSON documents. Null stays null. Values that JSON cannot represent give wrong
/// documents.
pub(crate) fn documents(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let value = Value::new(column)?;
    let mut documents = StringViewBuilder::with_capacity(column.len());
    let mut out = Vec::new();
    for row in 0..column.len() {
        out.clear();
        value.write(row, &mut out);
        let text = std::str::from_utf8(&out).map_err(|error| ArrowError::from_external_error(Box::new(error)))?;
        documents.append_option(column.is_valid(row).then_some(text));
    }
    Ok(Arc::new(documents.finish()))
}

/// Bytes per value in addition to its own: two quotes.
const SLACK: usize = 2;

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
struct Key {
    pieces: Vec<u128>,
    length: usize,
}

impl Key {
    fn new(before: u8, name: &str) -> Self {
        let mut key = vec![before];
        text(name.as_bytes(), &mut key);
        key.push(b':');
        let length = key.len();
        key.resize(length.next_multiple_of(16), 0);
        Self { pieces: key.as_chunks().0.iter().map(|piece| u128::from_le_bytes(*piece)).collect(), length }
    }

    #[inline(always)]
    fn push(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        for piece in &self.pieces {
            out.extend_from_slice(&piece.to_le_bytes());
        }
        out.truncate(end);
    }
}

/// A column, in the form in which its values are written.
enum Value {
    Single(Column),
    Nested(Nested, Option<NullBuffer>),
}

/// A column of nested values. A range has the indices of a row's values.
enum Nested {
    List { items: Box<Value>, ranges: Vec<Range<usize>> },
    Map { names: StringViewArray, values: Box<Value>, ranges: Vec<Range<usize>> },
    Object { keys: Keys, values: Vec<Value> },
}

impl Value {
    fn new(column: &ArrayRef) -> Result<Self, ArrowError> {
        let nested = match column.data_type() {
            DataType::Dictionary(_, values) => return Self::new(&cast(column, values)?),
            DataType::Map(..) => {
                let map = column.as_map();
                let names = cast(map.keys(), &DataType::Utf8View)?.as_string_view().clone();
                Nested::Map { names, values: Box::new(Self::new(map.values())?), ranges: between(map.offsets()) }
            }
            DataType::Struct(fields) => {
                let keys = Keys::new(fields.iter().map(|field| field.name().as_str()));
                let values = column.as_struct().columns().iter().map(Self::new).collect::<Result<_, _>>()?;
                Nested::Object { keys, values }
            }
            _ => match list(column) {
                Some((items, ranges)) => Nested::List { items: Box::new(Self::new(items)?), ranges },
                None => return Ok(Self::Single(Column::new(column)?)),
            },
        };
        Ok(Self::Nested(nested, column.nulls().cloned()))
    }

    /// The bytes of all values before escaping, without the punctuation of nested ones.
    fn length(&self) -> usize {
        match self {
            Self::Single(column) => column.length(),
            Self::Nested(Nested::List { items: values, .. } | Nested::Map { values, .. }, _) => values.length(),
            Self::Nested(Nested::Object { values, .. }, _) => values.iter().map(Self::length).sum(),
        }
    }

    #[inline(always)]
    fn write(&self, row: usize, out: &mut Vec<u8>) {
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

/// The items of a list's rows, and the range of each row, for each of Arrow's list layouts.
fn list(column: &ArrayRef) -> Option<(&ArrayRef, Vec<Range<usize>>)> {
    let sized = |start: usize, length: usize| start..start + length;
    Some(match column.data_type() {
        DataType::List(_) => (column.as_list::<i32>().values(), between(column.as_list::<i32>().offsets())),
        DataType::LargeList(_) => (column.as_list::<i64>().values(), between(column.as_list::<i64>().offsets())),
        DataType::FixedSizeList(_, length) => {
            let list = column.as_fixed_size_list();
            let range = |row| sized(list.value_offset(row) as usize, *length as usize);
            (list.values(), (0..list.len()).map(range).collect())
        }
        DataType::ListView(_) => {
            let list = column.as_list_view::<i32>();
            let range = |row| sized(list.value_offset(row) as usize, list.value_size(row) as usize);
            (list.values(), (0..list.len()).map(range).collect())
        }
        DataType::LargeListView(_) => {
            let list = column.as_list_view::<i64>();
            let range = |row| sized(list.value_offset(row) as usize, list.value_size(row) as usize);
            (list.values(), (0..list.len()).map(range).collect())
        }
        _ => return None,
    })
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

/// Appends a text in quotes, escaped if necessary.
#[inline(always)]
fn text(value: &[u8], out: &mut Vec<u8>) {
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
    use datafusion::arrow::datatypes::{Field, Int64Type, Schema};
    use indexmap::IndexMap;
    use proptest::prelude::*;
    use serde_json::json;
    use serde_json::value::RawValue;

    fn written(columns: Vec<(&str, ArrayRef)>, chosen: Option<&BooleanBuffer>) -> String {
        let fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let keys = Keys::new(columns.iter().map(|(name, _)| *name));
        assert!(columns.iter().all(|(_, column)| can_hold(column.data_type())));
        let batch = RecordBatch::try_new(schema, columns.into_iter().map(|(_, column)| column).collect()).unwrap();
        let mut out = Vec::new();
        let all: Vec<usize> = (0..batch.num_columns()).collect();
        let rows = rows(&batch, &all, &keys, chosen, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count() as u64, rows);
        text
    }

    fn one(column: ArrayRef) -> String {
        written(vec![("a", column)], None)
    }

    #[test]
    fn every_type_has_one_form_and_every_key_is_there() {
        let decimal = Decimal128Array::from(vec![Some(-1230), None]).with_precision_and_scale(38, 2).unwrap();
        let text = written(
            vec![
                ("id", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
                ("more", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
                ("ratio", Arc::new(Float64Array::from(vec![Some(1e300), None]))),
                ("amount", Arc::new(decimal)),
                ("paid", Arc::new(BooleanArray::from(vec![Some(false), None]))),
                ("on", Arc::new(Date32Array::from(vec![Some(19_023), None]))),
                ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_643_673_599_123_456), None]))),
                ("name", Arc::new(StringViewArray::from(vec![Some(""), None]))),
                ("nothing", Arc::new(NullArray::new(2))),
            ],
            None,
        );
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
    fn only_the_chosen_rows_are_written() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let text = written(vec![("a", column)], Some(&BooleanBuffer::from(vec![true, false, true])));
        assert_eq!(text, "{\"a\":1}\n{\"a\":3}\n");
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
            let text = written(names.iter().copied().zip(columns).collect(), None);
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
