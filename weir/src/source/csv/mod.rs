//! CSV files as a table: by name, in parallel within a file, and exact.
//!
//! `header` holds each file against the declared columns; `blocks` cuts the files at record ends; `records`
//! says where those are; `parse` makes a batch of a block; `lines` numbers the lines of rejected records;
//! `table` shows all that to the query engine.

mod blocks;
mod header;
mod lines;
mod parse;
mod records;
mod table;

#[cfg(test)]
mod tests;

pub(crate) use blocks::local_path;
pub(crate) use table::{CsvOptions, CsvTable, ScanProgress};
