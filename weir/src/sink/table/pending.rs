//! What it takes to commit or abort a load into a table, in a form that outlives the process.

use std::any::Any;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_database::load::Staged;

use super::Server;
use crate::database::Connector;
use crate::error::Result;
use crate::sink::{Pending, Prepared};
use crate::system::fault;

/// A load. The connection is kept by its name, because its URL may hold a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(in crate::sink) struct TableLoad<S: Server> {
    pub(in crate::sink) sink: String,
    pub(in crate::sink) connection: String,
    pub(in crate::sink) load: S::Load,
    /// The rows in the staging table.
    pub(in crate::sink) staged: Staged,
}

#[async_trait]
impl<S: Server> Pending for TableLoad<S> {
    fn sink(&self) -> &str {
        &self.sink
    }

    fn kind(&self) -> &'static str {
        S::KEY
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    async fn abort(&self, connector: &Connector) -> Result<()> {
        let mut session = S::connect(connector, &self.connection).await?;
        S::discard(&mut session, &self.load).await?;
        fault::point("cleared");
        Ok(())
    }
}

#[async_trait]
impl<S: Server> Prepared for TableLoad<S> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn check(&self, connector: &Connector) -> Result<()> {
        let mut session = S::connect(connector, &self.connection).await?;
        S::inspect(&mut session, &self.load).await
    }

    async fn is_committed(&self, connector: &Connector) -> Result<bool> {
        let mut session = S::connect(connector, &self.connection).await?;
        S::is_applied(&mut session, &self.load).await
    }

    async fn is_lost(&self, connector: &Connector) -> Result<bool> {
        let mut session = S::connect(connector, &self.connection).await?;
        let exists = S::is_applied(&mut session, &self.load).await?
            || S::is_complete(&mut session, &self.load, self.staged).await?;
        Ok(!exists)
    }
}
