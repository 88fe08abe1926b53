//! Parquet files: row groups, read in batches by any number of readers.
//!
//! `metadata` opens a file and checks its columns against the declared ones; `conversion` converts a file's type to
//! the declared one; `scan` reads row groups; `raw` shows rejected rows as JSON.

mod chunks;
mod conversion;
mod metadata;
mod raw;
mod scan;
pub(crate) mod write;

#[cfg(test)]
mod tests;

pub(crate) use metadata::{ParquetFiles, has_no_rows};
