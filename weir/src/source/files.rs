//! A source of files: finds them, checks them, and shows them as one table.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::csv::{CsvOptions, CsvTable, ScanProgress, local_path};
use super::rejected::RejectedRoute;
use crate::error::{Error, Result};
use crate::task::{Format, IfMissing, SourceSpec, Task, UnknownColumns};

/// A file that a source reads.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    /// The name as the user would write it.
    pub(crate) name: String,
    /// Where the store has it, its size and version.
    pub(crate) meta: ObjectMeta,
}

/// A declared source. Nothing is looked at before [`FileSource::find`].
#[derive(Debug)]
pub(crate) struct FileSource {
    name: String,
    /// The path or pattern, parameters filled in.
    pattern: String,
    schema: SchemaRef,
    spec: SourceSpec,
    rejected: Arc<RejectedRoute>,
    progress: Arc<ScanProgress>,
}

impl FileSource {
    /// Takes a source as the task declares it.
    pub(crate) fn declare(task: &Task, name: &str, spec: &SourceSpec) -> Result<Self> {
        let pattern = task.params.fill_with(&task.source, &spec.files.path, glob::Pattern::escape)?;
        if pattern.contains("://") {
            let error = task.error(&spec.files.path, format!("`{pattern}`: only local paths can be read"));
            return Err(Box::new(error).into());
        }
        if let Err(error) = glob::Pattern::new(&pattern) {
            let error = task.error(&spec.files.path, format!("`{pattern}` is no pattern: {error}"));
            return Err(Box::new(error).into());
        }
        if spec.columns.is_empty() {
            let error = task.error(&spec.files.path, format!("source `{name}` declares no columns"));
            return Err(Box::new(error.with_help("name every column of the files under `columns`")).into());
        }
        let columns = spec.columns.iter().map(|(name, column)| Field::new(name, column.value.sql_type.arrow(), true));
        Ok(Self {
            name: name.to_owned(),
            pattern,
            schema: Arc::new(Schema::new(columns.collect::<Vec<_>>())),
            spec: spec.clone(),
            rejected: Arc::new(RejectedRoute::new(name)),
            progress: Arc::default(),
        })
    }

    /// The source's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The declared columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What to do when no file matches.
    pub(crate) fn if_missing(&self) -> IfMissing {
        self.spec.if_missing
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

    /// The files that match now, in the order of their names.
    pub(crate) async fn find(&self) -> Result<Vec<FoundFile>> {
        let store = LocalFileSystem::new();
        let mut found = Vec::new();
        for path in matching(&self.pattern)? {
            let name = path.display().to_string();
            let meta = store
                .head(&local_path(&path)?)
                .await
                .map_err(|error| Error::input(&name, error, "check that the file is there and can be read"))?;
            found.push(FoundFile { name, meta });
        }
        if found.is_empty() && self.spec.if_missing == IfMissing::Fail {
            return Err(Error::input(
                &self.pattern,
                format!("no file matches, and source `{}` needs one", self.name),
                "check the path (it is relative to the working directory), or say `if_missing: skip` or `empty`",
            ));
        }
        Ok(found)
    }

    /// Checks the files' headers and shows them as a table.
    pub(crate) fn open(&self, found: Vec<FoundFile>) -> Result<Arc<CsvTable>> {
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let files = found.into_iter().map(|file| (file.name, file.meta)).collect();
        match self.spec.files.format {
            Format::Csv => {
                let headers = self
                    .spec
                    .columns
                    .iter()
                    .map(|(name, column)| column.value.header.clone().unwrap_or_else(|| name.clone()));
                let options = CsvOptions {
                    ignore_unknown: self.spec.unknown_columns == UnknownColumns::Ignore,
                    null_values: self.spec.null_values.clone().into(),
                    ..CsvOptions::new(self.schema.clone(), headers.collect())
                };
                let table = CsvTable::open(store, files, options, self.rejected.clone(), self.progress.clone());
                Ok(Arc::new(table?))
            }
        }
    }
}

/// The files that a local path or pattern names, hidden ones aside. What is there and cannot be looked at is an
/// error: passing over it would lose its rows.
fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        Error::input(path.display(), error, "mend or remove it, or give the user of this run the right to read it")
    };
    let entries = glob::glob(pattern).map_err(|error| Error::input(pattern, error, "mend the pattern"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(error.path(), error.error()))?;
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if metadata.is_file() && !is_hidden {
            paths.push(path);
        }
    }
    check_readable_folder(pattern)?;
    paths.sort();
    Ok(paths)
}

/// The pattern's folder: glob passes over one that it may not list.
fn check_readable_folder(pattern: &str) -> Result<()> {
    let plain = pattern.split(['*', '?', '[']).next().unwrap_or(pattern);
    let folder = Path::new(plain.rsplit_once('/').map_or(".", |(folder, _)| folder));
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Error::input(folder.display(), error, "give the user of this run the right to read it"))
        }
        _ => Ok(()),
    }
}
