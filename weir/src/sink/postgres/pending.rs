//! What it takes to commit or abort a load into a table, in a form that outlives the process.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_postgres::Database;
use weir_postgres::load::{Counts, Load, Staged};

use crate::database::{Connector, SERVER_WAIT};
use crate::error::Result;
use crate::report::LoadReport;
use crate::sink::{CommitOrder, Pending, Prepared};
use crate::system::fault;

/// The tag of such a table in the ledger.
pub(super) const TAG: &str = "postgres";

/// Attempts at a transaction that conflicts with others.
const ATTEMPTS: u32 = 5;

/// A load. The connection is kept by its name, because its URL may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PostgresLoad {
    pub(super) sink: String,
    pub(super) connection: String,
    pub(super) load: Load,
    /// The rows in the staging table.
    pub(super) staged: Staged,
}

impl PostgresLoad {
    async fn connect(&self, connector: &Connector) -> Result<(Database, weir_postgres::tokio_postgres::Client)> {
        let database = connector.postgres(&self.connection)?;
        let client = database.connect(SERVER_WAIT).await?;
        Ok((database, client))
    }
}

#[async_trait]
impl Pending for PostgresLoad {
    fn sink(&self) -> &str {
        &self.sink
    }

    fn kind(&self) -> &'static str {
        TAG
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    async fn abort(&self, connector: &Connector) -> Result<()> {
        let (database, client) = self.connect(connector).await?;
        self.load.discard(&database, &client).await?;
        fault::point("cleared");
        Ok(())
    }
}

#[async_trait]
impl Prepared for PostgresLoad {
    fn order(&self) -> CommitOrder {
        CommitOrder::Transaction
    }

    async fn check(&self, connector: &Connector) -> Result<()> {
        let (database, client) = self.connect(connector).await?;
        self.load.inspect(&database, &client).await?;
        Ok(())
    }

    async fn commit(&self, connector: &Connector) -> Result<Option<LoadReport>> {
        let mut attempt = 1;
        loop {
            let (database, mut client) = self.connect(connector).await?;
            match self.load.apply(&database, &mut client, self.staged).await {
                Ok(counts) => {
                    fault::point("published");
                    return Ok(Some(report(counts)));
                }
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::warn!(sink = %self.sink, "{error}; trying again");
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn is_committed(&self, connector: &Connector) -> Result<bool> {
        let (database, client) = self.connect(connector).await?;
        Ok(self.load.applied(&database, &client).await?.is_some())
    }

    async fn is_lost(&self, connector: &Connector) -> Result<bool> {
        let (database, client) = self.connect(connector).await?;
        let exists = self.load.applied(&database, &client).await?.is_some()
            || self.load.is_complete(&database, &client, self.staged).await?;
        Ok(!exists)
    }
}

fn report(counts: Counts) -> LoadReport {
    let Counts { inserted, updated, unchanged, superseded, deleted } = counts;
    LoadReport { inserted, updated, unchanged, superseded, deleted }
}
