//! JSON in texts, as PostgreSQL has it: `->`, `->>`, `#>`, `#>>`, and functions for paths and arrays.
//!
//! What is missing is null. A text that is not JSON is an error of its row, never null.

mod array;
mod extract;
mod operators;
mod parse;

use datafusion::arrow::array::{ArrayRef, AsArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use array::OfArray;
use extract::Extract;
pub(crate) use operators::JsonOperators;

/// The functions that SQL can call by name.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut functions = vec![ScalarUDF::from(Extract::path(false)), ScalarUDF::from(Extract::path(true))];
    functions.extend(OfArray::all().map(ScalarUDF::from));
    functions
}

/// Fails unless a function is given text.
fn check_text(function: &str, kind: &DataType) -> Result<()> {
    if kind.is_string() || kind.is_null() {
        return Ok(());
    }
    let function = if function.starts_with("json_part") { "->" } else { function };
    plan_err!("{function} reads JSON from a text, and this is {kind}")
}

/// The JSON texts of a column.
fn texts(values: &ArrayRef) -> Result<StringViewArray> {
    Ok(cast(values, &DataType::Utf8View)?.as_string_view().clone())
}

/// The error of a text that is not JSON. It does not show the text.
fn not_json(error: &serde_json::Error) -> datafusion::error::DataFusionError {
    exec_datafusion_err!("the text is not JSON: {error}")
}
