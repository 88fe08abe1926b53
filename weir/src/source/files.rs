//! Files: found, checked, and shown as one table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::archive::Archive;
use super::columns::Declared;
use super::csv::Csv;
use super::jsonl::Jsonl;
use super::parquet::ParquetFiles;
use super::rejected::RejectedRoute;
use super::store::{Opener, local_path};
use super::table::{RowsTable, ScanProgress, SourceTable};
use super::text::{TextFiles, TextOptions};
use crate::error::{Error, Result};
use crate::task::{Compression, FilesSpec, Format, IfChanged, IfMissing, Read, SourceSpec, Task, TaskError};

/// A file that a source reads.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    /// The name as the user would write it.
    pub(crate) name: String,
    /// Where the store has it, its size and version.
    pub(crate) meta: ObjectMeta,
}

impl FoundFile {
    /// A local file, by the name that the user knows it by.
    pub(super) async fn of(name: String, path: &Path) -> Result<Self> {
        let meta = LocalFileSystem::new().head(&local_path(path)?).await;
        let meta = meta.map_err(|error| Error::input(&name, error, "check that the file is there and can be read"))?;
        Ok(Self { name, meta })
    }

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

/// The files of a source, as the task declares them. Nothing is looked at before [`FileSet::find`].
#[derive(Debug)]
pub(crate) struct FileSet {
    /// The source's name.
    source: String,
    /// The path or pattern, parameters filled in.
    pattern: String,
    form: FileForm,
    read: Read,
    if_changed: IfChanged,
    if_missing: IfMissing,
    archive: Option<Archive>,
}

/// How files are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileForm {
    pub(crate) format: Format,
    /// What the task says of it; else each file's name does.
    pub(crate) compression: Option<Compression>,
}

impl FileSet {
    /// Takes the files as the task declares them.
    pub(super) fn declare(task: &Task, source: &str, spec: &SourceSpec, files: &FilesSpec) -> Result<Self> {
        let pattern = task.params.fill_with(&task.source, &files.path, glob::Pattern::escape)?;
        if pattern.contains("://") {
            let error = task.error(&files.path, format!("`{pattern}`: only local paths can be read"));
            return Err(Box::new(error).into());
        }
        if let Err(error) = glob::Pattern::new(&pattern) {
            let error = task.error(&files.path, format!("`{pattern}` is no pattern: {error}"));
            return Err(Box::new(error).into());
        }
        check_format(task, spec, files).map_err(Box::new)?;
        Ok(Self {
            source: source.to_owned(),
            archive: Archive::declare(task, &pattern, spec)?,
            pattern,
            form: FileForm { format: files.format, compression: files.compression() },
            read: spec.read,
            if_changed: spec.if_changed,
            if_missing: spec.if_missing(),
        })
    }

    /// The path or pattern, parameters filled in.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// How they are written.
    pub(crate) fn form(&self) -> FileForm {
        self.form
    }

    /// What to do when no file matches.
    pub(crate) fn if_missing(&self) -> IfMissing {
        self.if_missing
    }

    /// Which of the files are read.
    pub(crate) fn reads(&self) -> Read {
        self.read
    }

    /// What to do about a file that has other content than when it was read.
    pub(crate) fn if_changed(&self) -> IfChanged {
        self.if_changed
    }

    /// Where they go once they are read.
    pub(crate) fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// The files that match now, in the order of their names.
    pub(crate) async fn find(&self) -> Result<Vec<FoundFile>> {
        let mut found = Vec::new();
        for path in matching(&self.pattern)? {
            found.push(FoundFile::of(path.display().to_string(), &path).await?);
        }
        if found.is_empty() && self.if_missing == IfMissing::Fail {
            return Err(Error::input(
                &self.pattern,
                format!("no file matches, and source `{}` needs one", self.source),
                "check the path (it is relative to the working directory), or say `if_missing: skip` or `empty`",
            ));
        }
        Ok(found)
    }
}

/// Holds files against the declared columns and shows them as a table.
pub(super) fn open(
    found: Vec<FoundFile>,
    form: FileForm,
    declared: &Arc<Declared>,
    rejected: &Arc<RejectedRoute>,
    progress: &Arc<ScanProgress>,
) -> Result<Arc<dyn SourceTable>> {
    let opener = Opener { store: Arc::new(LocalFileSystem::new()) };
    let options = TextOptions { compression: form.compression, ..TextOptions::default() };
    let (declared, rejected, progress) = (declared.clone(), rejected.clone(), progress.clone());
    Ok(match form.format {
        Format::Csv => {
            let files = TextFiles::<Csv>::open(opener, found, declared.clone(), options)?;
            Arc::new(RowsTable::new(files, declared, rejected, progress))
        }
        Format::Jsonl => {
            let files = TextFiles::<Jsonl>::open(opener, found, declared.clone(), options)?;
            Arc::new(RowsTable::new(files, declared, rejected, progress))
        }
        Format::Parquet => {
            let files = ParquetFiles::open(opener, found, declared.clone())?;
            Arc::new(RowsTable::new(files, declared, rejected, progress))
        }
    })
}

/// What the keys of a source say of its files must make sense together.
fn check_format(task: &Task, spec: &SourceSpec, files: &FilesSpec) -> Result<(), TaskError> {
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
