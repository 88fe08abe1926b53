//! What a key at the wrong level, or with the name that other tools give it, should be. The levels are those of the schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::{json_schema, project_schema};

/// Keys of other tools, and those that mean the same here.
const SYNONYMS: [(&str, &str); 36] = [
    ("charset", "encoding"),
    ("comment_prefix", "comment"),
    ("data_type", "type"),
    ("dtype", "type"),
    ("escape_char", "escape"),
    ("escapechar", "escape"),
    ("field_delimiter", "delimiter"),
    ("fields", "columns"),
    ("file_name", "file"),
    ("filename", "file"),
    ("has_header", "header"),
    ("if_exists", "mode"),
    ("incremental_key", "cursor"),
    ("key_columns", "primary_key"),
    ("max_retries", "retries"),
    ("missing_values", "null_values"),
    ("na_values", "null_values"),
    ("null_value", "null_values"),
    ("nullstr", "null_text"),
    ("partition_cols", "partition_by"),
    ("partition_columns", "partition_by"),
    ("partitioned_by", "partition_by"),
    ("quote_char", "quote"),
    ("quotechar", "quote"),
    ("required", "not_null"),
    ("retry", "retries"),
    ("sep", "delimiter"),
    ("separator", "delimiter"),
    ("skip_footer", "skip_last"),
    ("skip_leading_rows", "skip_lines"),
    ("skip_rows", "skip_lines"),
    ("skipfooter", "skip_last"),
    ("skiprows", "skip_lines"),
    ("time_zone", "timezone"),
    ("unique_key", "primary_key"),
    ("write_disposition", "mode"),
];

/// A mapping of a file: the keys that lead to it, `*` for a name that the author chooses, and its own keys.
struct Level {
    path: Vec<String>,
    keys: BTreeSet<String>,
    required: Vec<String>,
}

/// What an unknown key should be, where `known` are the keys of its level; `None` if it is only mistyped.
pub(super) fn advice(key: &str, known: &[&str]) -> Option<String> {
    let other = SYNONYMS.iter().find(|(other, _)| *other == key.to_lowercase()).map(|(_, own)| *own);
    if let Some(own) = other.filter(|own| known.contains(own)) {
        return Some(format!("did you mean `{own}`?"));
    }
    let (task, project) = (levels(json_schema().as_value()), levels(project_schema().as_value()));
    let here = task.iter().filter(|level| known.iter().all(|key| level.keys.contains(*key)));
    let here: Vec<&[String]> = here.map(|level| &level.path[..]).collect();
    let find = |key: &str| {
        let there = task.iter().filter(|level| level.keys.contains(key)).map(|level| &level.path[..]);
        let pairs = there.flat_map(|there| here.iter().map(move |here| (*here, there)));
        let near = pairs.filter_map(|(here, there)| Some((distance(here, there)?, here, there)));
        let (_, here, there) = near.min_by_key(|(distance, ..)| *distance)?;
        Some(place(here, there))
    };
    match (find(key), other.and_then(|own| Some((own, find(own)?)))) {
        (Some(place), _) => Some(format!("`{key}` belongs {place}.")),
        (None, Some((own, place))) => Some(format!("did you mean `{own}`? It belongs {place}.")),
        _ => {
            let is_of_project = here.contains(&&[][..])
                && project.iter().any(|level| level.path.is_empty() && level.keys.contains(key));
            is_of_project.then(|| format!("`{key}` belongs in weir.yaml, next to the task file."))
        }
    }
}

/// How a key is written that has a single value in place of a mapping.
pub(super) fn as_mapping(key: &str, value: &str) -> Option<String> {
    let task = levels(json_schema().as_value());
    let mut of_key = task.iter().filter(|level| level.path.last().is_some_and(|last| last == key));
    let level = of_key.next()?;
    match &level.required[..] {
        [] => None,
        [only] => Some(format!("write it as `{key}: {{{only}: {value}}}`")),
        several => {
            let keys: Vec<String> = several.iter().map(|key| format!("{key}: ...")).collect();
            Some(format!("write it as `{key}: {{{}}}`", keys.join(", ")))
        }
    }
}

/// How far apart two levels are, if a key of one can be meant where the other is: one of them is within the other, or
/// both are within one entry.
fn distance(here: &[String], there: &[String]) -> Option<usize> {
    let common = here.iter().zip(there).take_while(|(one, other)| one == other).count();
    let is_near = common == here.len() || (common == there.len() && common > 0) || common > 1;
    is_near.then(|| here.len() + there.len() - 2 * common)
}

/// Where a key belongs that was found at another level.
fn place(here: &[String], there: &[String]) -> String {
    let common = here.iter().zip(there).take_while(|(one, other)| one == other).count();
    match (here.get(common), there.get(common)) {
        (Some(own), None) => {
            let up = here[common..].iter().filter(|key| *key != "*").count();
            let up = if up == 1 { "one level".to_owned() } else { format!("{up} levels") };
            format!("{up} up, next to `{own}`")
        }
        (None, Some(inner)) if inner == "*" => "under one of these names".to_owned(),
        (_, Some(inner)) if there.get(common + 1).is_some_and(|next| next == "*") => format!("to one of the `{inner}`"),
        (_, Some(inner)) => format!("under `{inner}`"),
        (None, None) => "here".to_owned(),
    }
}

/// The mappings of a schema.
fn levels(schema: &Value) -> Vec<Level> {
    let mut levels = Vec::new();
    add(schema, schema, &mut Vec::new(), &mut levels);
    levels
}

fn add(root: &Value, schema: &Value, path: &mut Vec<String>, levels: &mut Vec<Level>) {
    const DEEPEST: usize = 10;
    if path.len() > DEEPEST {
        return;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        add(root, &root["$defs"][name], path, levels);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let required = schema["required"].as_array().into_iter().flatten();
        levels.push(Level {
            path: path.clone(),
            keys: properties.keys().cloned().collect(),
            required: required.filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        });
        for (key, value) in properties {
            path.push(key.clone());
            add(root, value, path, levels);
            path.pop();
        }
    }
    if schema["additionalProperties"].is_object() {
        path.push("*".to_owned());
        add(root, &schema["additionalProperties"], path, levels);
        path.pop();
    }
    for branch in ["anyOf", "oneOf"].into_iter().filter_map(|of| schema[of].as_array()).flatten() {
        add(root, branch, path, levels);
    }
}
