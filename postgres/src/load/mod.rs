//! Rows into a table, all of them or none, and each run once.
//!
//! Rows go into a staging table first ([`Load::stage`]), where one of each key is left ([`Load::settle`]). Then one
//! transaction brings them into the target ([`Load::apply`]) and enters the run into the table `weir.applied` beside it: a
//! run that is applied again, because nobody knows whether it was, is found there. What is staged outlives its session and
//! its process, so a run that died between the two can be finished by the next start.
//!
//! Writers of the target wait while a run is applied, readers do not. Rows that are as they should be are not written.
//!
//! ```no_run
//! # use std::{pin::pin, time::Duration};
//! # use bytes::Bytes;
//! # use futures::SinkExt;
//! use weir_postgres::load::{Column, Kind, Load, Mode, Table};
//! # async fn load() -> Result<(), Box<dyn std::error::Error>> {
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
//! };
//! let mut copy = pin!(load.stage(&database, &client).await?);
//! copy.send(Bytes::from_static(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff")).await?;
//! let rows = copy.finish().await?;
//! let staged = load.settle(&database, &mut client, rows).await?;
//! let counts = load.apply(&database, &mut client, staged).await?;
//! println!("{} inserted, {} updated", counts.inserted, counts.updated);
//! # Ok(())
//! # }
//! ```

mod apply;
mod kind;
mod settle;
mod table;
mod target;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, CopyInSink};

pub use apply::Counts;
pub use kind::{Fit, Kind};
pub use settle::Staged;
pub use table::{Column, Table};
pub use target::Target;

use crate::{Database, Error, Result};

/// What becomes of the rows that a table has already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They stay, and the run's are added.
    Append,
    /// Only the run's rows are left. With a primary key, rows that are the same before and after are not touched.
    Overwrite,
    /// The run's rows are inserted, or update those with the same primary key.
    Merge {
        /// The column that says which of two rows of one key is newer: an older one never goes before a newer one.
        update_key: Option<String>,
    },
}

/// The rows of one sink of one run, on their way into a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// The run.
    pub run: String,
    /// The sink; with the run it names the load for good.
    pub sink: String,
    /// The staging table in the schema `weir`: at most 63 bytes, and no other load's.
    pub staging: String,
    /// The table that takes the rows.
    pub table: Table,
    /// What becomes of the rows that are there already.
    pub mode: Mode,
    /// Whether the table is made if it is not there.
    pub create: bool,
}

/// The schema of staging tables and of the table `applied`.
const SCHEMA: &str = "weir";

impl Load {
    /// Looks at the target: how its columns can take the rows. Nothing is changed.
    ///
    /// # Errors
    /// [`Error::Table`] if the target is not there and is not to be made, or could not take the rows; it names everything
    /// that differs.
    pub async fn look(&self, database: &Database, client: &Client) -> Result<Target> {
        target::look(self, database, client).await
    }

    /// Makes the staging table and opens it for rows in the binary format of `COPY`, of the table's columns in their
    /// order. What an earlier try has staged is removed.
    ///
    /// # Errors
    /// [`Error::Statement`], as for a user who may not create a schema.
    pub async fn stage(&self, database: &Database, client: &Client) -> Result<CopyInSink<Bytes>> {
        let failed = |error| database.statement_error(&error);
        self.prepare(client).await.map_err(failed)?;
        // What is in an unlogged table is gone after a crash of the server, which `apply` finds; it is written once
        // instead of twice. A target that is made is the staging table itself, and has to last.
        let is_there = target::exists(client, &self.table).await.map_err(failed)?;
        let staging = self.staging();
        let columns = self.table.column_definitions();
        let unlogged = if is_there { "unlogged " } else { "" };
        let make = format!("drop table if exists {staging}; create {unlogged}table {staging} ({columns})");
        client.batch_execute(&make).await.map_err(failed)?;
        let copy = format!("copy {staging} from stdin (format binary)");
        client.copy_in(&copy).await.map_err(failed)
    }

    /// Leaves of several staged rows of one key the newest; `rows` were staged.
    ///
    /// # Errors
    /// [`Error::Table`] if nothing says which is the newest, or if not all rows are there.
    pub async fn settle(&self, database: &Database, client: &mut Client, rows: u64) -> Result<Staged> {
        settle::settle(self, database, client, rows).await
    }

    /// Brings what is staged into the target, in one transaction; does nothing if it was done before.
    ///
    /// # Errors
    /// [`Error::Table`] if what is staged is gone or not whole; [`Error::Statement`] if the target refuses a row. The
    /// target is then as it was. After [`Error::Lost`] only the server knows; to apply again, in a new session, is right in
    /// any case.
    pub async fn apply(&self, database: &Database, client: &mut Client, staged: Staged) -> Result<Counts> {
        apply::apply(self, database, client, staged).await
    }

    /// What the load came to, if it was applied.
    pub async fn applied(&self, database: &Database, client: &Client) -> Result<Option<Counts>> {
        let counts = apply::of_earlier_try(self, client).await;
        counts.map_err(|error| database.statement_error(&error))
    }

    /// Whether all that was staged is still there.
    pub async fn is_whole(&self, database: &Database, client: &Client, staged: Staged) -> Result<bool> {
        let left = settle::left(self, client).await;
        Ok(left.map_err(|error| database.statement_error(&error))? == Some(staged.rows))
    }

    /// Removes what is staged.
    pub async fn discard(&self, database: &Database, client: &Client) -> Result<()> {
        let dropped = client.batch_execute(&format!("drop table if exists {}", self.staging())).await;
        dropped.map_err(|error| database.statement_error(&error))
    }

    async fn prepare(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let is_there = client.query_one("select to_regclass('weir.applied') is not null", &[]).await?;
        if is_there.get(0) {
            return Ok(());
        }
        // Two that do this at once would both find nothing, and one of them would fail.
        client.batch_execute(apply::LEDGER).await
    }

    fn staging(&self) -> String {
        format!("{SCHEMA}.{}", crate::sql::quoted(&self.staging))
    }

    fn error(&self, database: &Database, message: impl Into<String>, help: &str) -> Error {
        let table = self.table.shown();
        Error::Table { database: database.to_string(), table, message: message.into(), help: help.to_owned() }
    }
}
