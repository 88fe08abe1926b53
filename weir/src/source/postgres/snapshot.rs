//! The consistent snapshot in which a run reads a database (REPEATABLE READ).

use std::time::Duration;

use async_trait::async_trait;
use weir_postgres::Database;
use weir_postgres::sql::literal;
use weir_postgres::tokio_postgres::{self, Client};

use crate::database::{SERVER_WAIT, Session};
use crate::error::Result;
use crate::system::stop::Stop;

/// Fixes the text forms of values, whatever the server, the database or the user is configured to.
const FORMS: &str = "set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'; \
                     set local intervalstyle = 'iso_8601'; set local extra_float_digits = 1; set local xmloption = 'content'; \
                     set local bytea_output = 'hex'; set local lc_monetary = 'C'; \
                     set local synchronize_seqscans = off; set local idle_in_transaction_session_timeout = 0";

/// A transaction that exports its snapshot to the sessions that read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    database: Database,
    id: String,
    client: Client,
    stop: Stop,
}

impl Snapshot {
    /// Begins the transaction; `wait` is how long a server that cannot be reached is waited for.
    pub(super) async fn begin(database: Database, wait: Duration, stop: Stop) -> Result<Self> {
        let client = database.connect(wait).await?;
        let failed = |error: tokio_postgres::Error| database.statement_error(&error);
        let begin = format!("begin isolation level repeatable read, read only; {FORMS}");
        client.batch_execute(&begin).await.map_err(failed)?;
        let id = client.query_one("select pg_export_snapshot()", &[]).await.map_err(failed)?.get(0);
        Ok(Self { id, client, stop, database })
    }

    /// The database.
    pub(super) fn database(&self) -> &Database {
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
impl Session for Snapshot {
    async fn end(&self) {
        // A lost session has ended its transaction, too.
        let _ = self.client.batch_execute("rollback").await;
    }
}
