//! The commerce database: members, items and sales in PostgreSQL, and the questions that the company asks.
//!
//! The schema is in `migrations/`, the questions in `queries/`; both are part of the program. [`command`] is its command
//! line, and every other module is one thing that it does: [`migrations`] brings a database to the newest schema,
//! [`members`] imports the members that section 1 accepted, [`generate`] makes up sales, [`query`] answers questions,
//! [`erd`] draws the schema.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod command;
pub mod erd;
mod error;
pub mod generate;
pub mod members;
pub mod migrations;
pub mod query;

pub use error::{Error, Result};
