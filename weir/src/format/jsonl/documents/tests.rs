//! Documents of any form, in pieces of any size.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A text that arrives in small pieces.
#[derive(Debug)]
struct Pieces {
    text: Vec<u8>,
    at: usize,
    bytes: usize,
}

impl Fill for Pieces {
    fn fill(&mut self, bytes: &mut Vec<u8>, _: usize) -> Result<bool> {
        let end = self.text.len().min(self.at + self.bytes);
        bytes.extend_from_slice(&self.text[self.at..end]);
        self.at = end;
        Ok(end == self.text.len())
    }
}

fn lines_of(text: &str, path: &[&str], bytes: usize) -> Result<String> {
    let source = Box::new(Pieces { text: text.as_bytes().to_vec(), at: 0, bytes });
    let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
    let (mut documents, mut lines) = (Documents::new(source, "in.json", path.into()), Vec::new());
    while !documents.fill(&mut lines, 1)? {}
    Ok(String::from_utf8(lines).unwrap())
}

fn message(text: &str, path: &[&str]) -> String {
    let error = lines_of(text, path, 3).unwrap_err();
    format!("{error}; {}", miette::Diagnostic::help(&error).unwrap())
}

fn json() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec!["", "a", "\"", "\\", "{", "]", ",", "\n", "é", "a\\\"}"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..4)
                .prop_map(|keys| Value::Object(keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

/// What is read as lines.
fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

proptest! {
    #[test]
    fn each_element_of_an_array_is_a_line(
        records in prop::collection::vec(json(), 0..6), other in json(), pretty: bool, bytes in 1usize..9,
    ) {
        let text = |value: &Value| match pretty {
            true => serde_json::to_string_pretty(value).unwrap(),
            false => value.to_string(),
        };
        let array = Value::from(records.clone());
        prop_assert_eq!(&values(&lines_of(&text(&array), &[], bytes).unwrap()), &records);
        let around = serde_json::json!({ "a": other, "b": { "a": other, "r": array, "z": other }, "r": other });
        prop_assert_eq!(&values(&lines_of(&text(&around), &["b", "r"], bytes).unwrap()), &records);
    }

    #[test]
    fn objects_may_stand_one_after_the_other(
        keys in prop::collection::vec(json(), 1..6), pretty: bool, bytes in 1usize..9,
    ) {
        let records: Vec<Value> = keys.into_iter().map(|value| serde_json::json!({ "a": value })).collect();
        let text = |value: &Value| match pretty {
            true => serde_json::to_string_pretty(value).unwrap() + "\r\n",
            false => value.to_string(),
        };
        let text: String = records.iter().map(text).collect();
        prop_assert_eq!(&values(&lines_of(&text, &[], bytes).unwrap()), &records);
    }

    /// Every beginning of a document is an error, whatever it was cut from.
    #[test]
    fn what_is_truncated_is_an_error(records in prop::collection::vec(json(), 1..4), part in 0.0..1.0, bytes in 1usize..9) {
        let text = serde_json::json!({ "a": { "r": records } }).to_string();
        let mut end = (text.len() as f64 * part) as usize;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let error = lines_of(&text[..end], &["a", "r"], bytes).unwrap_err().to_string();
        prop_assert!(error.contains("truncated") || error.contains("only blanks"), "{}", error);
    }

    #[test]
    fn any_text_ends(text in "[\\[\\]{}\",:a1 \\\\\n]{0,20}", bytes in 1usize..9) {
        let _ = lines_of(&text, &[], bytes);
        let _ = lines_of(&text, &["a"], bytes);
    }
}

#[test]
fn a_line_break_within_a_text_stays_invalid_and_on_its_line() {
    assert_eq!(lines_of("[{\"a\": \"x\ny\",\n \"b\": 1}]", &[], 4).unwrap(), "{\"a\": \"x\u{1}y\",  \"b\": 1}\n");
}

#[test]
fn an_empty_list_has_no_records() {
    assert_eq!(lines_of("\u{feff} [ ]\n", &[], 9).unwrap(), "");
    assert_eq!(lines_of("{\"a\": [], \"b\": [{}]}", &["a"], 2).unwrap(), "");
}

#[test]
fn what_is_not_a_list_of_records_is_an_error() {
    assert!(message("id,name\n", &[]).starts_with("in.json: is not JSON: it begins with neither `{` nor `[`"));
    assert!(
        message("[{} {}]", &[]).starts_with("in.json: is not JSON: a comma or `]` is missing in or after record 1")
    );
    assert!(message("[{},]", &[]).contains("a record is missing in or after record 1"));
    assert!(message("[{\"a\": [1}]", &[]).contains("`]` is missing in or after record 1"));
    assert!(message("[{}] [{}]", &[]).contains("has text behind its last record"));
    assert!(message("{}, {}", &[]).contains("`{` is missing in or after record 1"));
    assert!(message(" \n", &[]).contains("has no JSON, only blanks"));
    assert!(message(&"[".repeat(20_000), &[]).contains("more than 10000 brackets"));
}

#[test]
fn a_wrong_path_is_told_with_the_keys_that_are_there() {
    let help = "the path of the array of records; the keys of it are: meta, data";
    assert!(message(r#"{"meta": {"n": 1}, "data": []}"#, &["items"]).ends_with(help));
    let help = "the keys of `data` are: x\"y";
    assert!(message(r#"{"data": {"x\"y": 1}}"#, &["data", "items"]).ends_with(help));
    assert!(message(r#"{"data": {"a": 1}}"#, &["data"]).contains("`data` is not an array"));
    assert!(message(r#"{"data": [1]}"#, &["data", "items"]).contains("`data` is not an object"));
    assert!(message("[{}]", &["data"]).contains("is an array, and `records` names a key of an object"));
}
