//! Columns whose value is the same in every row of a file: those that it lacks, its name, and what is in its path.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringViewArray};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::error::ArrowError;
use datafusion::scalar::ScalarValue;

use super::columns::{Column, Declared, Typed};
use super::names::folder_value;
use crate::error::{Error, Result, plain};
use crate::place::FoundFile;
use crate::task::{ColumnFrom, type_name};

/// How Hive writes the name of the folder of null values.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of one file's columns that its records do not have, and which of its records are read.
#[derive(Debug, Clone)]
pub(crate) struct FileColumns {
    values: Vec<Value>,
    /// The numbers of the lines that are read, if not all are.
    chosen: Option<Arc<BTreeSet<u64>>>,
}

/// Where the values of a declared column are.
#[derive(Debug, Clone)]
enum Value {
    /// In the records.
    Record,
    /// The number of the record's line.
    Line,
    /// It is the same in all rows.
    Same(ScalarValue),
}

impl FileColumns {
    /// The values for a file; `has` tells whether its records have a declared column.
    pub(crate) fn of(file: &FoundFile, declared: &Declared, has: impl Fn(usize) -> bool) -> Result<Self> {
        let value = |(index, column): (usize, &Arc<Column>)| {
            Ok(match column.from {
                ColumnFrom::Column if has(index) => Value::Record,
                ColumnFrom::Column => Value::Same(missing(column)?),
                ColumnFrom::Line => Value::Line,
                ColumnFrom::File => Value::Same(ScalarValue::Utf8View(Some(file.name.clone()))),
                ColumnFrom::Modified => {
                    let micros = ScalarValue::TimestampMicrosecond(Some(file.modified_micros()), None);
                    Value::Same(micros.cast_to(&column.kind).map_err(|error| Error::internal(plain(&error)))?)
                }
                ColumnFrom::Folder => Value::Same(folder(file, column)?),
            })
        };
        let values = declared.columns.iter().enumerate().map(value).collect::<Result<_>>()?;
        Ok(Self { values, chosen: file.chosen_lines() })
    }

    /// The values of a text that is not a file: its records have all columns.
    pub(crate) fn none(declared: usize) -> Self {
        Self { values: vec![Value::Record; declared], chosen: None }
    }

    /// Whether only some of the records are read.
    pub(crate) fn has_chosen(&self) -> bool {
        self.chosen.is_some()
    }

    /// Whether the record at a line is read.
    pub(crate) fn reads(&self, line: u64) -> bool {
        self.chosen.as_ref().is_none_or(|lines| lines.contains(&line))
    }

    /// The values of a declared column in `rows` rows with these line numbers; `None` if the records have them.
    pub(crate) fn values(
        &self,
        declared: usize,
        rows: usize,
        lines: impl FnOnce() -> Int64Array,
    ) -> Result<Option<Typed>, ArrowError> {
        let values: ArrayRef = match &self.values[declared] {
            Value::Record => return Ok(None),
            Value::Line => Arc::new(lines()),
            Value::Same(value) => {
                value.to_array_of_size(rows).map_err(|error| ArrowError::ExternalError(error.into()))?
            }
        };
        Ok(Some(Typed { values, invalid: vec![] }))
    }
}

/// The value of an optional column in a file that lacks it.
fn missing(column: &Column) -> Result<ScalarValue> {
    let null = || ScalarValue::try_from(&column.kind).map_err(|error| Error::internal(plain(&error)));
    column.default.clone().map_or_else(null, Ok)
}

/// The value of a column's folder in the path of a file.
fn folder(file: &FoundFile, column: &Column) -> Result<ScalarValue> {
    let (name, header) = (&column.name, &column.header);
    let Some(written) = folder_value(&file.path, header).or_else(|| folder_value(&file.name, header)) else {
        if column.is_optional {
            return missing(column);
        }
        let message = format!("column `{name}`: no folder in its path is `{header}=...`");
        let help = "correct the pattern in `path`; if some files are in no such folder, add `optional: true`";
        return Err(Error::input(&file.name, message, help));
    };
    let text = Some(unescaped(written)).filter(|text| text != HIVE_NULL && !text.is_empty());
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter([text.as_deref()]));
    let typed = column.form.parse(&texts).map_err(|error| Error::internal(error.to_string()))?;
    if typed.invalid.is_empty() {
        return ScalarValue::try_from_array(&typed.values, 0).map_err(|error| Error::internal(plain(&error)));
    }
    let message = format!("column `{name}`: the folder `{header}={written}` is not a {}", type_name(&column.kind));
    Err(Error::input(&file.name, message, "rename the folder, or declare the column as string"))
}

/// The text of a folder's value: `%3A` is a colon.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

/// Puts the default of a column into rows that lack it. Their values are null.
pub(crate) fn fill_default(typed: &mut Typed, column: &Column, rows: &[u32]) -> Result<(), ArrowError> {
    let Some(default) = &column.default else { return Ok(()) };
    let default = default.to_scalar().map_err(|error| ArrowError::ExternalError(error.into()))?;
    let mut lacks = vec![false; typed.values.len()];
    rows.iter().for_each(|row| lacks[*row as usize] = true);
    typed.values = zip(&BooleanArray::from(lacks), &default, &typed.values)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_may_be_escaped() {
        assert_eq!(unescaped("a%3Ab%2fc"), "a:b/c");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%c3%a9"), "%zzé");
        assert_eq!(unescaped("%ff"), "%ff");
    }
}
