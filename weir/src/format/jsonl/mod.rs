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
use crate::task::{ColumnFrom, IfEmpty};

/// One JSON object per line.
#[derive(Debug, Default)]
pub(crate) struct Jsonl;

/// The mapping of the keys of an object.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The keys of the declared columns.
    keys: Arc<[String]>,
    /// From a key to its index among them.
    places: Arc<HashMap<String, usize>>,
    /// The declared column of each key.
    columns: Arc<[usize]>,
    /// The column of each key among those that are read.
    targets: Vec<Option<usize>>,
    ignore_unknown: bool,
}

impl Layout {
    fn new(declared: &Declared) -> Self {
        let of_columns = declared.columns.iter().enumerate().filter(|(_, column)| column.from == ColumnFrom::Column);
        let (columns, keys): (Vec<usize>, Vec<String>) =
            of_columns.map(|(index, column)| (index, column.header.clone())).unzip();
        Self {
            places: Arc::new(keys.iter().cloned().zip(0..).collect()),
            targets: columns.iter().copied().map(Some).collect(),
            columns: columns.into(),
            keys: keys.into(),
            ignore_unknown: declared.ignore_unknown,
        }
    }

    /// Adds further keys of the columns.
    fn name_further(&mut self, declared: &Declared) {
        let keys = self.columns.iter().map(|column| &declared.columns[*column].other_headers).zip(0..);
        let further: Vec<_> = keys.flat_map(|(keys, i)| keys.iter().map(move |key| (key.clone(), i))).collect();
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

    /// No object is no line.
    const IF_EMPTY: IfEmpty = IfEmpty::Skip;

    fn begin(&self, stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
        let (head, _) = stream.read(0, HEAD_BYTES)?;
        check_text(&head, name)?;
        let text = &head[byte_order_mark(&head)..];
        if text.trim_ascii_start().starts_with(b"[") {
            let help = "write an object on each line, for example with `jq --compact-output '.[]' FILE`";
            return Err(Error::input(name, "is a JSON array, and JSON Lines has an object on each line", help));
        }
        let mut layout = Layout::new(declared);
        layout.name_further(declared);
        Ok(Beginning { data_start: byte_order_mark(&head), head, layout })
    }

    fn has(layout: &Layout, column: usize) -> bool {
        layout.columns.contains(&column)
    }

    fn project(layout: &Layout, target: &dyn Fn(usize) -> Option<usize>) -> Layout {
        Layout { targets: layout.targets.iter().map(|column| column.and_then(target)).collect(), ..layout.clone() }
    }

    fn parse(&self, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
        parse::parse(block, layout, shape)
    }
}
