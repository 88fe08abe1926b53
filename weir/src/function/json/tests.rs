//! What is built is read back: by serde_json, and by the operators.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringViewArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Schema;
use datafusion::datasource::MemTable;
use datafusion::execution::FunctionRegistry as _;
use datafusion::prelude::{SessionConfig, SessionContext};
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{JsonSyntax, KnownDocuments};
use crate::task::SqlType;

/// The rows of a table `t`, in partitions of some rows each.
fn session(columns: &[(&str, ArrayRef)], part: usize) -> SessionContext {
    let field = |(name, values): &(&str, ArrayRef)| {
        let kind = if *name == "body" { SqlType::Json } else { SqlType::String };
        kind.field(name).with_data_type(values.data_type().clone())
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let all = columns.iter().map(|(_, values)| values.clone()).collect();
    let batch = RecordBatch::try_new(schema.clone(), all).unwrap();
    let rows = batch.num_rows();
    let parts = (0..rows.max(1)).step_by(part).map(|at| vec![batch.slice(at, part.min(rows - at))]);
    let mut context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3));
    context.register_table("t", Arc::new(MemTable::try_new(schema, parts.collect()).unwrap())).unwrap();
    context.register_function_rewrite(Arc::new(KnownDocuments)).unwrap();
    context.register_expr_planner(Arc::new(JsonSyntax)).unwrap();
    super::functions().into_iter().for_each(|function| context.register_udf(function));
    super::aggregates().into_iter().for_each(|function| context.register_udaf(function));
    context
}

fn query(context: &SessionContext, sql: &str) -> Result<RecordBatch, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
        let schema = frame.schema().as_arrow().clone();
        let batches = frame.collect().await.map_err(|error| error.to_string())?;
        Ok(concat_batches(&Arc::new(schema), &batches).unwrap())
    })
}

fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<String>> {
    batch.column(column).as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
}

/// The value of an expression over one row, in which `n` is 1.
#[track_caller]
fn one(sql: &str) -> String {
    let context = session(&[("n", Arc::new(Int64Array::from(vec![1])))], 1);
    let batch = query(&context, &format!("select {sql} as v from t")).unwrap();
    texts(&batch, 0).remove(0).unwrap_or_else(|| "NULL".to_owned())
}

#[track_caller]
fn fails(sql: &str, said: &str) {
    let context = session(&[("n", Arc::new(Int64Array::from(vec![1])))], 1);
    let error = query(&context, &format!("select {sql} as v from t")).unwrap_err();
    assert!(error.contains(said), "{sql}: {error}");
}

