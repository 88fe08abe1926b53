//! How the text of a sheet is written: as CSV, but for what ends a row, and what stands for the cells that have no value.

use crate::format::csv::{Dialect, Rules};

/// What ends a row: a byte that no text has, so that a line feed within a cell ends none.
pub(super) const ROW_END: u8 = 0xff;

/// What a field without quotes begins with that stands for a cell without a value that can be read; a text that begins
/// so has quotes.
pub(super) const MARK: u8 = b'#';

/// What stands for a formula whose value the file does not have.
pub(super) const NO_VALUE: &str = "#NO_VALUE";

/// What stands for the number of a date that is none, with the number behind it.
pub(super) const NO_DATE: &str = "#NO_DATE ";

/// The rules of the text of a sheet.
#[derive(Debug, Clone)]
pub(crate) struct SheetRules {
    skip_last: usize,
    skip_repeated_header: bool,
}

impl SheetRules {
    /// The settings that sheets have of those of CSV.
    pub(super) fn of(dialect: &Dialect) -> Self {
        Self { skip_last: dialect.skip_last, skip_repeated_header: dialect.skip_repeated_header }
    }
}

impl Rules for SheetRules {
    fn delimiter(&self) -> &[u8] {
        b","
    }

    fn quote(&self) -> Option<u8> {
        Some(b'"')
    }

    fn escape(&self) -> Option<u8> {
        None
    }

    fn line_end(&self) -> u8 {
        ROW_END
    }

    fn comment(&self) -> Option<&[u8]> {
        None
    }

    fn trims(&self) -> bool {
        false
    }

    fn trailing_delimiter(&self) -> bool {
        false
    }

    fn skips_repeated_header(&self) -> bool {
        self.skip_repeated_header
    }

    fn skip_last(&self) -> usize {
        self.skip_last
    }

    fn null_text(&self) -> Option<&[u8]> {
        None
    }

    /// A text has quotes where it needs them, which says nothing about it.
    fn quoted_can_be_null(&self) -> bool {
        true
    }

    fn no_value(&self, field: &[u8]) -> Option<&'static str> {
        if field.first() != Some(&MARK) {
            return None;
        }
        Some(match field {
            field if field == NO_VALUE.as_bytes() => "formula_without_value_",
            field if field.starts_with(NO_DATE.as_bytes()) => "invalid_",
            _ => "excel_error_",
        })
    }
}
