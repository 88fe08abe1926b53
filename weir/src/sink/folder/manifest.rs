//! `_SUCCESS`: the run that wrote a folder, and what the folder holds.

use std::path::Path;

use datafusion::arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use crate::error::plain_types;
use crate::format::write::OutputColumn;

/// The content of a complete folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The task and its environment.
    pub(super) task: String,
    pub(super) sink: String,
    /// The run that committed the folder.
    pub(super) run: String,
    /// `overwrite`, `append` or `replace`.
    #[serde(default = "overwrite")]
    pub(super) mode: String,
    /// How the files' names end.
    #[serde(default)]
    pub(super) format: String,
    /// The form of CSV files, if it is not the default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) form: String,
    #[serde(default)]
    pub(super) columns: Vec<ManifestColumn>,
    /// Rows and bytes of all files.
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) files: Vec<String>,
    /// The columns by which the files are partitioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) partition_by: Vec<String>,
    /// Of an appended folder, what each run has added, the oldest first; of one with partitions, what each run has written to
    /// each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) added: Vec<Addition>,
}

/// A column of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ManifestColumn {
    name: String,
    r#type: String,
}

/// What a run has added to a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Addition {
    pub(super) run: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) files: Vec<String>,
}

/// Folders of the first version do not say it, and could be nothing else.
fn overwrite() -> String {
    "overwrite".to_owned()
}

impl ManifestColumn {
    /// A column of a sink's files.
    pub(super) fn of(column: &OutputColumn) -> Self {
        let kind = match &column.kind {
            // How text is held in memory is the engine's affair.
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
            other => other.to_string(),
        };
        Self { name: column.name.clone(), r#type: kind }
    }
}

impl Manifest {
    /// The columns as text.
    pub(super) fn columns(&self) -> String {
        list(&self.columns)
    }

    /// The names of the files that have gone from the folder.
    pub(super) fn gone<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(|file| folder.join(file).symlink_metadata().is_err())
    }
}

/// Columns as text.
pub(super) fn list(columns: &[ManifestColumn]) -> String {
    columns
        .iter()
        .map(|column| format!("{} {}", column.name, plain_types(&column.r#type)))
        .collect::<Vec<_>>()
        .join(", ")
}
