//! CSV files: columns matched by name, parallel within a file, and exact.
//!
//! `header` checks each file against the declared columns; `records` finds where records end; `parse` splits a block of
//! them into fields.

pub(crate) mod formulas;
mod header;
mod parse;
mod records;
pub(crate) mod write;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod reference;
#[cfg(test)]
mod tests;

pub(crate) use header::names as header_names;
pub(crate) use parse::texts;

use bytes::Bytes;

use super::columns::Declared;
use super::text::{Beginning, Parsed, Shape, TextFormat, TextStream};
use crate::error::Result;

/// RFC 4180, strictly.
#[derive(Debug)]
pub(crate) struct Csv;

/// The mapping of the fields of one file's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// For each field of a record, in file order, its column.
    targets: Vec<Option<usize>>,
}

impl Layout {
    /// Fields that are the columns in order; fields after the last column, up to `least`, are ignored.
    pub(crate) fn in_order(columns: usize, least: usize) -> Self {
        Self { targets: (0..columns.max(least)).map(|field| (field < columns).then_some(field)).collect() }
    }
}

impl TextFormat for Csv {
    type Layout = Layout;

    const SCAN: &'static str = "CsvScanExec";

    fn begin(stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
        header::begin(stream, name, declared)
    }

    fn project(layout: &Layout, target: &dyn Fn(usize) -> Option<usize>) -> Layout {
        Layout { targets: layout.targets.iter().map(|column| column.and_then(target)).collect() }
    }

    fn last_record_end(data: &[u8], max_record: usize) -> usize {
        records::last_record_end(data, max_record)
    }

    fn parse(block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
        parse::parse(block, layout, shape)
    }
}
