//! Membership applications: cleaned, judged, and split into successful and unsuccessful.
//!
//! The task is `conf/applications.yaml` and `conf/sql/applicant.sql`; this crate adds the three functions that
//! the SQL needs ([`functions()`]), and makes applications to try it on ([`generate`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod birthday;
pub mod functions;
pub mod generate;
pub mod membership_id;
pub mod name;
mod title;
mod words;

pub use functions::functions;
