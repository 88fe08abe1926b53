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

use weir_postgres::Database;

pub(super) use answer::{CopyOut, Query};
pub(crate) use snapshot::{Snapshot, Snapshots};

use super::columns::Declared;
use super::rejected::RejectedRoute;
use super::table::{RowsTable, ScanProgress, SourceTable};
use crate::error::{Error, Result};
use crate::task::{OriginTableSpec, Task};
use catalogue::Found;
use rows::TableRows;

/// A table that is read, as the task declares it.
#[derive(Debug)]
pub(crate) struct OriginTable {
    connection: String,
    schema: Option<String>,
    table: String,
}

impl OriginTable {
    /// Takes the table as the task declares it. Nothing is connected to.
    pub(super) fn declare(task: &Task, spec: &OriginTableSpec) -> Result<Self> {
        let connection = &spec.connection;
        if !task.connections.names().any(|name| name == connection.value) {
            return Err(Box::new(task.unknown_connection(connection)).into());
        }
        let (schema, table) = task.params.fill_table(&task.source, &spec.table)?;
        Ok(Self { connection: connection.value.clone(), schema, table })
    }

    /// The connection's name.
    pub(crate) fn connection(&self) -> &str {
        &self.connection
    }

    /// Where it is, for people.
    pub(crate) fn shown(&self) -> String {
        let schema = self.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        format!("{}: {schema}{}", self.connection, self.table)
    }

    /// Holds the table against the declared columns.
    pub(super) async fn open(
        &self,
        snapshot: Arc<Snapshot>,
        declared: &Arc<Declared>,
        rejected: &Arc<RejectedRoute>,
        progress: &Arc<ScanProgress>,
    ) -> Result<(Arc<dyn SourceTable>, u64)> {
        let found = Found::look(&snapshot, self.schema.as_deref(), &self.table).await?;
        let found = found.ok_or_else(|| {
            let message = format!("there is no such table or view in {}", snapshot.database());
            Error::input(self.shown(), message, "check the name, its schema, and the connection in weir.yaml")
        })?;
        let readings = reading::of_columns(declared, &found).map_err(|(message, help)| {
            Error::input(format!("{} in {}", self.shown(), snapshot.database()), message, help)
        })?;
        let bytes = found.bytes;
        let rows = TableRows::new(self.shown(), found, snapshot, declared.clone(), readings);
        rows.check().await?;
        Ok((Arc::new(RowsTable::new(rows, declared.clone(), rejected.clone(), progress.clone())), bytes))
    }
}

/// The database of a connection.
fn database(task: &Task, connection: &str) -> Result<Database> {
    task.connections.database(connection, &task.params).unwrap_or_else(|| {
        let message = format!("there is no connection `{connection}` in weir.yaml");
        Err(Error::usage(message, "name it under `connections`"))
    })
}
