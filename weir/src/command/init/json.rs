//! The columns of JSON files: the keys of all their records, in the order in which they appear.

use std::fmt::Display;
use std::path::Path;

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::input::{Found, open};
use crate::error::{Error, Result};
use crate::format::jsonl::{Jsonl, RecordsPath};
use crate::format::text::{RecordEnds, TextStream};
use crate::task::SqlType;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 8 << 20;

/// The most keys that lead to a column.
const MOST_KEYS: usize = 4;

/// The values of a key in all records.
#[derive(Debug, Default)]
struct Key {
    /// How many of the objects around it have it.
    count: u64,
    /// Objects among the values, and their keys.
    objects: u64,
    keys: IndexMap<String, Key>,
    /// Whether there is an array, and another value that is not null.
    has_array: bool,
    has_other: bool,
}

/// The records of a file, one on each line; those of documents if the path of their array is given.
pub(super) fn records(file: &Path, documents: Option<&RecordsPath>) -> Result<TextStream> {
    let stream = open(file)?;
    match documents {
        None => Ok(stream),
        Some(path) => Jsonl::documents(path.clone()).records_of(stream, &file.display().to_string()),
    }
}

/// The columns of a file. It is read to its end: a key may appear late.
pub(super) fn columns(file: &Path, documents: Option<&RecordsPath>) -> Result<Vec<Found>> {
    let mut stream = records(file, documents)?;
    let (mut record, mut at, mut length) = (Key::default(), 0, PIECE_BYTES);
    loop {
        let (bytes, is_last) = stream.read(at, length)?;
        let end = match memchr::memrchr(b'\n', &bytes) {
            Some(end) if !is_last => end + 1,
            _ => bytes.len(),
        };
        if is_last || end < bytes.len() {
            add_records(&mut record, file, &bytes[..end])?;
            (at, length) = (at + end as u64, PIECE_BYTES);
        } else {
            length *= 2; // a value that is longer
        }
        if is_last {
            let mut columns = Vec::new();
            record.columns(&mut vec![], true, &mut columns);
            return Ok(columns);
        }
    }
}

/// Adds the keys of the records in a text.
fn add_records(record: &mut Key, file: &Path, text: &[u8]) -> Result<()> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let invalid =
        |what: &dyn Display| Error::input(file.display(), format!("is not JSON in UTF-8: {what}"), "correct the file");
    let text = std::str::from_utf8(text).map_err(|error| invalid(&error))?;
    for object in serde_json::Deserializer::from_str(text).into_iter::<IndexMap<String, &RawValue>>() {
        record.add(object.map_err(|error| invalid(&error))?, MOST_KEYS);
    }
    Ok(())
}

impl Key {
    /// Adds the keys of an object.
    fn add(&mut self, object: IndexMap<String, &RawValue>, depth: usize) {
        self.objects += 1;
        for (name, value) in object {
            let key = self.keys.entry(name).or_default();
            key.count += 1;
            match value.get().as_bytes().first() {
                Some(b'{') => match serde_json::from_str(value.get()) {
                    Ok(object) if depth > 1 => key.add(object, depth - 1),
                    _ => key.has_array = true,
                },
                Some(b'[') => key.has_array = true,
                Some(b'n') => {}
                _ => key.has_other = true,
            }
        }
    }

    /// Adds the columns below it; `is_always` if each record has the object.
    fn columns(&self, path: &mut Vec<String>, is_always: bool, columns: &mut Vec<Found>) {
        for (name, key) in &self.keys {
            let is_always = is_always && key.count == self.objects;
            path.push(name.clone());
            let is_path = path.iter().all(|key| !key.is_empty() && !key.contains('.'));
            if key.objects > 0 && !key.has_array && !key.has_other && is_path && !key.keys.is_empty() {
                key.columns(path, is_always && key.objects == key.count, columns);
            } else {
                columns.push(key.column(path, is_always));
            }
            path.pop();
        }
    }

    fn column(&self, path: &[String], is_always: bool) -> Found {
        let is_json = self.has_array || self.objects > 0;
        let label = path.join(".");
        let mut found = Found::named(&label, is_json.then_some(SqlType::Json));
        if path.len() > 1 {
            found.keys = vec![("path", serde_json::Value::from(label).to_string())];
        }
        found.keys.extend((!is_always).then(|| ("optional", "true".to_owned())));
        found
    }
}
