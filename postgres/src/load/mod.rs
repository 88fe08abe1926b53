//! Transactional loads: all rows of a run become visible in a table at once, and each run is applied exactly once.
//!
//! Rows are first copied into a staging table ([`Load::begin_copy`]), which is then deduplicated by primary key
//! ([`Load::deduplicate`]). One transaction moves the rows of all loads of a database into their targets ([`begin`],
//! [`commit`]) and records the run in the ledger table `weir.applied`: if a run is applied again because the outcome of its
//! commit is unknown, it is found there. A staging table outlives its session and its process, so the next start can finish
//! a run that died before `commit`.
//!
//! Within the transaction, rows are deleted from children before parents and written to parents before children, and
//! deferrable constraints are deferred to its end: foreign keys between the targets hold whatever the order of the loads is.
//! It blocks other writers of the targets, but not readers. Unchanged rows are not written.
//!
//! ```no_run
//! # use std::{pin::pin, time::Duration};
//! # use bytes::Bytes;
//! # use futures::SinkExt;
//! use weir_postgres::load::{self, Column, Kind, Load, Mode, Table};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let database: weir_postgres::Database = "postgres://loader@db.example/sales".parse()?;
//! let mut client = database.connect(Duration::ZERO).await?;
//! let load = Load {
//!     run: "20260101T000000Z-0001".to_owned(),
//!     sink: "price".to_owned(),
//!     staging: "stage_20260101T000000Z-0001_0".to_owned(),
//!     table: Table {
//!         name: "price".to_owned(),
//!         columns: vec![Column::new("item", Kind::Text), Column::new("cost", Kind::Numeric(Some((12, 2))))],
//!         primary_key: vec!["item".to_owned()],
//!         ..Table::default()
//!     },
//!     mode: Mode::Merge { update_key: None },
//!     create: true,
//!     adds_columns: false,
//!     deletion: None,
//!     task: None,
//!     durable: false,
//! };
//! let mut copy = pin!(load.begin_copy(&database, &client).await?);
//! copy.send(Bytes::from_static(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff")).await?;
//! let rows = copy.finish().await?;
//! let staged = load.deduplicate(&database, &mut client, rows).await?;
//! let counts = load::begin(&database, &client, &[(&load, staged)]).await?;
//! load::commit(&database, &client).await?;
//! println!("{} inserted, {} updated", counts[0].inserted, counts[0].updated);
//! # Ok(())
//! # }
//! ```

mod apply;
mod blocked;
mod cast;
mod deduplicate;
mod deletion;
mod history;
mod kind;
pub mod redshift;
mod refused;
mod rights;
mod table;
mod target;
mod trigger;
mod write;

use std::pin::Pin;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, CopyInSink};

pub use cast::{Cast, unfit};
pub use kind::Kind;
pub use table::{Column, Table};
pub use target::{Existing, TargetState};
pub use weir_database::load::{Applied, Counts, Deletion, Fit, HistoryColumns, Mark, Mode, Staged};

use crate::sql::{list, quoted};
use crate::{Database, Dialect, Error, Result};

/// The load of one sink of one run into a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Id of the run.
    pub run: String,
    /// Name of the sink; run and sink together identify the load.
    pub sink: String,
    /// Name of the staging table in the schema `weir`: at most 63 bytes, unique among all loads.
    pub staging: String,
    /// The target table.
    pub table: Table,
    /// What to do with existing rows.
    pub mode: Mode,
    /// Whether to create the table if it does not exist.
    pub create: bool,
    /// Whether columns that an existing table lacks are added to it.
    #[serde(default)]
    pub adds_columns: bool,
    /// What rows do that say that a row is gone, in [`Mode::Merge`] and [`Mode::History`]; if none, there are no such rows.
    #[serde(default)]
    pub deletion: Option<Deletion>,
    /// What the run is a run of; recorded with it.
    #[serde(default)]
    pub task: Option<String>,
    /// Whether the staging table survives a crash of the server. It is written twice then.
    #[serde(default)]
    pub durable: bool,
}

/// How rows come into a staging table.
pub enum Staging {
    /// By a `COPY`, in the binary format, with the table's columns in their order.
    Copy(Pin<Box<CopyInSink<Bytes>>>),
    /// By statements.
    Insert(redshift::Insert),
}

