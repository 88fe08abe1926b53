//! The columns of files of JSON Lines: the keys of all their objects, in the order in which they appear.

use std::fmt::Display;
use std::path::Path;

use indexmap::{IndexMap, IndexSet};
use serde::de::IgnoredAny;

use super::input::{Found, open};
use crate::error::{Error, Result};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 8 << 20;

/// The columns of a file of JSON Lines. It is read to its end: a key may appear late.
pub(super) fn columns(file: &Path) -> Result<Vec<Found>> {
    let mut stream = open(file)?;
    let (mut keys, mut at, mut length) = (IndexSet::new(), 0, PIECE_BYTES);
    loop {
        let (bytes, is_last) = stream.read(at, length)?;
        let end = match memchr::memrchr(b'\n', &bytes) {
            Some(end) if !is_last => end + 1,
            _ => bytes.len(),
        };
        if is_last || end < bytes.len() {
            add_keys(&mut keys, file, &bytes[..end])?;
            (at, length) = (at + end as u64, PIECE_BYTES);
        } else {
            length *= 2; // a value that is longer
        }
        if is_last {
            return Ok(keys.iter().map(|key| Found::named(key, None)).collect());
        }
    }
}

/// Adds the keys of the objects in a text.
fn add_keys(keys: &mut IndexSet<String>, file: &Path, text: &[u8]) -> Result<()> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let invalid = |what: &dyn Display| {
        Error::input(file.display(), format!("is not JSON Lines in UTF-8: {what}"), "correct the file")
    };
    let text = std::str::from_utf8(text).map_err(|error| invalid(&error))?;
    for object in serde_json::Deserializer::from_str(text).into_iter::<IndexMap<String, IgnoredAny>>() {
        keys.extend(object.map_err(|error| invalid(&error))?.into_keys());
    }
    Ok(())
}
