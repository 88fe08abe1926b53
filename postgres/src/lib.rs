//! Connections to PostgreSQL as libpq understands them, loads that are applied once, and throwaway servers for tests.
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn sales() -> weir_postgres::Result<()> {
//! let database: weir_postgres::Database = "postgres://ann@db.example/sales?sslmode=verify-full".parse()?;
//! let client = database.application_name("sales").connect(Duration::from_secs(30)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `options` reads what somebody wrote (`text` takes it apart, `given` knows the names), `connect` makes a session of it with the help of `tls`
//! and `passwords`, and `failure` and `statement` say what went wrong on the way there and afterwards.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod connect;
mod database;
mod error;
mod failure;
mod given;
pub mod load;
mod options;
mod passwords;
pub mod sql;
mod statement;
mod text;
mod tls;
mod verifier;

pub use database::Database;
pub use error::{Error, Reason, Result};
pub use statement::ServerError;
pub use tokio_postgres;
