//! A file of a folder while it is written: one part, by one reader.

use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::pending::Folder;
use crate::error::Result;
use crate::format::write::{FileLayout, FileWriter, SyncedFile};
use crate::sink::local::{check_values, failed};
use crate::sink::{Part, Written};

/// A file that is being written.
pub(super) struct FilePart {
    sink: String,
    target: PathBuf,
    path: PathBuf,
    name: String,
    layout: FileLayout,
    writer: FileWriter,
    rows: u64,
    pub(super) is_attempt: bool,
}

impl FilePart {
    /// Begins the file `name` in a folder that is no sink's yet.
    pub(super) fn create(folder: &Folder, place: &Path, name: String, layout: &FileLayout) -> Result<Self> {
        let path = place.join(&name);
        let create = || FileWriter::begin(Box::new(SyncedFile::create(&path)?), layout);
        let writer = create().map_err(|error| folder.error(&path, error))?;
        let (sink, target) = (folder.sink.clone(), folder.target.clone());
        Ok(Self { sink, target, path, name, layout: layout.clone(), writer, rows: 0, is_attempt: false })
    }
}

impl Part for FilePart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        check_values(&self.sink, &self.target, &self.layout, batch, chosen)?;
        let written = self.writer.write(batch, chosen);
        let rows = written.map_err(|error| failed(&self.sink, &self.target, error))?;
        self.rows += rows;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<Written>> {
        let Self { sink, path, name, writer, rows, is_attempt, .. } = *self;
        let bytes = writer.finish().map_err(|error| failed(&sink, &path, error))?;
        Ok(vec![Written { rows, bytes, files: vec![name], is_attempt }])
    }
}
