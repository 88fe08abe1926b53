//! Which declared columns were found in any record: one that no record has is most likely misspelt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Layout, RecordsPath};
use crate::error::{Error, Result};
use crate::format::columns::{Column, Declared};
use crate::format::names::near;
use crate::route::RejectedRoute;
use crate::task::ColumnFrom;

/// The most other keys that are remembered, and the records of a block in which they are looked for.
const OTHER_KEYS: usize = 50;
const RECORDS: u64 = 1000;

/// The keys in the records that were read.
#[derive(Debug, Default)]
pub(crate) struct FoundKeys {
    keys: Mutex<Keys>,
    /// Whether some record had each column.
    are_all: AtomicBool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Keys {
    records: u64,
    /// The columns that were found.
    columns: BTreeSet<usize>,
    /// For each column the rows whose record lacks its key.
    absent: BTreeMap<usize, u64>,
    /// Other keys.
    others: BTreeSet<String>,
    /// The keys that lead from a record to an array of objects.
    path: Option<Vec<String>>,
}

/// The keys in a block of records.
#[derive(Debug, Default)]
pub(super) struct BlockKeys {
    records: u64,
    /// Whether each key of the layout was found.
    found: Vec<bool>,
    /// For each key the rows whose record lacks it.
    absent: Vec<u64>,
    others: BTreeSet<String>,
    path: Option<Vec<String>>,
    /// Whether other keys are remembered.
    remembers: bool,
}

impl BlockKeys {
    /// An object was read.
    pub(super) fn record(&mut self, text: &str) {
        if self.remembers && self.records == 0 {
            self.path = path_of_records(text);
        }
        self.records += 1;
        self.remembers = self.remembers && self.records <= RECORDS;
    }

    /// A row lacks a key.
    pub(super) fn absent(&mut self, key: usize) {
        self.absent[key] += 1;
    }

    /// A key of the layout was found.
    pub(super) fn found(&mut self, key: usize) {
        self.found[key] = true;
    }

    /// A key that is not in the layout was found.
    pub(super) fn other(&mut self, key: &str) {
        if self.remembers && self.others.len() < OTHER_KEYS && !self.others.contains(key) {
            self.others.insert(key.to_owned());
        }
    }
}

impl FoundKeys {
    /// Begins a block.
    pub(super) fn block(&self, layout: &Layout) -> BlockKeys {
        let remembers = !self.are_all.load(Ordering::Relaxed);
        BlockKeys { found: vec![false; layout.len()], absent: vec![0; layout.len()], remembers, ..BlockKeys::default() }
    }

