//! The buying price class of a car: which models tell it, how well, and why not better.
//!
//! The way of the data: [`table`] reads cars strictly, or [`rules`] makes all that there are; [`selection`] finds the
//! features that tell something, by what [`association`] counts; a [`model`] is fitted; [`evaluate`] compares models on
//! cars that they have not seen, between what guessing achieves and what nothing can exceed; [`predict`] answers for
//! one car, [`batch`] for a file of them, and says what the answer rests on; [`report`] shows it all to people.
//! [`command`] is the command line.
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
//! assert_eq!(ceiling(&table).rows, 619); // of 1,728: look-alikes have different prices
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
