//! Connections to MySQL and MariaDB, and transactional loads that are applied exactly once.
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn sales() -> weir_mysql::Result<()> {
//! let database: weir_mysql::Database = "mysql://ann@db.example/sales?ssl-mode=VERIFY_IDENTITY".parse()?;
//! let mut session = database.application_name("sales").connect(Duration::from_secs(30)).await?;
//! let rows: Vec<(String, u64)> = session.query("select table_name, table_rows from information_schema.tables").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Connecting: `options` reads a URL, `table_url` splits the URL of a table, `connect` opens a `session`, `failure`
//! describes why it could not, `server` what a server says about statements, without the values of rows. Reading: `rows`
//! gives the rows of a query as CSV. Loading: `load`. Tests: `testing`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod connect;
mod database;
mod error;
mod failure;
pub mod load;
mod options;
mod rows;
mod server;
mod session;
pub mod sql;
mod table_url;

pub use database::Database;
pub use error::{Error, Reason, Refusal, Result};
pub use mysql_async;
pub use rows::CsvRows;
pub use server::ServerError;
pub use session::{Product, Session};
pub use table_url::TableUrl;
pub use weir_database::DatabaseError;
