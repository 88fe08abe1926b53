//! All tables of one connection, committed by one transaction with the record of the run.

use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use weir_postgres::load::{self, Counts, Load, Staged};
use weir_postgres::tokio_postgres::Client;
use weir_postgres::{Database, Error as DatabaseError};

use super::pending::PostgresLoad;
use crate::database::{Connector, SERVER_WAIT};
use crate::error::Result;
use crate::report::LoadReport;
use crate::sink::{OpenTransaction, Prepared, Transaction, of_kind};
use crate::system::fault;

/// Attempts at a transaction that conflicts with others.
const ATTEMPTS: u32 = 5;

/// The tables among the sinks of a run: a transaction for each connection.
pub(super) fn transactions(sinks: &[&dyn Prepared]) -> Vec<Box<dyn Transaction>> {
    let mut connections: IndexMap<&str, Vec<PostgresLoad>> = IndexMap::new();
    for load in sinks.iter().filter_map(|sink| of_kind::<PostgresLoad>(*sink)) {
        connections.entry(&load.connection).or_default().push(load.clone());
    }
    let transaction = |(connection, loads): (&str, _)| {
        Box::new(Tables { connection: connection.to_owned(), loads }) as Box<dyn Transaction>
    };
    connections.into_iter().map(transaction).collect()
}

/// The tables of one connection.
#[derive(Debug)]
struct Tables {
    connection: String,
    loads: Vec<PostgresLoad>,
}

#[async_trait]
impl Transaction for Tables {
    async fn begin(&self, connector: &Connector) -> Result<Box<dyn OpenTransaction>> {
        let database = connector.postgres(&self.connection)?;
        let loads: Vec<(&Load, Staged)> = self.loads.iter().map(|of| (&of.load, of.staged)).collect();
        let mut attempt = 1;
        loop {
            match begin(&database, &loads).await {
                Ok((client, counts)) => {
                    let sinks = self.loads.iter().map(|of| of.sink.clone());
                    let counts = sinks.zip(counts).collect();
                    return Ok(Box::new(OpenTables { database, client, counts }));
                }
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::warn!(attempt, "{error}; trying again");
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

async fn begin(database: &Database, loads: &[(&Load, Staged)]) -> Result<(Client, Vec<Counts>), DatabaseError> {
    let client = database.connect(SERVER_WAIT).await?;
    let counts = load::begin(database, &client, loads).await?;
    Ok((client, counts))
}

/// The transaction with all rows, before its commit. It ends with its session.
struct OpenTables {
    database: Database,
    client: Client,
    counts: Vec<(String, Counts)>,
}

#[async_trait]
impl OpenTransaction for OpenTables {
    async fn commit(self: Box<Self>) -> Result<Vec<(String, LoadReport)>> {
        load::commit(&self.database, &self.client).await?;
        fault::point("published");
        Ok(self.counts.into_iter().map(|(sink, counts)| (sink, report(counts))).collect())
    }

    async fn roll_back(self: Box<Self>) {
        // Where the session is lost, so is its transaction.
        let _ = self.client.batch_execute("rollback").await;
    }
}

impl std::fmt::Debug for OpenTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenTables").field("database", &self.database).field("counts", &self.counts).finish()
    }
}

fn report(counts: Counts) -> LoadReport {
    let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
    LoadReport { inserted, updated, unchanged, superseded, deleted }
}
