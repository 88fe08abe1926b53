//! SQL functions that any task may use.

mod remove_chars;
mod to_yyyymmdd;

use datafusion::logical_expr::ScalarUDF;

/// All of them.
pub(crate) fn all() -> Vec<ScalarUDF> {
    vec![ScalarUDF::from(remove_chars::RemoveChars::new()), ScalarUDF::from(to_yyyymmdd::ToYyyymmdd::new())]
}
