//! The consistent snapshot in which a run reads a database (REPEATABLE READ).

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use weir_postgres::Database;
use weir_postgres::sql::{literal, quoted};
use weir_postgres::tokio_postgres::{self, Client};

use super::answer::Query;
use super::catalogue::Column;
use super::constant::constant;
use super::query::QUOTES;
use super::reading::reading;
use crate::database::{SERVER_WAIT, Session};
use crate::error::Result;
use crate::format::columns;
use crate::format::text::OpenText;
use crate::source::table::{Begin, Compared, Found, Lag, Newest, Quotes, Reading, Snapshot};
use crate::system::stop::Stop;

/// Fixes the text forms of values, whatever the server, the database or the user is configured to.
const FORMS: &str = "set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'; \
                     set local intervalstyle = 'iso_8601'; set local extra_float_digits = 1; set local xmloption = 'content'; \
                     set local bytea_output = 'hex'; set local lc_monetary = 'C'; \
                     set local synchronize_seqscans = off; set local idle_in_transaction_session_timeout = 0";

/// A transaction that exports its snapshot to the sessions that read.
#[derive(Debug)]
pub(in crate::source) struct PostgresSnapshot {
    database: Database,
    id: String,
    client: Client,
    stop: Stop,
}

impl PostgresSnapshot {
    /// Begins the transaction; `wait` is how long a server that cannot be reached is waited for.
    pub(super) async fn open(database: Database, wait: Duration, stop: Stop) -> Result<Self> {
        let client = database.connect(wait).await?;
        let failed = |error: tokio_postgres::Error| database.statement_error(&error);
        let begin = format!("begin isolation level repeatable read, read only; {FORMS}");
        client.batch_execute(&begin).await.map_err(failed)?;
        let id = client.query_one("select pg_export_snapshot()", &[]).await.map_err(failed)?.get(0);
        Ok(Self { id, client, stop, database })
    }

    /// The database.
    pub(super) fn address(&self) -> &Database {
        &self.database
    }

    /// The session that holds the snapshot.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The stop request of the run.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Another session with the same snapshot.
    pub(super) async fn session(&self) -> Result<Client> {
        let client = self.database.connect(SERVER_WAIT).await?;
        let begin = format!(
            "begin isolation level repeatable read, read only; set transaction snapshot {}; {FORMS}",
            literal(&self.id)
        );
        client.batch_execute(&begin).await.map_err(|error| self.database.statement_error(&error))?;
        Ok(client)
    }
}

#[async_trait]
impl Session for PostgresSnapshot {
    async fn end(&self) {
        // A lost session has ended its transaction, too.
        let _ = self.client.batch_execute("rollback").await;
    }
}

#[async_trait]
impl Snapshot for PostgresSnapshot {
    type Column = Column;
    type Options = ();

    const SCAN: &'static str = "PostgresScanExec";
    const QUOTES: Quotes = QUOTES;

    async fn begin(begin: Begin<'_>) -> Result<Self> {
        Self::open(begin.connector.postgres(begin.connection)?, SERVER_WAIT, begin.stop).await
    }

    fn database(&self) -> &(dyn Display + Sync) {
        &self.database
    }

    async fn find(&self, schema: Option<&str>, table: &str) -> Result<Option<Found<Column>>> {
        self.look_up(schema, table).await
    }

    async fn of_query(&self, sql: &str) -> Result<Found<Column>> {
        self.describe_query(sql).await
    }

    async fn tables(&self) -> Result<Vec<(String, String)>> {
        self.all_tables().await
    }

    fn reading(declared: &columns::Column, there: &Column, (): &()) -> Option<Reading> {
        reading(declared, there)
    }

    fn quoted(name: &str) -> String {
        quoted(name)
    }

    async fn check(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|error| self.database.statement_error(&error))?;
        Ok(())
    }

    fn text(self: &Arc<Self>, sql: String) -> Arc<dyn OpenText> {
        Arc::new(Query { snapshot: self.clone(), sql })
    }

    fn constant(compared: Compared, value: &ScalarValue) -> Option<String> {
        constant(compared, value)
    }

    async fn newest(&self, from: &str, column: &Column, last: Option<&str>) -> Result<Newest> {
        self.newest_of(from, column, last).await
    }

    fn value(column: &Column, text: &str) -> String {
        format!("{}::{}", literal(text), column.kind)
    }

    fn minus(lag: Lag) -> String {
        match lag {
            Lag::Number(lag) => format!(" - {lag}"),
            Lag::Time(lag) => format!(" - interval '{} seconds'", lag.as_secs()),
        }
    }
}
