//! Rejected rows of a Parquet file as human-readable JSON.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};

use super::chunks::Chunks;
use super::metadata::ParquetFile;
use super::scan::BATCH_ROWS;
use crate::error::Result;

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
    Ok(reader.map(|batch| batch.and_then(|batch| write_rows(&batch)).map_err(|error| chunks.failed(error))))
}

fn write_rows(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let schema = batch.schema();
    let mut texts = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut text = String::from("{");
        for ((field, column), values) in schema.fields().iter().zip(&columns).zip(batch.columns()) {
            let separator = if text.len() > 1 { "," } else { "" };
            let value = column.value(row).to_string();
            // A number that JSON can represent is written as one; anything else, such as a date or NaN, as a text.
            let is_bare = (values.data_type().is_numeric() || values.data_type() == &DataType::Boolean)
                && serde_json::from_str::<&serde_json::value::RawValue>(&value).is_ok();
            let value = match (values.is_null(row), is_bare) {
                (true, _) => "null".to_owned(),
                (false, true) => value,
                (false, false) => serde_json::Value::from(value).to_string(),
            };
            let name = serde_json::Value::from(field.name().as_str());
            text.extend([separator, &name.to_string(), ":", &value]);
        }
        text.push('}');
        texts.push(text);
    }
    Ok(texts)
}
