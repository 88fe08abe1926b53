//! Rows of typed values as human-readable JSON.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// The rows of a batch, each as a JSON object.
pub(crate) fn json_rows(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
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
