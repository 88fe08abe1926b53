//! Parses a block of whole lines into columns of texts. Texts without escapes are not copied.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use memchr::{memchr, memchr_iter};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Layout;
use super::found::{BlockKeys, FoundKeys};
use crate::format::text::{Parsed, Rejected, Shape, Span, Views, finish, trim_line_end, view};
use crate::format::value::{Form, LocalNumbers};

/// Parses a block of whole lines.
pub(super) fn parse(block: &Bytes, layout: &Layout, shape: &Shape, found: &FoundKeys) -> Parsed {
    let mut reader = Reader {
        block,
        layout,
        shape,
        keys: found.block(layout),
        columns: shape.columns.columns.iter().map(|_| Views::with_capacity(block.len() / 128)).collect(),
        rows: 0,
        extra: Vec::new(),
        seen: vec![0; layout.len()],
        keys_in_row: 0,
        entered: vec![0; layout.objects()],
        lacking: shape.columns.with_default().map(|column| (column, Vec::new())).collect(),
    };
    let (mut spans, mut rejected, mut lines) = (Vec::new(), Vec::new(), 0);
    let is_utf8 = simdutf8::basic::from_utf8(block).is_ok();
    let mut start = 0;
    for end in memchr_iter(b'\n', block).chain([block.len()]) {
        let line_end = trim_line_end(block, start, end);
        let line = &block[start..line_end];
        if !line.trim_ascii().is_empty() {
            match reader.line(line, is_utf8) {
                Ok(()) if shape.columns.are_plain => {}
                Ok(()) => spans.push(Span { start: start as u32, end: line_end as u32, line: lines }),
                Err(reason) => {
                    let raw = block.slice(start..line_end);
                    rejected.push(Rejected { line: lines, raw, reason: reason.into_owned() });
                }
            }
        }
        lines += u64::from(end < block.len());
        start = end + 1;
    }
    let Reader { columns, rows, extra, mut lacking, keys, .. } = reader;
    found.add(keys, layout);
    lacking.retain(|(_, rows)| !rows.is_empty());
    Parsed { columns: finish(columns, rows, block, extra), rows, spans, rejected, lines, lacking, unvalued: vec![] }
}

struct Reader<'a> {
    block: &'a [u8],
    layout: &'a Layout,
    shape: &'a Shape,
    keys: BlockKeys,
    columns: Vec<Views>,
    rows: usize,
    /// Unescaped texts: the second buffer of the views.
    extra: Vec<u8>,
    /// For each key the last row that had it, counted from 1.
    seen: Vec<usize>,
    /// The keys of the row that is read.
    keys_in_row: usize,
    /// For each object the last row that had it, counted from 1.
    entered: Vec<usize>,
    /// For each column that has a default the rows that lack it.
    lacking: Vec<(usize, Vec<u32>)>,
}

