//! One file, for `mode: overwrite`.
//!
//! The rows are written to a staging folder next to the file; the commit replaces the file by one rename. A hidden file next to
//! it, the marker, names the run that wrote it and the version that the run left: any other version was written by somebody
//! else, and then the file is left alone.

mod marker;
mod pending;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::error::DataFusionError;

use super::local::{access, check_values, declared, failed, layout, local_path};
use super::{Claim, Kind, OpenTarget, Part, Parts, Pending, Prepared, SinkRun, Target, Writing, Written};
use crate::error::{Error, Result};
use crate::format::compression_of_name;
use crate::format::write::{FileLayout, OutputColumn, SharedFile, SharedWriter, SyncedFile, WriteError};
use crate::system::{disk, fault};
use crate::task::{Mode, SinkSpec, Task};
use marker::{Marker, Version};
use pending::NamedFile;

pub(super) const KIND: Kind = Kind {
    keys: &["files"],
    tag: pending::TAG,
    is_declared: |_, spec| spec.files.as_ref().is_some_and(|files| files.file.is_some()),
    bind: |task, name, spec, columns, _| Ok(Box::new(FileTarget::bind(task, name, spec, columns)?)),
    is_server: false,
    transactions: pending::transactions,
    read: |json| Ok(Box::new(serde_json::from_value::<NamedFile>(json)?)),
};

/// A file as the task declares it.
#[derive(Debug)]
struct FileTarget {
    path: String,
    layout: FileLayout,
    /// Whether a file that no run has written may be replaced.
    adopt: bool,
}

impl FileTarget {
    fn bind(task: &Task, name: &str, spec: &SinkSpec, columns: Vec<OutputColumn>) -> Result<Self> {
        let files = declared(name, spec)?;
        let Some(file) = &files.file else {
            return Err(Error::internal(format!("sink `{name}` was taken for one file")));
        };
        let refused = |message: String, help: &str| Box::new(task.error(file, message).with_help(help));
        if files.path.is_some() {
            let message = format!("sink `{name}` has both `path`, a folder, and `file`, one file");
            return Err(refused(message, "remove one of the two").into());
        }
        if matches!(spec.mode, Mode::Append | Mode::Replace) {
            let message = format!("sink `{name}`: one file is replaced as a whole, and cannot be appended to");
            let help = "specify `path`, a folder, to which each run adds files; or `mode: overwrite`";
            return Err(refused(message, help).into());
        }
        if let Some(by) = spec.partition_by.first() {
            let error = task.error(by, format!("sink `{name}`: `partition_by` is for folders, and this is one file"));
            return Err(Box::new(error.with_help("specify `path`, a folder; or remove `partition_by`")).into());
        }
        if let Some(compact) = &spec.compact {
            let error = task.error(compact, format!("sink `{name}`: `compact` is for folders with `mode: append`"));
            return Err(Box::new(error.with_help("remove it")).into());
        }
        if task.spec.replace_folder.is_some() {
            let message = format!("sink `{name}`: `replace_folder` publishes folders, and this is a file");
            return Err(refused(message, "specify `path`, a folder; or remove `replace_folder`").into());
        }
        let path = local_path(task, file)?;
        let layout = layout(task, name, spec, columns, compression_of_name(&path))?;
        Ok(Self { path, layout, adopt: spec.adopt })
    }
}

#[async_trait]
impl Target for FileTarget {
    fn columns(&self) -> &[OutputColumn] {
        &self.layout.columns
    }

    fn place(&self) -> String {
        self.path.clone()
    }

    fn try_encode(&self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        self.layout.try_encode(batch).map_err(|error| DataFusionError::External(error.into()))
    }

    fn claim(&self) -> Claim {
        Claim::File(disk::absolute(Path::new(&self.path)))
    }

    async fn open(&self, sink: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let file = NamedFile::open(sink, Path::new(&self.path), self.adopt)?;
        Ok(Box::new(OpenFile { file, layout: self.layout.clone() }))
    }
}

/// A file that was opened for a run.
#[derive(Debug)]
struct OpenFile {
    file: NamedFile,
    layout: FileLayout,
}

#[async_trait]
impl OpenTarget for OpenFile {
    fn pending(&self) -> Box<dyn Pending> {
        Box::new(self.file.clone())
    }

    async fn begin(mut self: Box<Self>) -> Result<Box<dyn Writing>> {
        self.file.lock()?;
        let Self { file, layout } = *self;
        disk::make_folder(&file.staging).map_err(|error| file.error(&file.staging, error))?;
        fault::point("staging_made");
        let path = file.staged();
        let begin = || -> Result<_, WriteError> { SharedFile::begin(Box::new(SyncedFile::create(&path)?), &layout) };
        let shared = begin().map_err(|error| file.error(&path, error))?;
        Ok(Box::new(WritingFile { parts: Arc::new(FileParts { file, layout, shared: Arc::new(shared) }) }))
    }
}

/// A file that takes rows.
#[derive(Debug)]
struct WritingFile {
    parts: Arc<FileParts>,
}

/// The parts of a file: all of them write to it.
#[derive(Debug)]
struct FileParts {
    file: NamedFile,
    layout: FileLayout,
    shared: Arc<SharedFile>,
}

impl Parts for FileParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        let writer = self.shared.writer().map_err(|error| self.file.error(&self.file.staged(), error))?;
        Ok(Box::new(FilePart { file: self.file.clone(), layout: self.layout.clone(), writer, rows: 0 }))
    }
}

/// What one reader writes to the file.
struct FilePart {
    file: NamedFile,
    layout: FileLayout,
    writer: SharedWriter,
    rows: u64,
}

impl Part for FilePart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let file = &self.file;
        check_values(&file.sink, &file.target, &self.layout, batch, chosen)?;
        self.rows += self.writer.write(batch, chosen).map_err(|error| failed(&file.sink, &file.target, error))?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<Written>> {
        let Self { file, writer, rows, .. } = *self;
        writer.finish().map_err(|error| file.error(&file.staged(), error))?;
        Ok(vec![Written { rows, ..Written::default() }])
    }
}

#[async_trait]
impl Writing for WritingFile {
    fn parts(&self) -> Arc<dyn Parts> {
        self.parts.clone()
    }

    async fn prepare(self: Box<Self>, parts: Vec<Written>) -> Result<(Written, Box<dyn Prepared>)> {
        let FileParts { file, shared, .. } = &*self.parts;
        let staged = file.staged();
        let mut written = Written::total(parts);
        written.bytes = shared.finish().map_err(|error| file.error(&staged, error))?;
        written.files = staged.file_name().map(|name| name.to_string_lossy().into_owned()).into_iter().collect();
        let mark = || -> std::io::Result<()> {
            if file.former.is_some() && file.target.exists() {
                access::take_over(&file.target, &staged)?;
            }
            Marker {
                task: file.task.clone(),
                sink: file.sink.clone(),
                run: file.run.clone(),
                rows: written.rows,
                content: Version::of(&staged)?,
                former: file.former.clone(),
            }
            .write(&file.staged_marker())?;
            disk::sync_folder(&file.staging)
        };
        mark().map_err(|error| file.error(&file.staging, error))?;
        fault::point("prepared");
        Ok((written, Box::new(file.clone())))
    }

    async fn cancel(self: Box<Self>) {}
}
