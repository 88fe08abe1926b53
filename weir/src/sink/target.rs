//! Sinks of either kind, in one run, and what it takes to publish them.

use serde::{Deserialize, Serialize};
use weir_postgres::load::{Counts, Kind};

use super::append::StateOf;
use super::folder::{Folder, FolderSink};
use super::table::{TableSink, TableTarget};
use super::{Part, Written};
use crate::error::Result;
use crate::task::Task;

/// A sink in a run.
#[derive(Debug)]
pub(crate) enum Sink {
    Folder(Box<FolderSink>),
    Table(Box<TableSink>),
}

impl Sink {
    /// Fails if a folder could not be published as things are; nothing is changed.
    pub(crate) fn look(&mut self, state_of: &StateOf<'_>) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.look(state_of),
            Self::Table(_) => Ok(()),
        }
    }

    /// The same for a table. Gives the columns that take only some values.
    pub(crate) async fn look_at_table(&self) -> Result<Vec<(String, Kind)>> {
        match self {
            Self::Folder(_) => Ok(vec![]),
            Self::Table(table) => table.look().await,
        }
    }

    /// Makes the place to stage in.
    pub(crate) async fn begin(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.begin(),
            Self::Table(table) => table.begin().await,
        }
    }

    /// Starts a part: each reader of a route writes parts of its own.
    pub(crate) fn part(&self) -> Result<Box<dyn Part>> {
        match self {
            Self::Folder(folder) => folder.part(),
            Self::Table(table) => table.part(),
        }
    }

    /// Completes what the parts have staged, so that it only has to be switched to.
    pub(crate) async fn stage(&self, parts: Vec<Written>) -> Result<Written> {
        match self {
            Self::Folder(folder) => folder.stage(parts),
            Self::Table(table) => table.stage(parts).await,
        }
    }

    /// How to publish or discard what is staged, in a form that outlives this process.
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Folder(folder) => Target::Folder(folder.folder().clone()),
            Self::Table(table) => Target::Table(table.target()),
        }
    }
}

/// Where a sink's rows are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Target {
    Folder(Folder),
    Table(TableTarget),
}

impl Target {
    /// The sink's name.
    pub(crate) fn sink(&self) -> &str {
        match self {
            Self::Folder(folder) => &folder.sink,
            Self::Table(table) => &table.sink,
        }
    }

    /// Whether it is a table. Tables are published first: what can get lost before it is in its place is in them.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Table(_))
    }

    /// Fails if it could not be published as things are.
    pub(crate) async fn check(&self, task: &Task) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.check(),
            Self::Table(table) => table.check(task).await,
        }
    }

    /// Publishes what is staged; of a table says what that came to. Safe to repeat after a crash at any point.
    pub(crate) async fn publish(&self, task: &Task) -> Result<Option<Counts>> {
        match self {
            Self::Folder(folder) => folder.publish().map(|()| None),
            Self::Table(table) => table.publish(task).await.map(Some),
        }
    }

    /// Removes what is staged.
    pub(crate) async fn discard(&self, task: &Task) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.discard(),
            Self::Table(table) => table.discard(task).await,
        }
    }

    /// Whether what was to be published is gone: neither staged nor in its place.
    pub(crate) async fn is_lost(&self, task: &Task) -> Result<bool> {
        match self {
            Self::Folder(folder) => folder.is_lost(),
            Self::Table(table) => table.is_lost(task).await,
        }
    }

    /// Whether it is what this run has made of it.
    pub(crate) async fn is_published(&self, task: &Task) -> Result<bool> {
        match self {
            Self::Folder(folder) => folder.is_published(),
            Self::Table(table) => table.is_published(task).await,
        }
    }
}