#[test]
fn values_have_their_form_in_json() {
    for (sql, expected) in [
        ("json_object()", "{}"),
        ("json_array()", "[]"),
        ("json_object('b', 1, 'a', cast('8192.70' as decimal(18,2)))", r#"{"b":1,"a":8192.70}"#),
        ("json_array(9223372036854775807, cast(0.1 as double), true, null)", "[9223372036854775807,0.1,true,null]"),
        ("json_array(date '2024-02-29', timestamp '2024-02-29 10:30:00')", r#"["2024-02-29","2024-02-29T10:30:00"]"#),
        ("json_array('a\"b', [1, null], named_struct('x', 'y'))", r#"["a\"b",[1,null],{"x":"y"}]"#),
        ("json_array(json_object('a', n), to_json('{}'))", r#"[{"a":1},"{}"]"#),
        ("json_object(n, json_array(n), 'x' || n, parse_json(' [1,\n2] '))", r#"{"1":[1],"x1": [1,2] }"#),
        ("to_json(n)", "1"),
        ("to_json(cast(null as int))", "NULL"),
        ("json_build_object('a', json_build_array(1))", r#"{"a":[1]}"#),
        ("try_parse_json('{')", "NULL"),
        ("json_array(json_array(1) -> 0, json_array('x') ->> 0)", r#"[1,"x"]"#),
        (
            "to_json(json_each('{\"a\": 1, \"b\": {}, \"a\": [2]}'))",
            r#"[{"key":"a","value":[2]},{"key":"b","value":{}}]"#,
        ),
        (
            "to_json(json_each_text('{\"a\": null, \"b\": \"x\"}'))",
            r#"[{"key":"a","value":null},{"key":"b","value":"x"}]"#,
        ),
    ] {
        assert_eq!(one(sql), expected, "{sql}");
    }
}

#[test]
fn what_json_cannot_hold_is_an_error() {
    for (sql, said) in [
        ("json_object('a', 1, 'b')", "takes keys and values in turns"),
        ("json_object('a', 1, 'a', 2)", "has the key 'a' twice"),
        ("json_object('a', 1, case n when 1 then 'a' else 'b' end, 2)", "a key of json_object is repeated"),
        ("json_object('a', 1, lower('A' || ''), 2)", "has the key 'a' twice"),
        ("json_object(case n when 1 then null else 'a' end, 1)", "a key of json_object is null"),
        ("json_object(null, 1)", "a key of json_object is null"),
        ("json_object([1], 1)", "a key of json_object is a text, not list of bigint"),
        ("json_array(cast('NaN' as double))", "cannot hold NaN or an infinity"),
        ("json_array(cast('infinity' as double))", "cannot hold NaN or an infinity"),
        ("parse_json('{')", "the text is not JSON"),
        ("parse_json(n)", "parse_json reads JSON from a text, and this is bigint"),
        ("json_each('[]')", "json_each needs an object, and this JSON value is of type array"),
        ("json_array_agg(n) over ()", "json_array_agg has no windows"),
        ("json_object_agg(distinct 'a', n)", "json_object_agg takes no `distinct`"),
    ] {
        fails(sql, said);
    }
}

fn groups() -> SessionContext {
    let text = |all: &[Option<&str>]| -> ArrayRef { Arc::new(StringViewArray::from(all.to_vec())) };
    session(
        &[
            ("g", text(&[Some("x"), Some("y"), Some("x"), Some("y"), Some("z")])),
            ("k", text(&[Some("b"), Some("c"), Some("a"), Some("c"), None])),
            ("n", Arc::new(Int64Array::from(vec![Some(3), Some(1), Some(1), None, Some(1)]))),
            ("body", text(&[Some("{}"), Some("[1]"), None, Some("2"), Some("\"s\"")])),
            ("ratio", Arc::new(Float64Array::from(vec![1.5, 0.1, 1e300, 2.0, f64::NAN]))),
        ],
        2,
    )
}

#[test]
fn groups_are_built_in_the_order_that_is_asked_for() {
    let of = |sql: &str| texts(&query(&groups(), sql).unwrap(), 0).into_iter().flatten().collect::<Vec<_>>();
    let each = |call: &str| of(&format!("select {call} as v from t where g <> 'z' group by g order by g"));
    assert_eq!(each("json_array_agg(n order by n desc nulls last)"), ["[3,1]", "[1,null]"]);
    assert_eq!(each("json_agg(n order by n desc, k)"), ["[3,1]", "[null,1]"]);
    assert_eq!(each("json_array_agg(body order by k)"), ["[null,{}]", "[[1],2]"]);
    assert_eq!(
        each("json_array_agg(json_object('k', k) order by n)"),
        [r#"[{"k":"a"},{"k":"b"}]"#, r#"[{"k":"c"},{"k":"c"}]"#]
    );
    assert_eq!(each("json_array_agg(distinct k order by k desc)"), [r#"["b","a"]"#, r#"["c"]"#]);
    assert_eq!(
        of("select json_object_agg(k, ratio order by k desc) as v from t where g = 'x'"),
        [r#"{"b":1.5,"a":1e300}"#]
    );
    assert_eq!(of("select json_array_agg(distinct g order by g) as v from t"), [r#"["x","y","z"]"#]);
    assert_eq!(
        of(
            "select json_array_agg(j order by g) as v from (select g, json_array_agg(n order by n) as j from t group by g)"
        ),
        ["[[1,3],[1,null],[1]]"]
    );
    // Beside other aggregates, in conditions, and of what they compute.
    assert_eq!(of("select json_array(sum(n), json_array_agg(n order by n)) as v from t where g = 'x'"), ["[4,[1,3]]"]);
    assert_eq!(
        of("select g as v from t group by g having (json_array_agg(n order by n) ->> 0) = '1' order by g"),
        ["x", "y", "z"]
    );
}

#[test]
fn a_group_without_rows_is_null() {
    for sql in [
        "select json_array_agg(n) as v from t where false",
        "select json_object_agg(k, n) as v from t where false",
        "select json_array_agg(n) filter (where n > 5) as v from t where g = 'y' group by g",
    ] {
        assert_eq!(texts(&query(&groups(), sql).unwrap(), 0), [None], "{sql}");
    }
    let sql = "select json_array_agg(n order by n) filter (where n > 1) as v from t group by g order by g";
    assert_eq!(texts(&query(&groups(), sql).unwrap(), 0), [Some("[3]".to_owned()), None, None]);
}

#[test]
fn a_group_that_cannot_be_built_is_an_error() {
    for (call, said) in [
        ("json_object_agg(k, n)", "a key of json_object_agg is"),
        ("json_object_agg(coalesce(k, 'c'), n)", "a key of json_object_agg is repeated"),
        ("json_object_agg(k, 1) filter (where n is not null)", "a key of json_object_agg is null"),
        ("json_array_agg(ratio)", "json_array_agg cannot hold NaN or an infinity"),
    ] {
        let error = query(&groups(), &format!("select g, {call} as v from t group by g")).unwrap_err();
        assert!(error.contains(said), "{call}: {error}");
    }
}

#[test]
fn json_is_marked_and_text_is_not() {
    let is_json = |sql: &str| {
        let batch = query(&groups(), sql).unwrap();
        crate::task::is_json(batch.schema_ref().field(0))
    };
    for (expected, sql) in [
        (true, "select body as v from t"),
        (true, "select v from (select body as v from t) as a"),
        (true, "with a as (select g, body from t) select a.body as v from a join t using (g)"),
        (true, "select body as v from t union all select json_array(n) from t"),
        (true, "select first_value(body order by n) as v from t"),
        (true, "select body -> 'a' as v from t where false"),
        (true, "select json_object_agg(k, n) as v from t where false"),
        (true, "select distinct body as v from t"),
        (true, "select v from (select body as v, row_number() over (order by n) as r from t) where r = 1"),
        (true, "select lag(body) over (order by n) as v from t"),
        (true, "select (select body from t where g = 'z') as v from t"),
        (true, "select parse_json(unnest(json_array_elements(body))) as v from t where g = 'y' and n = 1"),
        (true, "select e['value'] as v from (select unnest(json_each(body)) as e from t where false)"),
        (false, "select cast(body as varchar) as v from t"),
        (false, "select body ->> 'a' as v from t where false"),
        (false, "select coalesce(body, '{}') as v from t"),
        (false, "select case when n = 1 then body end as v from t"),
        (false, "select max(body) as v from t"),
        (true, "select body as v from t union all select null"),
    ] {
        assert_eq!(is_json(sql), expected, "{sql}");
    }
    let of = |sql: &str| texts(&query(&groups(), sql).unwrap(), 0).into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(of("select json_array(cast(body as varchar), body) as v from t where n = 3"), [r#"["{}",{}]"#]);
}

#[test]
fn a_text_in_place_of_json_is_found() {
    let context = groups();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = |sql: &str| {
        let plan = runtime.block_on(context.state().create_logical_plan(sql)).unwrap();
        super::mistaken(&plan).unwrap().is_some()
    };
    assert!(found("select lag(body, 1, 'none') over (order by n) as v from t"));
    assert!(!found("select lag(body, 1, parse_json('1')) over (order by n) as v from t"));
    assert!(!found("select lag(body, 1, null) over (order by n), lag(g, 1, 'none') over (order by n) as v from t"));
    assert!(found("select body as v from t union all select g from t"));
    assert!(found("select json_array(v) from (select g as v from t union select body from t)"));
    assert!(!found("select body as v from t union all select null union all select to_json(g) from t"));
    assert!(found("with recursive r as (select body from t union all select 'x' as body from r) select body from r"));
    assert!(!found("with recursive r as (select body from t union all select body from r) select body from r"));
}

/// Any JSON value of some depth.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c\"\\\\\u{0}-\u{1f}é😀]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-c\"\n]{0,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

type Row = (Option<String>, Option<i64>, Option<i64>, f64, Value);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = "[a\"\\\\\u{0}-\u{1f}/é😀\u{7f}]{0,20}";
    let number = prop::num::f64::NORMAL | prop::num::f64::ZERO;
    prop::collection::vec((prop::option::of(text), any::<Option<i64>>(), any::<Option<i64>>(), number, value()), 1..30)
}

fn table(rows: &[Row], part: usize, pretty: bool) -> SessionContext {
    let cents = rows.iter().map(|row| row.2.map(i128::from));
    let body = |row: &Row| if pretty { serde_json::to_string_pretty(&row.4) } else { serde_json::to_string(&row.4) };
    let number = |at: usize| at as i64;
    session(
        &[
            ("id", Arc::new(Int64Array::from_iter_values((0..rows.len()).map(number)))),
            ("g", Arc::new(Int64Array::from_iter_values((0..rows.len()).map(|at| number(at % 3))))),
            ("text", Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row.0.as_deref())))),
            ("n", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)))),
            ("cents", Arc::new(Decimal128Array::from_iter(cents).with_precision_and_scale(38, 2).unwrap())),
            ("ratio", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.3)))),
            ("body", Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| body(row).unwrap())))),
        ],
        part,
    )
}

/// The digits of a decimal with two of them behind the point.
fn decimal(cents: i64) -> String {
    let (sign, cents) = (if cents < 0 { "-" } else { "" }, cents.unsigned_abs());
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn objects_are_read_back_with_their_keys_in_order(rows in rows(), part in 1usize..20, pretty: bool) {
        let object = "json_object('text', text, 'n', n, 'cents', cents, 'ratio', ratio, coalesce(text, '') || '|', body)";
        let sql = format!("select {object} as v, {object} ->> 'text' as text, {object} -> 'cents' as cents, body from t order by id");
        let read = query(&table(&rows, part, pretty), &sql).unwrap();
        let (objects, back, cents) = (texts(&read, 0), texts(&read, 1), texts(&read, 2));
        for (at, row) in rows.iter().enumerate() {
            let object = objects[at].as_deref().unwrap();
            prop_assert!(!object.contains('\n'));
            let object: IndexMap<String, &RawValue> = serde_json::from_str(object).unwrap();
            let key = format!("{}|", row.0.as_deref().unwrap_or_default());
            prop_assert_eq!(object.keys().map(String::as_str).collect::<Vec<_>>(), ["text", "n", "cents", "ratio", &key]);
            let value = |key: &str| serde_json::from_str::<Value>(object[key].get()).unwrap();
            prop_assert_eq!((value("text"), value("n")), (json!(row.0), json!(row.1)));
            let expected = row.2.map_or("null".to_owned(), decimal);
            prop_assert_eq!(object["cents"].get(), &expected);
            prop_assert_eq!(object["ratio"].get().parse::<f64>().unwrap(), row.3);
            prop_assert_eq!(value(&key), row.4.clone());
            prop_assert_eq!((&back[at], cents[at].as_deref()), (&row.0, Some(expected.as_str())));
        }
    }

    #[test]
    fn groups_are_read_back_in_their_order(rows in rows(), part in 1usize..20, descending: bool) {
        let order = if descending { "desc" } else { "asc" };
        let sql = format!(
            "select g, json_array_agg(body order by id {order}) as a, \
             json_object_agg(id || coalesce(text, ''), text order by n {order} nulls last, id) as o, \
             json_array_agg(n) as any from t group by g order by g"
        );
        let read = query(&table(&rows, part, false), &sql).unwrap();
        let (arrays, objects, any) = (texts(&read, 1), texts(&read, 2), texts(&read, 3));
        for group in 0..rows.len().min(3) {
            let mut of: Vec<(usize, &Row)> = rows.iter().enumerate().filter(|(at, _)| at % 3 == group).collect();
            if descending {
                of.reverse();
            }
            let array: Vec<Value> = serde_json::from_str(arrays[group].as_deref().unwrap()).unwrap();
            prop_assert!(array.iter().eq(of.iter().map(|(_, row)| &row.4)));
            let mut numbers: Vec<Option<i64>> = serde_json::from_str(any[group].as_deref().unwrap()).unwrap();
            numbers.sort_unstable();
            let mut expected: Vec<Option<i64>> = of.iter().map(|(_, row)| row.1).collect();
            expected.sort_unstable();
            prop_assert_eq!(numbers, expected);
            of.sort_by_key(|(at, row)| {
                let n = row.1.map(i128::from).map(|n| if descending { -n } else { n });
                (n.is_none(), n, *at)
            });
            let object: IndexMap<String, Option<String>> = serde_json::from_str(objects[group].as_deref().unwrap()).unwrap();
            let pairs = of.iter().map(|(at, row)| (format!("{at}{}", row.0.as_deref().unwrap_or_default()), row.0.clone()));
            prop_assert_eq!(object.into_iter().collect::<Vec<_>>(), pairs.collect::<Vec<_>>());
        }
    }
}
