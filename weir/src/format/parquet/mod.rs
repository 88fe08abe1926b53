//! Parquet files: row groups, read in batches by any number of readers.
//!
//! `metadata` opens a file and checks its columns against the declared ones; `scan` reads row groups; `raw` reads rejected
//! rows again. The conversion of values is that of all `typed` formats.

mod chunks;
mod metadata;
mod raw;
mod scan;
pub(crate) mod write;

#[cfg(test)]
mod tests;

pub(crate) use metadata::{ParquetFiles, has_no_rows};
