//! weir
mod command;
mod engine;
pub mod error;
mod function;
mod model;
mod quality;
mod run;
mod sink;
mod source;
mod stage;
pub mod task;
mod watch;

pub use command::Cli;
pub use engine::Resources;
pub use error::{Error, Result};
pub use run::{Entry, Outcome, OutputReport, ReasonReport, Report, StepReport, TableReport};
