//! A table of a PostgreSQL database.
//!
//! Rows are encoded by the readers, and handed to the one session that copies them into a staging table. The commit is one
//! transaction, which also enters the run: see `weir_postgres::load`. Amazon Redshift takes `INSERT`s (`values`) in place of
//! a `COPY` (`encode`), and cannot hold all that PostgreSQL can (`redshift`).

mod copy;
mod encode;
mod fields;
mod fits;
mod limits;
mod redshift;
mod server;
mod values;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use weir_load::{Deletion, Mode as LoadMode, Staged};
use weir_postgres::load::{Column, Load, Table, TargetState};
use weir_postgres::{Database, Dialect};

use super::table::{self, Loading, Server as _, TableLoad};
use super::{Claim, ColumnLimit, Kind, OpenTarget, Parts, Pending, Prepared, SinkRun, Target, Writing, Written};
use crate::database::postgres::kind_of;
use crate::database::{SERVER_WAIT, dialect};
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::quality::Condition;
use crate::system::fault;
use crate::task::{Mode, SchemaChanges, SinkSpec, Task};
use copy::Copying;
use fits::Session;
use server::Postgres;

pub(super) const KIND: Kind = Kind {
    key: Postgres::KEY,
    tag: Postgres::KEY,
    is_declared: |spec| spec.postgres.is_some(),
    bind: |task, name, spec, columns, deleted| Ok(Box::new(PostgresTarget::bind(task, name, spec, columns, deleted)?)),
    is_server: true,
    transactions: table::transactions::<Postgres>,
    read: |json| Ok(Box::new(serde_json::from_value::<TableLoad<Postgres>>(json)?)),
};

/// Bytes of a name. The server cuts off the rest.
const MAX_NAME: usize = 63;
/// The same of Redshift, which refuses longer ones.
const MAX_NAME_OF_REDSHIFT: usize = 127;

/// A table as the task declares it.
#[derive(Debug)]
struct PostgresTarget {
    connection: String,
    dialect: Dialect,
    table: Table,
    mode: LoadMode,
    deletion: Option<Deletion>,
    /// The condition of rows that say that a row is gone.
    deleted: Option<Condition>,
    create: bool,
    /// Whether columns that the table lacks are added to it.
    adds_columns: bool,
    /// Whether rows that no run of the task has written may be replaced.
    adopt: bool,
    /// The columns in which no value may be missing.
    not_null: Vec<String>,
    /// The columns of the route, in the order of the table's.
    columns: Vec<OutputColumn>,
}

impl PostgresTarget {
    fn bind(
        task: &Task,
        name: &str,
        spec: &SinkSpec,
        columns: Vec<OutputColumn>,
        deleted: Option<Condition>,
    ) -> Result<Self> {
        let Some(table) = &spec.postgres else {
            return Err(Error::internal(format!("sink `{name}` was taken for a table of PostgreSQL")));
        };
        let known = || columns.iter().map(|column| column.name.as_str());
        let wrong = |message: String| task.error(&spec.from, format!("sink `{name}`: {message}"));
        let keys = spec.primary_key.iter().chain(&spec.update_key).chain(spec.partition_by.iter().map(|by| &by.value));
        for column in keys.chain(table.indexes.iter().flatten()) {
            if !known().any(|name| name == column) {
                return Err(Box::new(wrong(format!("it has no column `{column}`")).nearest(column, known())).into());
            }
        }
        for column in table.comments.keys() {
            if !known().any(|name| name == column) {
                let error = wrong(format!("a comment is on column `{column}`, which it does not have"));
                return Err(Box::new(error.nearest(column, known())).into());
            }
        }
        if let Some(compact) = &spec.compact {
            let error = task.error(compact, format!("sink `{name}`: `compact` is for folders"));
            return Err(Box::new(error.with_help("remove it")).into());
        }
        if spec.escape_formulas {
            return Err(Box::new(wrong("`escape_formulas` is for CSV files".to_owned()).with_help("remove it")).into());
        }
        let Loading { mode, deletion } = Loading::of(task, name, spec, &columns)?;
        let connection = &table.connection;
        if !task.project.connections().any(|name| name == connection.value) {
            return Err(Box::new(task.unknown_connection(connection)).into());
        }
        let dialect = dialect(&task.project, &connection.value);
        let (connection, create) = (connection.value.clone(), table.create);
        let adds_columns = table.schema_changes == SchemaChanges::Add;
        let (schema, table_name) = task.params.fill_table(&task.source, &table.table)?;
        let names = columns.iter().map(|column| &column.name).chain(&schema).chain([&table_name]);
        let (most, server) = match dialect {
            Dialect::Postgres => (MAX_NAME, "PostgreSQL keeps"),
            Dialect::Redshift => (MAX_NAME_OF_REDSHIFT, "Amazon Redshift takes"),
        };
        if let Some(long) = names.into_iter().find(|name| name.len() > most) {
            let message = format!("the name `{long}` is longer than the {most} bytes that {server} of it");
            return Err(Box::new(wrong(message).with_help("choose a shorter name")).into());
        }
        if dialect == Dialect::Redshift {
            redshift::check(spec, table, &columns, schema.iter().chain([&table_name]))
                .map_err(|(message, help)| Box::new(wrong(message).with_help(help)))?;
        }
        let mut kinds = Vec::new();
        for column in &columns {
            let Some(kind) = kind_of(&column.kind) else {
                let kind = crate::task::type_name(&column.kind);
                let error = wrong(format!("column `{}` is {kind}, which PostgreSQL cannot hold", column.name));
                return Err(Box::new(error.with_help("make a plain value of it in the model")).into());
            };
            let comment = table.comments.get(&column.name).cloned();
            kinds.push(Column { comment, ..Column::new(&column.name, kind) });
        }
        let table = Table {
            schema,
            name: table_name,
            columns: kinds,
            primary_key: spec.primary_key.clone(),
            indexes: table.indexes.clone(),
            comment: table.comment.clone(),
        };
        let mut not_null = spec.primary_key.clone();
        if spec.mode == Mode::Scd2 {
            not_null.extend(spec.update_key.clone());
        }
        Ok(Self {
            connection,
            dialect,
            table,
            mode,
            deletion,
            deleted,
            create,
            adds_columns,
            adopt: spec.adopt,
            not_null,
            columns,
        })
    }
}

