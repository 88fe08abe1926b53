//! Tables and views of a PostgreSQL database.
//!
//! The server writes their rows as CSV (`COPY … TO STDOUT`), which is read like a file: with the same types, the same
//! checks and the same rejected rows. `snapshot` is the consistent snapshot that a run reads (REPEATABLE READ);
//! `catalogue` looks up a table's columns, `reading` maps them to the declared ones; `filter` writes conditions for the
//! server; `answer` is the stream of a query's rows, `rows` the table that the query engine reads.

mod answer;
mod catalogue;
mod filter;
mod reading;
mod rows;
mod snapshot;

use std::sync::Arc;

use async_trait::async_trait;
use indicatif::HumanBytes;

use super::Source;
use super::origin::{Opened, Opening, Origin};
use crate::error::{Error, Result};
use crate::format::scan::RowsTable;
use crate::task::{SourceSpec, Task};
use catalogue::Found;
use rows::TableRows;
use snapshot::Snapshot;

/// A table to read, as the task declares it.
#[derive(Debug)]
pub(super) struct PostgresTable {
    connection: String,
    schema: Option<String>,
    table: String,
}

impl PostgresTable {
    /// Validates the table that the task declares. No connection is made.
    pub(super) fn declare(task: &Task, spec: &SourceSpec) -> Result<Self> {
        let Some(spec) = &spec.postgres else {
            return Err(Error::internal("a source has no `postgres`"));
        };
        let connection = &spec.connection;
        if !task.project.connections().any(|name| name == connection.value) {
            return Err(Box::new(task.unknown_connection(connection)).into());
        }
        let (schema, table) = task.params.fill_table(&task.source, &spec.table)?;
        Ok(Self { connection: connection.value.clone(), schema, table })
    }

    /// Its name in messages.
    fn shown(&self) -> String {
        let schema = self.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        format!("{}: {schema}{}", self.connection, self.table)
    }
}

#[async_trait]
impl Origin for PostgresTable {
    async fn open(&self, source: &Source, opening: &mut Opening<'_>) -> Result<Opened> {
        let connection = self.connection.as_str();
        let begin = async |connector: &crate::database::Connector, stop| {
            Snapshot::begin(connector.postgres(connection)?, stop).await
        };
        let snapshot = opening.sessions.of(connection, begin).await?;
        let found = Found::find(&snapshot, self.schema.as_deref(), &self.table).await?;
        let found = found.ok_or_else(|| {
            let message = format!("no such table or view in {}", snapshot.database());
            Error::input(self.shown(), message, "check the name, its schema, and the connection in weir.yaml")
        })?;
        let Source { declared, rejected, progress, .. } = source;
        let readings = reading::of_columns(declared, &found).map_err(|(message, help)| {
            Error::input(format!("{} in {}", self.shown(), snapshot.database()), message, help)
        })?;
        let bytes = found.bytes;
        let rows = TableRows::new(self.shown(), found, snapshot, declared.clone(), readings);
        rows.check().await?;
        let table = RowsTable::new(rows, declared.clone(), rejected.clone(), progress.clone());
        let summary = format!("{}, {} there", self.shown(), HumanBytes(bytes));
        Ok(Opened { table: Some(Arc::new(table)), bytes, summary, files: vec![], nothing_to_do: None })
    }
}