impl<'a> Reader<'a> {
    /// Adds a line as a row, or returns why it is not one.
    fn line(&mut self, line: &'a [u8], is_utf8: bool) -> Result<(), Cow<'static, str>> {
        if line.len() > self.shape.max_record {
            return Err("record_too_long".into());
        }
        let text = match is_utf8 {
            // SAFETY: the whole block is UTF-8, and the line begins and ends next to line ends, which are ASCII.
            true => unsafe { std::str::from_utf8_unchecked(line) },
            false => simdutf8::basic::from_utf8(line).map_err(|_| self.shape.invalid_text)?,
        };
        self.keys_in_row = 0;
        let mut problem = None;
        let problem = match self.object(0, text, &mut problem) {
            Ok(()) => {
                self.keys.record(text);
                problem
            }
            Err(_) => Some("invalid_json".into()),
        };
        let row = self.rows;
        if let Some(reason) = problem {
            self.columns.iter_mut().for_each(|column| column.truncate(row));
            self.seen.fill(0);
            self.entered.fill(0);
            return Err(reason);
        }
        for (column, rows) in &mut self.lacking {
            if self.columns[*column].len() == row {
                rows.push(row as u32);
            }
        }
        self.columns.iter_mut().filter(|column| column.len() == row).for_each(|column| column.push(row, 0, true));
        self.rows += 1;
        // Most records have all keys.
        if self.keys_in_row < self.layout.len() {
            let lacking = (0..self.layout.len()).filter(|key| self.lacks(*key));
            lacking.collect::<Vec<_>>().into_iter().for_each(|key| self.keys.absent(key));
        }
        Ok(())
    }

    /// Whether the row that was added lacks a key. A null in place of the object around it is no lack.
    fn lacks(&self, key: usize) -> bool {
        if self.seen[key] == self.rows {
            return false;
        }
        let mut object = self.layout.object_of(key);
        while let Some(parent) = self.layout.parent(object) {
            if self.seen[parent] == self.rows {
                return self.entered[object] == self.rows;
            }
            object = self.layout.object_of(parent);
        }
        true
    }

    /// Reads an object: the record, or one below it.
    fn object(
        &mut self,
        object: usize,
        text: &'a str,
        problem: &mut Option<Cow<'static, str>>,
    ) -> Result<(), serde_json::Error> {
        self.entered[object] = self.rows + 1;
        let mut json = serde_json::Deserializer::from_str(text);
        let guess = self.layout.first(object);
        json.deserialize_map(Object { reader: self, object, guess, problem })?;
        json.end()
    }

    /// Adds the value of a key.
    fn value(
        &mut self,
        key: usize,
        value: &'a RawValue,
        problem: &mut Option<Cow<'static, str>>,
    ) -> Result<(), serde_json::Error> {
        let json = value.get().as_bytes();
        if let Some((object, reason)) = &self.layout.key(key).object {
            match json[0] {
                b'{' => self.object(*object, value.get(), problem)?,
                b'n' => {}
                _ => {
                    check_escapes(value)?;
                    problem.get_or_insert_with(|| reason.clone().into());
                }
            }
        }
        let start = json.as_ptr() as usize - self.block.as_ptr() as usize;
        let end = start + json.len();
        let Some(target) = self.layout.target(key) else { return check_escapes(value) };
        let (view, is_null) = match json[0] {
            b'n' => (0, true),
            b'"' if memchr(b'\\', json).is_none() => match self.is_document(target, &json[1..json.len() - 1]) {
                true => (view(self.block, start, end, 0), false),
                false => self.text(target, start + 1, end - 1, 0),
            },
            b'"' => {
                let from = self.extra.len();
                let text: String = serde_json::from_str(value.get())?;
                if self.is_document(target, text.as_bytes()) {
                    self.columns[target].push(self.rows, view(self.block, start, end, 0), false);
                    return Ok(());
                }
                self.extra.extend_from_slice(text.as_bytes());
                self.text(target, from, self.extra.len(), 1)
            }
            b'{' | b'[' => {
                check_escapes(value)?;
                (view(self.block, start, end, 0), false)
            }
            b'-' | b'0'..=b'9' => {
                match self.shape.columns.columns[target].form.local_numbers().and_then(LocalNumbers::point) {
                    None => self.text(target, start, end, 0),
                    // A number of JSON has its own decimal point.
                    Some(point) => {
                        let from = self.extra.len();
                        self.extra
                            .extend_from_slice(value.get().replace('.', point.encode_utf8(&mut [0; 4])).as_bytes());
                        self.text(target, from, self.extra.len(), 1)
                    }
                }
            }
            _ => self.text(target, start, end, 0),
        };
        self.columns[target].push(self.rows, view, is_null);
        Ok(())
    }

    /// Whether a string is a document itself: in a column of JSON, unless its text is an object or an array.
    fn is_document(&self, target: usize, text: &[u8]) -> bool {
        let column = &self.shape.columns.columns[target];
        matches!(column.form, Form::Json)
            && !matches!(text.trim_ascii_start().first(), None | Some(b'{' | b'['))
            && !column.is_null_value(text)
    }

    /// The view of a text in the block, or among the unescaped ones, unless it means null.
    fn text(&self, target: usize, start: usize, end: usize, buffer: u32) -> (u128, bool) {
        let data = if buffer == 0 { self.block } else { &self.extra };
        match self.shape.columns.columns[target].is_null_value(&data[start..end]) {
            true => (0, true),
            false => (view(data, start, end, buffer), false),
        }
    }
}

/// An object's keys and values, in file order.
struct Object<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// Which of the layout's objects it is.
    object: usize,
    /// The key that is most likely the next one: most lines have the same order.
    guess: usize,
    /// Why the line is not a row, although it is JSON.
    problem: &'r mut Option<Cow<'static, str>>,
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key_seed(Key { of: &mut self })? {
            let value: &RawValue = map.next_value()?;
            let Some(key) = key else {
                check_escapes(value).map_err(M::Error::custom)?;
                // Beside the keys that lead to a column an object may have others.
                if self.object == 0 && !self.reader.layout.ignore_unknown {
                    self.problem.get_or_insert("unknown_column".into());
                }
                continue;
            };
            self.guess = key + 1;
            self.reader.keys.found(key);
            self.reader.keys_in_row += 1;
            let row = self.reader.rows + 1;
            if std::mem::replace(&mut self.reader.seen[key], row) == row {
                check_escapes(value).map_err(M::Error::custom)?;
                self.problem.get_or_insert("repeated_key".into());
                continue;
            }
            self.reader.value(key, value, self.problem).map_err(M::Error::custom)?;
        }
        Ok(())
    }
}

/// A key, as its index in the layout.
struct Key<'k, 'r, 'a> {
    of: &'k mut Object<'r, 'a>,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        let Object { reader, object, guess, .. } = self.of;
        let found = reader.layout.find(*object, *guess, key);
        if found.is_none() && *object == 0 {
            reader.keys.other(key);
        }
        Ok(found)
    }
}

/// Fails if an escape is not a character: the text of a value may contain half of a surrogate pair. The values of
/// ignored keys are checked, too: whether a line can be parsed must not depend on the query.
fn check_escapes(value: &RawValue) -> Result<(), serde_json::Error> {
    match memchr(b'\\', value.get().as_bytes()) {
        None => Ok(()),
        Some(_) => serde_json::from_str::<Checked>(value.get()).map(|_| ()),
    }
}

/// A JSON value whose texts are checked and dropped.
struct Checked;

impl<'de> serde::Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
