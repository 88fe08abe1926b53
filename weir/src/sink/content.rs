//! What the files of a folder hold, on a disk or in a bucket: rows in a format, or documents.

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;

use super::ColumnLimit;
use super::documents::DocumentLayout;
use super::folder::manifest::ManifestColumn;
use super::folder::partition::PartitionBy;
use super::local::layout;
use crate::error::Result;
use crate::format::write::{FileLayout, OutputColumn};
use crate::task::{Mode, SinkSpec, Task};

/// What the files of a folder hold.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Rows in a format: each reader writes a file, or one for each partition.
    Rows(RowContent),
    /// A document each: a file for each row.
    Documents(DocumentLayout),
}

/// Files of rows.
#[derive(Debug, Clone)]
pub(super) struct RowContent {
    pub(super) layout: FileLayout,
    pub(super) partition_by: Option<PartitionBy>,
    /// Those of the files, and those by which they are partitioned.
    pub(super) columns: Vec<OutputColumn>,
}

impl Content {
    /// What the task declares. Fails if it specifies what such a folder does not have, or the files cannot hold a column.
    pub(super) fn bind(task: &Task, name: &str, spec: &SinkSpec, columns: Vec<OutputColumn>) -> Result<Self> {
        match &spec.documents {
            Some(documents) => DocumentLayout::bind(task, name, spec, documents, columns).map(Self::Documents),
            None => RowContent::bind(task, name, spec, columns).map(Self::Rows),
        }
    }

    /// The columns that it takes of a route.
    pub(super) fn columns(&self) -> &[OutputColumn] {
        match self {
            Self::Rows(rows) => &rows.columns,
            Self::Documents(documents) => documents.columns(),
        }
    }

    /// The columns in which no value may be missing.
    pub(super) fn key(&self) -> &[String] {
        match self {
            Self::Rows(_) => &[],
            Self::Documents(documents) => documents.required(),
        }
    }

    /// What it can hold.
    pub(super) fn limits(&self) -> Vec<ColumnLimit> {
        match self {
            Self::Rows(_) => vec![],
            Self::Documents(documents) => documents.limits(),
        }
    }

    /// Encodes the rows of a batch into nothing.
    pub(super) fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        match self {
            Self::Rows(rows) => rows.layout.try_encode(batch).map_err(|error| DataFusionError::External(error.into())),
            Self::Documents(documents) => Ok(documents.rows(batch).map(drop)?),
        }
    }

    /// The columns by which the files are partitioned.
    pub(super) fn partition_by(&self) -> Option<&PartitionBy> {
        match self {
            Self::Rows(rows) => rows.partition_by.as_ref(),
            Self::Documents(_) => None,
        }
    }

    /// How the files' names end, or what they are.
    pub(super) fn format(&self) -> &'static str {
        match self {
            Self::Rows(rows) => rows.layout.format.extension(),
            Self::Documents(_) => "documents",
        }
    }

    /// The form of CSV files, if it is not the default.
    pub(super) fn form(&self) -> String {
        match self {
            Self::Rows(rows) => rows.layout.csv.shown(),
            Self::Documents(_) => String::new(),
        }
    }

    /// How documents are named.
    pub(super) fn names(&self) -> Option<String> {
        match self {
            Self::Rows(_) => None,
            Self::Documents(documents) => Some(documents.template()),
        }
    }

    /// The columns as the manifest has them: those of the files.
    pub(super) fn manifest_columns(&self) -> Vec<ManifestColumn> {
        let of_files = match self {
            Self::Rows(rows) => &rows.layout.columns[..],
            Self::Documents(documents) => documents.columns(),
        };
        of_files.iter().map(ManifestColumn::of).collect()
    }
}

impl RowContent {
    fn bind(task: &Task, name: &str, spec: &SinkSpec, columns: Vec<OutputColumn>) -> Result<Self> {
        let (mut of_files, columns) = (columns.clone(), columns);
        let partition_by = PartitionBy::bind(task, name, spec, &mut of_files)?;
        if let Some(compact) = spec.compact.as_ref().filter(|_| partition_by.is_some()) {
            let error = task
                .error(compact, format!("sink `{name}`: `compact` merges files, and those of partitions lie apart"));
            return Err(Box::new(error.with_help("remove `compact`, or `partition_by`")).into());
        }
        if spec.mode == Mode::Replace && partition_by.is_none() {
            let error = task.error(&spec.from, format!("sink `{name}`: `mode: replace` replaces partitions"));
            let help = "name their columns with `partition_by`; or `mode: overwrite`";
            return Err(Box::new(error.with_help(help)).into());
        }
        let mut layout = layout(task, name, spec, of_files, None)?;
        if partition_by.is_some() {
            // Many files are written at once.
            layout.row_groups.bytes /= 4;
        }
        Ok(Self { layout, partition_by, columns })
    }
}
