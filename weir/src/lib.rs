//! A small, fast batch-pipeline engine: a task file in YAML and SQL goes in; validated, gated, atomically
//! published data comes out.
//!
//! # Data flow
//!
//! A task names **sources** (files, tables or fetchers, with declared columns), **models** (SQL files, each a table),
//! **quality** rules (what must hold of a table's rows, and when the gate closes) and **sinks** (targets of accepted and
//! rejected rows). A run opens the sources and checks their columns, computes each table once, judges it, and writes every
//! route in the same pass; then it publishes all sinks or none.
//!
//! [`Runner`] runs a [`Task`] and returns its [`Report`]; [`Cli`] is a command line on top of it. `docs/ARCHITECTURE.md` has
//! the modules and their order.
//!
//! # A command line
//!
//! The `weir` command runs tasks that need no functions of their own. A program adds its functions, fetchers and verbs to the
//! same command line:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     weir::Cli::new("section1").default_task("section1/conf/applications.yaml").functions(vec![]).main()
//! }
//! ```
//!
//! # A task from start to end
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let at = |path: &str| folder.path().join(path).display().to_string();
//! std::fs::write(at("people.csv"), "name,age\nAnn,30\nBob,17\n")?;
//! std::fs::write(at("adult.sql"), "select name, age from person")?;
//! std::fs::write(at("task.yaml"), r#"
//! name: people
//! params: {folder: {type: string}}
//! sources:
//!   person:
//!     files: {path: "${folder}/people.csv", format: csv}
//!     columns: {name: string, age: integer}
//! models: {adult: adult.sql}
//! quality:
//!   adult: {reject_unless: {too_young: age >= 18}}
//! sinks:
//!   good: {from: adult, mode: overwrite, files: {path: "${folder}/good", format: csv}}
//!   bad: {from: adult.rejected, mode: overwrite, files: {path: "${folder}/bad", format: csv}}
//! "#)?;
//!
//! let folder_is = format!("--param=folder={}", at(""));
//! let code = weir::Cli::new("weir").main_from(["weir", "run", "--quiet", "--task-config", &at("task.yaml"), &folder_is]);
//!
//! assert_eq!(code, 0);
//! assert_eq!(std::fs::read_to_string(at("good/part-00000.csv"))?, "name,age\nAnn,30\n");
//! assert_eq!(std::fs::read_to_string(at("bad/part-00000.csv"))?, "name,age,reasons\nBob,17,too_young\n");
//! # Ok::<(), std::io::Error>(())
//! ```
#![cfg_attr(any(test, feature = "fuzzing"), allow(clippy::unwrap_used))]

mod alert;
pub mod cluster;
mod command;
mod database;
mod engine;
pub mod error;
mod fixture;
mod format;
pub mod function;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod ledger;
pub mod lineage;
mod metrics;
mod model;
#[cfg(feature = "http")]
mod openlineage;
mod place;
mod plan;
mod profile;
mod protect;
mod quality;
pub mod report;
mod route;
mod run;
mod schedule;
mod scratch;
mod sink;
mod source;
mod stage;
mod system;
pub mod task;
mod watch;

pub use datafusion;
pub use datafusion::arrow;

pub use command::{Cli, ParamValues};
pub use error::{Error, Result};
pub use plan::PlanDescription as Plan;
pub use plan::{SinkDescription, SourceDescription, StageDescription};
pub use report::Report;
pub use run::{RunError, Runner};
pub use system::allocator;
pub use task::Task;
pub use watch::{Dataset, Event, InputColumn, Observer, Planned, Progress};

pub mod log {
    //! The log of a program that stays, for verbs that a program adds.

    pub use crate::watch::{LogFormat, start_service_log as start_service};
}

pub mod fetch {
    //! Rows from where the engine cannot read by itself.

    pub use async_trait::async_trait;

    pub use crate::error::FetchFailed;
    pub use crate::source::fetch::{Fetch, FetchError, OptionError, Options};
    pub use crate::system::backoff::{Backoff, retry_after};
}
