//! `weir schema`: task files that the engine accepts are valid by the schema, and those that it refuses are not.
#![allow(clippy::unwrap_used)]

mod support;

use regex_automata::meta::Regex;
use serde_json::Value;
use support::{Project, TASK};

fn schema() -> Value {
    let ran = Project::empty().weir(&["schema"]);
    ran.ended(0, "https://json-schema.org/draft/2020-12/schema");
    serde_json::from_str(&ran.out).unwrap()
}

/// The first violation of the schema in a task.
fn violation(schema: &Value, task: &str) -> Option<String> {
    let task: Value = serde_saphyr::from_str(task).unwrap();
    fits(schema, schema, &task).err()
}

/// Validates a value against the keywords that the schema uses; an unknown keyword fails the test.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{value}: {what}"));
    for (keyword, of) in schema.as_object().unwrap() {
        let one = |schema: &&Value| fits(root, schema, value).is_ok();
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "examples" | "default" => {}
            "$ref" => fits(root, root.pointer(of.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(), value)?,
            "anyOf" if of.as_array().unwrap().iter().any(|branch| one(&branch)) => {}
            "oneOf" if of.as_array().unwrap().iter().filter(one).count() == 1 => {}
            "anyOf" | "oneOf" => return wrong("fits no alternative, or several"),
            "const" if value == of => {}
            "enum" if of.as_array().unwrap().contains(value) => {}
            "const" | "enum" => return wrong("is another value"),
            "type" => {
                let types = of.as_array().cloned().unwrap_or_else(|| vec![of.clone()]);
                if !types.iter().any(|name| is_a(name.as_str().unwrap(), value)) {
                    return wrong(&format!("is no {of}"));
                }
            }
            "properties" => {
                for (key, of) in of.as_object().unwrap() {
                    value.get(key).map_or(Ok(()), |value| fits(root, of, value))?;
                }
            }
            "additionalProperties" => {
                let known = |key: &str| schema["properties"].get(key).is_some();
                for (key, value) in value.as_object().into_iter().flatten().filter(|(key, _)| !known(key)) {
                    match of {
                        Value::Bool(false) => return Err(format!("unknown key `{key}`")),
                        of => fits(root, of, value)?,
                    }
                }
            }
            "required" => {
                for key in of.as_array().unwrap() {
                    if value.as_object().is_some_and(|map| !map.contains_key(key.as_str().unwrap())) {
                        return wrong(&format!("has no {key}"));
                    }
                }
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|value| fits(root, of, value))?,
            "prefixItems" => {
                let pairs = of.as_array().unwrap().iter().zip(value.as_array().into_iter().flatten());
                pairs.into_iter().try_for_each(|(of, value)| fits(root, of, value))?;
            }
            "pattern" => {
                let is_match = |text| Regex::new(of.as_str().unwrap()).unwrap().is_match(text);
                if !value.as_str().is_none_or(is_match) {
                    return wrong(&format!("does not match {of}"));
                }
            }
            "minimum" => assert!(value.as_f64().is_none_or(|number| number >= of.as_f64().unwrap())),
            "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                let length = value.as_array().map(Vec::len).or(value.as_object().map(serde_json::Map::len));
                let limit = of.as_u64().unwrap() as usize;
                let is_within = |length| if keyword.starts_with("min") { length >= limit } else { length <= limit };
                if !length.is_none_or(is_within) {
                    return wrong(&format!("{keyword} is {limit}"));
                }
            }
            other => panic!("the test does not know the keyword `{other}`"),
        }
    }
    Ok(())
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the test does not know the type `{other}`"),
    }
}

/// A task with every key, most of them in their long form.
const WHOLE: &str = r#"
name: whole-task
description: All of it.
schedule: {cron: "0 * * * *", timezone: Asia/Singapore, timeout: 1h 30m}
params:
  least: {type: "decimal(12, 2)", default: 1.5, description: The least amount.}
