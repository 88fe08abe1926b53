//! The rows of a query as a stream of CSV text.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt;
use weir_postgres::tokio_postgres::{Client, CopyOutStream};

use super::snapshot::PostgresSnapshot;
use crate::error::{Error, Result};
use crate::format::text::{Fill, OpenText};
use crate::place::wait;

/// A query whose rows are read.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) snapshot: Arc<PostgresSnapshot>,
    pub(super) sql: String,
}

impl OpenText for Query {
    /// Sends the query.
    fn open(&self) -> Result<Box<dyn Fill>> {
        let mut stop = self.snapshot.stop();
        wait(async {
            tokio::select! {
                answer = self.begin() => Ok(Box::new(answer?) as Box<dyn Fill>),
                () = stop.wanted() => Err(Error::Interrupted),
            }
        })
    }
}

impl Query {
    async fn begin(&self) -> Result<CopyOut> {
        let client = self.snapshot.session().await?;
        let copy = format!("copy ({}) to stdout (format csv, encoding 'UTF8')", self.sql);
        let failed = |error| self.snapshot.address().statement_error(&error);
        let rows = Box::pin(client.copy_out(&copy).await.map_err(failed)?);
        Ok(CopyOut { _session: client, snapshot: self.snapshot.clone(), rows })
    }
}

/// The result.
struct CopyOut {
    /// The session lasts as long as its client.
    _session: Client,
    snapshot: Arc<PostgresSnapshot>,
    rows: Pin<Box<CopyOutStream>>,
}

impl Fill for CopyOut {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        let mut stop = self.snapshot.stop();
        wait(async {
            while bytes.len() < length {
                let row = tokio::select! {
                    row = self.rows.next() => row,
                    () = stop.wanted() => return Err(Error::Interrupted),
                };
                match row {
                    Some(Ok(row)) => bytes.extend_from_slice(&row),
                    Some(Err(error)) => return Err(self.snapshot.address().statement_error(&error).into()),
                    None => return Ok(true),
                }
            }
            Ok(false)
        })
    }
}

impl fmt::Debug for CopyOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CopyOut({})", self.snapshot.address())
    }
}