    /// Adds what was found in a block.
    pub(super) fn add(&self, block: BlockKeys, layout: &Layout) {
        let lacks_none = block.absent.iter().all(|rows| *rows == 0);
        if lacks_none && self.are_all.load(Ordering::Relaxed) {
            return;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.records += block.records;
        let found = block.found.iter().enumerate().filter(|(_, found)| **found);
        keys.columns.extend(found.filter_map(|(key, _)| layout.key(key).column));
        let absent = block.absent.iter().enumerate().filter(|(_, rows)| **rows > 0);
        for (column, rows) in absent.filter_map(|(key, rows)| Some((layout.key(key).column?, *rows))) {
            *keys.absent.entry(column).or_default() += rows;
        }
        keys.others.extend(block.others);
        keys.path = keys.path.take().or(block.path);
        self.are_all.store(layout.columns().all(|column| keys.columns.contains(&column)), Ordering::Relaxed);
    }

    /// What was found, for another process.
    pub(super) fn to_json(&self) -> Value {
        serde_json::to_value(&*self.keys.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
    }

    /// Adds what another process has found.
    pub(super) fn merge(&self, found: Value) -> Result<()> {
        let other: Keys =
            serde_json::from_value(found).map_err(|error| Error::internal(format!("keys of records: {error}")))?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.records += other.records;
        keys.columns.extend(other.columns);
        for (column, rows) in other.absent {
            *keys.absent.entry(column).or_default() += rows;
        }
        keys.others.extend(other.others);
        keys.path = keys.path.take().or(other.path);
        Ok(())
    }

    /// Fails if there are records, and none has a column that is not optional.
    pub(super) fn check(&self, files: &str, declared: &Declared, documents: Option<&RecordsPath>) -> Result<()> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut columns = declared.columns.iter().enumerate();
        let missing = columns.find(|(index, column)| {
            column.from == ColumnFrom::Column && !column.is_optional && !keys.columns.contains(index)
        });
        match missing {
            Some((_, column)) if keys.records > 0 => {
                let path = keys.path.as_ref().filter(|_| keys.columns.is_empty());
                match path.map(|path| records_below(documents, path)) {
                    Some(help) => Err(no_record_has(files, column, help)),
                    None => Err(not_found(files, column, &keys.others)),
                }
            }
            _ => Ok(()),
        }
    }

    /// Counts the rows whose record lacks the key of a column that is not optional: their value is null.
    pub(super) fn count_absent(&self, declared: &Declared, rejected: &RejectedRoute) {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        for (column, rows) in &keys.absent {
            let column = &declared.columns[*column];
            if !column.is_optional {
                rejected.absent(&column.name, *rows);
            }
        }
    }
}

/// What to declare if the records are an array within an object.
fn records_below(documents: Option<&RecordsPath>, path: &[String]) -> String {
    let path: Vec<&str> =
        documents.into_iter().flat_map(|before| before.iter()).chain(path).map(String::as_str).collect();
    let format = if documents.is_some() { "" } else { "`format: json` and " };
    format!("if its records are the array at {0}, specify {format}`records: {0}` next to the path", path.join("."))
}

fn no_record_has(files: &str, column: &Column, help: String) -> Error {
    Error::input(files, format!("column `{}`: no record has the key `{}`", column.name, column.header), help)
}

fn not_found(files: &str, column: &Column, others: &BTreeSet<String>) -> Error {
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let (name, header) = (&column.name, &column.header);
    let optional = format!("if records may lack it, declare {name}: {{type: ..., optional: true}}");
    let object = header.split_once('.').map(|(object, _)| object);
    let help = match near(header, &others) {
        _ if column.path.is_empty() && object.is_some_and(|object| others.contains(&object)) => {
            format!("to take it from an object, declare {name}: {{type: ..., path: {header}}}")
        }
        Some(other) => format!("if it is `{other}`, declare {name}: {{type: ..., header: \"{other}\"}}; {optional}"),
        None if others.is_empty() => format!("correct its name; {optional}"),
        None => format!("correct its name; {optional}; undeclared keys: {}", others.join(", ")),
    };
    no_record_has(files, column, help)
}

/// The path of the first array of objects in an object, if there is one: the keys from the outermost object. The text may
/// be the beginning of a longer one.
pub(crate) fn path_of_records(text: &str) -> Option<Vec<String>> {
    let (mut path, mut open, mut last): (Vec<String>, Vec<char>, _) = (vec![], vec![], None);
    let mut rest = text.trim_start();
    while let Some(next) = rest.chars().next() {
        match next {
            '"' => {
                let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let text = texts.next()?.ok()?;
                rest = &rest[texts.byte_offset()..];
                let is_key = rest.trim_start().starts_with(':');
                last = is_key.then_some(text);
                continue;
            }
            '{' | '[' => {
                let is_list = next == '[' && rest[1..].trim_start().starts_with('{');
                if let (true, Some(key), false) = (is_list, &last, open.contains(&'[')) {
                    path.push(key.clone());
                    return path.iter().all(|key| !key.is_empty() && !key.contains('.')).then_some(path);
                }
                if !open.is_empty() {
                    path.push(last.take().unwrap_or_default());
                }
                open.push(next);
            }
            '}' | ']' => {
                open.pop();
                path.pop();
            }
            _ => {}
        }
        rest = &rest[next.len_utf8()..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_array_of_objects_has_the_records() {
        let path = |text| path_of_records(text).map(|path| path.join("/"));
        assert_eq!(path(r#"{"n": 1, "tags": ["a"], "data": {"x": {}, "items": [ {"id": 1}"#).unwrap(), "data/items");
        assert_eq!(path(r#"{"a": {"b": [1]}, "rows": [{}]}"#).unwrap(), "rows");
        assert_eq!(path(r#"{"a": [[{}]], "b": "[{"}"#), None);
    }
}
