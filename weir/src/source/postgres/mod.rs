//! Tables and views of a PostgreSQL database.
//!
//! The server writes their rows as CSV (`COPY … TO STDOUT`), which is read like a file's: with the same types, the same checks
//! and the same rejected rows. `snapshot` is the moment at which a run sees a database; `catalogue` says what a table has,
//! `reading` how that becomes what the task declares; `filter` writes conditions for the server; `answer` is the text of an
//! answer, `rows` the table that the query engine sees.

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

/// A table that is read, as the task declares it.
#[derive(Debug)]
pub(super) struct PostgresTable {
    connection: String,
    schema: Option<String>,
    table: String,
}

impl PostgresTable {
    /// Takes the table as the task declares it. Nothing is connected to.
    pub(super) fn declare(task: &Task, spec: &SourceSpec) -> Result<Self> {
        let Some(spec) = &spec.postgres else {
            return Err(Error::internal("a source was taken for one of PostgreSQL"));
        };
        let connection = &spec.connection;
        if !task.connections.names().any(|name| name == connection.value) {
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
        let found = Found::look(&snapshot, self.schema.as_deref(), &self.table).await?;
        let found = found.ok_or_else(|| {
            let message = format!("there is no such table or view in {}", snapshot.database());
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
