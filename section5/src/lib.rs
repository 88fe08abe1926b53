//! Classification of a car's buying price: models, their evaluation, and predictions.
//!
//! Data flow: [`table`] reads and validates cars, or [`rules`] generates all of them; [`selection`] chooses informative
//! features with the measures of [`association`]; a [`model`] is fitted; [`evaluate`] compares models on held-out cars
//! with the baseline of guessing and the upper limit; [`predict`] predicts one car, [`batch`] a file of cars, with
//! warnings about extrapolation; [`report`] writes an HTML report. [`command`] is the command line.
//!
//! ```
//! use section5::evaluate::{Candidate, ceiling};
//! use section5::model::Fitted;
//! use section5::predict::Prediction;
//! use section5::rules::full_table;
//! use section5::schema::{Attribute, Known};
//!
//! # fn main() -> section5::Result<()> {
//! let table = full_table();
//! assert_eq!(ceiling(&table).rows, 619); // of 1,728: cars with equal features have different prices
//!
//! let fitted = Fitted::fit(table, Candidate::DEFAULT)?;
//! let good = Attribute::Class.level("good").expect("a class");
//! let prediction = Prediction::of(Known::default().with(Attribute::Class, good), &fitted);
//! assert_eq!(prediction.price(), "low");
//! assert_eq!(prediction.matching_rows, 69);
//! # Ok(())
//! # }
//! ```

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
