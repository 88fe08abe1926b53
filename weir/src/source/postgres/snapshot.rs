//! The moment at which a run sees a database.

use std::sync::Arc;

use weir_postgres::Database;
use weir_postgres::sql::literal;
use weir_postgres::tokio_postgres::{self, Client};

use super::database;
use crate::error::{Error, Result};
use crate::stop::Stop;
use crate::task::{SERVER_WAIT, Task};

/// Values are written in one form, whatever the server, the database or the user is set to.
const FORMS: &str = "set local datestyle = 'ISO, YMD'; set local timezone = 'UTC'; set local intervalstyle = 'iso_8601'; \
                     set local extra_float_digits = 1; set local xmloption = 'content'; \
                     set local synchronize_seqscans = off; set local idle_in_transaction_session_timeout = 0";

/// A transaction that keeps the moment for those who read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    database: Database,
    id: String,
    client: Client,
    stop: Stop,
}

impl Snapshot {
    async fn take(database: Database, stop: Stop) -> Result<Self> {
        let client = database.connect(SERVER_WAIT).await?;
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

    /// The session that keeps the moment.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Who may want the run to stop.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Another session, which sees the same.
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

/// The snapshots of a run, one for each connection.
#[derive(Debug)]
pub(crate) struct Snapshots {
    stop: Stop,
    taken: Vec<(String, Arc<Snapshot>)>,
}

impl Snapshots {
    pub(crate) fn new(stop: &Stop) -> Self {
        Self { stop: stop.clone(), taken: vec![] }
    }

    /// The snapshot of a connection, which is taken when it is asked for first.
    pub(crate) async fn of(&mut self, task: &Task, connection: &str) -> Result<Arc<Snapshot>> {
        if let Some((_, snapshot)) = self.taken.iter().find(|(name, _)| name == connection) {
            return Ok(snapshot.clone());
        }
        let (database, mut stop) = (database(task, connection)?, self.stop.clone());
        let snapshot = tokio::select! {
            snapshot = Snapshot::take(database, self.stop.clone()) => Arc::new(snapshot?),
            () = stop.wanted() => return Err(Error::Interrupted),
        };
        self.taken.push((connection.to_owned(), snapshot.clone()));
        Ok(snapshot)
    }

    /// Ends the transactions: nothing of the run waits for them, and they for nothing.
    pub(crate) async fn end(&self) {
        for (_, snapshot) in &self.taken {
            // All was read. A session that is gone has ended its transaction, too.
            let _ = snapshot.client.batch_execute("rollback").await;
        }
    }
}
