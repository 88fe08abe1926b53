//! SQL functions available to every task, and the building blocks for the functions of a section.

pub mod calendar;
mod dates;
mod document_name;
pub(crate) mod encode;
mod formats;
mod json;
mod remove_chars;
mod storable;
mod to_yyyymmdd;
pub mod view;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub(crate) use dates::AT_TIME_ZONE;
pub(crate) use document_name::DocumentName;
pub(crate) use json::{
    JsonSyntax, KnownDocuments, PARSE as PARSE_JSON, TRY_PARSE as TRY_PARSE_JSON, aggregate_of_told,
    mistaken as mistaken_json, of_told, told, told_of_aggregate,
};

/// All built-in functions.
pub(crate) fn all() -> Vec<ScalarUDF> {
    let mut all = vec![
        ScalarUDF::from(document_name::DocumentNameFunction::new()),
        ScalarUDF::from(remove_chars::RemoveChars::new()),
        ScalarUDF::from(storable::Storable::new()),
        ScalarUDF::from(to_yyyymmdd::ToYyyymmdd::new()),
    ];
    all.extend(dates::functions());
    all.extend(formats::functions());
    all.extend(json::functions());
    all
}

/// The functions that only plans have.
pub(crate) fn hidden() -> Vec<ScalarUDF> {
    json::hidden()
}

/// All built-in aggregates.
pub(crate) fn aggregates() -> Vec<AggregateUDF> {
    json::aggregates()
}
