//! CSV files: by name, in parallel within a file, and exact.
//!
//! `header` holds each file against the declared columns; `records` says where records end; `parse` takes a block of
//! them apart.

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

/// What the fields of one file's records mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// For each field of a record, in the file's order, the column that takes it.
    targets: Vec<Option<usize>>,
}

impl Layout {
    /// Fields that are the columns in their order; those behind the last column, if there must be more, are none.
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
