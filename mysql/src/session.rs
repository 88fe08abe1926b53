//! A session with a server.

use std::fmt;
use std::sync::Arc;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Column, Conn, Params};

use crate::database::Database;
use crate::error::Result;

/// Fixes what statements mean and how long they wait, whatever the server or the user is configured to. Rows may stand in
/// the middle of an answer for as long as the engine works on others.
const SETTINGS: &str = "set names utf8mb4, session time_zone = '+00:00', session net_read_timeout = 86400, \
                        session net_write_timeout = 86400, session wait_timeout = 86400, \
                        session lock_wait_timeout = 5, session innodb_lock_wait_timeout = 5, \
                        session group_concat_max_len = 16777216";

/// Which of the two kinds of servers it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// A session with a server. It ends when it is dropped.
///
/// Texts are exchanged in `utf8mb4`, times in UTC; a statement waits 5 s for a lock.
pub struct Session {
    database: Database,
    connection: Conn,
    product: Product,
    version: String,
}

impl Session {
    pub(crate) async fn begin(database: Database, mut connection: Conn) -> Result<Self, mysql_async::Error> {
        let version: Option<String> = connection.query_first("select version()").await?;
        let version = version.unwrap_or_default();
        let is_mariadb = version.to_ascii_lowercase().contains("mariadb");
        let (product, unlimited, isolation) = match is_mariadb {
            true => (Product::MariaDb, "max_statement_time", "tx_isolation"),
            false => (Product::MySql, "max_execution_time", "transaction_isolation"),
        };
        // One statement: a run opens several sessions.
        let settings = format!("{SETTINGS}, session {unlimited} = 0, session {isolation} = 'REPEATABLE-READ'");
        connection.query_drop(settings).await?;
        Ok(Self { database, connection, product, version })
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Which of the two kinds of servers it is.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The version of the server, as it reports it: `10.11.6-MariaDB-0+deb12u1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The number of the session, by which another one can end it: `kill 12`.
    pub fn id(&self) -> u32 {
        self.connection.id()
    }

    /// The connection of the driver.
    pub fn connection(&mut self) -> &mut Conn {
        &mut self.connection
    }

    /// Runs a statement; returns the number of rows that it has changed.
    pub async fn execute(&mut self, sql: &str) -> Result<u64> {
        let done = self.connection.query_drop(sql).await;
        done.map_err(|error| self.database.statement_error(&error))?;
        Ok(self.connection.affected_rows())
    }

    /// Like [`execute`](Self::execute), with values in place of `?`.
    pub async fn execute_with(&mut self, sql: &str, values: impl Into<Params> + Send) -> Result<u64> {
        let done = self.connection.exec_drop(sql, values.into()).await;
        done.map_err(|error| self.database.statement_error(&error))?;
        Ok(self.connection.affected_rows())
    }

    /// The rows of a query.
    pub async fn query<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Vec<T>> {
        let rows = self.connection.query(sql).await;
        rows.map_err(|error| self.database.statement_error(&error))
    }

    /// Like [`query`](Self::query), with values in place of `?`.
    pub async fn query_with<T: FromRow + Send + 'static>(
        &mut self,
        sql: &str,
        values: impl Into<Params> + Send,
    ) -> Result<Vec<T>> {
        let rows = self.connection.exec(sql, values.into()).await;
        rows.map_err(|error| self.database.statement_error(&error))
    }

    /// The first row of a query.
    pub async fn query_first<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Option<T>> {
        let row = self.connection.query_first(sql).await;
        row.map_err(|error| self.database.statement_error(&error))
    }

    /// Like [`query_first`](Self::query_first), with values in place of `?`.
    pub async fn query_first_with<T: FromRow + Send + 'static>(
        &mut self,
        sql: &str,
        values: impl Into<Params> + Send,
    ) -> Result<Option<T>> {
        let row = self.connection.exec_first(sql, values.into()).await;
        row.map_err(|error| self.database.statement_error(&error))
    }

    /// The columns of a query, which is not executed. The character sets are those of the columns, and not that of the
    /// session.
    pub async fn columns(&mut self, sql: &str) -> Result<Arc<[Column]>> {
        self.execute("set character_set_results = null").await?;
        let prepared = self.connection.prep(sql).await;
        self.execute("set character_set_results = utf8mb4").await?;
        let prepared = prepared.map_err(|error| self.database.statement_error(&error))?;
        let columns = prepared.columns();
        // The driver would keep the statement.
        let closed = self.connection.close(prepared).await;
        closed.map_err(|error| self.database.statement_error(&error))?;
        Ok(columns)
    }

    /// Ends the session, and waits for the server to have closed it.
    pub async fn end(self) {
        // A lost connection has ended, too.
        let _ = self.connection.disconnect().await;
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("database", &self.database).field("id", &self.id()).finish_non_exhaustive()
    }
}
