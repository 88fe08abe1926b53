//! Texts that a spreadsheet program would compute, for `escape_formulas: true`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

/// Whether a spreadsheet program takes a text for a formula.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The batch with an apostrophe before each such text of the columns: spreadsheet programs show what follows.
pub(crate) fn escaped(batch: &RecordBatch, columns: &[usize]) -> Result<RecordBatch, ArrowError> {
    let mut all = batch.columns().to_vec();
    let mut fields = batch.schema_ref().fields().to_vec();
    for column in columns {
        let values = &all[*column];
        let is_text = match values.data_type() {
            DataType::Dictionary(_, of) => of.is_string(),
            kind => kind.is_string(),
        };
        if is_text {
            let values = escaped_texts(cast(values, &DataType::Utf8View)?);
            fields[*column] = Arc::new(fields[*column].as_ref().clone().with_data_type(values.data_type().clone()));
            all[*column] = values;
        }
    }
    let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
    RecordBatch::try_new(schema, all)
}

fn escaped_texts(values: ArrayRef) -> ArrayRef {
    let texts = values.as_string_view();
    if !texts.iter().flatten().any(is_formula) {
        return values;
    }
    let escaped = texts.iter().map(|text| {
        let text = text?;
        Some(if is_formula(text) { format!("'{text}") } else { text.to_owned() })
    });
    Arc::new(escaped.collect::<StringViewArray>())
}
