//! SQL functions that any task may use, and what functions of a section's own are made of.

pub mod calendar;
mod remove_chars;
mod storable;
mod to_yyyymmdd;
pub mod view;

use datafusion::logical_expr::ScalarUDF;

/// All of them.
pub(crate) fn all() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(remove_chars::RemoveChars::new()),
        ScalarUDF::from(storable::Storable::new()),
        ScalarUDF::from(to_yyyymmdd::ToYyyymmdd::new()),
    ]
}
