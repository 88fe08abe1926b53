//! A file of a sink while it is written: one part, by one writer.

use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

use super::compressed::TextFile;
use super::fit::{Misfit, misfit};
use super::folder::Folder;
use super::parquet::ParquetFile;
use super::{Part, Written, csv, jsonl, parquet};
use crate::error::{Error, Result};
use crate::task::{Compression, Format};

/// How the files of a sink are written.
#[derive(Debug, Clone)]
pub(super) struct FileForm {
    pub(super) format: Format,
    pub(super) compression: Compression,
    pub(super) columns: Vec<FileColumn>,
}

/// A column of a sink's files.
#[derive(Debug, Clone)]
pub(super) struct FileColumn {
    /// Its name in the files.
    pub(super) name: String,
    /// Its name in the route.
    pub(super) of_route: String,
    /// Its position in the route.
    pub(super) index: usize,
    /// Its type in the route.
    pub(super) kind: DataType,
}

impl FileForm {
    /// How the names of the files end, without the first dot.
    pub(super) fn extension(&self) -> String {
        let format = self.format.extension();
        match (self.format, self.compression) {
            (Format::Csv | Format::Jsonl, Compression::Gzip) => format!("{format}.gz"),
            (Format::Csv | Format::Jsonl, Compression::Zstd) => format!("{format}.zst"),
            _ => format.to_owned(),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

/// The name by which people know a format.
pub(super) fn name_of(format: Format) -> &'static str {
    match format {
        Format::Csv => "CSV",
        Format::Jsonl => "JSON",
        Format::Parquet => "Parquet",
    }
}

/// Whether values of a type can be written in a format and read again.
pub(super) fn can_hold(format: Format, kind: &DataType) -> bool {
    match format {
        Format::Csv => csv::can_hold(kind),
        Format::Jsonl => jsonl::can_hold(kind),
        Format::Parquet => parquet::can_hold(kind),
    }
}

/// Whether files of a format can be compressed so.
pub(super) fn can_be_compressed(format: Format, compression: Compression) -> bool {
    format == Format::Parquet || compression != Compression::Snappy
}

/// A file that is being written.
pub(super) struct FilePart {
    folder: Folder,
    path: PathBuf,
    name: String,
    form: FileForm,
    encoder: Encoder,
    rows: u64,
}

/// What makes bytes of rows.
enum Encoder {
    Csv(TextFile, Vec<usize>),
    Jsonl(TextFile, Vec<usize>, jsonl::Keys),
    Parquet(Box<ParquetFile>),
}

impl FilePart {
    /// Starts the file `name` in the folder's staging.
    pub(super) fn create(folder: &Folder, name: String, form: &FileForm) -> Result<Self> {
        let path = folder.staging.join(&name);
        let encoder = Encoder::create(&path, form).map_err(|error| folder.error(&path, error))?;
        Ok(Self { folder: folder.clone(), path, name, form: form.clone(), encoder, rows: 0 })
    }

    /// Fails if a chosen row has a value that the format cannot hold.
    fn check(&self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        for FileColumn { name, index, .. } in &self.form.columns {
            let Some(misfit) = misfit(batch.column(*index), chosen, self.form.format == Format::Jsonl) else {
                continue;
            };
            let schema = batch.schema_ref();
            let column = schema.field(*index).name();
            let (message, help) = match misfit {
                Misfit::NotFinite => (
                    format!("column `{name}` has NaN or an infinity, which JSON cannot hold"),
                    format!("reject such rows with the rule `{{finite: {column}}}`, or make them null in the model"),
                ),
                Misfit::Year => (
                    format!("column `{name}` has a date outside the years 1 to 9999, which no source could read"),
                    format!("reject such rows with the rule `date_part('year', {column}) between 1 and 9999`"),
                ),
            };
            return Err(Error::sink(&self.folder.sink, &self.folder.target, message, help));
        }
        Ok(())
    }
}

impl Part for FilePart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        self.check(batch, chosen)?;
        let rows = self.encoder.write(batch, chosen).map_err(|error| self.folder.error(&self.path, error))?;
        self.rows += rows;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { folder, path, name, encoder, rows, .. } = *self;
        let bytes = encoder.finish().map_err(|error| folder.error(&path, error))?;
        Ok(Written { rows, bytes, file: Some(name) })
    }
}

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

impl Encoder {
    fn create(path: &Path, form: &FileForm) -> Result<Self, Failure> {
        let columns = form.columns.iter().map(|column| column.index).collect();
        Ok(match form.format {
            Format::Csv => {
                let mut out = TextFile::create(path, form.compression)?;
                csv::header(form.names(), out.buffer());
                Self::Csv(out, columns)
            }
            Format::Jsonl => {
                Self::Jsonl(TextFile::create(path, form.compression)?, columns, jsonl::Keys::new(form.names()))
            }
            Format::Parquet => {
                let columns = form.columns.iter().map(|column| (column.name.as_str(), column.index, &column.kind));
                Self::Parquet(Box::new(ParquetFile::create(path, form.compression, columns)?))
            }
        })
    }

    /// Takes the chosen rows, or all; gives how many.
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<u64, Failure> {
        match self {
            Self::Csv(out, columns) => {
                let rows = csv::rows(batch, columns, chosen, out.buffer())?;
                out.settle()?;
                Ok(rows)
            }
            Self::Jsonl(out, columns, keys) => {
                let rows = jsonl::rows(batch, columns, keys, chosen, out.buffer())?;
                out.settle()?;
                Ok(rows)
            }
            Self::Parquet(file) => Ok(file.write(batch, chosen)?),
        }
    }

    /// Makes sure that the file is on disk; gives its size.
    fn finish(self) -> Result<u64, Failure> {
        match self {
            Self::Csv(out, _) | Self::Jsonl(out, ..) => Ok(out.finish()?),
            Self::Parquet(file) => Ok(file.finish()?),
        }
    }
}
