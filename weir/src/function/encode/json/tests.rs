//! Every type in every layout, and what serde_json reads of it.

use super::*;

use datafusion::arrow::array::{
    BooleanArray, Date32Array, Decimal128Array, FixedSizeListArray, Float64Array, Int64Array, ListArray, ListViewArray,
    MapArray, NullArray, StructArray, TimestampMicrosecondArray, UInt64Array,
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
