//! Sinks: where the rows of a route go, as the participants of a two-phase commit.
//!
//! A sink is bound to the columns of its route ([`Target`]), opened for one run ([`OpenTarget`]), begun ([`Writing`]),
//! prepared ([`Prepared`]), and then aborted, or committed in a [`Transaction`] with the others of its server. Each
//! step consumes the one before, so that calling them out of order does not compile. What a sink needs to commit or
//! abort is written to the ledger as a [`PendingTarget`] with the tag of its kind, so that another process can finish
//! what this one began.
//!
//! Each kind of target is a module of its own, and a line in [`KINDS`]: `bucket`, `file`, `folder`, `postgres`, `mysql`. What
//! `file` and `folder` share is in `local`, what tables share in `table`; `bucket` has the manifest and the partitions of
//! `folder`, and both have files of rows or `documents`, which `content` tells apart.

mod bind;
#[cfg(feature = "object-stores")]
mod bucket;
mod content;
mod documents;
mod file;
mod folder;
mod limit;
mod local;
mod mysql;
mod postgres;
mod private;
mod shared;
mod table;

use std::any::Any;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use bind::BoundSink;
pub(crate) use limit::{ColumnLimit, ColumnLimits, Limit, add_rules, reject_them, tests};
pub(crate) use private::protected;
pub(crate) use shared::SharedParts;

use crate::database::Connector;
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::ledger::PendingTarget;
use crate::quality::Condition;
use crate::report::{LoadReport, RunKey, State};
use crate::task::{SinkSpec, Task};

/// A target that is bound to the columns of a route. Nothing was accessed.
#[async_trait]
pub(crate) trait Target: Debug + Send + Sync {
    /// The columns that it takes.
    fn columns(&self) -> &[OutputColumn];

    /// Its name in messages and reports.
    fn place(&self) -> String;

    /// What no other sink of the task may write to.
    fn claim(&self) -> Claim;

    /// The server that it is on, by the name of its connection.
    fn server(&self) -> Option<&str> {
        None
    }

    /// The columns in which no value may be missing.
    fn key(&self) -> &[String] {
        &[]
    }

    /// What a target of this kind can hold, whatever it is like.
    fn limits(&self) -> Vec<ColumnLimit> {
        vec![]
    }

    /// Encodes the rows of a batch of the route into nothing.
    fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError>;

    /// Opens it for a run. Fails if it could not be committed as things are; changes nothing.
    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>>;

    /// What creates parts in another process than the one that has begun the target, whose pending form this is; none if no
    /// other process can write to it.
    fn attempts(&self, _pending: &Value) -> Result<Option<Arc<dyn Parts>>> {
        Ok(None)
    }
}

/// A sink of one run.
pub(crate) struct SinkRun<'a> {
    /// The sink's name.
    pub(crate) sink: &'a str,
    /// Its position among the sinks of the task.
    pub(crate) number: usize,
    pub(crate) key: &'a RunKey,
    /// The run's id.
    pub(crate) run: &'a str,
    /// The moment of the run.
    pub(crate) at: DateTime<Utc>,
    pub(crate) connector: &'a Connector,
    /// Whether the sinks of the task are on more than one server.
    pub(crate) has_several_servers: bool,
    pub(crate) history: &'a History<'a>,
}

/// The state of the run of an id, if the ledger has it.
pub(crate) type History<'a> = dyn Fn(&str) -> Result<Option<State>> + Send + Sync + 'a;

/// What a target occupies. Two sinks of a task must not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A folder and all that is below it, as an absolute path.
    Folder(PathBuf),
    /// A file, as an absolute path.
    File(PathBuf),
    /// The objects below a URL.
    #[cfg_attr(not(feature = "object-stores"), expect(dead_code, reason = "this program has no object stores"))]
    Objects(String),
    /// A table, by the name of its connection and its own.
    Table(String),
}

impl Claim {
    /// Whether one of the two holds the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self.path(), other.path()) {
            (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
            _ => self == other,
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) | Self::File(path) => Some(path),
            Self::Objects(url) => Some(Path::new(url)),
            Self::Table(_) => None,
        }
    }
}

