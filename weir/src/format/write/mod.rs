//! Writes a file: rows of a route are encoded in a format, compressed and stored.

mod compressed;
mod merge;
mod output;
mod shared;
mod synced;

use std::ops::RangeInclusive;

use ::parquet::errors::ParquetError;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

pub(crate) use compressed::{GZIP_LEVEL, TextFile, ZSTD_LEVEL};
pub(crate) use merge::merge;
use output::Discarded;
pub(crate) use output::Output;
pub(crate) use shared::{SharedFile, SharedWriter};
pub(crate) use synced::SyncedFile;

use super::jsonl::write::Lines;
pub(crate) use super::parquet::write::RowGroups;
use super::{csv, parquet};
use crate::function::encode::json;
use crate::task::{Compression, OutputFormat};

/// A column of a sink.
#[derive(Debug, Clone)]
pub(crate) struct OutputColumn {
    /// Its name in the sink.
    pub(crate) name: String,
    /// Its name in the route.
    pub(crate) of_route: String,
    /// Its position in the route.
    pub(crate) index: usize,
    /// Its type in the route.
    pub(crate) kind: DataType,
    /// Whether its texts are JSON documents.
    pub(crate) is_json: bool,
}

/// How the files of a sink are written.
#[derive(Debug, Clone)]
pub(crate) struct FileLayout {
    pub(crate) format: OutputFormat,
    pub(crate) compression: Compression,
    /// How hard to compress, if not as usual.
    pub(crate) level: Option<u8>,
    /// The limits of a row group, of Parquet.
    pub(crate) row_groups: RowGroups,
    pub(crate) columns: Vec<OutputColumn>,
    /// The form of CSV files.
    pub(crate) csv: csv::CsvStyle,
    /// Whether numbers must be finite: a source reads no other ones.
    pub(crate) must_be_finite: bool,
}

impl FileLayout {
    /// The suffix of the files' names, without the first dot.
    pub(crate) fn extension(&self) -> String {
        let format = self.format.extension();
        match (self.format, self.compression) {
            (OutputFormat::Csv | OutputFormat::Jsonl, Compression::Gzip) => format!("{format}.gz"),
            (OutputFormat::Csv | OutputFormat::Jsonl, Compression::Zstd) => format!("{format}.zst"),
            _ => format.to_owned(),
        }
    }

    /// Encodes a batch into nothing.
    pub(crate) fn try_encode(&self, batch: &RecordBatch) -> Result<(), WriteError> {
        let mut writer = FileWriter::begin(Box::new(Discarded::default()), self)?;
        match writer.write(batch, None) {
            // What the form of the file cannot hold is a matter of the values, and these are none of the run's.
            Err(WriteError::Value { .. }) => {}
            written => _ = written?,
        }
        writer.finish().map(drop)
    }

    /// The names of the columns in the files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

/// The display name of a format.
pub(crate) fn name_of(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Csv => "CSV",
        OutputFormat::Jsonl => "JSON",
        OutputFormat::Parquet => "Parquet",
    }
}

/// Whether values of a type can be written in a format and read again.
pub(crate) fn can_hold(format: OutputFormat, kind: &DataType) -> bool {
    match format {
        OutputFormat::Csv => csv::write::can_hold(kind),
        OutputFormat::Jsonl => json::can_hold(kind),
        OutputFormat::Parquet => parquet::write::can_hold(kind),
    }
}

/// The levels that a compression has; none if it has no levels.
pub(crate) fn levels_of(compression: Compression) -> Option<RangeInclusive<u8>> {
    match compression {
        Compression::None | Compression::Snappy | Compression::Bzip2 | Compression::Xz | Compression::Zip => None,
        Compression::Gzip => Some(1..=9),
        Compression::Zstd => Some(1..=22),
    }
}

/// Whether files of a format can be written with a compression.
pub(crate) fn can_be_compressed(format: OutputFormat, compression: Compression) -> bool {
    match compression {
        Compression::None | Compression::Gzip | Compression::Zstd => true,
        Compression::Snappy => format == OutputFormat::Parquet,
        Compression::Bzip2 | Compression::Xz | Compression::Zip => false,
    }
}

/// The error of a file that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    /// A value cannot be written in the form of the file; its column, if it is known.
    #[error("{} has {}", column.as_ref().map_or("the text".to_owned(), |name| format!("column `{name}`")), what.what())]
    Value { column: Option<String>, what: csv::Unwritable },
}

impl WriteError {
    /// What to do about it, if it is not about the disk.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Value { what, .. } => Some(what.help()),
            _ => None,
        }
    }
}

/// Encodes rows into one file.
pub(crate) enum FileWriter {
    Csv(Box<csv::CsvFile>),
    Jsonl(TextFile, Lines),
    Parquet(Box<parquet::write::ParquetFile>),
}

impl FileWriter {
    /// Begins a file.
    pub(crate) fn begin(out: Box<dyn Output>, layout: &FileLayout) -> Result<Self, WriteError> {
        let mut file = Self::continued(out, layout)?;
        if let Self::Csv(file) = &mut file {
            file.begin()?;
        }
        Ok(file)
    }

    /// Continues a file whose beginning another has written.
    fn continued(out: Box<dyn Output>, layout: &FileLayout) -> Result<Self, WriteError> {
        Ok(match layout.format {
            OutputFormat::Csv => {
                Self::Csv(Box::new(csv::CsvFile::new(TextFile::new(out, layout.compression, layout.level)?, layout)?))
            }
            OutputFormat::Jsonl => {
                Self::Jsonl(TextFile::new(out, layout.compression, layout.level)?, Lines::new(&layout.columns))
            }
            OutputFormat::Parquet => {
                let properties = parquet::write::properties(layout.compression, layout.level, layout.row_groups)?;
                Self::Parquet(Box::new(parquet::write::ParquetFile::new(out, properties, &layout.columns)?))
            }
        })
    }

    /// Writes the chosen rows, or all; returns their number.
    pub(crate) fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<u64, WriteError> {
        match self {
            Self::Csv(file) => file.write(batch, chosen),
            Self::Jsonl(out, lines) => {
                let rows = lines.write(batch, chosen, out.buffer())?;
                out.write_full()?;
                Ok(rows)
            }
            Self::Parquet(file) => Ok(file.write(batch, chosen)?),
        }
    }

    /// The text, of a text format.
    fn text(&mut self) -> Option<&mut TextFile> {
        match self {
            Self::Csv(file) => Some(file.text()),
            Self::Jsonl(out, ..) => Some(out),
            Self::Parquet(_) => None,
        }
    }

    /// Completes the file and waits until it is durable; returns its bytes.
    pub(crate) fn finish(self) -> Result<u64, WriteError> {
        match self {
            Self::Csv(file) => file.finish(),
            Self::Jsonl(out, ..) => Ok(out.finish()?),
            Self::Parquet(file) => Ok(file.finish()?),
        }
    }
}
