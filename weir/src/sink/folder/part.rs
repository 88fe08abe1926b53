//! A file of a folder while it is written: one part, by one reader.

use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;

use super::pending::{Folder, WRITABLE};
use crate::error::{Error, Result};
use crate::format::write::{FileLayout, FileWriter, InvalidValue, OutputColumn, SyncedFile, WriteError, invalid_value};
use crate::sink::{Part, Written};
use crate::task::Format;

/// A file that is being written.
pub(super) struct FilePart {
    sink: String,
    target: PathBuf,
    path: PathBuf,
    name: String,
    layout: FileLayout,
    writer: FileWriter,
    rows: u64,
}

impl FilePart {
    /// Begins the file `name` in the staging folder.
    pub(super) fn create(folder: &Folder, name: String, layout: &FileLayout) -> Result<Self> {
        let path = folder.staging.join(&name);
        let create = || FileWriter::begin(Box::new(SyncedFile::create(&path)?), layout);
        let writer = create().map_err(|error| folder.error(&path, error))?;
        let (sink, target) = (folder.sink.clone(), folder.target.clone());
        Ok(Self { sink, target, path, name, layout: layout.clone(), writer, rows: 0 })
    }

    fn error(sink: &str, path: &Path, error: WriteError) -> Error {
        Error::sink(sink, path, &error, WRITABLE).because(error)
    }

    /// Fails if a chosen row has a value that the format cannot hold.
    fn check(&self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        for OutputColumn { name, index, .. } in &self.layout.columns {
            let Some(invalid) = invalid_value(batch.column(*index), chosen, self.layout.format == Format::Jsonl) else {
                continue;
            };
            let schema = batch.schema_ref();
            let column = schema.field(*index).name();
            let (message, help) = match invalid {
                InvalidValue::NotFinite => (
                    format!("column `{name}` has NaN or an infinity, which JSON cannot hold"),
                    format!("reject such rows with the rule `{{finite: {column}}}`, or make them null in the model"),
                ),
                InvalidValue::Year => (
                    format!("column `{name}` has a date outside the years 1 to 9999, which no source could read"),
                    format!("reject such rows with the rule `date_part('year', {column}) between 1 and 9999`"),
                ),
            };
            return Err(Error::sink(&self.sink, &self.target, message, help));
        }
        Ok(())
    }
}

impl Part for FilePart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        self.check(batch, chosen)?;
        let written = self.writer.write(batch, chosen);
        let rows = written.map_err(|error| Self::error(&self.sink, &self.path, error))?;
        self.rows += rows;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { sink, path, name, writer, rows, .. } = *self;
        let bytes = writer.finish().map_err(|error| Self::error(&sink, &path, error))?;
        Ok(Written { rows, bytes, files: vec![name] })
    }
}
