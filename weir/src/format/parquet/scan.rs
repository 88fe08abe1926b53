//! Reads row groups, batch by batch.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result as QueryResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::chunks::Chunks;
use super::metadata::{Group, ParquetFile};
use super::raw;
use crate::error::Result;
use crate::format::columns::{Checked, ReadColumns};
use crate::format::scan::Scan;
use crate::format::typed::BATCH_ROWS;
use crate::route::{FailedRecord, Findings, NulledValues, RejectedRecord, RejectedRoute, SAMPLES};
use crate::watch::ScanProgress;

/// The position of the next row group.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    file: usize,
    group: usize,
}

/// A scan of Parquet files.
#[derive(Debug)]
pub(crate) struct ParquetScan {
    files: Arc<[ParquetFile]>,
    columns: ReadColumns,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
    /// Row groups that were begun and are not being read.
    idle: Mutex<Vec<Piece>>,
}

/// A row group, or the rest of one.
#[derive(Debug)]
pub(crate) enum Piece {
    Fresh { file: usize, group: usize },
    Begun(Box<OpenGroup>),
}

/// A row group that is being read.
pub(crate) struct OpenGroup {
    file: usize,
    index: usize,
    group: Group,
    chunks: Chunks,
    reader: ParquetRecordBatchReader,
    /// The index of each column that is read in the reader's batches, if the file has it.
    places: Vec<Option<usize>>,
    rows_read: u64,
    found: FoundRows,
}

/// The invalid values of a row group; rows are counted within it.
#[derive(Debug, Default)]
struct FoundRows {
    rejected: Vec<(usize, Arc<str>)>,
    /// Reason, number of rows, a sample of them.
    nulled: Vec<(String, u64, Vec<usize>)>,
    failed: Option<(usize, String, String)>,
}

impl ParquetScan {
    pub(crate) fn new(
        files: Arc<[ParquetFile]>,
        columns: ReadColumns,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> Self {
        Self { files, columns, rejected, progress, idle: Mutex::default() }
    }

    fn open(&self, file: usize, index: usize) -> Result<Box<OpenGroup>> {
        let of = &self.files[file];
        let chunks = Chunks::new(of.file.open()?);
        let roots = of.columns.roots(&self.columns);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), of.metadata.clone())
            .with_projection(ProjectionMask::roots(of.metadata.parquet_schema(), roots.iter().copied().flatten()))
            .with_row_groups(vec![index])
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| chunks.failed(error))?;
        // The reader returns the columns in file order.
        let mut sorted: Vec<usize> = roots.iter().copied().flatten().collect();
        sorted.sort_unstable();
        let place = |root: &usize| sorted.partition_point(|other| other < root);
        let places = roots.iter().map(|root| root.as_ref().map(place)).collect();
        let (group, found) = (of.groups[index], FoundRows::default());
        Ok(Box::new(OpenGroup { file, index, group, chunks, reader, places, rows_read: 0, found }))
    }

    /// The next rows of a row group.
    fn batch(&self, open: &mut OpenGroup) -> QueryResult<RecordBatch> {
        let rows = open.reader.next().transpose().map_err(|error| open.chunks.failed(error))?;
        let short = || open.chunks.failed(format!("row group {} has fewer rows than its metadata", open.index));
        let rows = rows.filter(|rows| rows.num_rows() > 0).ok_or_else(short)?;
        let before = open.group.first_row + open.rows_read;
        let columns = &self.files[open.file].columns;
        let checked = columns.check(&rows, &open.places, before, &self.columns, &self.rejected)?;
        let before = open.rows_read as usize;
        open.rows_read += rows.num_rows() as u64;
        let Checked { batch, rejected, nulled, failed } = checked;
        open.found.add(rejected, before);
        open.found.add_nulled(nulled.into_iter().map(|nulled| (nulled.reason, nulled.rows, nulled.samples)), before);
        if open.found.failed.is_none() {
            open.found.failed = failed.map(|(row, column, reason)| (before + row, column, reason));
        }
        self.progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        Ok(self.columns.asked(batch)?)
    }

    /// Reports the findings in a row group that was read to its end.
    fn end(&self, open: Box<OpenGroup>) -> Result<()> {
        open.chunks.check_unchanged()?;
        self.progress.bytes.fetch_add(open.group.bytes, Ordering::Relaxed);
        let file = &self.files[open.file];
        let FoundRows { rejected, nulled, failed } = open.found;
        let line = |row: usize| open.group.first_row + row as u64 + 1;
        if let Some((row, column, reason)) = failed {
            let failed = Some(FailedRecord { file: file.name.clone(), line: line(row), column, reason });
            return self.rejected.send(Findings { failed, ..Findings::default() });
        }
        let record = |row: usize, reason: &str, raw: String| RejectedRecord {
            file: file.name.clone(),
            line: line(row),
            raw,
            reason: reason.to_owned(),
        };
        if !rejected.is_empty() {
            let mut left = rejected.iter();
            for raws in raw::rows(&open.chunks, file, open.index, rejected.iter().map(|(row, _)| *row))? {
                let records = raws?.into_iter().zip(left.by_ref());
                let records = records.map(|(raw, (row, reason))| record(*row, reason, raw)).collect();
                self.rejected.send(Findings { rejected: records, ..Findings::default() })?;
            }
            if left.next().is_some() {
                return Err(open.chunks.failed("its rows differ when they are read again"));
            }
        }
        for (reason, rows, shown) in nulled {
            let mut samples = Vec::new();
            for raws in raw::rows(&open.chunks, file, open.index, shown.iter().copied())? {
                samples.extend(raws?.into_iter().zip(&shown).map(|(raw, row)| record(*row, &reason, raw)));
            }
            self.rejected
                .send(Findings { nulled: vec![NulledValues { reason, rows, samples }], ..Findings::default() })?;
        }
        Ok(())
    }
}

