//! The metadata of Parquet files, checked against the declaration.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::common::stats::Precision;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type;
use parquet::schema::types::SchemaDescriptor;

use super::chunks::Chunks;
use super::scan::{Cursor, ParquetScan};
use crate::error::{Error, Result};
use crate::format::columns::{Declared, ReadColumns};
use crate::format::scan::{Pushed, Rows};
use crate::format::split::{FilePart, Split};
use crate::format::typed::{TypedColumns, open_files};
use crate::place::FoundFile;
use crate::route::RejectedRoute;
use crate::task::IfEmpty;
use crate::watch::ScanProgress;

/// The Parquet files of a source, with their metadata.
#[derive(Debug)]
pub(crate) struct ParquetFiles {
    declared: Arc<Declared>,
    files: Arc<[ParquetFile]>,
}

/// A Parquet file whose columns match the task.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    /// The name as the user would write it.
    pub(crate) name: Arc<str>,
    /// Its location in the store, and its version when the run began.
    pub(crate) file: FoundFile,
    pub(crate) metadata: ArrowReaderMetadata,
    pub(crate) columns: TypedColumns,
    pub(crate) groups: Vec<Group>,
}

/// A row group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Rows of the file before it.
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    /// Its bytes in the file.
    pub(crate) bytes: u64,
}

impl ParquetFiles {
    /// Reads the metadata of every file. No row is read.
    pub(crate) fn open(found: Vec<FoundFile>, declared: Arc<Declared>, if_empty: Option<IfEmpty>) -> Result<Self> {
        let files = open_files(&found, if_empty, |file| ParquetFile::open(file.clone(), &declared))?;
        Ok(Self { declared, files })
    }
}

/// Whether a file has no rows.
pub(crate) fn has_no_rows(file: &FoundFile) -> Result<bool> {
    let chunks = Chunks::new(file.open()?);
    let metadata = ArrowReaderMetadata::load(&chunks, ArrowReaderOptions::new());
    let metadata = metadata.map_err(|error| chunks.failed(error))?;
    Ok(metadata.metadata().file_metadata().num_rows() == 0)
}

impl ParquetFile {
    fn open(file: FoundFile, declared: &Declared) -> Result<Self> {
        let chunks = Chunks::new(file.open()?);
        // The Arrow schema that is stored in addition to Parquet's own describes the writer's memory layout, which does
        // not matter here: times in a zone of the writer's, and texts in dictionaries.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain = ArrowReaderMetadata::load(&chunks, options).map_err(|error| chunks.failed(error))?;
        let options = ArrowReaderOptions::new().with_schema(read_schema(plain.schema(), plain.parquet_schema()));
        let metadata = ArrowReaderMetadata::try_new(plain.metadata().clone(), options);
        let metadata = metadata.map_err(|error| chunks.failed(error))?;
        let columns = TypedColumns::of(&file, metadata.schema(), declared)?;
        let mut first_row = 0;
        let groups = metadata.metadata().row_groups().iter().map(|group| {
            let rows = group.num_rows().max(0) as u64;
            let group = Group { first_row, rows, bytes: group.compressed_size().max(0) as u64 };
            first_row += rows;
            group
        });
        let groups = groups.collect();
        Ok(Self { name: file.name.as_str().into(), file, metadata, columns, groups })
    }
}

/// The types as which the columns of a file are read: texts without copying, and INT96 without overflow.
fn read_schema(schema: &SchemaRef, parquet: &SchemaDescriptor) -> SchemaRef {
    let mut leaves = parquet.columns().iter().map(|leaf| leaf.physical_type());
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => {
            leaves.next();
            Arc::new(Field::clone(field).with_data_type(DataType::Utf8View))
        }
        _ => read_field(field, &mut leaves),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// A field as it is read. `leaves` are the physical types of its values, and of those in it.
fn read_field(field: &FieldRef, leaves: &mut dyn Iterator<Item = Type>) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| read_field(field, leaves)).collect()),
        DataType::List(item) => DataType::List(read_field(item, leaves)),
        DataType::LargeList(item) => DataType::LargeList(read_field(item, leaves)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(read_field(item, leaves), *length),
        DataType::Map(entry, is_sorted) => DataType::Map(read_field(entry, leaves), *is_sorted),
        kind => match (kind, leaves.next()) {
            (DataType::Timestamp(..), Some(Type::INT96)) => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => kind.clone(),
        },
    };
    Arc::new(Field::clone(field).with_data_type(kind))
}

impl Rows for ParquetFiles {
    type Scan = ParquetScan;

    const SCAN: &'static str = "ParquetScanExec";

    fn shown(&self, _: &ReadColumns, _: &Pushed) -> String {
        format!("files={}", self.files.len())
    }

    /// The number of rows in the metadata; an estimate if some may be rejected.
    fn rows(&self) -> Precision<usize> {
        let groups = self.files.iter().flat_map(|file| &file.groups);
        let rows = groups.map(|group| group.rows as usize).sum();
        match (0..self.declared.columns.len()).any(|column| self.can_reject(column)) {
            true => Precision::Inexact(rows),
            false => Precision::Exact(rows),
        }
    }

    fn splits(&self, bytes: u64) -> Result<Option<Vec<Split>>> {
        let mut splits = Vec::new();
        for of in self.files.iter() {
            let Some(file) = of.file.record() else { return Ok(None) };
            let (mut from, mut size) = (0, 0);
            for (number, group) in of.groups.iter().enumerate() {
                size += group.bytes;
                if size >= bytes || number + 1 == of.groups.len() {
                    splits.push(Split { file: file.clone(), part: FilePart::RowGroups(from..number + 1) });
                    (from, size) = (number + 1, 0);
                }
            }
        }
        Ok(Some(splits))
    }

    fn restrict(&mut self, part: &FilePart) -> Result<()> {
        match (part, Arc::get_mut(&mut self.files)) {
            (FilePart::Whole, _) => Ok(()),
            (FilePart::RowGroups(range), Some([file])) => {
                // One without rows is not read.
                let others = file.groups.iter_mut().enumerate().filter(|(number, _)| !range.contains(number));
                others.for_each(|(_, group)| group.rows = 0);
                Ok(())
            }
            _ => Err(Error::internal(format!("a Parquet file has no part {part:?}"))),
        }
    }

    fn can_reject(&self, column: usize) -> bool {
        let declared = &self.declared.columns[column];
        declared.has_checks() || self.files.iter().any(|file| file.columns.can_reject(column, declared))
    }

    fn scan(
        &self,
        columns: ReadColumns,
        _: Pushed,
        rejected: Arc<RejectedRoute>,
        progress: Arc<ScanProgress>,
    ) -> (ParquetScan, Cursor) {
        let scan = ParquetScan::new(self.files.clone(), columns, rejected, progress);
        (scan, Cursor::default())
    }
}
