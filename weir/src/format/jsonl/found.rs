//! Which declared columns were found in any record: one that no record has is most likely misspelt.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Layout;
use crate::error::{Error, Result};
use crate::format::columns::{Column, Declared};
use crate::format::names::near;
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

#[derive(Debug, Default)]
struct Keys {
    records: u64,
    /// The columns that were found.
    columns: BTreeSet<usize>,
    /// Other keys.
    others: BTreeSet<String>,
}

/// The keys in a block of records.
#[derive(Debug, Default)]
pub(super) struct BlockKeys {
    records: u64,
    /// Whether each key of the layout was found.
    found: Vec<bool>,
    others: BTreeSet<String>,
    /// Whether other keys are remembered.
    remembers: bool,
}

impl BlockKeys {
    /// An object was read.
    pub(super) fn record(&mut self) {
        self.records += 1;
        self.remembers = self.remembers && self.records <= RECORDS;
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
        BlockKeys { found: vec![false; layout.len()], remembers, ..BlockKeys::default() }
    }

    /// Adds what was found in a block.
    pub(super) fn add(&self, block: BlockKeys, layout: &Layout) {
        if self.are_all.load(Ordering::Relaxed) {
            return;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.records += block.records;
        let found = block.found.iter().enumerate().filter(|(_, found)| **found);
        keys.columns.extend(found.filter_map(|(key, _)| layout.key(key).column));
        keys.others.extend(block.others);
        self.are_all.store(layout.columns().all(|column| keys.columns.contains(&column)), Ordering::Relaxed);
    }

    /// Fails if there are records, and none has a column that is not optional.
    pub(super) fn check(&self, files: &str, declared: &Declared) -> Result<()> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut columns = declared.columns.iter().enumerate();
        let missing = columns.find(|(index, column)| {
            column.from == ColumnFrom::Column && !column.is_optional && !keys.columns.contains(index)
        });
        match missing {
            Some((_, column)) if keys.records > 0 => Err(not_found(files, column, &keys.others)),
            _ => Ok(()),
        }
    }
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
    Error::input(files, format!("column `{name}`: no record has the key `{header}`"), help)
}
