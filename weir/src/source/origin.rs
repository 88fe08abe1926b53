//! Where the rows of a source come from.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_saphyr::Spanned;

use super::declared::{Source, not_read_from_files, not_text};
use super::fetch::{Fetchers, Fetching};
use super::files::FileSet;
use super::mysql::{MysqlSnapshot, Times};
use super::postgres::{PostgresSnapshot, check_dialect};
use super::table::{DatabaseTable, Snapshot, TableSpec};
use crate::database::Sessions;
use crate::error::{Error, Result};
use crate::format::scan::SourceTable;
use crate::format::split::Split;
use crate::ledger::Ledger;
use crate::place::{Archive, FoundFile};
use crate::report::RunKey;
use crate::route::RejectedRoute;
use crate::system::stop::Stop;
use crate::task::{MysqlSourceSpec, PostgresSourceSpec, Read, SourceSpec, Task};
use crate::watch::ScanProgress;

/// Where the rows of a source come from, as the task declares it. Nothing is accessed before it is opened.
#[async_trait]
pub(crate) trait Origin: Debug + Send + Sync {
    /// Opens the rows and checks them against the declared columns.
    async fn open(&self, source: &Source, opening: &mut Opening<'_>) -> Result<Opened>;

    /// Fails if this program cannot open it whatever the data is.
    fn check(&self, _fetchers: &Fetchers) -> Result<()> {
        Ok(())
    }

    /// Whether another process can open a part of it.
    fn has_splits(&self) -> bool {
        false
    }

    /// Opens a part that another process has told.
    fn open_split(
        &self,
        _source: &Source,
        _split: &Split,
        _rejected: &Arc<RejectedRoute>,
        _progress: &Arc<ScanProgress>,
    ) -> Result<Arc<dyn SourceTable>> {
        Err(Error::internal("a source that is no files has no parts"))
    }

    /// The archive to which its files go once the run is published.
    fn archive(&self) -> Option<&dyn Archive> {
        None
    }
}

/// The context in which sources are opened: for a run, or only to show what a run would read.
pub(crate) struct Opening<'a> {
    pub(crate) key: &'a RunKey,
    /// What earlier runs have read; without it every file is new.
    pub(crate) ledger: Option<&'a mut Ledger>,
    /// The run that is going to read. Without one nothing is fetched, and nothing is recorded in the ledger.
    pub(crate) run: Option<&'a str>,
    pub(crate) fetchers: &'a Fetchers,
    pub(crate) sessions: &'a mut Sessions,
    /// The folder for fetched rows.
    pub(crate) scratch: &'a Path,
    pub(crate) stop: &'a Stop,
    /// In a replay, the files with the records that are judged again, by source with `read: new`.
    pub(crate) replay: Option<&'a HashMap<String, Vec<FoundFile>>>,
}

impl<'a> Opening<'a> {
    /// To show what a run would read: nothing is fetched, and nothing is recorded.
    pub(crate) fn to_show(
        key: &'a RunKey,
        ledger: Option<&'a mut Ledger>,
        fetchers: &'a Fetchers,
        sessions: &'a mut Sessions,
        stop: &'a Stop,
    ) -> Self {
        Self { key, ledger, run: None, fetchers, sessions, scratch: Path::new(""), stop, replay: None }
    }
}

/// A source that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Its rows; `None` if they exist only in a run.
    pub(crate) table: Option<Arc<dyn SourceTable>>,
    /// Bytes that a run would read from it.
    pub(crate) bytes: u64,
    /// What was found: `3 files, 1.2 MiB`.
    pub(crate) summary: String,
    /// The files that a run would read, with their sizes in bytes.
    pub(crate) files: Vec<FoundFile>,
    /// The reason why there is nothing to do, if the source decides so.
    pub(crate) nothing_to_do: Option<String>,
}

/// Takes the source of a name as the task declares it.
type Declare = fn(&Task, &str, &Spanned<SourceSpec>) -> Result<Box<dyn Origin>>;

/// A kind of origin: how a task declares it.
pub(super) struct Kind {
    /// The key of a source under which the task declares it.
    key: &'static str,
    is_declared: fn(&SourceSpec) -> bool,
    declare: Declare,
}

/// All kinds of origins.
const KINDS: [Kind; 4] = [
    Kind {
        key: "files",
        is_declared: |spec| spec.files.is_some(),
        declare: |task, name, spec| Ok(Box::new(FileSet::declare(task, name, &spec.value)?)),
    },
    Kind {
        key: "postgres",
        is_declared: |spec| spec.postgres.is_some(),
        declare: |task, name, spec| {
            let Some(of) = &spec.value.postgres else { return Err(Error::internal("a source has no `postgres`")) };
            let PostgresSourceSpec { connection, table, query, cursor } = of;
            check_dialect(task, name, connection)?;
            let (table, query, cursor) = (table.as_ref(), query.as_ref(), cursor.as_ref());
            let of = TableSpec { key: "postgres", connection, table, query, cursor };
            table_of::<PostgresSnapshot>(task, name, spec, &of, ())
        },
    },
    Kind {
        key: "mysql",
        is_declared: |spec| spec.mysql.is_some(),
        declare: |task, name, spec| {
            let Some(of) = &spec.value.mysql else { return Err(Error::internal("a source has no `mysql`")) };
            let MysqlSourceSpec { connection, table, query, cursor, zero_dates, utc_datetimes } = of;
            let times = Times { zero_dates: *zero_dates, utc_datetimes: *utc_datetimes };
            let (table, query, cursor) = (table.as_ref(), query.as_ref(), cursor.as_ref());
            let of = TableSpec { key: "mysql", connection, table, query, cursor };
            table_of::<MysqlSnapshot>(task, name, spec, &of, times)
        },
    },
    Kind {
        key: "fetch",
        is_declared: |spec| spec.fetch.is_some(),
        declare: |task, name, spec| {
            not_read_from_files(task, name, spec)?;
            Ok(Box::new(Fetching::declare(task, name, &spec.value)?))
        },
    },
];

/// A table of a database.
fn table_of<S: Snapshot>(
    task: &Task,
    name: &str,
    source: &Spanned<SourceSpec>,
    spec: &TableSpec<'_>,
    options: S::Options,
) -> Result<Box<dyn Origin>> {
    if source.value.read == Read::New {
        let error = task.error(source, format!("source `{name}`: `read` is for sources of files"));
        let help = format!("write `cursor: {{column: updated_at}}` under `{}` to read only newer rows", spec.key);
        return Err(Box::new(error.with_help(help)).into());
    }
    not_read_from_files(task, name, source)?;
    not_text(task, name, source)?;
    Ok(Box::new(DatabaseTable::<S>::declare(task, name, source, spec, options)?))
}

/// The origin that a task declares for a source.
pub(super) fn declare(task: &Task, name: &str, spec: &Spanned<SourceSpec>) -> Result<Box<dyn Origin>> {
    let mut declared = KINDS.iter().filter(|kind| (kind.is_declared)(&spec.value));
    match (declared.next(), declared.next()) {
        (Some(kind), None) => (kind.declare)(task, name, spec),
        _ => {
            let keys: Vec<_> = KINDS.iter().map(|kind| format!("`{}`", kind.key)).collect();
            let error = task.error(spec, format!("source `{name}` must have exactly one origin"));
            Err(Box::new(error.with_help(format!("specify one of {}", keys.join(", ")))).into())
        }
    }
}
