//! Pipeline for membership applications: cleans and validates them, and splits them into successful and unsuccessful.
//!
//! The task is `conf/applications.yaml` and `conf/sql/applicant.sql`; this crate adds the three SQL functions that it
//! uses ([`functions()`]) and a generator of test applications ([`generate`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod birthday;
pub mod functions;
pub mod generate;
pub mod membership_id;
pub mod name;
mod title;
mod words;

pub use functions::functions;
