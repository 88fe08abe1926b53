//! The common parts of the formats whose values have types, Parquet and Avro: their columns are matched with the declared
//! ones and converted to their types.
//!
//! `conversion` converts a file's type to the declared one; `raw` shows rejected rows as JSON.

mod conversion;
mod raw;

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, UInt64Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::error::ArrowError;

use super::columns::{Checked, Column, Declared, ReadColumns};
use super::empty::no_content;
use super::file_columns::FileColumns;
use crate::error::{Error, Result};
use crate::function::encode::json;
use crate::place::{self, FoundFile};
use crate::route::RejectedRoute;
use crate::task::{IfEmpty, type_name};
use conversion::Conversion;
pub(crate) use raw::json_rows;

/// Rows per batch.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Opens files, without those that have no content.
pub(crate) fn open_files<F: Send>(
    found: &[FoundFile],
    if_empty: Option<IfEmpty>,
    open: impl Fn(&FoundFile) -> Result<F> + Sync,
) -> Result<Arc<[F]>> {
    let opened = place::map(found, |file| match file.size() {
        0 => no_content(&file.name, IfEmpty::Fail, if_empty).map(|()| None),
        _ => open(file).map(Some),
    });
    Ok(opened?.into_iter().flatten().collect())
}

/// The columns of a file.
#[derive(Debug)]
pub(crate) struct TypedColumns {
    /// For each declared column that the file has its index there, and its conversion.
    columns: Vec<Option<(usize, Conversion)>>,
    /// The values of the others.
    file_columns: FileColumns,
}

impl TypedColumns {
    /// Matches the columns of a file with the declared ones.
    pub(crate) fn of(file: &FoundFile, schema: &Schema, declared: &Declared) -> Result<Self> {
        let columns = match_columns(&file.name, schema, declared)?;
        let file_columns = FileColumns::of(file, declared, |column| columns[column].is_some())?;
        Ok(Self { columns, file_columns })
    }

    /// The index of each column that is read among those of the file, if it has it.
    pub(crate) fn roots(&self, read: &ReadColumns) -> Vec<Option<usize>> {
        read.declared().iter().map(|column| self.columns[*column].map(|(root, _)| root)).collect()
    }

    /// Whether a value of a column may be invalid.
    pub(crate) fn can_reject(&self, column: usize, declared: &Column) -> bool {
        self.columns[column].is_some_and(|(_, conversion)| conversion.can_reject(declared))
    }

    /// Converts rows of the file and checks them. `places` are the columns that are read in the batch, if the file has them,
    /// and `before` is the number of the rows before them.
    pub(crate) fn check(
        &self,
        rows: &RecordBatch,
        places: &[Option<usize>],
        before: u64,
        read: &ReadColumns,
        rejected: &RejectedRoute,
    ) -> Result<Checked, ArrowError> {
        let line = |row: usize| before + row as u64 + 1;
        if !self.file_columns.has_chosen() {
            let lines = || Int64Array::from_iter_values((0..rows.num_rows()).map(|row| line(row) as i64));
            return self.check_lines(rows, places, lines, read, rejected);
        }
        let chosen: Vec<usize> = (0..rows.num_rows()).filter(|row| self.file_columns.reads(line(*row))).collect();
        let of_chosen = UInt64Array::from_iter_values(chosen.iter().map(|row| *row as u64));
        let rows = take_record_batch(rows, &of_chosen)?;
        let lines = || Int64Array::from_iter_values(chosen.iter().map(|row| line(*row) as i64));
        let mut checked = self.check_lines(&rows, places, lines, read, rejected)?;
        let place = |row: &mut usize| *row = chosen[*row];
        checked.rejected.iter_mut().for_each(|(row, _)| place(row));
        checked.nulled.iter_mut().for_each(|nulled| nulled.samples.iter_mut().for_each(place));
        checked.failed.iter_mut().for_each(|(row, ..)| place(row));
        Ok(checked)
    }

    /// Converts rows of the file and checks them; `lines` are their numbers.
    fn check_lines(
        &self,
        rows: &RecordBatch,
        places: &[Option<usize>],
        lines: impl Fn() -> Int64Array,
        read: &ReadColumns,
        rejected: &RejectedRoute,
    ) -> Result<Checked, ArrowError> {
        let columns = read.declared().iter().zip(places).zip(&read.columns);
        let typed = columns.map(|((declared, place), column)| match (place, self.columns[*declared]) {
            (Some(place), Some((_, conversion))) => {
                let values = rows.column(*place);
                let typed = conversion.convert(values, column)?;
                column.keep_unread(values, &typed, rejected);
                Ok(typed)
            }
            _ => {
                let values = self.file_columns.values(*declared, rows.num_rows(), &lines)?;
                values.ok_or_else(|| ArrowError::SchemaError(format!("column `{}` has no values", column.name)))
            }
        });
        read.check(typed.collect::<Result<Vec<_>, _>>()?, rows.num_rows(), &[])
    }
}

fn match_columns(name: &str, schema: &Schema, declared: &Declared) -> Result<Vec<Option<(usize, Conversion)>>> {
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let targets = declared.names().match_with(name, &names)?;
    let column = |(index, column): (usize, &Arc<Column>)| {
        let Some(place) = targets.iter().position(|target| *target == Some(index)) else { return Ok(None) };
        let kind = schema.field(place).data_type();
        let conversion = Conversion::plan(kind, column).ok_or_else(|| {
            let (here, there) = (type_name(&column.kind), type_name(kind));
            let message = format!("column `{}` is {there} in the file, which cannot be read as {here}", column.header);
            Error::input(name, message, other_type(kind, column))
        })?;
        Ok(Some((place, conversion)))
    };
    declared.columns.iter().enumerate().map(column).collect()
}

/// How a column that cannot be read as declared could be.
fn other_type(file: &DataType, column: &Column) -> &'static str {
    match (file, &column.kind) {
        (DataType::Timestamp(_, None) | DataType::Date32, DataType::Timestamp(_, Some(_))) => {
            "its times have no time zone: specify the one that they are in, such as `timezone: UTC`"
        }
        (kind, DataType::Timestamp(..)) if kind.is_numeric() => {
            "if it counts from 1970-01-01, specify `format: epoch_seconds`, epoch_milliseconds or epoch_microseconds"
        }
        (kind, DataType::Boolean) if kind.is_integer() => "specify `true_values: [1]` and `false_values: [0]`",
        (DataType::FixedSizeBinary(16), _) => "declare it as uuid or binary",
        (DataType::Binary | DataType::FixedSizeBinary(_), _) => "declare it as binary",
        (DataType::Time32(_) | DataType::Time64(_), _) => "declare it as time",
        (DataType::Float64 | DataType::Float32 | DataType::Float16, DataType::Utf8View) => {
            "declare it as double, and cast it in SQL"
        }
        (kind, _) if kind.is_nested() && json::can_hold(kind) => {
            "declare it as json: SQL then reads its text, with `->`, `->>` and `unnest(json_array_elements(...))`"
        }
        (kind, _) if kind.is_nested() => {
            "write the file with texts as the keys of its maps, and declare the column as json"
        }
        _ => "declare another type for the column, or write the file with the declared one",
    }
}
