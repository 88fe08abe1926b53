//! JSON Lines compared with `serde_json`, line by line.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use proptest::prelude::*;
use serde_json::Value;

use super::Jsonl;
use crate::format::columns::Column;
use crate::format::testing::{Outcome, Reading, Row, plain};
use crate::task::SqlType;

/// A simple implementation of the rules, for files of texts `c0` and `c1`.
fn reference(text: &str, ignore_unknown: bool) -> Outcome {
    let mut outcome = Outcome::default();
    for (line, raw) in (1..).zip(text.split('\n')) {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        if raw.trim_ascii().is_empty() {
            continue;
        }
        match row(raw, ignore_unknown) {
            Ok(row) => outcome.rows.push(row),
            Err(reason) => outcome.rejected.push((line, raw.to_owned(), reason.to_owned())),
        }
    }
    outcome
}

fn row(line: &str, ignore_unknown: bool) -> Result<Row, &'static str> {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(line) else { return Err("invalid_json") };
    // `serde_json` keeps the last of duplicate keys: they are found by counting.
    let keys = keys_of(line);
    let mut seen = Vec::new();
    for key in &keys {
        if !["c0", "c1"].contains(&key.as_str()) {
            if !ignore_unknown {
                return Err("unknown_column");
            }
        } else if seen.contains(&key) {
            return Err("repeated_key");
        }
        seen.push(key);
    }
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    Ok(vec![text("c0"), text("c1")])
}

/// The keys of an object, duplicates included.
fn keys_of(line: &str) -> Vec<String> {
    struct Keys(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Keys;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, serde::de::IgnoredAny)) = map.next_entry()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Keys>(line).unwrap().0
}

