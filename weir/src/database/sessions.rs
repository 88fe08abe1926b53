//! The sessions over which one run reads: one for each connection, opened when it is needed first.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::Connector;
use crate::error::{Error, Result};
use crate::system::stop::Stop;

/// A session with a server that lasts as long as a run reads: its consistent snapshot.
#[async_trait]
pub(crate) trait Session: Any + Debug + Send + Sync {
    /// Ends it. Everything has been read.
    async fn end(&self);
}

/// The sessions of a run.
#[derive(Debug)]
pub(crate) struct Sessions {
    connector: Connector,
    stop: Stop,
    open: Vec<(String, Arc<dyn Session>)>,
}

impl Sessions {
    pub(crate) fn new(connector: Connector, stop: &Stop) -> Self {
        Self { connector, stop: stop.clone(), open: vec![] }
    }

    /// The session of a connection. `begin` opens it; a request to stop ends the waiting.
    pub(crate) async fn of<S: Session>(
        &mut self,
        connection: &str,
        begin: impl AsyncFnOnce(&Connector, Stop) -> Result<S>,
    ) -> Result<Arc<S>> {
        let open = self.open.iter().filter(|(name, _)| name == connection);
        let known = open.map(|(_, session)| session.clone() as Arc<dyn Any + Send + Sync>);
        if let Some(session) = known.filter_map(|session| session.downcast().ok()).next() {
            return Ok(session);
        }
        let mut stop = self.stop.clone();
        let session = tokio::select! {
            session = begin(&self.connector, self.stop.clone()) => Arc::new(session?),
            () = stop.wanted() => return Err(Error::Interrupted),
        };
        self.open.push((connection.to_owned(), session.clone()));
        Ok(session)
    }

    /// Ends all sessions.
    pub(crate) async fn end(&self) {
        for (_, session) in &self.open {
            session.end().await;
        }
    }
}
