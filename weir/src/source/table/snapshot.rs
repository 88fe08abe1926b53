//! What a kind of server has to know.

use std::fmt::{Debug, Display};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::scalar::ScalarValue;

use super::cursor::{Lag, Newest, Order};
use super::query::Quotes;
use super::reading::{Compared, Reading};
use crate::database::{Connector, Session};
use crate::error::Result;
use crate::format::columns;
use crate::format::text::OpenText;
use crate::system::stop::Stop;

/// An existing table, view or query.
#[derive(Debug)]
pub(in crate::source) struct Found<C> {
    /// Its name in SQL.
    pub(in crate::source) name: String,
    /// The name of its schema; empty for a query.
    pub(in crate::source) schema: String,
    /// Its name there.
    pub(in crate::source) table: String,
    pub(in crate::source) columns: Vec<C>,
    /// The estimated number of rows, if the server has one.
    pub(in crate::source) rows: Option<usize>,
    /// The bytes that they take on the server's disk.
    pub(in crate::source) bytes: u64,
}

/// A column of it.
pub(in crate::source) trait FoundColumn: Debug + Send + Sync + 'static {
    fn name(&self) -> &str;

    /// Its type, as the server names it.
    fn kind(&self) -> String;

    /// How it can be a cursor.
    fn order(&self) -> Option<Order>;

    /// How to declare it, or how to read it another way.
    fn help(&self) -> String;
}

/// Where a snapshot begins.
pub(in crate::source) struct Begin<'a> {
    pub(in crate::source) connector: &'a Connector,
    pub(in crate::source) connection: &'a str,
    /// The run's folder for what does not fit into memory.
    pub(in crate::source) scratch: PathBuf,
    pub(in crate::source) stop: Stop,
}

/// The consistent snapshot of a database that a run reads.
#[async_trait]
pub(in crate::source) trait Snapshot: Session + Sized {
    /// A column of a table.
    type Column: FoundColumn;

    /// What only this kind of source can declare.
    type Options: Debug + Send + Sync;

    /// The name of a scan in a plan.
    const SCAN: &'static str;

    /// Where a query has texts, names and comments.
    const QUOTES: Quotes;

    /// Opens it.
    async fn begin(begin: Begin<'_>) -> Result<Self>;

    /// The database, without its password.
    fn database(&self) -> &(dyn Display + Sync);

    /// Looks up a table or view; returns `None` if it does not exist.
    async fn find(&self, schema: Option<&str>, table: &str) -> Result<Option<Found<Self::Column>>>;

    /// Describes the result of a query, which is not executed.
    async fn of_query(&self, sql: &str) -> Result<Found<Self::Column>>;

    /// The schemas and names of all tables and views that the user sees.
    async fn tables(&self) -> Result<Vec<(String, String)>>;

    /// Fails if the user may not see a column, which then seems to be missing.
    async fn check_visible(&self, _column: &str, _from: &str) -> Result<()> {
        Ok(())
    }

    /// How a column is read as a declared one; none if it cannot be read without loss.
    fn reading(declared: &columns::Column, there: &Self::Column, options: &Self::Options) -> Option<Reading>;

    /// Whether two names of columns are the same on the server.
    fn is_same_name(a: &str, b: &str) -> bool {
        a == b
    }

    /// A name in SQL.
    fn quoted(name: &str) -> String;

    /// Runs a query that returns no rows.
    async fn check(&self, sql: &str) -> Result<()>;

    /// The rows of a query.
    fn text(self: &Arc<Self>, sql: String) -> Arc<dyn OpenText>;

    /// A constant in SQL, if a column can be compared with it on the server.
    fn constant(compared: Compared, value: &ScalarValue) -> Option<String>;

    /// The newest value of a cursor, and what a run has to know of the others.
    async fn newest(&self, from: &str, column: &Self::Column, last: Option<&str>) -> Result<Newest>;

    /// A value of a cursor in SQL.
    fn value(column: &Self::Column, text: &str) -> String;

    /// What is subtracted from it.
    fn minus(lag: Lag) -> String;
}
