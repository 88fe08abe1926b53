//! What tables have in common, whatever kind of server they are on.
//!
//! Rows are encoded by the readers, and handed to the one session that puts them into a staging table (`staging`). All tables
//! of a connection are committed by one transaction, which also enters the run (`transaction`); what that takes outlives the
//! process (`pending`). `open` is a table in one run. `declared` is a table as the task declares it, `mode` how it is loaded, `fits` asks the server whether
//! values fit. A kind of server is a [`Server`].

mod declared;
mod fits;
mod mode;
mod open;
mod pending;
mod staging;
mod transaction;

use std::fmt::Debug;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_database::load::{Counts, Staged};

pub(super) use declared::{DeclaredTable, Existing, check_own};
pub(super) use fits::{Ask, Fits, Session};
use mode::Loading;
pub(super) use open::{OpenTable, Opened};
pub(super) use pending::TableLoad;
pub(super) use staging::{Buffer, Encode, Staging};
pub(super) use transaction::transactions;

use crate::database::Connector;
use crate::error::Result;

/// A kind of server.
#[async_trait]
pub(super) trait Server: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The key under which a task declares such a table, and the tag of its loads in the ledger.
    const KEY: &'static str;

    /// A load into a table.
    type Load: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// A session.
    type Session: Send + Sync;

    /// Opens a session.
    async fn connect(connector: &Connector, connection: &str) -> Result<Self::Session>;

    /// How rows are encoded.
    type Encode: Encode;

    /// Creates the staging table, and gives the session to it.
    async fn stage(session: Self::Session, load: &Self::Load) -> Result<(Self::Encode, Staging)>;

    /// Deletes all but the newest of several rows with the same key; `rows` is the number of rows in the staging table.
    async fn deduplicate(session: &mut Self::Session, load: &Self::Load, rows: u64) -> Result<Staged>;

    /// Fails if the load could not be applied as things are.
    async fn inspect(session: &mut Self::Session, load: &Self::Load) -> Result<()>;

    /// Whether the load was applied.
    async fn is_applied(session: &mut Self::Session, load: &Self::Load) -> Result<bool>;

    /// Whether the staging table still has all its rows.
    async fn is_complete(session: &mut Self::Session, load: &Self::Load, staged: Staged) -> Result<bool>;

    /// Drops the staging table.
    async fn discard(session: &mut Self::Session, load: &Self::Load) -> Result<()>;

    /// Moves the rows of the staging tables into the targets, and leaves the transaction open.
    async fn begin(session: &mut Self::Session, loads: &[(&Self::Load, Staged)]) -> Result<Vec<Counts>>;

    /// Commits what `begin` has left open.
    async fn commit(session: &mut Self::Session) -> Result<()>;

    /// Removes what the commit leaves, on servers whose transactions cannot. If it fails, or the run dies before, to begin and
    /// commit again does it.
    async fn release(_session: &mut Self::Session, _loads: &[&Self::Load]) -> Result<()> {
        Ok(())
    }

    /// Undoes what `begin` has left open.
    async fn roll_back(session: &mut Self::Session);
}
