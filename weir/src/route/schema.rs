//! The columns of rejected routes.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// The column of a rejected route that says why; no other table has one of that name.
pub(crate) const REASONS: &str = "reasons";

/// The columns of `source.rejected`.
pub(crate) fn rejected_records() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Arc::new(Schema::new(vec![text("_file"), Field::new("_line", DataType::Int64, true), text("_raw"), text(REASONS)]))
}

/// The columns of `model.rejected`: the model's own, and `reasons`. Any value can be missing from a row that could not be
/// computed.
pub(crate) fn rejected_rows(table: &Schema) -> SchemaRef {
    let columns = table.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let reasons = Field::new(REASONS, DataType::Utf8View, true);
    Arc::new(Schema::new(columns.chain([reasons]).collect::<Vec<_>>()))
}
