//! `_SUCCESS`: the run that wrote a folder, and what the folder holds.

use std::path::Path;

use datafusion::arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use super::partition::PartitionBy;
use crate::error::plain_types;
use crate::format::write::OutputColumn;
use crate::sink::Written;
use crate::sink::content::Content;
use crate::task::Mode;

const ANOTHER: &str = "give the sink another folder, or move the content of this one away";

/// What is wrong, and what to do about it.
pub(in crate::sink) type Refusal = (String, String);

/// The run of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sink) struct Owner {
    /// The key of the run: the task and its environment.
    pub(in crate::sink) task: String,
    pub(in crate::sink) sink: String,
    pub(in crate::sink) run: String,
}

/// The content of a complete folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sink) struct Manifest {
    /// The task and its environment.
    pub(in crate::sink) task: String,
    pub(in crate::sink) sink: String,
    /// The run that committed the folder.
    pub(in crate::sink) run: String,
    /// `overwrite`, `append` or `replace`.
    #[serde(default = "overwrite")]
    pub(in crate::sink) mode: String,
    /// How the files' names end.
    #[serde(default)]
    pub(in crate::sink) format: String,
    /// The form of CSV files, if it is not the default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::sink) form: String,
    #[serde(default)]
    pub(in crate::sink) columns: Vec<ManifestColumn>,
    /// How documents are named, as the task has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::sink) names: Option<String>,
    /// Rows and bytes of all files.
    pub(in crate::sink) rows: u64,
    pub(in crate::sink) bytes: u64,
    pub(in crate::sink) files: Vec<String>,
    /// The columns by which the files are partitioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::sink) partition_by: Vec<String>,
    /// Of an appended folder, what each run has added, the oldest first; of one with partitions, what each run has written to
    /// each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::sink) added: Vec<Addition>,
}

/// A column of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sink) struct ManifestColumn {
    name: String,
    r#type: String,
}

/// What a run has added to a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sink) struct Addition {
    pub(in crate::sink) run: String,
    pub(in crate::sink) rows: u64,
    pub(in crate::sink) bytes: u64,
    pub(in crate::sink) files: Vec<String>,
}

/// Folders of the first version do not say it, and could be nothing else.
fn overwrite() -> String {
    "overwrite".to_owned()
}

impl ManifestColumn {
    /// A column of a sink's files.
    pub(in crate::sink) fn of(column: &OutputColumn) -> Self {
        let kind = match &column.kind {
            // How text is held in memory is the engine's affair.
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
            other => other.to_string(),
        };
        Self { name: column.name.clone(), r#type: kind }
    }
}

impl Addition {
    /// What a run has written.
    pub(in crate::sink) fn of(run: &str, written: &Written) -> Self {
        Self { run: run.to_owned(), rows: written.rows, bytes: written.bytes, files: written.files.clone() }
    }
}

impl Manifest {
    /// The manifest of a folder that holds all of these.
    pub(in crate::sink) fn of(owner: &Owner, mode: Mode, content: &Content, all: Vec<Addition>) -> Self {
        let partition_by = content.partition_by();
        Self {
            task: owner.task.clone(),
            sink: owner.sink.clone(),
            run: owner.run.clone(),
            mode: mode.name().to_owned(),
            format: content.format().to_owned(),
            form: content.form(),
            columns: content.manifest_columns(),
            names: content.names(),
            rows: all.iter().map(|addition| addition.rows).sum(),
            bytes: all.iter().map(|addition| addition.bytes).sum(),
            files: all.iter().flat_map(|addition| addition.files.iter().cloned()).collect(),
            added: if mode == Mode::Append || partition_by.is_some() { all } else { vec![] },
            partition_by: partition_by.map_or_else(Vec::new, PartitionBy::names),
        }
    }

    /// As `_SUCCESS` has it.
    pub(in crate::sink) fn to_text(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Whether a run of the same sink has written it.
    pub(in crate::sink) fn is_of(&self, owner: &Owner) -> bool {
        (&self.task, &self.sink) == (&owner.task, &owner.sink)
    }

    /// The folder of another sink.
    pub(in crate::sink) fn of_another(&self) -> Refusal {
        (
            format!("was written by sink `{}` of task `{}`", self.sink, self.task),
            "give the sink a folder of its own, or remove that folder if its content is not needed".to_owned(),
        )
    }

    /// A folder whose last run the ledger does not have.
    pub(in crate::sink) fn of_unknown_run(&self) -> Refusal {
        (
            format!("was written by run {}, which the ledger does not have", self.run),
            format!(
                "that ledger has what the sources have read, and without it rows would be added twice: use its state folder \
                 (--state); or {ANOTHER}"
            ),
        )
    }

    /// A folder that lacks a file.
    pub(in crate::sink) fn without(&self, gone: &str) -> Refusal {
        (
            format!("`{gone}` is gone, which a run had written"),
            format!("put the file back; or {ANOTHER}, and the next run begins a new one"),
        )
    }

    /// Fails if what a sink writes cannot be added to the folder, or replace a part of it.
    pub(in crate::sink) fn check_can_be_followed(&self, mode: Mode, content: &Content) -> Result<(), Refusal> {
        // Either of the two rewrites all that the other has written.
        let can_follow = |mode: &str| ["overwrite", "replace"].contains(&mode);
        if self.mode != mode.name() && !(can_follow(&self.mode) && can_follow(mode.name())) {
            return Err((
                format!("was written with `mode: {}`, and the task has `{}`", self.mode, mode.name()),
                format!("specify `mode: {}` as before; or {ANOTHER}", self.mode),
            ));
        }
        if mode == Mode::Overwrite {
            return Ok(());
        }
        let by = content.partition_by().map_or_else(Vec::new, PartitionBy::names);
        if self.partition_by != by {
            let named = |columns: &[String]| match columns {
                [] => "no columns".to_owned(),
                columns => format!("({})", columns.join(", ")),
            };
            return Err((
                format!("its files are partitioned by {}, and the sink by {}", named(&self.partition_by), named(&by)),
                format!("let `partition_by` stay as before; or {ANOTHER}; `mode: overwrite` writes all of it anew"),
            ));
        }
        let (format, columns) = (content.format(), content.manifest_columns());
        if self.format != format {
            return Err((
                format!("its files are {}, and what is added would be {format}", self.format),
                format!("specify `format: {}` as before; or {ANOTHER}", self.format),
            ));
        }
        if self.form != content.form() {
            return Err((
                "its files have another form, such as another delimiter or encoding, than what is added would have"
                    .to_owned(),
                format!("specify the keys of `files` as before; or {ANOTHER}"),
            ));
        }
        if self.columns != columns {
            return Err((
                format!("its files have the columns ({}), and the sink has ({})", list(&self.columns), list(&columns)),
                format!("let `columns` of the sink return the same as before; or {ANOTHER}"),
            ));
        }
        Ok(())
    }

    /// The names of the files that have gone from the folder.
    pub(in crate::sink) fn gone<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(|file| folder.join(file).symlink_metadata().is_err())
    }
}

/// Columns as text.
fn list(columns: &[ManifestColumn]) -> String {
    columns
        .iter()
        .map(|column| format!("{} {}", column.name, plain_types(&column.r#type)))
        .collect::<Vec<_>>()
        .join(", ")
}