/// Moves the rows of the staging tables into the targets in one transaction, and leaves it open in the session: all that can
/// be refused has been done, and nothing is visible until [`commit`]. Returns the counts of each load; those of a load that
/// was applied before are the recorded ones.
///
/// # Errors
/// [`Error::Refused`] or [`Error::Statement`] if a target refuses a row; [`Error::Table`] if rows of a staging table are
/// missing. Nothing is changed then, and no transaction is open.
pub async fn begin(database: &Database, client: &Client, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
    match database.dialect() {
        Dialect::Postgres => apply::begin(database, client, loads).await,
        Dialect::Redshift => redshift::begin(database, client, loads).await,
    }
}

/// Commits what [`begin`] has left open.
///
/// # Errors
/// After [`Error::Lost`] the outcome is unknown; to begin and commit again in a new session is safe.
pub async fn commit(database: &Database, client: &Client) -> Result<()> {
    client.batch_execute("commit").await.map_err(|error| database.statement_error(&error))
}

/// The schema of the staging tables and of the ledger table `applied`.
const SCHEMA: &str = "weir";

impl Load {
    /// Inspects the target: whether it can be loaded, and which of its columns are narrower than those of the rows.
    /// Changes nothing.
    ///
    /// # Errors
    /// [`Error::Table`] if the target does not exist and must not be created, or is incompatible with the rows, or if the user
    /// lacks a right; the message lists all differences, the help the statements that grant what is missing.
    pub async fn inspect(&self, database: &Database, client: &Client) -> Result<TargetState> {
        match database.dialect() {
            Dialect::Postgres => target::inspect(self, database, client).await,
            Dialect::Redshift => redshift::inspect(self, database, client).await,
        }
    }

    /// Creates the staging table, and begins to write into it in the way of the server. A staging table of an earlier
    /// attempt is dropped.
    ///
    /// # Errors
    /// [`Error::Statement`], as for a user who may not create a schema.
    pub async fn begin_staging(&self, database: &Database, client: &Client) -> Result<Staging> {
        Ok(match database.dialect() {
            Dialect::Postgres => Staging::Copy(Box::pin(self.begin_copy(database, client).await?)),
            Dialect::Redshift => Staging::Insert(redshift::begin_insert(self, database, client).await?),
        })
    }

    /// Creates the staging table and opens a `COPY` into it, in the binary format, with the table's columns in their
    /// order. A staging table of an earlier attempt is dropped.
    ///
    /// # Errors
    /// [`Error::Statement`], as for a user who may not create a schema.
    pub async fn begin_copy(&self, database: &Database, client: &Client) -> Result<CopyInSink<Bytes>> {
        let failed = |error| database.statement_error(&error);
        self.create_ledger(client).await.map_err(failed)?;
        // An unlogged table is written once instead of twice, but is empty after a crash of the server, which `apply`
        // detects. If the target will be created, the staging table becomes the target and must be durable.
        let becomes_target =
            self.is_promoted() && target::identity(client, &self.table).await.map_err(failed)?.is_none();
        let staging = self.staging();
        let mut columns = self.table.staged_columns();
        if let Some(Deletion { marker, .. }) = &self.deletion {
            columns += &format!(", {} boolean", quoted(marker));
        }
        let unlogged = if !becomes_target && !self.durable { "unlogged " } else { "" };
        let make = format!("drop table if exists {staging}; create {unlogged}table {staging} ({columns})");
        client.batch_execute(&make).await.map_err(failed)?;
        let copy = format!("copy {staging} from stdin (format binary)");
        client.copy_in(&copy).await.map_err(failed)
    }

    /// Gives the columns of the staging table the types of the target's, and deletes all but the newest of several copied
    /// rows with the same key; `rows` is the number of copied rows.
    ///
    /// # Errors
    /// [`Error::Table`] if it is undefined which row is the newest, or if copied rows are missing.
    pub async fn deduplicate(&self, database: &Database, client: &mut Client, rows: u64) -> Result<Staged> {
        match database.dialect() {
            Dialect::Postgres => deduplicate::deduplicate(self, database, client, rows).await,
            Dialect::Redshift => redshift::deduplicate(self, database, client, rows).await,
        }
    }

