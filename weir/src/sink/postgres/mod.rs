//! A table of a PostgreSQL database.
//!
//! Rows are encoded by the readers, and handed to the one session that copies them into a staging table. The commit is one
//! transaction, which also enters the run: see `weir_postgres::load`.

mod copy;
mod encode;
mod fields;
mod limits;
mod pending;

use std::sync::Arc;

use async_trait::async_trait;
use weir_postgres::Database;
use weir_postgres::load::{Column, Load, Mode as LoadMode, Staged, Table, TargetState};

use super::{Claim, ColumnLimit, Kind, OpenTarget, Parts, Pending, Prepared, SinkRun, Target, Writing, Written};
use crate::database::SERVER_WAIT;
use crate::database::postgres::kind_of;
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::system::fault;
use crate::task::{Mode, SinkSpec, Task};
use copy::Copying;
use pending::PostgresLoad;

pub(super) const KIND: Kind = Kind {
    key: "postgres",
    tag: pending::TAG,
    is_declared: |spec| spec.postgres.is_some(),
    bind: |task, name, spec, columns| Ok(Box::new(PostgresTarget::bind(task, name, spec, columns)?)),
    read: |json| Ok(Box::new(serde_json::from_value::<PostgresLoad>(json)?)),
};

/// A table as the task declares it.
#[derive(Debug)]
struct PostgresTarget {
    connection: String,
    table: Table,
    mode: LoadMode,
    create: bool,
    /// The columns of the route, in the order of the table's.
    columns: Vec<OutputColumn>,
}

impl PostgresTarget {
    fn bind(task: &Task, name: &str, spec: &SinkSpec, columns: Vec<OutputColumn>) -> Result<Self> {
        let Some(table) = &spec.postgres else {
            return Err(Error::internal(format!("sink `{name}` was taken for a table of PostgreSQL")));
        };
        let known = || columns.iter().map(|column| column.name.as_str());
        let wrong = |message: String| task.error(&spec.from, format!("sink `{name}`: {message}"));
        for column in spec.primary_key.iter().chain(&spec.update_key).chain(table.indexes.iter().flatten()) {
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
        let mode = match (spec.mode, &spec.update_key) {
            (Mode::Merge, update_key) if !spec.primary_key.is_empty() => {
                LoadMode::Merge { update_key: update_key.clone() }
            }
            (Mode::Merge, _) => {
                let help = "name the columns that tell rows apart: `primary_key: [...]`";
                return Err(Box::new(wrong("`mode: merge` needs a `primary_key`".to_owned()).with_help(help)).into());
            }
            (_, Some(_)) => {
                return Err(Box::new(wrong("`update_key` is for `mode: merge`".to_owned())).into());
            }
            (Mode::Append, None) => LoadMode::Append,
            (Mode::Overwrite, None) => LoadMode::Overwrite,
        };
        let connection = &table.connection;
        if !task.connections.names().any(|name| name == connection.value) {
            return Err(Box::new(task.unknown_connection(connection)).into());
        }
        let (connection, create) = (connection.value.clone(), table.create);
        let (schema, table_name) = task.params.fill_table(&task.source, &table.table)?;
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
        Ok(Self { connection, table, mode, create, columns })
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

    fn claim(&self) -> Claim {
        Claim::Table(self.place())
    }

    fn key(&self) -> &[String] {
        &self.table.primary_key
    }

    fn limits(&self) -> Vec<ColumnLimit> {
        limits::of_any_table(&self.columns)
    }

    /// Only a run that writes needs the secrets of the connection.
    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let load = Load {
            run: sink.run.to_owned(),
            sink: sink.sink.to_owned(),
            staging: format!("stage_{}_{}", sink.run, sink.number),
            table: self.table.clone(),
            mode: self.mode.clone(),
            create: self.create,
        };
        let database = sink.connector.postgres(&self.connection)?;
        let client = database.connect(SERVER_WAIT).await?;
        let limits = match load.inspect(&database, &client).await? {
            TargetState::New => vec![],
            TargetState::Existing(kinds) => {
                kinds.iter().filter_map(|(column, kind)| limits::of(column, kind)).collect()
            }
        };
        let load = PostgresLoad {
            sink: sink.sink.to_owned(),
            connection: self.connection.clone(),
            load,
            staged: Staged::default(),
        };
        Ok(Box::new(OpenTable { load, database, columns: self.columns.clone(), limits }))
    }
}

/// A table that was opened for a run.
#[derive(Debug)]
struct OpenTable {
    load: PostgresLoad,
    database: Database,
    columns: Vec<OutputColumn>,
    limits: Vec<ColumnLimit>,
}

#[async_trait]
impl OpenTarget for OpenTable {
    fn limits(&self) -> &[ColumnLimit] {
        &self.limits
    }

    fn pending(&self) -> Box<dyn Pending> {
        Box::new(self.load.clone())
    }

    /// Creates the staging table, and begins to copy into it.
    async fn begin(self: Box<Self>) -> Result<Box<dyn Writing>> {
        let Self { load, database, columns, .. } = *self;
        let client = database.connect(SERVER_WAIT).await?;
        let copy = load.load.begin_copy(&database, &client).await?;
        fault::point("staging_made");
        let copying = Copying::start(database.clone(), client, copy);
        let parts = copying.parts(load.sink.clone(), columns);
        Ok(Box::new(WritingTable { load, database, copying, parts: Arc::new(parts) }))
    }
}

/// A table whose staging table takes rows.
#[derive(Debug)]
struct WritingTable {
    load: PostgresLoad,
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
