//! The buying price class of a car.
//!
//! [`table`] reads cars, [`rules`] makes all that there are.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod association;
pub mod batch;
mod columns;
pub mod command;
mod error;
pub mod evaluate;
pub mod model;
pub mod predict;
mod records;
pub mod report;
pub mod rules;
pub mod schema;
pub mod selection;
pub mod table;

pub use error::{Error, Result};