environments: {prod: {params: {least: 2}}}
sources:
  payment:
    files: {path: "in/*.csv", format: csv, compression: gzip}
    read: new
    if_changed: read
    if_copied: skip
    if_missing: empty
    archive: done
    unknown_columns: ignore
    null_values: [NA]
    columns:
      id: bigint
      amount: {type: "decimal(12,2)", header: Amount, not_null: true, on_invalid: set_null, description: In SGD.}
      paid: {type: date, format: "%d/%m/%Y"}
      kind: {type: string, accepted_values: [card, 1, true]}
models: {checked: sql/checked.sql}
quality:
  payment: {gate: {max_rejected: 100}}
  checked:
    reject_unless:
      least: amount > $least
      always: true
      kind: {accepted_values: {kind: [card, 1]}, max: 5%}
      id: {not_null: [id, kind]}
    warn_unless: {one: {unique: id}}
    fail_unless: {range: {between: {amount: [0, 1000]}}, form: {matches: {kind: "^[a-z]+$"}}}
    gate: {max_rejected: 2.5%, min_rows: 1}
sinks:
  good:
    from: checked
    mode: append
    publish: always
    files: {path: out/good, format: parquet, compression: zstd}
    columns: [id, {sum: amount}]
  bad: {from: payment.rejected, mode: overwrite, files: {path: out/bad, format: jsonl}}
"#;

#[test]
fn task_files_are_valid_by_the_schema() {
    let schema = schema();
    let section1 = concat!(env!("CARGO_MANIFEST_DIR"), "/../section1/conf/applications.yaml");
    for task in [TASK, WHOLE, &std::fs::read_to_string(section1).unwrap()] {
        assert_eq!(violation(&schema, task), None);
    }
}

/// The engine refuses each of these too: the schema is compared with what it really reads.
#[test]
fn invalid_task_files_violate_the_schema() {
    let schema = schema();
    for (from, to) in [
        ("description: All of it.", "descripton: All of it."),
        ("name: whole-task", "name: Whole Task"),
        ("name: whole-task\n", ""),
        ("mode: append", "mode: overwirte"),
        ("mode: append\n", "\n"),
        ("publish: always", "publish: sometimes"),
        ("read: new", "read: newest"),
        ("id: bigint", "id: int"),
        ("id: bigint", "id: decimal(12)"),
        ("on_invalid: set_null", "on_invalid: ignore"),
        ("header: Amount", "heading: Amount"),
        ("{not_null: [id, kind]}", "{not_null: []}"),
        ("{not_null: [id, kind]}", "{not_null: id, unique: id}"),
        ("{not_null: [id, kind]}", "{max: 5%}"),
        ("{between: {amount: [0, 1000]}}", "{between: {amount: [0]}}"),
        ("{between: {amount: [0, 1000]}}", "{between: {amount: [0, 1], id: [0, 1]}}"),
        ("max: 5%", "max: five"),
        ("min_rows: 1", "min_rows: few"),
        ("from: checked", "from: checked.accepted"),
        ("timeout: 1h 30m", "timeout: 90"),
        ("{sum: amount}", "{sum: amount, id: id}"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let task = WHOLE.replace(from, to);
        assert!(violation(&schema, &task).is_some(), "`{to}` fits the schema");
        let project = Project::empty();
        project.file("task.yaml", task);
        let ran = project.weir(&["validate", "--task-config", "task.yaml"]);
        assert!(ran.code == Some(2) && ran.err.contains("task.yaml:"), "`{to}`: {}", ran.err);
    }
}

#[test]
fn the_reference_lists_every_key_with_its_default() {
    let ran = Project::empty().weir(&["schema", "--markdown"]);
    ran.ended(0, "| `on_invalid` | [OnInvalid](#oninvalid) | `reject` |");
    ran.ended(0, "| `mode` | [Mode](#mode) | **required** |");
    ran.ended(0, "- `set_null`: The value becomes null and is counted; the row is kept.");
}
