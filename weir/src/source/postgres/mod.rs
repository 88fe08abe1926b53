//! Tables, views and queries of a PostgreSQL database.
//!
//! The server writes their rows as CSV (`COPY … TO STDOUT`), which is read like a file: with the same types, the same
//! checks and the same rejected rows. `snapshot` is the consistent snapshot that a run reads (REPEATABLE READ); `query`
//! fills in the parameters of a query; `catalogue` looks up the columns, `reading` maps them to the declared ones; `cursor`
//! limits the rows to newer ones; `describe` is for `init`; `filter` writes conditions for the server; `answer` is the stream of a query's rows, `rows`
//! the table that the query engine reads.

mod answer;
mod catalogue;
mod cursor;
mod describe;
mod filter;
mod query;
mod reading;
mod rows;
mod snapshot;

use std::sync::Arc;

use async_trait::async_trait;
use indicatif::HumanBytes;
use serde_saphyr::Spanned;
use weir_postgres::Dialect;

use super::Source;
use super::origin::{Opened, Opening, Origin};
use crate::database::{SERVER_WAIT, dialect};
use crate::error::{Error, Result};
use crate::format::scan::RowsTable;
use crate::task::{SourceSpec, Task};
use catalogue::{Found, missing};
use cursor::Cursor;
pub(super) use describe::describe;
use rows::TableRows;
use snapshot::Snapshot;

/// A table or query to read, as the task declares it.
#[derive(Debug)]
pub(super) struct PostgresTable {
    source: String,
    connection: String,
    relation: Relation,
    cursor: Option<Cursor>,
}

/// What is read.
#[derive(Debug)]
enum Relation {
    Table {
        schema: Option<String>,
        table: String,
    },
    /// With its parameters filled in.
    Query(String),
}

impl PostgresTable {
    /// Validates what the task declares. No connection is made.
    pub(super) fn declare(task: &Task, name: &str, source: &Spanned<SourceSpec>) -> Result<Self> {
        let Some(spec) = &source.value.postgres else {
            return Err(Error::internal("a source has no `postgres`"));
        };
        let connection = &spec.connection;
        if !task.project.connections().any(|name| name == connection.value) {
            return Err(Box::new(task.unknown_connection(connection)).into());
        }
        if dialect(&task.project, &connection.value) == Dialect::Redshift {
            let of = &connection.value;
            let error = task.error(
                connection,
                format!("source `{name}`: connection `{of}` is Amazon Redshift, which cannot be read yet"),
            );
            let help = "UNLOAD the rows to files, and read those: `files: {path: 's3://...', format: parquet}`";
            return Err(Box::new(error.with_help(help)).into());
        }
        let relation = match (&spec.table, &spec.query) {
            (Some(table), None) => {
                let (schema, table) = task.params.fill_table(&task.source, table)?;
                Relation::Table { schema, table }
            }
            (None, Some(query)) => Relation::Query(query::filled(&query.value, &task.params).map_err(|message| {
                let help = "write $name for a parameter of the task";
                Box::new(task.error(query, format!("query of source `{name}`: {message}")).with_help(help))
            })?),
            _ => {
                let error = task.error(source, format!("source `{name}` must have either a `table` or a `query`"));
                return Err(Box::new(error.with_help("specify one of the two under `postgres`")).into());
            }
        };
        let cursor = spec.cursor.as_ref().map(|cursor| Cursor::declare(task, cursor)).transpose().map_err(Box::new)?;
        Ok(Self { source: name.to_owned(), connection: connection.value.clone(), relation, cursor })
    }

    /// Its name in messages.
    fn shown(&self) -> String {
        match &self.relation {
            Relation::Table { schema: Some(schema), table } => format!("{}: {schema}.{table}", self.connection),
            Relation::Table { schema: None, table } => format!("{}: {table}", self.connection),
            Relation::Query(_) => format!("{}: query of `{}`", self.connection, self.source),
        }
    }

    async fn find(&self, snapshot: &Snapshot) -> Result<Found> {
        match &self.relation {
            Relation::Table { schema, table } => match Found::find(snapshot, schema.as_deref(), table).await? {
                Some(found) => Ok(found),
                None => Err(missing(snapshot, &self.shown(), schema.as_deref(), table).await?),
            },
            Relation::Query(sql) => Found::of_query(snapshot, sql).await,
        }
    }

    /// Limits what is found to the rows that are newer than the watermark. Returns the reason if there are none.
    async fn limit(&self, found: &mut Found, snapshot: &Snapshot, opening: &mut Opening<'_>) -> Result<Option<String>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let ledger = opening.ledger.as_deref_mut();
        let before = ledger.map(|ledger| ledger.watermark(opening.key, &self.source)).transpose()?.flatten();
        let step = cursor.step(&self.shown(), found, snapshot, before.as_ref()).await?;
        (found.name, found.rows) = (step.rows, None);
        if before.is_some() && !step.has_new {
            return Ok(Some(format!("source `{}`: no new rows, all were read before", self.source)));
        }
        if let (Some(run), Some(ledger), Some(value)) = (opening.run, &mut opening.ledger, &step.watermark) {
            ledger.reads_up_to(run, &self.source, &cursor.column, value)?;
            if before.is_none() {
                tracing::info!(source = self.source, "no earlier run has read it: all rows are read");
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Origin for PostgresTable {
    async fn open(&self, source: &Source, opening: &mut Opening<'_>) -> Result<Opened> {
        let connection = self.connection.as_str();
        let begin = async |connector: &crate::database::Connector, stop| {
            Snapshot::begin(connector.postgres(connection)?, SERVER_WAIT, stop).await
        };
        let snapshot = opening.sessions.of(connection, begin).await?;
        let mut found = self.find(&snapshot).await?;
        let Source { declared, rejected, progress, .. } = source;
        let readings = reading::of_columns(declared, &found).map_err(|(message, help)| {
            Error::input(format!("{} in {}", self.shown(), snapshot.database()), message, help)
        })?;
        let nothing_to_do = self.limit(&mut found, &snapshot, opening).await?;
        let bytes = found.bytes;
        let rows = TableRows::new(self.shown(), found, snapshot, declared.clone(), readings);
        rows.check().await?;
        let table = RowsTable::new(rows, declared.clone(), rejected.clone(), progress.clone());
        let summary = match &self.relation {
            Relation::Table { .. } => format!("{}, {} there", self.shown(), HumanBytes(bytes)),
            Relation::Query(_) => self.shown(),
        };
        Ok(Opened { table: Some(Arc::new(table)), bytes, summary, files: vec![], nothing_to_do })
    }
}