#[async_trait]
impl Target for PostgresTarget {
    fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    fn place(&self) -> String {
        format!("{}: {}", self.connection, self.table.shown())
    }

    fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        let columns = self.columns.iter().map(|column| batch.column(column.index));
        encode::rows(batch, columns, None, &mut vec![])?;
        Ok(())
    }

    fn claim(&self) -> Claim {
        Claim::Table(self.place())
    }

    fn server(&self) -> Option<&str> {
        Some(&self.connection)
    }

    fn key(&self) -> &[String] {
        &self.not_null
    }

    fn limits(&self) -> Vec<ColumnLimit> {
        limits::of_any_table(&self.columns, self.dialect)
    }

    /// Only a run that writes needs the secrets of the connection.
    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let mut load = Load {
            run: sink.run.to_owned(),
            sink: sink.sink.to_owned(),
            staging: format!("stage_{}_{}", sink.run, sink.number),
            table: self.table.clone(),
            mode: self.mode.clone(),
            create: self.create,
            adds_columns: self.adds_columns,
            deletion: self.deletion.clone(),
            task: Some(sink.key.to_string()),
            // With several servers one may crash when another has committed already.
            durable: sink.has_several_servers,
        };
        if let LoadMode::History { columns, .. } = &mut load.mode {
            columns.at = sink.at.to_rfc3339();
        }
        let database = sink.connector.postgres(&self.connection)?;
        let client = database.connect(SERVER_WAIT).await?;
        let (mut limits, mut identity) = (vec![], None);
        if let TargetState::Existing(existing) = load.inspect(&database, &client).await? {
            let found = table::Existing { is_empty: existing.is_empty, last: &existing.last, own: &existing.own };
            table::check_own((&self.place(), &self.mode, self.adopt), &found, sink)?;
            // If it is dropped meanwhile, it is not made anew: its rights and all else that is not declared would be gone.
            load.create = false;
            for column in &mut load.table.columns {
                column.is_new = existing.added.contains(&column.name);
            }
            if let Some(mark) = load.deletion.as_mut().and_then(|deletion| deletion.mark.as_mut()) {
                mark.is_boolean = existing.mark_is_boolean;
            }
            limits = limits::of_existing(&existing, &load.table.columns, Session::new(database.clone(), client));
            for (name, cast) in &existing.casts {
                let column = load.table.columns.iter_mut().find(|column| column.name == *name);
                column.into_iter().for_each(|column| column.cast = Some(cast.clone()));
            }
            identity = Some(existing.identity);
        }
        let load = TableLoad {
            sink: sink.sink.to_owned(),
            connection: self.connection.clone(),
            load,
            staged: Staged::default(),
        };
        let (columns, deleted) = (self.columns.clone(), self.deleted.clone());
        Ok(Box::new(OpenTable { load, database, columns, deleted, limits, identity }))
    }
}

/// A table that was opened for a run.
#[derive(Debug)]
struct OpenTable {
    load: TableLoad<Postgres>,
    database: Database,
    columns: Vec<OutputColumn>,
    deleted: Option<Condition>,
    limits: Vec<ColumnLimit>,
    /// The table on its server, if it exists.
    identity: Option<String>,
}

#[async_trait]
impl OpenTarget for OpenTable {
    fn limits(&self) -> &[ColumnLimit] {
        &self.limits
    }

    fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    fn pending(&self) -> Box<dyn Pending> {
        Box::new(self.load.clone())
    }

    /// Creates the staging table, and begins to copy into it.
    async fn begin(self: Box<Self>) -> Result<Box<dyn Writing>> {
        let Self { load, database, columns, deleted, .. } = *self;
        let client = database.connect(SERVER_WAIT).await?;
        let staging = load.load.begin_staging(&database, &client).await?;
        fault::point("staging_made");
        let copying = Copying::start(database.clone(), client, staging);
        let parts = copying.parts(load.sink.clone(), columns, deleted);
        Ok(Box::new(WritingTable { load, database, copying, parts: Arc::new(parts) }))
    }
}

/// A table whose staging table takes rows.
#[derive(Debug)]
struct WritingTable {
    load: TableLoad<Postgres>,
    database: Database,
    copying: Copying,
    parts: Arc<copy::TableParts>,
}

#[async_trait]
impl Writing for WritingTable {
    fn parts(&self) -> Arc<dyn Parts> {
        self.parts.clone()
    }

    async fn prepare(self: Box<Self>, parts: Vec<Written>) -> Result<(Written, Box<dyn Prepared>)> {
        let Self { mut load, database, copying, .. } = *self;
        let copied = copying.finish().await?;
        let written = Written::total(parts);
        if copied != written.rows {
            let message = format!("{} rows were handed over, and the server has {copied}", written.rows);
            return Err(Error::Unbalanced { message });
        }
        let mut client = database.connect(SERVER_WAIT).await?;
        load.staged = load.load.deduplicate(&database, &mut client, copied).await?;
        fault::point("prepared");
        Ok((written, Box::new(load)))
    }

    async fn cancel(self: Box<Self>) {
        self.copying.cancel().await;
    }
}
