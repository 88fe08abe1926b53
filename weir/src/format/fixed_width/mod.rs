//! Fixed-width files: lines in which every column has its characters.
//!
//! `layout` has the characters of the columns, `parse` cuts lines by it. Which lines are records is known to CSV, whose
//! dialect for them has neither quotes nor escapes.

mod layout;
mod parse;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::columns::Declared;
use super::csv::{Csv, CsvForm, Dialect};
use super::text::{Beginning, Parsed, RecordEnds, Shape, TextFormat, TextStream};
use crate::error::Result;
use crate::task::ShortLines;
use layout::Layout;
pub(crate) use layout::check;

/// Lines by the characters of their columns.
#[derive(Debug, Clone)]
pub(crate) struct FixedWidth {
    lines: Csv<Dialect>,
    /// Whether blanks around values are no part of them.
    trims: bool,
    /// Whether the end of a line may lack its characters.
    fills: bool,
}

impl FixedWidth {
    /// The form of the files of a source.
    pub(crate) fn new(lines: &CsvForm, trims: bool, short_lines: ShortLines) -> Self {
        let Csv { rules, head } = lines.declared();
        let rules = Dialect { quote: None, escape: None, trim: false, ..rules };
        Self { lines: Csv { rules, head }, trims, fills: short_lines == ShortLines::Fill }
    }
}

impl RecordEnds for FixedWidth {
    fn last_record_end(&self, data: &[u8], max_record: usize) -> usize {
        self.lines.last_record_end(data, max_record)
    }

    fn last_row_end(&self, data: &[u8], max_record: usize) -> usize {
        self.lines.last_row_end(data, max_record)
    }

    fn kept_records(&self) -> usize {
        self.lines.kept_records()
    }

    fn line_end(&self) -> u8 {
        self.lines.line_end()
    }
}

impl TextFormat for FixedWidth {
    type Layout = Layout;

    const SCAN: &'static str = "FixedWidthScanExec";

    fn begin(&self, stream: &mut TextStream, name: &str, declared: &Declared) -> Result<Beginning<Layout>> {
        let (head, data_start) = self.lines.before_rows(stream, name)?;
        Ok(Beginning { head, data_start, layout: Layout::new(declared) })
    }

    fn has(layout: &Layout, column: usize) -> bool {
        layout.has(column)
    }

    fn project(layout: &Layout, target: &dyn Fn(usize) -> Option<usize>) -> Layout {
        layout.project(target)
    }

    fn parse(&self, block: &Bytes, layout: &Layout, shape: &Shape) -> Parsed {
        parse::parse(self, block, layout, shape)
    }
}
