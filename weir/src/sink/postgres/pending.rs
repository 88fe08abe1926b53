//! What it takes to commit or abort a load into a table, in a form that outlives the process.

use std::any::Any;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_postgres::Database;
use weir_postgres::load::{Load, Staged};

use crate::database::{Connector, SERVER_WAIT};
use crate::error::Result;
use crate::sink::{Pending, Prepared};
use crate::system::fault;

/// The tag of such a table in the ledger.
pub(super) const TAG: &str = "postgres";

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
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn check(&self, connector: &Connector) -> Result<()> {
        let (database, client) = self.connect(connector).await?;
        self.load.inspect(&database, &client).await?;
        Ok(())
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
