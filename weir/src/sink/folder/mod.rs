//! A folder of files.
//!
//! `mode: overwrite` writes the next content to a staging folder next to the target, and commits it by one rename that
//! exchanges the two. `mode: append` moves the new files into the target and then replaces its `_SUCCESS`, so that the cost of
//! an append does not depend on what the folder holds. With `replace_folder` all folders are committed by one rename of their
//! parent. With `partition_by` the files lie in folders of their own by the values of columns, and `mode: replace` replaces those
//! of some. Documents are files of one row each, which a run always replaces as a whole. `_SUCCESS` names the run that wrote the
//! folder and its files: any other file was written by somebody else, and then the folder is left alone.

mod append;
mod documents;
pub(super) mod files;
pub(super) mod manifest;
mod part;
pub(super) mod partition;
mod pending;
mod whole;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::content::Content;
use super::local::{access, local_path};
use super::{Claim, ColumnLimit, Kind, OpenTarget, Part, Parts, Pending, Prepared, SinkRun, Target, Writing, Written};
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::system::{disk, fault};
use crate::task::{Mode, SinkSpec, Task};
use append::Former;
use files::{Files, by_partition};
use manifest::{Addition, Manifest};
use pending::Folder;

/// The marker of a complete folder.
pub(super) const MARKER: &str = "_SUCCESS";

pub(super) const KIND: Kind = Kind {
    keys: &["files", "documents"],
    tag: pending::TAG,
    is_declared: |task, spec| {
        let is_folder = spec.files.as_ref().is_some_and(|files| files.file.is_none()) || spec.documents.is_some();
        is_folder && !super::is_bucket(task, spec)
    },
    bind: |task, name, spec, columns, _| Ok(Box::new(FolderTarget::bind(task, name, spec, columns)?)),
    is_server: false,
    transactions: pending::transactions,
    read: |json| Ok(Box::new(serde_json::from_value::<Folder>(json)?)),
};

/// A folder as the task declares it.
#[derive(Debug)]
struct FolderTarget {
    path: String,
    mode: Mode,
    content: Content,
    /// The names of all folders that are published with this one, by one rename of their parent; or none.
    siblings: Vec<String>,
    /// How many small files an appended folder may have.
    compact: Option<usize>,
}

impl FolderTarget {
    fn bind(task: &Task, name: &str, spec: &SinkSpec, columns: Vec<OutputColumn>) -> Result<Self> {
        let Some(at) = spec.folder() else {
            let error = task.error(&spec.from, format!("sink `{name}`: its `files` have no place"));
            return Err(Box::new(error.with_help("specify `path`, a folder, or `file`, one file")).into());
        };
        if spec.adopt {
            let error =
                task.error(&spec.from, format!("sink `{name}` is a folder, and `adopt` is for tables and files"));
            return Err(Box::new(error.with_help("move what is in the folder away, or name another one")).into());
        }
        if let Some(compact) = spec.compact.as_ref().filter(|compact| spec.mode != Mode::Append || compact.value < 2) {
            let message = format!(
                "sink `{name}`: `compact` is the number of small files that an appended folder may have, from 2 on"
            );
            let help =
                if spec.mode == Mode::Append { "write 2 or more" } else { "remove it, or specify `mode: append`" };
            return Err(Box::new(task.error(compact, message).with_help(help)).into());
        }
        let content = Content::bind(task, name, spec, columns)?;
        let path = local_path(task, at)?;
        warn_of_file_name(name, at, &path);
        let siblings = siblings(task, name, spec.mode, at, &path)?;
        let compact = spec.compact.as_ref().map(|compact| compact.value as usize);
        Ok(Self { path, mode: spec.mode, content, siblings, compact })
    }
}

/// Warns of a folder that is to be made with the name of a file.
fn warn_of_file_name(name: &str, at: &Spanned<String>, path: &str) {
    const SUFFIXES: [&str; 9] = ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet", "gz", "zst"];
    let place = Path::new(path);
    let suffix = place.extension().and_then(|suffix| suffix.to_str()).map(str::to_ascii_lowercase);
    let is_file_name = suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix.as_str())) && !path.ends_with('/');
    if is_file_name && !place.exists() {
        let written = &at.value;
        tracing::warn!(
            "sink `{name}`: `path` is a folder, in which `{written}` will have part files; for one file of this name specify \
             `file: {written}` in place of `path`"
        );
    }
}

