//! JSON in texts, as PostgreSQL has it: `->`, `->>`, `#>`, `#>>`, and functions for paths and arrays.
//!
//! What is missing is null. A text that is not JSON is an error of its row, never null.
//!
//! `build` and `aggregate` make JSON of values. What is JSON is marked as such: see [`crate::task::is_json`].

mod aggregate;
mod array;
mod build;
mod each;
mod extract;
mod mark;
mod marks;
mod operators;
mod parse;
#[cfg(test)]
mod tests;
mod told;
mod values;

use datafusion::arrow::array::{ArrayRef, AsArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use aggregate::JsonAggregate;
use array::OfArray;
use build::Build;
use each::Each;
use extract::Extract;
use mark::Mark;
pub(crate) use mark::{PARSE, TRY_PARSE};
pub(crate) use marks::{KnownDocuments, mistaken};
pub(crate) use operators::JsonSyntax;
pub(crate) use told::{aggregate_of_told, of_told, told, told_of_aggregate};

/// The functions that SQL can call by name.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut functions = vec![ScalarUDF::from(Extract::path(false)), ScalarUDF::from(Extract::path(true))];
    functions.extend(OfArray::all().map(ScalarUDF::from));
    functions.extend(Each::all().map(ScalarUDF::from));
    functions.extend(Build::all().map(ScalarUDF::from));
    functions.extend(Mark::all().map(ScalarUDF::from));
    functions
}

/// The functions that only plans have.
pub(super) fn hidden() -> Vec<ScalarUDF> {
    let operators = [Extract::operator(false), Extract::operator(true)];
    operators.into_iter().map(ScalarUDF::from).chain([aggregate::finish()]).collect()
}

/// The aggregates that SQL can call by name, as [`JsonSyntax`] plans them.
pub(super) fn aggregates() -> Vec<AggregateUDF> {
    JsonAggregate::all().map(AggregateUDF::from).collect()
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
