//! SQL functions available to every task, and the building blocks for the functions of a section.

pub mod calendar;
mod remove_chars;
mod storable;
mod to_yyyymmdd;
pub mod view;

use datafusion::logical_expr::ScalarUDF;

/// All built-in functions.
pub(crate) fn all() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(remove_chars::RemoveChars::new()),
        ScalarUDF::from(storable::Storable::new()),
        ScalarUDF::from(to_yyyymmdd::ToYyyymmdd::new()),
    ]
}
