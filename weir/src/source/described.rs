//! A table of a database, as a new task has to know it.

use std::time::Duration;

use super::{mysql, postgres};
use crate::database::Server;
use crate::error::Result;
use crate::task::SqlType;

/// Time for which a server that cannot be reached is waited for: somebody waits for the answer.
pub(super) const WAIT: Duration = Duration::from_secs(3);

/// A table, view or foreign table.
#[derive(Debug)]
pub(crate) struct Described {
    /// Its name as a source has it: with its schema.
    pub(crate) table: String,
    /// The columns that can be read.
    pub(crate) columns: Vec<DescribedColumn>,
    /// Those that the user may not read.
    pub(crate) forbidden: Vec<String>,
    /// Those of types without a text form.
    pub(crate) unreadable: Vec<String>,
    /// The columns of the primary key; empty without one.
    pub(crate) key: Vec<String>,
}

/// A column.
#[derive(Debug)]
pub(crate) struct DescribedColumn {
    pub(crate) name: String,
    /// The type that represents any of its values.
    pub(crate) sql_type: SqlType,
    /// Its type in the database, if no other type than `string` represents its values.
    pub(crate) read_as_text: Option<String>,
    pub(crate) is_not_null: bool,
    /// Whether it can be a cursor.
    pub(crate) is_ordered: bool,
}

/// Looks a table up: its name, with its schema if one is given.
pub(crate) async fn describe(server: &Server, table: &str) -> Result<Described> {
    match server {
        Server::Postgres(database) => postgres::describe(database, table).await,
        Server::MySql(database) => mysql::describe(database, table).await,
    }
}
