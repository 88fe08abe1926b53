//! A declared source: where its rows come from, and the columns that they have.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::datatypes::SchemaRef;
use serde_saphyr::Spanned;

use super::archive::Archive;
use super::columns::Declared;
use super::fetch::Fetching;
use super::files::{self, FileForm, FileSet, FoundFile};
use super::postgres::{OriginTable, Snapshot};
use super::rejected::RejectedRoute;
use super::table::{ScanProgress, SourceTable};
use crate::error::Result;
use crate::task::{IfChanged, Read, SourceSpec, Task, TaskError, UnknownColumns};

/// A declared source. Nothing is looked at before it is opened.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    origin: Origin,
    declared: Arc<Declared>,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
}

/// Where the rows of a source come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Files.
    Files(FileSet),
    /// A table of a database.
    Postgres(OriginTable),
    /// Where the program that runs the task gets them.
    Fetch(Fetching),
}

impl Source {
    /// Takes a source as the task declares it.
    pub(crate) fn declare(task: &Task, name: &str, spec: &Spanned<SourceSpec>) -> Result<Self> {
        let wrong = |message: &str| task.error(spec, format!("source `{name}`: {message}"));
        if spec.value.columns.is_empty() {
            let error = wrong("it declares no columns");
            return Err(Box::new(error.with_help("name every column under `columns`")).into());
        }
        let origin = match (&spec.value.files, &spec.value.postgres, &spec.value.fetch) {
            (Some(files), None, None) => Origin::Files(FileSet::declare(task, name, &spec.value, files)?),
            (None, Some(table), None) => {
                only_of_files(&spec.value, wrong).map_err(Box::new)?;
                only_of_text(&spec.value, wrong).map_err(Box::new)?;
                Origin::Postgres(OriginTable::declare(task, table)?)
            }
            (None, None, Some(fetch)) => {
                only_of_files(&spec.value, wrong).map_err(Box::new)?;
                Origin::Fetch(Fetching::declare(task, name, fetch)?)
            }
            _ => {
                let help = "name `files`, or the table of a database (`postgres`), or what fetches them (`fetch`)";
                return Err(Box::new(wrong("its rows must come from one place").with_help(help)).into());
            }
        };
        Ok(Self {
            name: name.to_owned(),
            origin,
            declared: Arc::new(Declared::take(task, &spec.value)?),
            rejected: Arc::new(RejectedRoute::new(name)),
            progress: Arc::default(),
        })
    }

    /// The source's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its rows come from.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The declared columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.declared.schema
    }

    /// Where its files go once they are read.
    pub(crate) fn archive(&self) -> Option<&Archive> {
        match &self.origin {
            Origin::Files(files) => files.archive(),
            Origin::Postgres(_) | Origin::Fetch(_) => None,
        }
    }

    /// Where its unreadable records go.
    pub(crate) fn rejected(&self) -> &Arc<RejectedRoute> {
        &self.rejected
    }

    /// Rows read so far.
    pub(crate) fn rows_read(&self) -> u64 {
        self.progress.rows.load(Ordering::Relaxed)
    }

    /// The progress, shared with whoever shows it.
    pub(crate) fn progress(&self) -> Arc<ScanProgress> {
        self.progress.clone()
    }

    /// Holds files against the declared columns and shows them as a table.
    pub(crate) fn open_files(&self, found: Vec<FoundFile>, form: FileForm) -> Result<Arc<dyn SourceTable>> {
        files::open(found, form, &self.declared, &self.rejected, &self.progress)
    }

    /// Holds the table of a database against the declared columns, and shows it as it is in the snapshot; with about how
    /// many bytes it has.
    pub(crate) async fn open_table(
        &self,
        table: &OriginTable,
        snapshot: Arc<Snapshot>,
    ) -> Result<(Arc<dyn SourceTable>, u64)> {
        table.open(snapshot, &self.declared, &self.rejected, &self.progress).await
    }
}

/// Refuses what can be said of files only.
fn only_of_files(spec: &SourceSpec, wrong: impl Fn(&str) -> TaskError) -> Result<(), TaskError> {
    let said = [
        ("read", spec.read != Read::All),
        ("if_changed", spec.if_changed != IfChanged::Fail),
        ("if_missing", spec.if_missing.is_some()),
        ("archive", spec.archive.is_some()),
    ];
    refuse(&said, "files", wrong)
}

/// Refuses what can be said of texts only.
fn only_of_text(spec: &SourceSpec, wrong: impl Fn(&str) -> TaskError) -> Result<(), TaskError> {
    let said = [
        ("null_values", !spec.null_values.is_empty()),
        ("unknown_columns", spec.unknown_columns != UnknownColumns::Fail),
        ("format", spec.columns.values().any(|column| column.value.format.is_some())),
    ];
    refuse(&said, "texts", wrong)
}

fn refuse(said: &[(&str, bool)], of: &str, wrong: impl Fn(&str) -> TaskError) -> Result<(), TaskError> {
    match said.iter().find(|(_, is_said)| *is_said) {
        Some((key, _)) => Err(wrong(&format!("`{key}` is for sources of {of}")).with_help("leave it out")),
        None => Ok(()),
    }
}
