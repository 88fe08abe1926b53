//! The reference of a task file's keys, made from its schema.

use std::fmt::Write;

use serde_json::{Map, Value};

const BEGINNING: &str = "# Reference: every key of a task file

<!-- Written by `weir schema --markdown` from the structs that a task file is read into. Change it there. -->

The guide says how the parts play together; this page lists them. `weir schema` prints the same as a JSON schema, with
which editors complete and check a task file: save it, and begin the task file with
`# yaml-language-server: $schema=task.schema.json`.
";

/// A section for every type that a task file is made of, in the order in which they are met.
pub(super) fn reference(task: &Value, folder: &Value) -> String {
    let mut page = String::from(BEGINNING);
    for schema in [task, folder] {
        section(&mut page, &text(&schema["title"]), schema);
        for name in types(schema) {
            section(&mut page, &name, definition(schema, &name));
        }
    }
    page
}

fn definition<'a>(schema: &'a Value, name: &str) -> &'a Value {
    &schema["$defs"][name]
}

/// The names of the types, each behind the first one that mentions it.
fn types(schema: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut root = schema.clone();
    root.as_object_mut().map(|root| root.remove("$defs"));
    mentioned(&root, &mut names);
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        mentioned(definition(schema, &name), &mut names);
        next += 1;
    }
    names
}

fn mentioned(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(name) = referred(schema)
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
            map.values().for_each(|value| mentioned(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| mentioned(value, names)),
        _ => {}
    }
}

/// The name of the type that a schema refers to.
fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn section(page: &mut String, name: &str, schema: &Value) {
    push(page, format_args!("\n## {name}\n\n{}{}\n", text(&schema["description"]), examples(schema)));
    let branches = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    let branches: Vec<&Value> = branches.into_iter().flatten().collect();
    let values: Vec<_> = branches.iter().filter(|branch| branch["const"].is_string()).collect();
    if !values.is_empty() {
        page.push('\n');
    }
    for value in values {
        push(page, format_args!("- `{}`: {}\n", text(&value["const"]), text(&value["description"])));
    }
    for keys in std::iter::once(schema).chain(branches).filter(|schema| schema["properties"].is_object()) {
        table(page, keys);
    }
}

fn table(page: &mut String, schema: &Value) {
    let empty = Map::new();
    let required = schema["required"].as_array();
    let is_required = |key: &str| required.is_some_and(|names| names.iter().any(|name| name == key));
    page.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, of) in schema["properties"].as_object().unwrap_or(&empty) {
        let default = match &of["default"] {
            _ if is_required(key) => "**required**".to_owned(),
            Value::Null => String::new(),
            Value::Object(map) if map.is_empty() => String::new(),
            default => format!("`{}`", yaml(default)),
        };
        let meaning = format!("{}{}", text(&of["description"]), examples(of)).replace('|', "\\|");
        push(page, format_args!("| `{key}` | {} | {default} | {meaning} |\n", kind(of)));
    }
}

/// What a value is, with a link where a section says more.
fn kind(schema: &Value) -> String {
    if let Some(name) = referred(schema) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let branches = schema["anyOf"].as_array().into_iter().flatten().filter(|branch| branch["type"] != "null");
    let branches: Vec<String> = branches.map(kind).collect();
    if !branches.is_empty() {
        return branches.join(" or ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        one => one.as_str().into_iter().collect(),
    };
    match types.as_slice() {
        ["array"] => match schema["prefixItems"].as_array() {
            Some(items) => format!("[{}]", items.iter().map(kind).collect::<Vec<_>>().join(", ")),
            None => format!("list of {}", kind(&schema["items"])),
        },
        ["object"] => format!("name: {}", kind(&schema["additionalProperties"])),
        types => types.join(" or "),
    }
}

fn examples(schema: &Value) -> String {
    let examples = schema["examples"].as_array().into_iter().flatten();
    let examples: Vec<String> = examples.map(|example| format!("`{}`", yaml(example))).collect();
    if examples.is_empty() { String::new() } else { format!(" For example {}.", examples.join(" or ")) }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A value as it would stand in a task file.
fn yaml(value: &Value) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Array(values) => format!("[{}]", list(values.iter().map(|value| within(yaml(value))).collect())),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| format!("{key}: {}", within(yaml(value)));
            format!("{{{}}}", list(map.iter().map(entry).collect()))
        }
        Value::String(text) if text.starts_with(['*', '%', '-']) => format!("'{text}'"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value within brackets: text that holds one is put into quotes.
fn within(value: String) -> String {
    let is_text = !value.starts_with(['[', '{', '\'']);
    if is_text && value.contains(['[', ']', '{', '}', ',']) { format!("'{value}'") } else { value }
}

/// Writing to a string cannot fail.
fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_stands_as_it_would_in_a_task_file() {
        let example = serde_json::json!({"mobile": "^[0-9]{8}$", "null": ["NA", "-"], "rows": 100});
        assert_eq!(yaml(&example), "{mobile: '^[0-9]{8}$', null: [NA, '-'], rows: 100}");
    }

    #[test]
    fn the_committed_reference_is_what_the_structs_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/REFERENCE.md");
        let page = reference(crate::task::json_schema().as_value(), crate::task::project_schema().as_value());
        if std::env::var_os("WEIR_UPDATE").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page,
            "docs/REFERENCE.md is stale; write it with\n  WEIR_UPDATE=1 cargo test -p weir --lib the_committed_reference"
        );
    }

    #[test]
    fn every_key_and_every_value_says_what_it_means() {
        fn check(schema: &Value, at: &str) {
            for (key, of) in schema["properties"].as_object().into_iter().flatten() {
                let description = of["description"].as_str().unwrap_or_default();
                assert!(description.ends_with('.'), "{at}.{key}: `{description}`");
                check(of, &format!("{at}.{key}"));
            }
            for branch in ["oneOf", "anyOf"].iter().flat_map(|key| schema[*key].as_array().into_iter().flatten()) {
                let is_value = branch["const"].is_string() || branch["enum"].is_array() && at != "Type";
                assert!(!is_value || branch["description"].is_string(), "{at}: {branch}");
                check(branch, at);
            }
        }
        let schema = crate::task::json_schema();
        check(schema.as_value(), "Task");
        for (name, of) in schema.get("$defs").and_then(Value::as_object).unwrap() {
            assert!(of["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
            check(of, name);
        }
    }
}