impl FoundRows {
    fn add(&mut self, rejected: Vec<(usize, String)>, before: usize) {
        for (row, reason) in rejected {
            // Most rows have the same reason as the previous one.
            let reason = match self.rejected.last() {
                Some((_, last)) if **last == *reason => last.clone(),
                _ => reason.into(),
            };
            self.rejected.push((before + row, reason));
        }
    }

    fn add_nulled(&mut self, nulled: impl Iterator<Item = (String, u64, Vec<usize>)>, before: usize) {
        for (reason, rows, samples) in nulled {
            let samples = samples.into_iter().map(|row| before + row);
            match self.nulled.iter_mut().find(|known| known.0 == reason) {
                Some((_, count, known)) => {
                    *count += rows;
                    known.extend(samples.take(SAMPLES - known.len()));
                }
                None => self.nulled.push((reason, rows, samples.collect())),
            }
        }
    }
}

impl Scan for ParquetScan {
    type Cursor = Cursor;
    type Piece = Piece;

    fn next(&self, cursor: &mut Cursor) -> Result<Option<Piece>> {
        if let Some(begun) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(Some(begun));
        }
        while let Some(file) = self.files.get(cursor.file) {
            let group = cursor.group;
            cursor.group += 1;
            match file.groups.get(group) {
                Some(Group { rows: 0, .. }) => {}
                Some(_) => return Ok(Some(Piece::Fresh { file: cursor.file, group })),
                None => *cursor = Cursor { file: cursor.file + 1, group: 0 },
            }
        }
        Ok(None)
    }

    fn read(&self, piece: Piece) -> QueryResult<RecordBatch> {
        let mut open = match piece {
            Piece::Fresh { file, group } => self.open(file, group)?,
            Piece::Begun(open) => open,
        };
        let batch = self.batch(&mut open)?;
        match open.rows_read < open.group.rows {
            true => self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Piece::Begun(open)),
            false => self.end(open)?,
        }
        Ok(batch)
    }
}

impl std::fmt::Debug for OpenGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenGroup({}, {}, {} rows read)", self.file, self.index, self.rows_read)
    }
}
