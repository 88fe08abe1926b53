//! Files matched by a pattern: all of them, or those that no published run has read.

mod choice;
mod copies;
mod published;

use std::sync::Arc;

use async_trait::async_trait;
use indicatif::HumanBytes;

use super::Source;
use super::origin::{Opened, Opening, Origin};
use crate::error::{Error, Result, number_of};
use crate::format::scan::SourceTable;
use crate::format::split::{FilePart, Split};
use crate::format::{self, FileForm, fixed_width};
use crate::place::{Archive, Arrival, FileSystem, FoundFile, file_system, is_stdin};
use crate::route::RejectedRoute;
use crate::task::{
    Compression, FilesSpec, Format, IfChanged, IfCopied, IfMissing, Published, Read, SourceSpec, Task, TaskError,
};
use crate::watch::ScanProgress;

/// The files of a source, as the task declares them. Nothing is accessed before [`FileSet::find`].
#[derive(Debug)]
pub(crate) struct FileSet {
    /// The source's name.
    source: String,
    /// The path or pattern, parameters filled in.
    pattern: String,
    file_system: Arc<dyn FileSystem>,
    form: FileForm,
    read: Read,
    if_changed: IfChanged,
    if_copied: IfCopied,
    if_missing: IfMissing,
    archive: Option<Box<dyn Archive>>,
    /// The sink that publishes them, if they are what another task publishes.
    published: Option<Published>,
}

impl FileSet {
    /// Validates the files that the task declares.
    pub(super) fn declare(task: &Task, source: &str, spec: &SourceSpec) -> Result<Self> {
        let Some(files) = &spec.files else {
            return Err(Error::internal(format!("source `{source}` has no `files`")));
        };
        let pattern = task.data_pattern(&files.path)?;
        let refused = |message: String| Error::from(Box::new(task.error(&files.path, message)));
        let file_system = file_system(task, &pattern).map_err(|message| {
            let help = "a program such as rclone, or a mounted folder, brings files of other places to a local path";
            Box::new(task.error(&files.path, message).with_help(help))
        })?;
        file_system.check(&pattern).map_err(refused)?;
        let all = task.spec.sources.values().filter_map(|source| source.value.files.as_ref());
        if is_stdin(&pattern) && all.filter(|files| is_stdin(&files.path.value)).count() > 1 {
            return Err(refused("standard input is read by two sources, and can be read once".to_owned()));
        }
        check_format(task, spec, files).map_err(Box::new)?;
        Ok(Self {
            source: source.to_owned(),
            archive: declare_archive(task, &*file_system, &pattern, spec)?,
            pattern,
            file_system,
            form: FileForm::take(task, files, spec.if_empty)?,
            read: spec.read,
            if_changed: spec.if_changed,
            if_copied: spec.if_copied,
            if_missing: spec.if_missing(),
            published: spec.published.clone(),
        })
    }

    fn opened(
        &self,
        source: &Source,
        files: Vec<FoundFile>,
        before: &str,
        nothing_to_do: Option<String>,
    ) -> Result<Opened> {
        let bytes = files.iter().map(FoundFile::unread_bytes).sum();
        let (rejected, progress) = (&source.rejected, &source.progress);
        let table = format::open(files.clone(), &self.form, &source.declared, rejected, progress, &FilePart::Whole)?;
        let summary = format!("{}, {}{before}", number_of(files.len(), "file"), HumanBytes(bytes));
        Ok(Opened { table: Some(table), bytes, summary, files, nothing_to_do })
    }

    /// The files that match now, sorted by name.
    async fn find(&self, arrival: &Arrival<'_>) -> Result<Vec<FoundFile>> {
        if let Some(published) = &self.published {
            return match published.find(&*self.file_system, &self.pattern, arrival).await? {
                None if self.if_missing == IfMissing::Fail => {
                    Err(published.nothing(&self.file_system.shown(&self.pattern)))
                }
                found => Ok(found.unwrap_or_default()),
            };
        }
        let files = self.file_system.find(&self.pattern, arrival).await?;
        if files.is_empty() && self.if_missing == IfMissing::Fail {
            return Err(self.file_system.nothing_found(&self.pattern, &self.source));
        }
        Ok(files)
    }
}

