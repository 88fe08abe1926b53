//! A declared source: the columns of its rows, and where they come from.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::Result as QueryResult;
use serde_saphyr::Spanned;

use super::fetch::Fetchers;
use super::origin::{self, Opened, Opening, Origin};
use crate::error::Result;
use crate::format::columns::Declared;
use crate::format::propose::Proposals;
use crate::format::scan::SourceTable;
use crate::format::split::Split;
use crate::place::Archive;
use crate::route::RejectedRoute;
use crate::task::{ColumnFrom, IfChanged, IfCopied, Read, SourceSpec, Task, UnknownColumns};
use crate::watch::ScanProgress;

/// A declared source. Nothing is accessed before it is opened.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    origin: Box<dyn Origin>,
    pub(super) declared: Arc<Declared>,
    pub(super) rejected: Arc<RejectedRoute>,
    pub(super) progress: Arc<ScanProgress>,
}

impl Source {
    /// All sources of a task.
    pub(crate) fn declare_all(task: &Task) -> Result<Vec<Self>> {
        task.spec.sources.iter().map(|(name, spec)| Self::declare(task, name, spec)).collect()
    }

    fn declare(task: &Task, name: &str, spec: &Spanned<SourceSpec>) -> Result<Self> {
        if spec.value.columns.is_empty() {
            let error = task.error(spec, format!("source `{name}`: it declares no columns"));
            return Err(Box::new(error.with_help("name every column under `columns`")).into());
        }
        let origin = origin::declare(task, name, spec)?;
        let proposals = Proposals::of(task, &spec.value).map_err(Box::new)?;
        Ok(Self {
            name: name.to_owned(),
            origin,
            declared: Arc::new(Declared::take(task, &spec.value)?),
            rejected: Arc::new(RejectedRoute::advised(name, proposals)),
            progress: Arc::default(),
        })
    }

    /// The source's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The declared columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.declared.schema
    }

    /// Texts of the declared columns as values of their types; columns that are no texts stay. Every text must be valid.
    pub(crate) fn typed(&self, texts: &RecordBatch) -> QueryResult<RecordBatch> {
        let columns = self.declared.columns.iter().zip(texts.columns());
        let columns = columns.map(|(column, texts)| match texts.data_type() {
            DataType::Utf8View => column.form.parse(texts).map(|typed| typed.values),
            _ => Ok(texts.clone()),
        });
        Ok(RecordBatch::try_new(self.declared.schema.clone(), columns.collect::<Result<_, _>>()?)?)
    }

    /// Fails if this program cannot open the source, whatever its data is.
    pub(crate) fn check(&self, fetchers: &Fetchers) -> Result<()> {
        self.origin.check(fetchers)
    }

    /// Opens the rows and checks them against the declared columns.
    pub(crate) async fn open(&self, opening: &mut Opening<'_>) -> Result<Opened> {
        self.origin.open(self, opening).await
    }

    /// Whether another process can open a part of it.
    pub(crate) fn has_splits(&self) -> bool {
        self.origin.has_splits()
    }

    /// Opens a part that another process has told. The route and the progress are those of the part.
    pub(crate) fn open_split(
        &self,
        split: &Split,
        rejected: &Arc<RejectedRoute>,
        progress: &Arc<ScanProgress>,
    ) -> Result<Arc<dyn SourceTable>> {
        self.origin.open_split(self, split, rejected, progress)
    }

    /// The archive to which its files go once they are read.
    pub(crate) fn archive(&self) -> Option<&dyn Archive> {
        self.origin.archive()
    }

    /// The route of its unreadable records.
    pub(crate) fn rejected(&self) -> &Arc<RejectedRoute> {
        &self.rejected
    }

    /// Rows read so far.
    pub(crate) fn rows_read(&self) -> u64 {
        self.progress.rows.load(Ordering::Relaxed)
    }

    /// The progress of its scans.
    pub(crate) fn progress(&self) -> Arc<ScanProgress> {
        self.progress.clone()
    }
}

/// Fails if the task specifies what only sources of files have.
pub(super) fn not_read_from_files(task: &Task, name: &str, spec: &Spanned<SourceSpec>) -> Result<()> {
    let keys = [
        ("read", spec.value.read != Read::All),
        ("if_changed", spec.value.if_changed != IfChanged::Fail),
        ("if_copied", spec.value.if_copied != IfCopied::Fail),
        ("if_missing", spec.value.if_missing.is_some()),
        ("if_empty", spec.value.if_empty.is_some()),
        ("archive", spec.value.archive.is_some()),
        ("archive_private", spec.value.archive_private),
        ("position", spec.value.columns.values().any(|column| column.value.position.is_some())),
        ("characters", spec.value.columns.values().any(|column| column.value.characters.is_some())),
        ("from", spec.value.columns.values().any(|column| column.value.from != ColumnFrom::Column)),
    ];
    refuse(task, name, spec, &keys, "files")
}

/// Fails if the task specifies what only sources of text have.
pub(super) fn not_text(task: &Task, name: &str, spec: &Spanned<SourceSpec>) -> Result<()> {
    let keys = [
        ("unknown_columns", spec.value.unknown_columns != UnknownColumns::Fail),
        ("header: [...]", spec.value.columns.values().any(|column| column.value.header.len() > 1)),
        ("format", spec.value.columns.values().any(|column| column.value.format.is_some())),
        ("optional", spec.value.columns.values().any(|column| column.value.optional)),
        ("date_format", spec.value.date_format.is_some()),
        ("timestamp_format", spec.value.timestamp_format.is_some()),
    ];
    let columns = spec.value.columns.values().map(|column| column.value.values.clone());
    let of_values = std::iter::once(spec.value.values()).chain(columns).find_map(|values| values.any_key());
    if let Some(key) = of_values {
        return refuse(task, name, spec, &[(key, true)], "text");
    }
    refuse(task, name, spec, &keys, "text")
}

fn refuse(task: &Task, name: &str, spec: &Spanned<SourceSpec>, keys: &[(&str, bool)], of: &str) -> Result<()> {
    let Some((key, _)) = keys.iter().find(|(_, is_set)| *is_set) else { return Ok(()) };
    let error = task.error(spec, format!("source `{name}`: `{key}` is for sources of {of}"));
    Err(Box::new(error.with_help("remove it")).into())
}