/// The names of the folders in `replace_folder`, if the task has one; this one must be among them.
fn siblings(task: &Task, name: &str, mode: Mode, at: &Spanned<String>, path: &str) -> Result<Vec<String>> {
    let Some(whole) = &task.spec.replace_folder else { return Ok(vec![]) };
    let parent = disk::absolute(Path::new(&task.data_path(whole)?));
    if disk::absolute(Path::new(path)).parent() != Some(&parent) {
        let message = format!("sink `{name}`: `{path}` is not a folder in `replace_folder` ({})", parent.display());
        let help = "let all folders of the task lie in it, side by side; or remove `replace_folder`";
        return Err(Box::new(task.error(at, message).with_help(help)).into());
    }
    if mode != Mode::Overwrite {
        let message =
            format!("sink `{name}`: a folder in `replace_folder` is replaced, so that its mode is `overwrite`");
        return Err(Box::new(task.error(at, message)).into());
    }
    let mut names = Vec::new();
    for path in task.spec.sinks.values().filter_map(|sink| sink.value.folder()) {
        let path = disk::absolute(Path::new(&task.data_path(path)?));
        names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(names)
}

#[async_trait]
impl Target for FolderTarget {
    fn columns(&self) -> &[OutputColumn] {
        self.content.columns()
    }

    fn key(&self) -> &[String] {
        self.content.key()
    }

    fn limits(&self) -> Vec<ColumnLimit> {
        self.content.limits()
    }

    fn place(&self) -> String {
        self.path.clone()
    }

    fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        self.content.try_encode(batch)
    }

    fn claim(&self) -> Claim {
        Claim::Folder(disk::absolute(Path::new(&self.path)))
    }

    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let folder = Folder::new(sink, Path::new(&self.path), self.siblings.clone())?;
        folder.remove_dead_lock();
        let mut open = OpenFolder::new(folder, self.mode, self.content.clone(), sink.history)?;
        if let Some(most) = self.compact {
            open.compact(most);
        }
        Ok(Box::new(open))
    }

    fn attempts(&self, pending: &Value) -> Result<Option<Arc<dyn Parts>>> {
        let folder = serde_json::from_value::<Folder>(pending.clone());
        let folder = folder.map_err(|error| Error::internal(format!("a pending folder: {error}")))?;
        Ok(Some(Arc::new(AttemptParts { folder, mode: self.mode, content: self.content.clone() })))
    }
}

/// Creates the parts of attempts of other processes: each part is an attempt of its own.
#[derive(Debug)]
struct AttemptParts {
    folder: Folder,
    mode: Mode,
    content: Content,
}

impl Parts for AttemptParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        Files::of_attempt(&self.folder, self.mode, &self.content)?.parts().part()
    }
}

/// A folder that was opened for a run.
#[derive(Debug)]
struct OpenFolder {
    folder: Folder,
    mode: Mode,
    content: Content,
    /// What the folder holds already, and keeps.
    former: Former,
}

#[async_trait]
impl OpenTarget for OpenFolder {
    fn takes_attempts(&self) -> bool {
        // Beside a staging folder with siblings is what is published.
        self.folder.siblings.is_empty()
    }

    fn pending(&self) -> Box<dyn Pending> {
        Box::new(self.folder.clone())
    }

    /// Creates the staging folder, with former files that have to be carried along.
    async fn begin(mut self: Box<Self>) -> Result<Box<dyn Writing>> {
        self.folder.lock()?;
        let staging = &self.folder.staging;
        disk::make_folder(staging).map_err(|error| self.folder.error(staging, error))?;
        // With `replace_folder` the parent is a new one, too.
        let parent = self.folder.target.parent().zip(staging.parent()).filter(|_| !self.folder.siblings.is_empty());
        for (former, new) in parent.into_iter().chain([(self.folder.target.as_path(), staging.as_path())]) {
            if former.exists() {
                access::take_over(former, new).map_err(|error| self.folder.error(new, error))?;
            }
        }
        fault::point("staging_made");
        self.former.carry(&self.folder, &self.content)?;
        let Self { folder, mode, content, former } = *self;
        let files = Files::new(&folder, mode, &content)?;
        Ok(Box::new(WritingFolder { folder, mode, content, former, files }))
    }
}

/// A folder that takes rows.
#[derive(Debug)]
struct WritingFolder {
    folder: Folder,
    mode: Mode,
    content: Content,
    former: Former,
    files: Files,
}

#[async_trait]
impl Writing for WritingFolder {
    fn parts(&self) -> Arc<dyn Parts> {
        self.files.parts()
    }

    fn allow_attempts(&self) -> Result<()> {
        let attempts = self.folder.attempts();
        disk::make_folder(&attempts).map_err(|error| self.folder.error(&attempts, error))
    }

    async fn prepare(self: Box<Self>, parts: Vec<Written>) -> Result<(Written, Box<dyn Prepared>)> {
        let Self { folder, mode, content, mut former, files } = *self;
        let mut parts = files.take_attempts(parts)?;
        folder.remove_attempts()?;
        if parts.is_empty() && former.is_empty() {
            parts.extend(files.empty()?);
        }
        let partitions = by_partition(&parts);
        let written = Written::total(parts);
        if mode == Mode::Replace {
            former.leave_out(partitions.iter().map(|(partition, _)| partition.as_str()));
            former.link(&folder)?;
        }
        let is_apart = content.partition_by().is_some() && mode != Mode::Append;
        let own = match is_apart {
            true => partitions.iter().map(|(_, written)| Addition::of(&folder.run, written)).collect(),
            false => vec![Addition::of(&folder.run, &written)],
        };
        let manifest = Manifest::of(&folder.owner(), mode, &content, former.with(own));
        files.complete(&written)?;
        let marker = folder.staging.join(MARKER);
        let mark = || -> std::io::Result<()> {
            let text = manifest.to_text()?;
            let mut file = File::create_new(&marker)?;
            file.write_all(&text)?;
            file.sync_all()?;
            // The names of the files must be durable, too.
            let folders: BTreeSet<&str> = manifest.files.iter().flat_map(|file| folders_of(file)).collect();
            let made = folders.iter().map(|below| folder.staging.join(below)).filter(|made| made.is_dir());
            made.into_iter().try_for_each(|made| disk::sync_folder(&made))?;
            disk::sync_folder(&folder.staging)
        };
        mark().map_err(|error| folder.error(&marker, error))?;
        fault::point("prepared");
        Ok((written, Box::new(folder)))
    }

    async fn cancel(self: Box<Self>) {}
}

/// The folders below the sink's that a file lies in.
fn folders_of(file: &str) -> impl Iterator<Item = &str> {
    file.match_indices('/').map(|(end, _)| &file[..end])
}