/// A target that was opened for a run.
#[async_trait]
pub(crate) trait OpenTarget: Debug + Send + Sync {
    /// What this target can hold, in place of the limits of its kind.
    fn limits(&self) -> &[ColumnLimit] {
        &[]
    }

    /// What it is, whatever name it is addressed by. Two sinks of a task must not be the same.
    fn identity(&self) -> Option<&str> {
        None
    }

    /// Whether other processes can write to it, by [`Target::attempts`].
    fn takes_attempts(&self) -> bool {
        false
    }

    /// What it takes to abort it from now on.
    fn pending(&self) -> Box<dyn Pending>;

    /// Creates what rows are written to before the commit.
    async fn begin(self: Box<Self>) -> Result<Box<dyn Writing>>;
}

/// A target that takes rows.
#[async_trait]
pub(crate) trait Writing: Debug + Send + Sync {
    /// What creates its parts.
    fn parts(&self) -> Arc<dyn Parts>;

    /// Begins to let other processes write to it, if [they can](OpenTarget::takes_attempts).
    fn allow_attempts(&self) -> Result<()> {
        Ok(())
    }

    /// Completes what the parts have written, and makes it durable: after this it can be committed, also by another process.
    async fn prepare(self: Box<Self>, parts: Vec<Written>) -> Result<(Written, Box<dyn Prepared>)>;

    /// Stops writing, so that it can be aborted.
    async fn cancel(self: Box<Self>);
}

/// Creates parts: each reader of a route writes parts of its own.
pub(crate) trait Parts: Debug + Send + Sync {
    /// Begins a part.
    fn part(&self) -> Result<Box<dyn Part>>;
}

/// A part of a sink that is being written.
pub(crate) trait Part: Send {
    /// Writes the chosen rows of a batch, or all.
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()>;

    /// Completes the part. Returns what is in each of its files, or the whole of it.
    fn finish(self: Box<Self>) -> Result<Vec<Written>>;
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// The names of the files within the sink.
    pub(crate) files: Vec<String>,
    /// Whether the files are those of an attempt, which may not be the only one: they have names of their own, in a folder
    /// beside the sink's, until the sink takes them.
    #[serde(default)]
    pub(crate) is_attempt: bool,
}

impl Written {
    /// The sum of some parts.
    pub(crate) fn total(parts: Vec<Self>) -> Self {
        let mut total = Self::default();
        for part in parts {
            total.rows += part.rows;
            total.bytes += part.bytes;
            total.files.extend(part.files);
        }
        total
    }
}

/// What it takes to abort a sink, in a form that outlives the process.
#[async_trait]
pub(crate) trait Pending: Debug + Send + Sync {
    /// The sink's name.
    fn sink(&self) -> &str;

    /// The tag of its kind.
    fn kind(&self) -> &'static str;

    /// Its fields.
    fn to_json(&self) -> serde_json::Result<Value>;

    /// Removes what was written. Safe to repeat after a crash at any point.
    async fn abort(&self, connector: &Connector) -> Result<()>;
}

/// A sink that can be committed.
#[async_trait]
pub(crate) trait Prepared: Pending {
    /// For its kind, to know it again.
    fn as_any(&self) -> &dyn Any;

    /// Fails if it could not be committed as things are.
    async fn check(&self, connector: &Connector) -> Result<()>;

    /// Whether it was committed by this run.
    async fn is_committed(&self, connector: &Connector) -> Result<bool>;

    /// Whether what was prepared is lost: it is neither committed nor there to be committed.
    async fn is_lost(&self, connector: &Connector) -> Result<bool>;
}

/// Sinks of one run that are committed together: those on one server, all folders, all files, or all buckets.
#[async_trait]
pub(crate) trait Transaction: Debug + Send + Sync {
    /// Does all that can be refused, and takes all locks. Nothing is visible yet. If it fails, nothing is changed.
    async fn begin(&self, connector: &Connector) -> Result<Box<dyn OpenTransaction>>;
}

