//! A source of files: finds them, checks them, and shows them as one table.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::datatypes::SchemaRef;
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::archive::Archive;
use super::columns::Declared;
use super::csv::Csv;
use super::jsonl::Jsonl;
use super::parquet::ParquetFiles;
use super::rejected::RejectedRoute;
use super::store::{Opener, local_path};
use super::table::{Files, FilesTable, ScanProgress, SourceTable};
use super::text::{TextFiles, TextOptions};
use crate::error::{Error, Result};
use crate::task::{Compression, Format, IfChanged, IfMissing, Read, SourceSpec, Task, TaskError};

/// A file that a source reads.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    /// The name as the user would write it.
    pub(crate) name: String,
    /// Where the store has it, its size and version.
    pub(crate) meta: ObjectMeta,
}

impl FoundFile {
    /// Its absolute path: what the ledger knows it by, wherever a run is started from.
    pub(crate) fn path(&self) -> String {
        crate::disk::absolute(Path::new(&self.name)).display().to_string()
    }

    /// The file of that path, as it is.
    #[cfg(test)]
    pub(crate) fn at(path: &Path) -> Self {
        let metadata = std::fs::metadata(path).unwrap();
        let location = local_path(path).unwrap();
        let last_modified = metadata.modified().unwrap().into();
        let meta = ObjectMeta { location, last_modified, size: metadata.len(), e_tag: None, version: None };
        Self { name: path.display().to_string(), meta }
    }

    /// When it was changed, as the ledger has it.
    pub(crate) fn modified(&self) -> String {
        self.meta.last_modified.to_rfc3339()
    }
}

/// A declared source. Nothing is looked at before [`FileSource::find`].
#[derive(Debug)]
pub(crate) struct FileSource {
    name: String,
    /// The path or pattern, parameters filled in.
    pattern: String,
    declared: Arc<Declared>,
    spec: SourceSpec,
    archive: Option<Archive>,
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
        check_format(task, spec).map_err(Box::new)?;
        let archive = Archive::declare(task, &pattern, spec)?;
        Ok(Self {
            name: name.to_owned(),
            pattern,
            archive,
            declared: Arc::new(Declared::take(task, spec)?),
            spec: spec.clone(),
            rejected: Arc::new(RejectedRoute::new(name)),
            progress: Arc::default(),
        })
    }

    /// The source's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The path or pattern of its files, parameters filled in.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The declared columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.declared.schema
    }

    /// What to do when no file matches.
    pub(crate) fn if_missing(&self) -> IfMissing {
        self.spec.if_missing()
    }

    /// Which of the files are read.
    pub(crate) fn reads(&self) -> Read {
        self.spec.read
    }

    /// What to do about a file that has other content than when it was read.
    pub(crate) fn if_changed(&self) -> IfChanged {
        self.spec.if_changed
    }

    /// Where its files go once they are read.
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
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
        if found.is_empty() && self.spec.if_missing() == IfMissing::Fail {
            return Err(Error::input(
                &self.pattern,
                format!("no file matches, and source `{}` needs one", self.name),
                "check the path (it is relative to the working directory), or say `if_missing: skip` or `empty`",
            ));
        }
        Ok(found)
    }

    /// Holds the files against the declared columns and shows them as a table.
    pub(crate) fn open(&self, found: Vec<FoundFile>) -> Result<Arc<dyn SourceTable>> {
        let opener = Opener { store: Arc::new(LocalFileSystem::new()) };
        let declared = self.declared.clone();
        let options = TextOptions { compression: self.spec.files.compression(), ..TextOptions::default() };
        match self.spec.files.format {
            Format::Csv => Ok(self.table(TextFiles::<Csv>::open(opener, found, declared, options)?)),
            Format::Jsonl => Ok(self.table(TextFiles::<Jsonl>::open(opener, found, declared, options)?)),
            Format::Parquet => Ok(self.table(ParquetFiles::open(opener, found, declared)?)),
        }
    }

    fn table(&self, files: impl Files) -> Arc<dyn SourceTable> {
        Arc::new(FilesTable::new(files, self.declared.clone(), self.rejected.clone(), self.progress.clone()))
    }
}

/// What the keys of a source say of its files must make sense together.
fn check_format(task: &Task, spec: &SourceSpec) -> Result<(), TaskError> {
    let files = &spec.files;
    let (error, help) = match (files.format, &files.compression) {
        (Format::Parquet, Some(chosen)) => {
            (task.error(chosen, "a Parquet file says itself how it is compressed"), "leave `compression` out")
        }
        (Format::Csv | Format::Jsonl, Some(chosen)) if chosen.value == Compression::Snappy => (
            task.error(chosen, "`snappy` is for Parquet files: text is compressed as a whole"),
            "say `none`, `gzip` or `zstd`, or leave it out to go by each file's name",
        ),
        (Format::Parquet, None) if !spec.null_values.is_empty() => (
            task.error(&files.path, "a Parquet file has nulls of its own"),
            "leave `null_values` out, and use nullif() in SQL",
        ),
        _ => return Ok(()),
    };
    Err(error.with_help(help))
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
