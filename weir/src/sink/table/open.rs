//! A table in one run: opened, filled, and ready for its transaction.

use std::sync::Arc;

use async_trait::async_trait;
use weir_database::load::Staged;

use super::{Server, TableLoad};
use crate::database::Connector;
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::quality::Condition;
use crate::sink::table::staging::Staging;
use crate::sink::{ColumnLimit, OpenTarget, Parts, Pending, Prepared, SinkRun, Writing, Written};
use crate::system::fault;

/// A table that was opened for a run.
#[derive(Debug)]
pub(in crate::sink) struct OpenTable<S: Server> {
    load: TableLoad<S>,
    connector: Connector,
    columns: Vec<OutputColumn>,
    deleted: Option<Condition>,
    limits: Vec<ColumnLimit>,
    identity: Option<String>,
}

/// What its server says of the table.
pub(in crate::sink) struct Opened {
    pub(in crate::sink) limits: Vec<ColumnLimit>,
    /// The table on its server, if it exists.
    pub(in crate::sink) identity: Option<String>,
}

impl<S: Server> OpenTable<S> {
    pub(in crate::sink) fn new<K>(
        declared: &super::DeclaredTable<K>,
        sink: &SinkRun<'_>,
        load: S::Load,
        Opened { limits, identity }: Opened,
    ) -> Self {
        let (connection, staged) = (declared.connection.clone(), Staged::default());
        let load = TableLoad { sink: sink.sink.to_owned(), connection, load, staged };
        let (columns, deleted) = (declared.columns.clone(), declared.deleted.clone());
        Self { load, connector: sink.connector.clone(), columns, deleted, limits, identity }
    }
}

#[async_trait]
impl<S: Server> OpenTarget for OpenTable<S> {
    fn limits(&self) -> &[ColumnLimit] {
        &self.limits
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn pending(&self) -> Box<dyn Pending> {
        Box::new(self.load.clone())
    }

    /// Creates the staging table, and begins to fill it.
    async fn begin(self: Box<Self>) -> Result<Box<dyn Writing>> {
        let Self { load, connector, columns, deleted, .. } = *self;
        let session = S::connect(&connector, &load.connection).await?;
        let (encode, staging) = S::stage(session, &load.load).await?;
        let parts = staging.parts(load.sink.clone(), columns, deleted, encode);
        Ok(Box::new(WritingTable { load, connector, staging, parts }))
    }
}

/// A table whose staging table takes rows.
#[derive(Debug)]
struct WritingTable<S: Server> {
    load: TableLoad<S>,
    connector: Connector,
    staging: Staging,
    parts: Arc<dyn Parts>,
}

#[async_trait]
impl<S: Server> Writing for WritingTable<S> {
    fn parts(&self) -> Arc<dyn Parts> {
        self.parts.clone()
    }

    async fn prepare(self: Box<Self>, parts: Vec<Written>) -> Result<(Written, Box<dyn Prepared>)> {
        let Self { mut load, connector, staging, .. } = *self;
        let taken = staging.finish().await?;
        let written = Written::total(parts);
        if taken != written.rows {
            let message = format!("{} rows were handed over, and the server has {taken}", written.rows);
            return Err(Error::Unbalanced { message });
        }
        let mut session = S::connect(&connector, &load.connection).await?;
        load.staged = S::deduplicate(&mut session, &load.load, taken).await?;
        fault::point("prepared");
        Ok((written, Box::new(load)))
    }

    async fn cancel(self: Box<Self>) {
        self.staging.cancel().await;
    }
}
