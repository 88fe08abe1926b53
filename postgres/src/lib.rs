//! libpq-compatible connections to PostgreSQL, transactional loads that are applied exactly once, and ephemeral servers
//! for tests.
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
//! Connecting: `options` reads a connection string (`text` parses it, `given` resolves option names and environment
//! variables), `table_url` splits the URL of a table, `connect` opens a session with `tls` and `passwords`, and `failure` and `statement` describe errors of
//! connecting and of statements. Loading: `load`. Tests: `testing`.

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
mod table_url;
mod text;
mod tls;
mod verifier;

pub use database::{Database, Dialect};
pub use error::{Error, Reason, Refusal, Result};
pub use statement::ServerError;
pub use table_url::TableUrl;
pub use tokio_postgres;
pub use weir_database::DatabaseError;
