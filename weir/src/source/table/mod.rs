//! Tables, views and queries of databases: all that does not depend on the kind of the server.
//!
//! A kind of server is a `Snapshot`: the session that a run reads, which knows the server's types and its SQL. Its rows come
//! as CSV, which is read like a file: with the same types, the same checks and the same rejected rows. `query` fills in the
//! parameters of a query; `reading` maps the columns that are found to the declared ones; `cursor` limits the rows to newer
//! ones; `filter` writes conditions for the server; `rows` is the table that the query engine reads.

mod cursor;
mod filter;
mod missing;
mod query;
mod reading;
mod rows;
mod snapshot;
#[cfg(test)]
pub(super) mod testing;

use std::sync::Arc;

use async_trait::async_trait;
use indicatif::HumanBytes;
use serde_saphyr::Spanned;

use super::Source;
use super::origin::{Opened, Opening, Origin};
use crate::error::{Error, Result};
use crate::format::scan::RowsTable;
use crate::task::{CursorSpec, Published, SourceSpec, Task};
use cursor::Cursor;
pub(super) use cursor::{Lag, Newest, Order};
pub(super) use filter::{date, digits, time};
pub(super) use missing::missing;
pub(super) use query::{Dollar, Quotes};
pub(super) use reading::{Compared, Reading, is_number};
use rows::TableRows;
pub(super) use snapshot::{Begin, Found, FoundColumn, Snapshot};

/// What a task may say about a table to read, whatever the kind of the server.
pub(super) struct TableSpec<'a> {
    /// The key of a source that it is under.
    pub(super) key: &'static str,
    pub(super) connection: &'a Spanned<String>,
    pub(super) table: Option<&'a Spanned<String>>,
    pub(super) query: Option<&'a Spanned<String>>,
    pub(super) cursor: Option<&'a CursorSpec>,
}

/// A table or query to read, as the task declares it.
#[derive(Debug)]
pub(super) struct DatabaseTable<S: Snapshot> {
    source: String,
    connection: String,
    relation: Relation,
    cursor: Option<Cursor>,
    options: S::Options,
    /// The sink that publishes it, if it is what another task publishes.
    published: Option<Published>,
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

impl<S: Snapshot> DatabaseTable<S> {
    /// Validates what the task declares. No connection is made.
    pub(super) fn declare(
        task: &Task,
        name: &str,
        source: &Spanned<SourceSpec>,
        spec: &TableSpec<'_>,
        options: S::Options,
    ) -> Result<Self> {
        let connection = spec.connection;
        if !task.project.connections().any(|name| name == connection.value) {
            return Err(Box::new(task.unknown_connection(connection)).into());
        }
        let relation = match (spec.table, spec.query) {
            (Some(table), None) => {
                let (schema, table) = task.params.fill_table(&task.source, table)?;
                Relation::Table { schema, table }
            }
            (None, Some(query)) => {
                let filled = query::filled(&query.value, &task.params, &S::QUOTES);
                Relation::Query(filled.map_err(|message| {
                    let help = "write $name for a parameter of the task";
                    Box::new(task.error(query, format!("query of source `{name}`: {message}")).with_help(help))
                })?)
            }
            _ => {
                let error = task.error(source, format!("source `{name}` must have either a `table` or a `query`"));
                let help = format!("specify one of the two under `{}`", spec.key);
                return Err(Box::new(error.with_help(help)).into());
            }
        };
        let cursor = spec.cursor.map(|cursor| Cursor::declare(task, cursor)).transpose().map_err(Box::new)?;
        if let (Some(cursor), Some(of)) = (&cursor, spec.cursor)
            && source.value.columns.iter().any(|(name, column)| {
                let is_it =
                    name == cursor.column() || column.value.header.iter().any(|header| header == cursor.column());
                is_it && column.value.private.is_some()
            })
        {
            let error =
                task.error(&of.column, "the cursor is a private column, and the ledger keeps its greatest value");
            return Err(Box::new(error.with_help("take another column, such as the time of the last change")).into());
        }
        let published = source.value.published.clone();
        let (source, connection) = (name.to_owned(), connection.value.clone());
        Ok(Self { source, connection, relation, cursor, options, published })
    }

    /// Its name in messages.
    fn shown(&self) -> String {
        match &self.relation {
            Relation::Table { schema: Some(schema), table } => format!("{}: {schema}.{table}", self.connection),
            Relation::Table { schema: None, table } => format!("{}: {table}", self.connection),
            Relation::Query(_) => format!("{}: query of `{}`", self.connection, self.source),
        }
    }

    async fn find(&self, snapshot: &S) -> Result<Found<S::Column>> {
        match &self.relation {
            Relation::Table { schema, table } => match snapshot.find(schema.as_deref(), table).await? {
                Some(found) => Ok(found),
                None => match &self.published {
                    Some(published) => Err(published.nothing(&self.shown())),
                    None => Err(missing(snapshot, &self.shown(), schema.as_deref(), table).await?),
                },
            },
            Relation::Query(sql) => snapshot.of_query(sql).await,
        }
    }

    /// Limits what is found to the rows that are newer than the watermark. Returns the reason if there are none.
    async fn limit(
        &self,
        found: &mut Found<S::Column>,
        snapshot: &S,
        opening: &mut Opening<'_>,
    ) -> Result<Option<String>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let ledger = opening.ledger.as_deref_mut();
        let before = ledger.map(|ledger| ledger.watermark(opening.key, &self.source)).transpose()?.flatten();
        let step = cursor.step(&self.shown(), found, snapshot, before.as_ref()).await?;
        (found.name, found.rows) = (step.rows, None);
        if before.is_some() && !step.has_new {
            return Ok(Some(format!("source `{}`: no new rows, all were read before", self.source)));
        }
        if let (Some(run), Some(ledger), Some(value)) = (opening.run, &mut opening.ledger, &step.watermark) {
            ledger.reads_up_to(run, &self.source, cursor.column(), value)?;
            if before.is_none() {
                tracing::info!(source = self.source, "no earlier run has read it: all rows are read");
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl<S: Snapshot> Origin for DatabaseTable<S> {
    async fn open(&self, source: &Source, opening: &mut Opening<'_>) -> Result<Opened> {
        let (connection, scratch) = (self.connection.as_str(), opening.scratch.to_owned());
        let begin = async |connector: &crate::database::Connector, stop| {
            S::begin(Begin { connector, connection, scratch, stop }).await
        };
        let snapshot = opening.sessions.of(connection, begin).await?;
        let mut found = self.find(&snapshot).await?;
        let Source { declared, rejected, progress, .. } = source;
        let shown = || format!("{} in {}", self.shown(), snapshot.database());
        let readings = match reading::of_columns::<S>(declared, &found, &self.options) {
            Ok(readings) => readings,
            Err(wrong) => {
                if let Some(column) = &wrong.missing {
                    snapshot.check_visible(column, &found.name).await?;
                }
                return Err(Error::input(shown(), wrong.message, wrong.help));
            }
        };
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
