//! File formats: the readers and the writer of each format, and their common parts.
//!
//! `columns` are the declared columns of a source, `names` matches them with a file's, `convert` converts values to
//! their types; `scan` presents rows to the query engine. `csv` and `jsonl` are text formats, which share `text`;
//! `parquet` is not. `write` writes a file.

pub(crate) mod columns;
pub(crate) mod convert;
pub(crate) mod csv;
pub(crate) mod jsonl;
pub(crate) mod names;
pub(crate) mod parquet;
pub(crate) mod scan;
pub(crate) mod text;
pub(crate) mod time_format;
pub(crate) mod write;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod testing;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

use std::sync::Arc;

use columns::Declared;
use csv::Csv;
use jsonl::Jsonl;
use parquet::ParquetFiles;
use scan::{RowsTable, SourceTable};
use text::{TextFiles, TextOptions};

use crate::error::Result;
use crate::place::FoundFile;
use crate::route::RejectedRoute;
use crate::task::{Compression, Format};
use crate::watch::ScanProgress;

/// How the files of a source are encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    pub(crate) format: Format,
    /// The compression that the task specifies; otherwise by the suffix of each file's name.
    pub(crate) compression: Option<Compression>,
}

/// The compression that the suffix of a file's name tells.
pub(crate) fn compression_of_name(name: &str) -> Option<Compression> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "gz" => Some(Compression::Gzip),
        "zst" => Some(Compression::Zstd),
        _ => None,
    }
}

/// Checks files against the declared columns and presents them as a table.
pub(crate) fn open(
    found: Vec<FoundFile>,
    encoding: Encoding,
    declared: &Arc<Declared>,
    rejected: &Arc<RejectedRoute>,
    progress: &Arc<ScanProgress>,
) -> Result<Arc<dyn SourceTable>> {
    let options = TextOptions { compression: encoding.compression, ..TextOptions::default() };
    let (declared, rejected, progress) = (declared.clone(), rejected.clone(), progress.clone());
    Ok(match encoding.format {
        Format::Csv => {
            let files = TextFiles::<Csv>::open(found, declared.clone(), options)?;
            Arc::new(RowsTable::new(files, declared, rejected, progress))
        }
        Format::Jsonl => {
            let files = TextFiles::<Jsonl>::open(found, declared.clone(), options)?;
            Arc::new(RowsTable::new(files, declared, rejected, progress))
        }
        Format::Parquet => {
            let files = ParquetFiles::open(found, declared.clone())?;
            Arc::new(RowsTable::new(files, declared, rejected, progress))
        }
    })
}
