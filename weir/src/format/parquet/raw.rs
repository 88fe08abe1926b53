//! Rejected rows of a Parquet file as human-readable JSON.

use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};

use super::chunks::Chunks;
use super::metadata::ParquetFile;
use crate::error::Result;
use crate::format::typed::{BATCH_ROWS, json_rows};

/// Reads rows of a row group, by ascending index, with all the columns of the file: the text of a row
/// must not depend on the query. They are returned in batches.
pub(crate) fn rows<'a>(
    chunks: &'a Chunks,
    file: &ParquetFile,
    group: usize,
    rows: impl Iterator<Item = usize>,
) -> Result<impl Iterator<Item = Result<Vec<String>>> + 'a> {
    let mut selectors = Vec::new();
    let mut at = 0;
    for row in rows {
        selectors.push(RowSelector::skip(row - at));
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), file.metadata.clone())
        .with_row_groups(vec![group])
        .with_row_selection(RowSelection::from(selectors))
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| chunks.failed(error))?;
    Ok(reader.map(|batch| batch.and_then(|batch| json_rows(&batch)).map_err(|error| chunks.failed(error))))
}
