//! A table of a PostgreSQL database.
//!
//! Rows are encoded by whoever reads them, and handed to the one session that stages them. Publishing is one transaction,
//! which also enters the run: `weir_postgres::load` says how.

mod copy;
mod encode;
mod fields;
mod rules;

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_postgres::Database;
use weir_postgres::load::{Column, Counts, Kind, Load, Mode as LoadMode, Staged, Table, TargetState};

pub(crate) use fields::kind_of;
pub(crate) use rules::{Narrow, rules};

use super::part::FileColumn;
use super::{Part, Written};
use crate::error::{Error, Result};
use crate::fault;
use crate::task::{Mode, SERVER_WAIT, SinkSpec, TableSpec, Task};
use copy::Copying;

/// How often a transaction is tried that other ones got in the way of.
const TRIES: u32 = 5;

/// A table sink as the task declares it.
#[derive(Debug, Clone)]
pub(super) struct BoundTable {
    connection: String,
    table: Table,
    mode: LoadMode,
    create: bool,
    /// The columns of the route, in the order of the table's.
    pub(super) columns: Vec<FileColumn>,
}

impl BoundTable {
    pub(super) fn bind(
        task: &Task,
        name: &str,
        spec: &SinkSpec,
        table: &TableSpec,
        columns: Vec<FileColumn>,
    ) -> Result<Self> {
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
        let table_made = Table {
            schema,
            name: table_name,
            columns: kinds,
            primary_key: spec.primary_key.clone(),
            indexes: table.indexes.clone(),
            comment: table.comment.clone(),
        };
        let connection = connection.value.clone();
        Ok(Self { connection, table: table_made, mode, create: table.create, columns })
    }

    fn is_key(&self, column: &str) -> bool {
        self.table.primary_key.iter().any(|key| key == column)
    }

    /// Where it is, for people.
    pub(super) fn shown(&self) -> String {
        format!("{}: {}", self.connection, self.table.shown())
    }

    /// Only who writes needs the secrets of the connection.
    pub(super) fn open(&self, task: &Task, sink: &str, run: &str, number: usize) -> Result<TableSink> {
        let load = Load {
            run: run.to_owned(),
            sink: sink.to_owned(),
            staging: format!("stage_{run}_{number}"),
            table: self.table.clone(),
            mode: self.mode.clone(),
            create: self.create,
        };
        let target =
            TableTarget { sink: sink.to_owned(), connection: self.connection.clone(), load, staged: Staged::default() };
        Ok(TableSink {
            database: target.database(task)?,
            target: Mutex::new(target),
            columns: self.columns.clone(),
            copying: Mutex::new(None),
        })
    }
}

/// What publishing needs to know, in a form that outlives this process. The connection goes by its name: its URL may hold
/// a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableTarget {
    pub(crate) sink: String,
    pub(crate) connection: String,
    pub(crate) load: Load,
    /// What is staged.
    pub(crate) staged: Staged,
}

/// A sink that is a table, in a run.
#[derive(Debug)]
pub(crate) struct TableSink {
    target: Mutex<TableTarget>,
    database: Database,
    columns: Vec<FileColumn>,
    copying: Mutex<Option<Copying>>,
}

impl TableSink {
    /// Looks at the table; gives the columns that take only some values.
    pub(crate) async fn look(&self) -> Result<Vec<(String, Kind)>> {
        let client = self.database.connect(SERVER_WAIT).await?;
        match self.target().load.inspect(&self.database, &client).await? {
            TargetState::New => Ok(vec![]),
            TargetState::Existing(narrow) => Ok(narrow),
        }
    }

    /// Makes the staging table.
    pub(super) async fn begin(&self) -> Result<()> {
        let client = self.database.connect(SERVER_WAIT).await?;
        let sink = self.target().load.begin_copy(&self.database, &client).await?;
        fault::point("staging_made");
        *lock(&self.copying) = Some(Copying::start(self.database.clone(), client, sink));
        Ok(())
    }

    /// Starts a part: rows that one reader hands over.
    pub(super) fn part(&self) -> Result<Box<dyn Part>> {
        let copying = lock(&self.copying);
        let Some(copying) = copying.as_ref() else {
            return Err(Error::Unbalanced { message: "a table's rows came before its staging table".to_owned() });
        };
        Ok(Box::new(copying.part(self.target().sink, self.columns.clone())))
    }

    /// Ends staging.
    pub(super) async fn stage(&self, parts: Vec<Written>) -> Result<Written> {
        let copying = lock(&self.copying).take();
        let staged = match copying {
            Some(copying) => copying.finish().await?,
            None => 0,
        };
        let written = Written {
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            file: None,
        };
        if staged != written.rows {
            let message = format!("{} rows were handed over and {staged} are staged", written.rows);
            return Err(Error::Unbalanced { message });
        }
        let load = self.target().load;
        let mut client = self.database.connect(SERVER_WAIT).await?;
        let staged = load.deduplicate(&self.database, &mut client, staged).await?;
        lock(&self.target).staged = staged;
        fault::point("staged");
        Ok(written)
    }

    pub(super) fn target(&self) -> TableTarget {
        lock(&self.target).clone()
    }
}

impl TableTarget {
    /// Fails if the table could not take what is staged.
    pub(super) async fn check(&self, task: &Task) -> Result<()> {
        let database = self.database(task)?;
        let client = database.connect(SERVER_WAIT).await?;
        self.load.inspect(&database, &client).await?;
        Ok(())
    }

    /// Brings what is staged into the table. Safe to repeat after a crash at any point.
    pub(super) async fn publish(&self, task: &Task) -> Result<Counts> {
        let database = self.database(task)?;
        let mut tried = 1;
        loop {
            let mut client = database.connect(SERVER_WAIT).await?;
            match self.load.apply(&database, &mut client, self.staged).await {
                Ok(counts) => {
                    fault::point("switched");
                    return Ok(counts);
                }
                Err(error) if error.is_transient() && tried < TRIES => {
                    tracing::warn!(sink = %self.sink, "{error}; trying again");
                    tokio::time::sleep(Duration::from_millis(100 << tried)).await;
                    tried += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes what is staged.
    pub(super) async fn discard(&self, task: &Task) -> Result<()> {
        let database = self.database(task)?;
        let client = database.connect(SERVER_WAIT).await?;
        self.load.discard(&database, &client).await?;
        fault::point("cleared");
        Ok(())
    }

    pub(super) async fn is_published(&self, task: &Task) -> Result<bool> {
        let database = self.database(task)?;
        let client = database.connect(SERVER_WAIT).await?;
        Ok(self.load.applied(&database, &client).await?.is_some())
    }

    /// Whether what was to be published is gone: neither staged nor in its table.
    pub(super) async fn is_lost(&self, task: &Task) -> Result<bool> {
        let database = self.database(task)?;
        let client = database.connect(SERVER_WAIT).await?;
        let is_there = self.load.applied(&database, &client).await?.is_some()
            || self.load.is_complete(&database, &client, self.staged).await?;
        Ok(!is_there)
    }

    fn database(&self, task: &Task) -> Result<Database> {
        task.connections.database(&self.connection, &task.params).unwrap_or_else(|| {
            let message =
                format!("sink `{}`: its connection `{}` is in no weir.yaml any more", self.sink, self.connection);
            Err(Error::usage(message, "name the connection again: what a run has staged there waits for it"))
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
