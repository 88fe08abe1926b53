//! CSV files: columns matched by name, parallel within a file, and exact.
//!
//! `dialect` has the rules of a file, RFC 4180 or what a task declares (`declare`); `header` checks each file against the
//! declared columns; `records` finds where records end; `parse` splits a block of them into fields; `again` recognizes a
//! header in the middle of a file, `footer` what is behind the rows.

mod again;
mod declare;
mod dialect;
mod file;
mod footer;
mod formulas;
mod header;
mod parse;
mod propose;
mod records;
mod style;
pub(crate) mod write;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod reference;
#[cfg(test)]
mod tests;

pub(crate) use declare::{CsvForm, charset_of, check_keys};
#[cfg(feature = "excel")]
pub(crate) use dialect::Rules;
pub(crate) use dialect::{Dialect, Strict};
pub(crate) use file::CsvFile;
pub(crate) use footer::{LONGEST_FOOTER, footer};
pub(crate) use header::fields as fields_of;
pub(crate) use parse::texts;
pub(crate) use records::{END_OF_FILE, before_return};
pub(crate) use style::{CsvStyle, Style, Unwritable};

use bytes::Bytes;

use super::columns::Declared;
use super::text::{Beginning, Parsed, RecordEnds, Shape, TextFormat, TextStream};
use crate::error::Result;
use again::Again;
#[cfg(not(feature = "excel"))]
use dialect::Rules;

/// CSV by rules, strictly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Csv<R = Strict> {
    pub(crate) rules: R,
    pub(crate) head: Head,
}

/// What is before the first row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Whether there is a header.
    pub(crate) header: bool,
    /// The number of lines before it, or before the first row.
    pub(crate) skip_lines: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self { header: true, skip_lines: 0 }
    }
}

/// The mapping of the fields of one file's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// For each field of a record, in file order, its column.
    targets: Vec<Option<usize>>,
    /// What is no row although it is a record.
    again: Again,
}

impl Layout {
    /// Fields that are the columns in order; fields after the last column, up to `least`, are ignored.
    pub(crate) fn in_order(columns: usize, least: usize) -> Self {
        let targets = (0..columns.max(least)).map(|field| (field < columns).then_some(field)).collect();
        Self { targets, again: Again::default() }
    }

    /// Fields that are these columns, below a header line that can be recognized where it is repeated.
    #[cfg(feature = "excel")]
    pub(crate) fn of(targets: Vec<Option<usize>>, header: &[u8]) -> Self {
        Self { targets, again: Again::of(header) }
    }
}

impl<R: Rules> RecordEnds for Csv<R> {
    fn last_record_end(&self, data: &[u8], max_record: usize) -> usize {
        records::last_record_end(&self.rules, data, max_record)
    }

    fn last_row_end(&self, data: &[u8], max_record: usize) -> usize {
        records::last_row_end(&self.rules, data, max_record)
    }

    fn kept_records(&self) -> usize {
        self.rules.skip_last()
    }

    fn line_end(&self) -> u8 {
        self.rules.line_end()
    }
}

impl<R: Rules> TextFormat for Csv<R> {
    type Layout = Layout;

    const SCAN: &'static str = "CsvScanExec";

    fn begin(&self, stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
        header::begin(self, stream, name, declared)
    }

    fn has(layout: &Layout, column: usize) -> bool {
        layout.targets.contains(&Some(column))
    }

    fn project(layout: &Layout, target: &dyn Fn(usize) -> Option<usize>) -> Layout {
        let targets = layout.targets.iter().map(|column| column.and_then(target)).collect();
        Layout { targets, again: layout.again.clone() }
    }

    fn parse(&self, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
        parse::parse(&self.rules, block, layout, shape)
    }
}
