//! What kinds of database servers have in common.
//!
//! `error` has the errors of connecting, of statements and of loads; [`Retries`] repeats attempts to connect; [`load`] has the
//! modes and the counts of loads.

mod connect;
mod error;
pub mod load;

pub use connect::{Retries, time_limit};
pub use error::{DatabaseError, Error, Failure, Reason, Refusal, Report};
