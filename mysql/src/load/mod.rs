//! Transactional loads: all rows of a run become visible in a table at once, and each run is applied exactly once.
//!
//! Rows are first loaded into a staging table ([`Load::create_staging`], [`Load::load_rows`]), which is then deduplicated by
//! primary key ([`Load::deduplicate`]). One transaction moves the rows of all loads of a connection into their targets
//! ([`begin`], [`commit`], [`release`]) and records the run in the table `weir_applied`: if a run is applied again because the outcome of
//! its commit is unknown, it is found there. A staging table outlives its session and its process, so the next start can
//! finish a run that died before the commit.
//!
//! DDL commits implicitly on these servers. So the transaction has none: a missing target is created, empty, before it, and
//! the staging tables are dropped after it. Within the transaction, rows are deleted from children before parents and written
//! to parents before children. Readers see the rows of before until the commit. Unchanged rows are not written.
//!
//! Staging tables and `weir_applied` are in the connection's database. A staging table has the types of the target's columns,
//! so that keys are compared as the target compares them.

mod apply;
mod blocked;
mod deletion;
mod duplicates;
mod history;
mod kind;
mod refused;
mod rights;
mod staging;
mod table;
mod target;
mod write;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Receiver;

pub use kind::{Bound, Kind};
pub use staging::unfit;
pub use table::{Column, ExistingType, Table};
pub use target::{Existing, New, TargetState};
pub use weir_database::load::{Applied, Counts, Deletion, HistoryColumns, Mark, Mode, Piece, Staged};

use crate::session::Session;
use crate::sql::quoted;
use crate::{Database, Error, Result};

/// The load of one sink of one run into a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Id of the run.
    pub run: String,
    /// Name of the sink; run and sink together identify the load.
    pub sink: String,
    /// Name of the staging table: at most 59 bytes, unique among all loads.
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
    /// Whether the staging table survives a crash of the server. It takes longer to fill then.
    #[serde(default)]
    pub durable: bool,
}

/// Moves the rows of the staging tables into the targets in one transaction, and leaves it open in the session: all that can
/// be refused has been done, and nothing is visible until [`commit`] but missing tables and columns, which are made before.
/// Returns the counts of each load; those of a load that was applied before are the recorded ones.
///
/// # Errors
/// [`Error::Refused`] or [`Error::Statement`] if a target refuses a row; [`Error::Table`] if rows of a staging table are
/// missing. No row is changed then, and no transaction is open.
pub async fn begin(session: &mut Session, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
    apply::begin(session, loads).await
}

/// Commits what [`begin`] has left open.
///
/// # Errors
/// After [`Error::Lost`] the outcome is unknown; to begin and commit again in a new session is safe.
pub async fn commit(session: &mut Session) -> Result<()> {
    session.execute("commit").await.map(drop)
}

/// Drops the staging tables of loads that were committed, and lets other runs have the targets. If this is not reached, to
/// begin, commit and release again does it. A table that the server refuses to drop is named in a warning.
///
/// # Errors
/// [`Error::Lost`] if the session ends before.
pub async fn release(session: &mut Session, loads: &[&Load]) -> Result<()> {
    apply::release(session, loads).await
}

/// Undoes what [`begin`] has left open.
pub async fn roll_back(session: &mut Session) {
    // Where the session is lost, so is its transaction.
    let _ = session.execute("rollback").await;
    apply::unlock(session).await;
}

impl Load {
    /// Inspects the target: whether it can be loaded, and what its columns hold of the rows. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Table`] if the target does not exist and must not be created, or is incompatible with the rows, or if the user
    /// lacks a right; the message lists all differences, the help the statements that grant what is missing.
    pub async fn inspect(&self, session: &mut Session) -> Result<TargetState> {
        target::inspect(self, session).await
    }