/// Lines that are mostly objects, from pieces of compact JSON, in which a value's text is its spelling.
fn lines() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "1",
        "-2.5",
        "true",
        "null",
        "\"\"",
        "\"a\"",
        "\"é and more than twelve bytes\"",
        r#""a\nb""#,
        r#""\u00e9\ud83d\ude00 and more than twelve""#,
        r#""\ud800""#,
        r#"["\udc00"]"#,
        r#"{"k":[1,"x"]}"#,
        "[]",
        "tru",
        "\"open",
        "01",
    ]);
    let key = prop::sample::select(vec!["\"c0\"", "\"c1\"", "\"c1\"", r#""c\u0030""#, "\"other\"", "c0"]);
    let entry = (key, value).prop_map(|(key, value)| format!("{key}:{value}"));
    let object = proptest::collection::vec(entry, 0..4).prop_map(|entries| format!("{{{}}}", entries.join(",")));
    let line = prop_oneof![
        8 => object.clone(),
        1 => prop::sample::select(vec!["", " ", "\t", "[1]", "1", "{", "{}}", "{} {}"]).prop_map(str::to_owned),
        1 => object.prop_map(|object| format!(" {object} ")),
    ];
    let end = prop::sample::select(vec!["\n", "\n", "\r\n"]);
    let lines = proptest::collection::vec((line, end), 0..20);
    (lines, any::<bool>()).prop_map(|(lines, is_closed)| {
        let text: String = lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect();
        if is_closed { text } else { text.trim_end_matches(['\r', '\n']).to_owned() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_lines_are_read_like_serde_json_for_any_blocks_and_readers(text in lines(), ignore_unknown in any::<bool>(), block_bytes in 1usize..64, partitions in 1usize..5) {
        // A file that begins so is taken for a JSON array, and is an error.
        prop_assume!(!text.trim_start().starts_with('['));
        let expected = reference(&text, ignore_unknown).sorted();
        let reading = Reading { ignore_unknown, ..optional(2).cut(block_bytes, partitions) };
        prop_assert_eq!(reading.read::<Jsonl>(text.as_bytes()).unwrap().sorted(), expected);
    }
}

#[test]
fn a_value_is_converted_to_text_and_parsed_by_the_rules_of_its_type() {
    let columns =
        [("t", DataType::Utf8View), ("n", DataType::Int64), ("yes", DataType::Boolean), ("d", DataType::Date32)];
    let file = concat!(
        r#"{"t": "x", "n": 1, "yes": true, "d": "2022-01-31"}"#,
        "\n",
        r#"{"t": 1.50, "n": "2", "yes": "false"}"#,
        "\n",
        r#"{"t": {"a": [1, 2]}, "n": 3.5, "d": null}"#,
        "\n",
        r#"{"t": true, "n": {}, "yes": 1, "d": 20220131}"#,
        "\n",
        "{}\n",
    );
    let outcome = Reading::of(&columns).read::<Jsonl>(file.as_bytes()).unwrap();
    assert_eq!(plain(&outcome.rows), [["x", "1", "true", "2022-01-31"], ["1.50", "2", "false", ""], ["", "", "", ""]]);
    let reasons: Vec<_> = outcome.rejected.iter().map(|(line, _, reason)| (*line, reason.as_str())).collect();
    assert_eq!(reasons, [(3, "invalid_n"), (4, "invalid_n;invalid_yes;invalid_d")]);
    let json = Reading::of(&columns[..1]).read::<Jsonl>(br#"{"t": {"a": [1, 2]}}"#).unwrap();
    assert_eq!(plain(&json.rows), [[r#"{"a": [1, 2]}"#]]);
}

#[test]
fn a_string_in_a_column_of_json_is_a_document_unless_one_is_written_in_it() {
    let file = concat!(
        r#"{"d": "abc"}"#,
        "\n",
        r#"{"d": "1"}"#,
        "\n",
        r#"{"d": "a\"b"}"#,
        "\n",
        r#"{"d": " {\"a\": [1.50]}"}"#,
        "\n",
        r#"{"d": "[]"}"#,
        "\n",
        r#"{"d": ""}"#,
        "\n",
        r#"{"d": "{"}"#,
        "\n",
    );
    let mut reading = Reading::of(&[]);
    reading.columns.push(Arc::new(Column::typed("d", SqlType::Json)));
    let outcome = reading.read::<Jsonl>(file.as_bytes()).unwrap();
    let expected = [[r#""abc""#], [r#""1""#], [r#""a\"b""#], [r#" {"a": [1.50]}"#], ["[]"], [""]];
    assert_eq!(plain(&outcome.rows), expected);
    assert_eq!(outcome.rejected.iter().map(|(line, _, _)| *line).collect::<Vec<_>>(), [7]);
}

#[test]
fn whether_a_line_can_be_read_does_not_depend_on_the_query() {
    let file: &[u8] = b"{\"c0\":\"a\",\"c1\":1}\n{\"c0\":\"b\",\"c1\":\"\\ud800\"}\n{\"c1\":1,\"c1\":2}\n{\"c2\":1}\n";
    for sql in ["select c0, c1 from t", "select c0 from t", "select count(*) from t", "select * from t limit 0"] {
        let outcome = Reading::texts(2).query::<Jsonl>(&[file], sql).unwrap();
        let reasons: Vec<_> = outcome.rejected.iter().map(|(_, _, reason)| reason.as_str()).collect();
        assert_eq!(reasons, ["invalid_json", "repeated_key", "unknown_column"], "{sql}");
    }
}

#[test]
fn unreadable_lines_are_rejected_with_their_numbers_and_the_rest_is_kept() {
    let file =
        b"\xef\xbb\xbf{\"c0\":\"a\"}\r\n\r\n{\"c0\":\xff}\n{\"c0\":\"\xff\"}\n{\"c0\":\"a\0\"}\n{\"c0\":\"\xc3\xa9\"}";
    for block_bytes in [1, 7, 1000] {
        let outcome = Reading::texts(1).cut(block_bytes, 2).read::<Jsonl>(file).unwrap().sorted();
        assert_eq!(plain(&outcome.rows), [["a"], ["é"]]);
        let reasons: Vec<_> = outcome.rejected.iter().map(|(line, _, reason)| (*line, reason.as_str())).collect();
        assert_eq!(reasons, [(3, "invalid_utf8"), (4, "invalid_utf8"), (5, "invalid_json")], "blocks of {block_bytes}");
    }
}

#[test]
fn a_line_above_the_maximum_length_is_rejected_for_any_blocks() {
    let file = format!("{{\"c0\":1}}\n{{\"c0\":\"{}\"}}\n{{\"c0\":2}}\n", "x".repeat(100));
    for block_bytes in [1, 10, 64, 1000] {
        let mut reading = Reading::texts(1).cut(block_bytes, 1);
        reading.options.max_record = 50;
        let outcome = reading.read::<Jsonl>(file.as_bytes()).unwrap();
        assert_eq!(plain(&outcome.rows), [["1"], ["2"]], "blocks of {block_bytes}");
        assert_eq!((outcome.rejected[0].0, outcome.rejected[0].2.as_str()), (2, "record_too_long"));
    }
}

#[test]
fn null_values_are_null_and_an_empty_file_is_an_empty_table() {
    let reading = Reading { null_values: vec!["NA".into(), "-1".into()], ..Reading::texts(2) };
    let outcome = reading.read::<Jsonl>(br#"{"c0":"NA","c1":-1}"#).unwrap();
    assert_eq!(outcome.rows, [vec![None, None]]);
    for empty in [&b""[..], b"\n", b"\xef\xbb\xbf"] {
        assert_eq!(reading.read::<Jsonl>(empty).unwrap(), Outcome::default());
    }
}

#[test]
fn a_text_that_is_not_utf_8_is_an_error() {
    let error = Reading::texts(1).read::<Jsonl>(&[0xff, 0xfe, b'{', 0]).unwrap_err();
    assert!(error.to_string().ends_with("is UTF-16, not UTF-8"), "{error}");
}

#[test]
fn columns_that_are_not_requested_are_checked_too() {
    let mut reading = optional(1);
    reading.columns.push(Arc::new(Column::plain("n", DataType::Int32)));
    let outcome = reading.query::<Jsonl>(&[b"{\"n\":1}\n{\"n\":\"x\"}\n"], "select c0 from t").unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejected.len()), (1, 1));
}

/// Texts that no record needs to have.
fn optional(columns: usize) -> Reading {
    let mut reading = Reading::texts(columns);
    reading.columns.iter_mut().for_each(|column| Arc::make_mut(column).is_optional = true);
    reading
}

#[test]
fn a_column_that_no_record_has_is_an_error_that_names_a_similar_key() {
    let reading = Reading { ignore_unknown: true, ..Reading::texts(2) };
    let error = reading.read::<Jsonl>(b"{\"c0\": 1, \"C-1\": 2, \"x\": 3}\n{\"c0\": 1}\n").unwrap_err();
    assert_eq!(error.to_string(), "0: column `c1`: no record has the key `c1`");
    let help = miette::Diagnostic::help(&error).unwrap().to_string();
    assert!(help.starts_with("if it is `C-1`, declare c1: {type: ..., header: \"C-1\"}"), "{help}");
    // One record is enough, and no record is none that lacks it.
    reading.read::<Jsonl>(b"{\"c0\": 1}\n{\"c1\": null}\n").unwrap();
    reading.read::<Jsonl>(b"\n").unwrap();
}

#[test]
fn a_column_may_be_in_an_object_of_the_record() {
    let mut reading = Reading { ignore_unknown: true, ..optional(4) };
    let paths = ["a", "a.b", "a.c.d", "e.b"];
    for (column, path) in reading.columns.iter_mut().zip(paths) {
        Arc::make_mut(column).path = path.split('.').map(str::to_owned).collect();
    }
    let file = br#"{"a": {"b": 1, "x": [], "c": {"d": "\n"}}, "e": null, "b": 7}
{"e": {"b": "two"}, "a": null}
{"e": {"b": 1, "b": 2}}
{"e": [1]}
{"a": {"b": "\ud800"}}
"#;
    let outcome = reading.read::<Jsonl>(file).unwrap();
    let rows = [vec![r#"{"b": 1, "x": [], "c": {"d": "\n"}}"#, "1", "\n", ""], vec!["", "", "", "two"]];
    assert_eq!(plain(&outcome.rows), rows);
    let reasons: Vec<_> = outcome.rejected.iter().map(|(line, _, reason)| (*line, reason.as_str())).collect();
    assert_eq!(reasons, [(3, "repeated_key"), (4, "invalid_c3"), (5, "invalid_json")]);
    // What a query does not read is checked as well.
    let outcome = reading.query::<Jsonl>(&[file], "select c0 from t").unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejected.len()), (2, 3));
}