/// A transaction of which nothing is left to do but the commit.
#[async_trait]
pub(crate) trait OpenTransaction: Debug + Send + Sync {
    /// Makes it visible; returns the results of the loads into tables by sink. If it fails, it may be committed in part: to
    /// begin and commit again is safe.
    async fn commit(self: Box<Self>) -> Result<Vec<(String, LoadReport)>>;

    /// Undoes it.
    async fn roll_back(self: Box<Self>);
}

/// The transactions of prepared sinks, in the order in which they are committed: servers first, because one may be lost or
/// refuse, and of these buckets, where nothing can be locked before.
pub(crate) fn transactions<'a>(sinks: impl Iterator<Item = &'a dyn Prepared>) -> Vec<Box<dyn Transaction>> {
    let sinks: Vec<&dyn Prepared> = sinks.collect();
    let servers_first = KINDS.iter().filter(|kind| kind.is_server).chain(KINDS.iter().filter(|kind| !kind.is_server));
    servers_first.flat_map(|kind| (kind.transactions)(&sinks)).collect()
}

/// The sink, if it is of this kind.
fn of_kind<K: 'static>(sink: &dyn Prepared) -> Option<&K> {
    sink.as_any().downcast_ref()
}

/// Begins a transaction and commits it.
pub(crate) async fn commit(transaction: &dyn Transaction, connector: &Connector) -> Result<Vec<(String, LoadReport)>> {
    transaction.begin(connector).await?.commit().await
}

/// Binds the sink of a name to columns, and to the condition of rows that say that a row is gone.
type Bind = fn(&Task, &str, &SinkSpec, Vec<OutputColumn>, Option<Condition>) -> Result<Box<dyn Target>>;

/// Groups the sinks of one kind into transactions.
type Transactions = fn(&[&dyn Prepared]) -> Vec<Box<dyn Transaction>>;

/// A kind of target.
struct Kind {
    /// The keys of a sink under one of which the task declares it.
    keys: &'static [&'static str],
    /// The tag of its pending targets in the ledger.
    tag: &'static str,
    is_declared: fn(&Task, &SinkSpec) -> bool,
    bind: Bind,
    /// Whether it is on a server, which may be lost or refuse.
    is_server: bool,
    /// The transactions of those among prepared sinks that are of this kind.
    transactions: Transactions,
    /// Reads back what was written to the ledger.
    read: fn(Value) -> serde_json::Result<Box<dyn Prepared>>,
}

/// All kinds of targets.
const KINDS: &[Kind] = &[
    #[cfg(feature = "object-stores")]
    bucket::KIND,
    folder::KIND,
    file::KIND,
    postgres::KIND,
    mysql::KIND,
];

/// Whether a sink's files are objects.
fn is_bucket(task: &Task, spec: &SinkSpec) -> bool {
    #[cfg(feature = "object-stores")]
    return bucket::is_bucket(task, spec);
    #[cfg(not(feature = "object-stores"))]
    return {
        _ = (task, spec);
        false
    };
}

impl PendingTarget {
    /// The form in which the ledger keeps it.
    pub(crate) fn of(pending: &dyn Pending) -> Result<Self> {
        let failed = |error| Error::internal(format!("sink `{}`: {error}", pending.sink()));
        let mut target = pending.to_json().map_err(failed)?;
        target["kind"] = pending.kind().into();
        Ok(Self { sink: pending.sink().to_owned(), target: target.to_string() })
    }

    /// The sink that it was made of.
    pub(crate) fn read(&self) -> Result<Box<dyn Prepared>> {
        let failed = |message: String| {
            let help = "use the program that wrote it, or a newer one: it has to finish what it began";
            Error::usage(format!("the ledger has a pending sink `{}` that cannot be read: {message}", self.sink), help)
        };
        let target: Value = serde_json::from_str(&self.target).map_err(|error| failed(error.to_string()))?;
        let tag = target["kind"].as_str().unwrap_or_default();
        let kind = KINDS.iter().find(|kind| kind.tag == tag);
        let kind = kind.ok_or_else(|| failed(format!("unknown kind `{tag}`")))?;
        (kind.read)(target).map_err(|error| failed(error.to_string()))
    }
}
