//! The commerce database: members, items and sales in PostgreSQL, and queries on them.
//!
//! The schema is in `migrations/`, the queries are in `queries/`; both are embedded in the program. [`command`] is the
//! command line; each other module implements one command: [`migrations`] migrates a database to the newest schema,
//! [`members`] imports the members that section 1 accepted, [`generate`] generates sales, [`query`] runs queries,
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