    /// Adapts the load to an existing target: rows are staged in its types, and it is not made anew if it is dropped
    /// meanwhile, because its rights and all else that is not declared would be gone.
    pub fn fit(&mut self, existing: &Existing) {
        self.create = false;
        for column in &mut self.table.columns {
            column.is_new = existing.added.contains(&column.name);
            let of_target = existing.columns.iter().find(|(name, _)| *name == column.name);
            column.existing = of_target.map(|(_, kind)| kind.clone());
        }
        if let Some(mark) = self.deletion.as_mut().and_then(|deletion| deletion.mark.as_mut()) {
            mark.is_boolean = existing.mark_is_boolean;
        }
    }

    /// Creates the staging table. That of an earlier attempt is dropped.
    pub async fn create_staging(&self, session: &mut Session) -> Result<()> {
        staging::create(self, session).await
    }

    /// Loads rows into the staging table; returns their number. Each row is a line of values separated by tabs, in the order
    /// of the table's columns (and the marker of deleted rows): null is `\N`, a backslash, tab or line feed in a text has a
    /// backslash before it, bytes are `\\\\x` and hexadecimal digits, booleans are 0 or 1. Without [`Piece::End`] the load fails.
    ///
    /// # Errors
    /// [`Error::Table`] if the server has changed a value, or has other rows than it was given.
    pub async fn load_rows(&self, session: &mut Session, rows: Receiver<Piece>) -> Result<u64> {
        staging::load(self, session, rows).await
    }

    /// Deletes all but the newest of several loaded rows with the same key; `rows` is the number of loaded rows.
    ///
    /// # Errors
    /// [`Error::Table`] if it is undefined which row is the newest, or if loaded rows are missing.
    pub async fn deduplicate(&self, session: &mut Session, rows: u64) -> Result<Staged> {
        staging::deduplicate(self, session, rows).await
    }

    /// The counts of the load if it was applied.
    pub async fn applied(&self, session: &mut Session) -> Result<Option<Counts>> {
        apply::recorded_counts(self, session).await
    }

    /// Whether the staging table still has all its rows.
    pub async fn is_complete(&self, session: &mut Session, staged: Staged) -> Result<bool> {
        Ok(staging::count(self, session).await? == Some(staged.rows))
    }

    /// Drops the staging table. Waits some seconds for a session that still uses it, such as one that was broken off.
    pub async fn discard(&self, session: &mut Session) -> Result<()> {
        session.execute(&self.drop_staging()).await.map(drop)
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

    /// The DDL that makes the target.
    fn create_target(&self, session: &Session) -> String {
        let mut more = Vec::new();
        let mut key = self.table.primary_key.clone();
        if let Mode::History { columns, .. } = &self.mode {
            let (from, to) = (quoted(&columns.valid_from), quoted(&columns.valid_to));
            more.extend([format!("{from} datetime(6) not null"), format!("{to} datetime(6)")]);
            key.push(columns.valid_from.clone());
        } else if let Some(mark) = self.deletion.as_ref().and_then(|deletion| deletion.mark.as_ref()) {
            more.push(deletion::definition(mark));
        }
        self.table.create(session.product(), &more, &key)
    }

    /// Drops all tables of the load but its target.
    fn drop_staging(&self) -> String {
        format!("drop table if exists {}, {}, {}, {}", self.staging(), self.kept(), self.keys(), self.last())
    }

    fn staging(&self) -> String {
        quoted(&self.staging)
    }

    /// The staging table without duplicates, while it is made.
    fn kept(&self) -> String {
        quoted(&format!("{}_kept", self.staging))
    }

    /// The keys that several rows of the staging table have, while duplicates are deleted.
    fn keys(&self) -> String {
        quoted(&format!("{}_keys", self.staging))
    }

    /// These keys, each with its newest version.
    fn last(&self) -> String {
        quoted(&format!("{}_last", self.staging))
    }

    fn error(&self, database: &Database, message: impl Into<String>, help: &str) -> Error {
        let table = self.table.shown();
        Error::Table { database: database.to_string(), table, message: message.into(), help: help.to_owned() }
    }
}
