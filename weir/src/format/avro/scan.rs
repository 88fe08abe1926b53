//! Decodes blocks of records.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::error::Result as QueryResult;

use super::AvroFile;
use super::container::{Block, damaged};
use crate::error::Result;
use crate::format::columns::{Checked, ReadColumns};
use crate::format::scan::Scan;
use crate::format::typed::json_rows;
use crate::place::RangeReader;
use crate::route::{FailedRecord, Findings, NulledValues, RejectedRecord, RejectedRoute};
use crate::watch::ScanProgress;

/// The position of the next blocks.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    file: usize,
    /// The current file, once it is open, and the index of the next block in it.
    open: Option<(RangeReader, u64)>,
    /// Rows of the file before it.
    rows: u64,
}

/// A scan of Avro files.
#[derive(Debug)]
pub(crate) struct AvroScan {
    files: Arc<[AvroFile]>,
    columns: ReadColumns,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
}

/// Blocks of a file.
#[derive(Debug)]
pub(crate) struct Piece {
    file: usize,
    blocks: Vec<Block>,
    /// Their length.
    bytes: u64,
    /// Rows of the file before them.
    before: u64,
}

impl AvroScan {
    pub(super) fn new(
        files: Arc<[AvroFile]>,
        columns: ReadColumns,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> Self {
        Self { files, columns, rejected, progress }
    }

    /// Checks the rows of a batch, and reports those that are rejected.
    fn batch(&self, file: &AvroFile, rows: &RecordBatch, before: u64) -> QueryResult<RecordBatch> {
        let roots = file.columns.roots(&self.columns);
        let checked = file.columns.check(rows, &roots, before, &self.columns, &self.rejected)?;
        let Checked { batch, rejected, nulled, failed } = checked;
        let line = |row: usize| before + row as u64 + 1;
        if let Some((row, column, reason)) = failed {
            let failed = Some(FailedRecord { file: file.name.clone(), line: line(row), column, reason });
            self.rejected.send(Findings { failed, ..Findings::default() })?;
        }
        let record = |row: usize, reason: String| {
            let raw = json_rows(&rows.slice(row, 1))?.pop().unwrap_or_default();
            QueryResult::Ok(RejectedRecord { file: file.name.clone(), line: line(row), raw, reason })
        };
        let rejected =
            rejected.into_iter().map(|(row, reason)| record(row, reason)).collect::<QueryResult<Vec<_>>>()?;
        let nulled = nulled.into_iter().map(|nulled| {
            let samples = nulled.samples.iter().map(|row| record(*row, nulled.reason.clone()));
            let samples = samples.collect::<QueryResult<_>>()?;
            Ok(NulledValues { reason: nulled.reason, rows: nulled.rows, samples })
        });
        let nulled = nulled.collect::<QueryResult<Vec<_>>>()?;
        if !rejected.is_empty() || !nulled.is_empty() {
            self.rejected.send(Findings { rejected, nulled, ..Findings::default() })?;
        }
        self.progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        Ok(self.columns.asked(batch)?)
    }
}

impl Scan for AvroScan {
    type Cursor = Cursor;
    type Piece = Piece;

    fn next(&self, cursor: &mut Cursor) -> Result<Option<Piece>> {
        while let Some(file) = self.files.get(cursor.file) {
            let (reader, at) = match cursor.open.take() {
                Some(open) => open,
                None => (file.file.open()?, file.container.start()),
            };
            let Some(blocks) = file.container.blocks(&reader, at)? else {
                reader.check_unchanged()?;
                *cursor = Cursor { file: cursor.file + 1, ..Cursor::default() };
                continue;
            };
            let before = cursor.rows;
            cursor.rows += blocks.rows();
            cursor.open = Some((reader, blocks.end));
            return Ok(Some(Piece { file: cursor.file, bytes: blocks.end - at, blocks: blocks.blocks, before }));
        }
        Ok(None)
    }

    fn read(&self, piece: Piece) -> QueryResult<RecordBatch> {
        let file = &self.files[piece.file];
        let (mut batches, mut before) = (Vec::new(), piece.before);
        for block in piece.blocks.iter().filter(|block| block.rows > 0) {
            let rows = file.container.decode(block).map_err(|error| damaged(&file.name, error))?;
            batches.push(self.batch(file, &rows, before)?);
            before += rows.num_rows() as u64;
        }
        self.progress.bytes.fetch_add(piece.bytes, Ordering::Relaxed);
        let schema = self.columns.asked_schema()?;
        Ok(concat_batches(&schema, &batches)?)
    }
}
