//! The columns of rejected routes.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// The columns of `source.rejected`.
pub(crate) fn rejected_records() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Arc::new(Schema::new(vec![
        text("_file"),
        Field::new("_line", DataType::Int64, true),
        text("_raw"),
        text("reasons"),
    ]))
}

/// The columns of `model.rejected`: the model's own, and `reasons`. Any value can be missing from a row that could not be
/// computed.
pub(crate) fn rejected_rows(table: &Schema) -> SchemaRef {
    let columns = table.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let reasons = Field::new("reasons", DataType::Utf8View, true);
    Arc::new(Schema::new(columns.chain([reasons]).collect::<Vec<_>>()))
}
