//! Avro files: blocks of records, read by any number of readers.
//!
//! `container` takes a file apart into blocks, and finds out whether it is whole; `scan` decodes blocks with the Avro
//! library. The conversion of values is that of all `typed` formats.

mod container;
mod scan;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::common::stats::Precision;

use super::columns::{Declared, ReadColumns};
use super::scan::{Pushed, Rows};
use super::split::{FilePart, Split};
use super::typed::{TypedColumns, open_files};
use crate::error::Result;
use crate::place::FoundFile;
use crate::route::RejectedRoute;
use crate::task::IfEmpty;
use crate::watch::ScanProgress;
pub(crate) use container::Container;
use scan::{AvroScan, Cursor};

/// The Avro files of a source.
#[derive(Debug)]
pub(crate) struct AvroFiles {
    declared: Arc<Declared>,
    files: Arc<[AvroFile]>,
}

/// An Avro file whose columns match the task.
#[derive(Debug)]
struct AvroFile {
    /// The name as the user would write it.
    name: Arc<str>,
    file: FoundFile,
    container: Container,
    columns: TypedColumns,
    /// The estimated number of its rows.
    rows: usize,
}

impl AvroFiles {
    /// Reads the header of every file. Of the rows only the first ones are read, to estimate how many there are.
    pub(crate) fn open(found: Vec<FoundFile>, declared: Arc<Declared>, if_empty: Option<IfEmpty>) -> Result<Self> {
        let files = open_files(&found, if_empty, |file| AvroFile::open(file.clone(), &declared))?;
        Ok(Self { declared, files })
    }
}

/// Whether a file has no rows.
pub(crate) fn has_no_rows(file: &FoundFile) -> Result<bool> {
    let reader = file.open()?;
    let container = Container::open(&reader)?;
    let mut at = container.start();
    while let Some(blocks) = container.blocks(&reader, at)? {
        if blocks.rows() > 0 {
            return Ok(false);
        }
        at = blocks.end;
    }
    Ok(true)
}

impl AvroFile {
    fn open(file: FoundFile, declared: &Declared) -> Result<Self> {
        let reader = file.open()?;
        let container = Container::open(&reader)?;
        let columns = TypedColumns::of(&file, container.schema(), declared)?;
        let rows = match container.blocks(&reader, container.start())? {
            None => 0,
            Some(first) => {
                let (read, all) = (first.end - container.start(), file.size() - container.start());
                (first.rows() as f64 * all as f64 / read as f64) as usize
            }
        };
        Ok(Self { name: file.name.as_str().into(), file, container, columns, rows })
    }
}

impl Rows for AvroFiles {
    type Scan = AvroScan;

    const SCAN: &'static str = "AvroScanExec";

    fn shown(&self, _: &ReadColumns, _: &Pushed) -> String {
        format!("files={}", self.files.len())
    }

    fn rows(&self) -> Precision<usize> {
        Precision::Inexact(self.files.iter().map(|file| file.rows).sum())
    }

    fn splits(&self, _: u64) -> Result<Option<Vec<Split>>> {
        let split = |of: &AvroFile| Some(Split { file: of.file.record()?, part: FilePart::Whole });
        Ok(self.files.iter().map(split).collect())
    }

    fn can_reject(&self, column: usize) -> bool {
        let declared = &self.declared.columns[column];
        declared.has_checks() || self.files.iter().any(|file| file.columns.can_reject(column, declared))
    }

    fn scan(
        &self,
        columns: ReadColumns,
        _: Pushed,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> (AvroScan, Cursor) {
        (AvroScan::new(self.files.clone(), columns, rejected, progress), Cursor::default())
    }
}
