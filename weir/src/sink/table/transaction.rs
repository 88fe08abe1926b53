//! All tables of one connection, committed by one transaction with the record of the run.

use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use weir_database::load::{Counts, Staged};

use super::{Server, TableLoad};
use crate::database::Connector;
use crate::error::Result;
use crate::report::LoadReport;
use crate::sink::{OpenTransaction, Prepared, Transaction, of_kind};
use crate::system::fault;

/// Attempts at a transaction that conflicts with others.
const ATTEMPTS: u32 = 5;

/// The tables on this kind of server among the sinks of a run: a transaction for each connection.
pub(in crate::sink) fn transactions<S: Server>(sinks: &[&dyn Prepared]) -> Vec<Box<dyn Transaction>> {
    let mut connections: IndexMap<&str, Vec<TableLoad<S>>> = IndexMap::new();
    for load in sinks.iter().filter_map(|sink| of_kind::<TableLoad<S>>(*sink)) {
        connections.entry(&load.connection).or_default().push(load.clone());
    }
    let transaction = |(connection, loads): (&str, _)| {
        Box::new(Tables::<S> { connection: connection.to_owned(), loads }) as Box<dyn Transaction>
    };
    connections.into_iter().map(transaction).collect()
}

/// The tables of one connection.
#[derive(Debug)]
struct Tables<S: Server> {
    connection: String,
    loads: Vec<TableLoad<S>>,
}

#[async_trait]
impl<S: Server> Transaction for Tables<S> {
    async fn begin(&self, connector: &Connector) -> Result<Box<dyn OpenTransaction>> {
        let mut attempt = 1;
        loop {
            match begin::<S>(connector, &self.connection, &self.loads).await {
                Ok((session, counts)) => {
                    let loads = self.loads.clone();
                    return Ok(Box::new(OpenTables::<S> { session, loads, counts }));
                }
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::warn!(attempt, "{error}; trying again");
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn begin<S: Server>(
    connector: &Connector,
    connection: &str,
    loads: &[TableLoad<S>],
) -> Result<(S::Session, Vec<Counts>)> {
    let mut session = S::connect(connector, connection).await?;
    let loads: Vec<(&S::Load, Staged)> = loads.iter().map(|of| (&of.load, of.staged)).collect();
    let counts = S::begin(&mut session, &loads).await?;
    Ok((session, counts))
}

/// The transaction with all rows, before its commit. It ends with its session.
struct OpenTables<S: Server> {
    session: S::Session,
    loads: Vec<TableLoad<S>>,
    counts: Vec<Counts>,
}

#[async_trait]
impl<S: Server> OpenTransaction for OpenTables<S> {
    async fn commit(mut self: Box<Self>) -> Result<Vec<(String, LoadReport)>> {
        S::commit(&mut self.session).await?;
        fault::point("published");
        let loads: Vec<&S::Load> = self.loads.iter().map(|of| &of.load).collect();
        S::release(&mut self.session, &loads).await?;
        let sinks = self.loads.iter().map(|of| of.sink.clone());
        Ok(sinks.zip(self.counts.iter().copied().map(report)).collect())
    }

    async fn roll_back(mut self: Box<Self>) {
        S::roll_back(&mut self.session).await;
    }
}

impl<S: Server> std::fmt::Debug for OpenTables<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenTables").field("loads", &self.loads).field("counts", &self.counts).finish_non_exhaustive()
    }
}

fn report(counts: Counts) -> LoadReport {
    let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
    LoadReport { inserted, updated, unchanged, superseded, deleted }
}
