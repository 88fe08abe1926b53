//! Registers what is read as tables.

mod csv;
mod files;
pub(crate) mod rejected;

pub(crate) use csv::{CsvTable, ScanProgress};
pub(crate) use files::{FileSource, FoundFile};