    /// The counts of the load if it was applied.
    pub async fn applied(&self, database: &Database, client: &Client) -> Result<Option<Counts>> {
        if database.dialect() == Dialect::Redshift {
            return redshift::is_applied(self, database, client).await;
        }
        let counts = apply::recorded_counts(self, client).await;
        counts.map_err(|error| database.statement_error(&error))
    }

    /// Whether the staging table still has all its rows.
    pub async fn is_complete(&self, database: &Database, client: &Client, staged: Staged) -> Result<bool> {
        if database.dialect() == Dialect::Redshift {
            return redshift::is_complete(self, database, client, staged).await;
        }
        let left = deduplicate::count(self, client).await;
        Ok(left.map_err(|error| database.statement_error(&error))? == Some(staged.rows))
    }

    /// Drops the staging table. Waits some seconds for a session that still uses it, such as one that was broken off.
    pub async fn discard(&self, database: &Database, client: &Client) -> Result<()> {
        if database.dialect() == Dialect::Redshift {
            return redshift::discard(self, database, client).await;
        }
        let drop = format!("begin; set local lock_timeout = '5s'; {}; commit", self.drop_staging());
        let dropped = blocked::told("a staging table", client.batch_execute(&drop)).await;
        dropped.map_err(|error| database.statement_error(&error))
    }

    async fn create_ledger(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let is_current = "select exists (
            select from pg_attribute where attrelid = to_regclass('weir.applied') and attname = 'task'
        )";
        if client.query_one(is_current, &[]).await?.get(0) {
            return Ok(());
        }
        // If two sessions did this at once, both would find no table, and one of them would fail.
        client.batch_execute(apply::LEDGER).await
    }

    /// The columns of the target that the load sets, and the rows do not have.
    fn own_columns(&self) -> impl Iterator<Item = &str> {
        let of_history = match &self.mode {
            Mode::History { columns, .. } => vec![columns.valid_from.as_str(), columns.valid_to.as_str()],
            _ => vec![],
        };
        let mark = self.deletion.as_ref().and_then(|deletion| deletion.mark.as_ref());
        of_history.into_iter().chain(mark.map(|mark| mark.column.as_str()))
    }

    /// Whether the staging table becomes the target, if there is none: it has all columns of it, and only its rows.
    fn is_promoted(&self) -> bool {
        !matches!(self.mode, Mode::History { .. }) && self.deletion.is_none()
    }

    /// The DDL that makes the target, where the staging table cannot become it.
    fn create_target(&self) -> String {
        let name = self.table.name();
        let mut columns = self.table.created_columns();
        let mut key: Vec<&str> = self.table.primary_key.iter().map(String::as_str).collect();
        if let Mode::History { update_key, columns: history } = &self.mode {
            let of_key = self.table.columns.iter().find(|column| Some(&column.name) == update_key.as_ref());
            let kind = of_key.map_or(Kind::TimestampTz, |column| column.kind.clone());
            let (from, to) = (quoted(&history.valid_from), quoted(&history.valid_to));
            columns += &format!(", {from} {kind} not null, {to} {kind}");
            key.push(&history.valid_from);
        } else if let Some(mark) = self.deletion.as_ref().and_then(|deletion| deletion.mark.as_ref()) {
            columns += &format!(", {}", deletion::definition(mark));
        }
        let mut ddl = vec![format!("create table {name} ({columns}, primary key ({}))", list(&key))];
        ddl.extend(self.table.post_create_ddl());
        ddl.join("; ")
    }

    /// The DDL that adds columns that an existing target may lack, if it may be altered.
    fn add_columns(&self) -> Option<String> {
        if !self.adds_columns {
            return None;
        }
        let others = self.table.columns.iter().filter(|column| column.is_new);
        let add =
            |column: &Column| format!("add column if not exists {} {}", quoted(&column.name), column.created_type());
        let add = others.map(add).collect::<Vec<_>>().join(", ");
        (!add.is_empty()).then(|| format!("alter table {} {add}", self.table.name()))
    }

    fn drop_staging(&self) -> String {
        format!("drop table if exists {}", self.staging())
    }

    fn staging(&self) -> String {
        format!("{SCHEMA}.{}", crate::sql::quoted(&self.staging))
    }

    fn error(&self, database: &Database, message: impl Into<String>, help: &str) -> Error {
        let table = self.table.shown();
        Error::Table { database: database.to_string(), table, message: message.into(), help: help.to_owned() }
    }
}