#[async_trait]
impl Origin for FileSet {
    async fn open(&self, source: &Source, opening: &mut Opening<'_>) -> Result<Opened> {
        let is_stopped = || opening.stop.is_wanted();
        if self.file_system.arrives() && opening.run.is_none() {
            let summary = "is read when the task runs".to_owned();
            return Ok(Opened { table: None, bytes: 0, summary, files: vec![], nothing_to_do: None });
        }
        if let Some(files) = opening.replay.filter(|_| self.read == Read::New) {
            let files = files.get(&self.source).cloned().unwrap_or_default();
            return self.opened(source, files, "", None);
        }
        let found = self.find(&Arrival { scratch: opening.scratch, stop: opening.stop }).await?;
        let mut choice = self.choose(found, opening.key, opening.ledger.as_deref_mut(), &is_stopped).await?;
        if let (Some(_), Some(ledger)) = (opening.run, &opening.ledger) {
            self.settle_copies(&mut choice, opening.key, ledger, &is_stopped)?;
        }
        let nothing_to_do = self.nothing_to_do(&choice)?;
        if let Some(run) = opening.run {
            if let Some(archive) = &self.archive {
                archive.check(&choice.files.iter().map(|(file, _)| file).collect::<Vec<_>>())?;
            }
            if let Some(ledger) = &mut opening.ledger {
                let inputs = self.inputs(&choice);
                ledger.inputs(run, opening.key, &self.source, &inputs, &choice.touched)?;
                ledger.add_known(run, &self.source, &choice.known)?;
            }
            if choice.before > 0 && nothing_to_do.is_none() {
                tracing::info!(source = self.source, files = choice.before, "skipped: read by earlier runs");
            }
        }
        let files: Vec<FoundFile> = choice.files.into_iter().map(|(file, _)| file).collect();
        let before = match choice.before {
            0 => String::new(),
            before => format!(" ({before} more were read by earlier runs)"),
        };
        match &nothing_to_do {
            Some(_) if opening.run.is_some() => {
                Ok(Opened { table: None, bytes: 0, summary: String::new(), files: vec![], nothing_to_do })
            }
            _ => self.opened(source, files, &before, nothing_to_do),
        }
    }

    fn archive(&self) -> Option<&dyn Archive> {
        self.archive.as_deref()
    }

    fn has_splits(&self) -> bool {
        true
    }

    fn open_split(
        &self,
        source: &Source,
        split: &Split,
        rejected: &Arc<RejectedRoute>,
        progress: &Arc<ScanProgress>,
    ) -> Result<Arc<dyn SourceTable>> {
        let file = FoundFile::of_record(&split.file)?;
        format::open(vec![file], &self.form, &source.declared, rejected, progress, &split.part)
    }
}

/// The archive that a source declares, if any.
fn declare_archive(
    task: &Task,
    file_system: &dyn FileSystem,
    pattern: &str,
    spec: &SourceSpec,
) -> Result<Option<Box<dyn Archive>>> {
    let Some(archive) = &spec.archive else { return Ok(None) };
    if spec.has_private_columns() && !spec.archive_private {
        let error = task.error(archive, "the archive would hold the values of private columns as they are");
        let help = "add `archive_private: true` if it is protected as the input is; or remove `archive`, and the files, by other \
                    means";
        return Err(Box::new(error.with_help(help)).into());
    }
    let folder = task.data_path(archive)?;
    let declared = file_system.archive(pattern, &folder).map_err(|message| {
        let help = "specify a folder next to the one that is read, on the same file system";
        Box::new(task.error(archive, message).with_help(help))
    });
    Ok(Some(declared?))
}

/// The keys of a source must be consistent with its files.
fn check_format(task: &Task, spec: &SourceSpec, files: &FilesSpec) -> Result<(), TaskError> {
    let placed = spec.columns.iter().find(|(_, column)| column.value.position.is_some());
    if let (Some((name, column)), true) = (placed, !matches!(files.format, Format::Csv | Format::Excel)) {
        let error =
            task.error(column, format!("column `{name}`: `position` is for CSV and Excel, whose columns have one"));
        return Err(error.with_help(match files.format {
            Format::FixedWidth if column.value.characters.is_some() => {
                "remove it: `characters` says where the column is"
            }
            Format::FixedWidth => "write `characters: 1-8` instead, where the first character of a line is 1",
            _ => "remove it; `header` is the column's name in the files",
        }));
    }
    #[cfg(not(feature = "avro"))]
    if files.format == Format::Avro {
        let error = task.error(&files.path, "`format: avro`: this program was built without Avro");
        return Err(error.with_help("build it with the feature `avro`, which is on by default"));
    }
    fixed_width::check(task, spec, files.format)?;
    let nested = spec.columns.iter().find(|(_, column)| column.value.path.is_some());
    if let (Some((name, column)), false) = (nested, matches!(files.format, Format::Json | Format::Jsonl)) {
        let error = task.error(column, format!("column `{name}`: `path` is for JSON, whose records have objects"));
        return Err(error.with_help("remove it; `header` is the column's name in the files"));
    }
    let (error, help) = match (files.format, &files.compression) {
        (Format::Parquet | Format::Avro, Some(chosen)) => {
            (task.error(chosen, "Parquet and Avro files specify their own compression"), "remove `compression`")
        }
        (Format::Excel, Some(chosen)) => (
            task.error(chosen, "a workbook is compressed already"),
            "remove `compression`, and unpack archives of workbooks",
        ),
        (_, Some(chosen)) if chosen.value == Compression::Snappy => (
            task.error(chosen, "`snappy` is only for Parquet files"),
            "specify how the files are compressed, or remove it to go by the suffix of each file name",
        ),
        _ => return Ok(()),
    };
    Err(error.with_help(help))
}
