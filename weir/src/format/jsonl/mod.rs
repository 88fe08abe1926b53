//! JSON Lines: one object per line, its keys the columns' names.
//!
//! A value is converted to its text, which is parsed as the column's type by the rules of CSV.

mod parse;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memrchr;

use super::columns::Declared;
use super::text::{
    Beginning, HEAD_BYTES, Parsed, RecordEnds, Shape, TextFormat, TextStream, byte_order_mark, check_text,
};
use crate::error::{Error, Result};

/// One JSON object per line.
#[derive(Debug, Default)]
pub(crate) struct Jsonl;

/// The mapping of the keys of an object.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The declared columns' keys, in order.
    keys: Arc<[String]>,
    /// From a key to its index among them.
    places: Arc<HashMap<String, usize>>,
    /// The column of each key.
    targets: Vec<Option<usize>>,
    ignore_unknown: bool,
}

impl Layout {
    fn new(keys: Vec<String>, ignore_unknown: bool) -> Self {
        Self {
            places: Arc::new(keys.iter().cloned().zip(0..).collect()),
            targets: (0..keys.len()).map(Some).collect(),
            keys: keys.into(),
            ignore_unknown,
        }
    }

    /// Adds further keys of the columns, in their order.
    fn name_further<'a>(&mut self, keys: impl Iterator<Item = &'a [String]>) {
        let further: Vec<_> =
            keys.zip(0..).flat_map(|(keys, i)| keys.iter().map(move |key| (key.clone(), i))).collect();
        if !further.is_empty() {
            let places = self.places.iter().map(|(key, i)| (key.clone(), *i));
            self.places = Arc::new(places.chain(further).collect());
        }
    }
}

/// A line feed inside a text is written as `\n`: every literal one ends a line.
impl RecordEnds for Jsonl {
    fn last_record_end(&self, data: &[u8], _: usize) -> usize {
        memrchr(b'\n', data).map_or(0, |end| end + 1)
    }
}

impl TextFormat for Jsonl {
    type Layout = Layout;

    const SCAN: &'static str = "JsonlScanExec";

    fn begin(&self, stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
        let (head, _) = stream.read(0, HEAD_BYTES)?;
        check_text(&head, name)?;
        let text = &head[byte_order_mark(&head)..];
        if text.trim_ascii_start().starts_with(b"[") {
            let help = "write an object on each line, for example with `jq --compact-output '.[]' FILE`";
            return Err(Error::input(name, "is a JSON array, and JSON Lines has an object on each line", help));
        }
        let keys = declared.columns.iter().map(|column| column.header.clone()).collect();
        let mut layout = Layout::new(keys, declared.ignore_unknown);
        layout.name_further(declared.columns.iter().map(|column| &column.other_headers[..]));
        Ok(Beginning { data_start: byte_order_mark(&head), head, layout })
    }

    fn project(layout: &Layout, target: &dyn Fn(usize) -> Option<usize>) -> Layout {
        Layout { targets: layout.targets.iter().map(|column| column.and_then(target)).collect(), ..layout.clone() }
    }

    fn parse(&self, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
        parse::parse(block, layout, shape)
    }
}
