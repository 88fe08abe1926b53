//! Documents: a file for each row, named by its key, in a folder on a disk or in a bucket.
//!
//! They are another content of folders: `sink/folder` and `sink/bucket` have what publishes them.

mod declare;
mod same;

use std::borrow::Cow;
use std::path::Path;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

pub(super) use same::{check_names, same_name};

use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::function::DocumentName;
use crate::sink::{ColumnLimit, Limit, reject_them};

/// How the rows of a route become documents.
#[derive(Debug, Clone)]
pub(super) struct DocumentLayout {
    name: DocumentName,
    /// Those of the name, each once, and that of the content.
    columns: Vec<OutputColumn>,
    /// The same by their names.
    required: Vec<String>,
    /// The columns of the name in its order, as positions in `columns`.
    of_name: Vec<usize>,
    /// That of the content.
    body: usize,
}

/// The documents of a batch.
pub(super) struct DocumentRows<'a> {
    layout: &'a DocumentLayout,
    keys: Vec<StringViewArray>,
    bodies: StringViewArray,
}

impl DocumentLayout {
    pub(super) fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// The columns in which no value may be missing.
    pub(super) fn required(&self) -> &[String] {
        &self.required
    }

    /// Of which rows no name can be made, besides those that lack a value.
    pub(super) fn limits(&self) -> Vec<ColumnLimit> {
        let quoted = |at: &usize| format!("\"{}\"", self.columns[*at].of_route.replace('"', "\"\""));
        let columns: Vec<String> = self.of_name.iter().map(quoted).collect();
        let missing: String = columns.iter().skip(1).map(|column| format!("{column} is null or ")).collect();
        let mut arguments = Vec::new();
        for (number, text) in self.name.texts().enumerate() {
            arguments.push(format!("'{text}'"));
            arguments.extend(columns.get(number).cloned());
        }
        let condition = format!("({missing}document_name({}) is not null)", arguments.join(", "));
        let first = self.of_name.first().map(|at| self.columns[*at].name.clone());
        let limit =
            |column| ColumnLimit { column, limit: Limit::Condition(condition), kind: "a name of files".to_owned() };
        first.map(limit).into_iter().collect()
    }

    /// The name as a task has it, with the names of the columns.
    pub(super) fn template(&self) -> String {
        let columns = self.of_name.iter().map(|at| format!("${{{}}}", self.columns[*at].name)).map(Cow::from);
        let mut columns = columns.chain(std::iter::repeat(Cow::from("")));
        self.name.texts().map(|text| format!("{text}{}", columns.next().unwrap_or_default())).collect()
    }

    /// The documents of a batch of the route.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Result<DocumentRows<'_>, ArrowError> {
        let text = |at: usize| {
            let column = cast(batch.column(self.columns[at].index), &DataType::Utf8View)?;
            Ok::<_, ArrowError>(column.as_string_view().clone())
        };
        let keys = self.of_name.iter().map(|at| text(*at)).collect::<Result<_, _>>()?;
        Ok(DocumentRows { layout: self, keys, bodies: text(self.body)? })
    }

    /// Writes the name and the content of each chosen row of a batch, or of all; returns their number. The error of a row that
    /// is no document is that of a sink and its target.
    pub(super) fn write_each(
        &self,
        (sink, target): (&str, &Path),
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
        name: &mut String,
        mut write: impl FnMut(&str, &str) -> Result<()>,
    ) -> Result<u64> {
        let rows = self.rows(batch).map_err(Error::internal)?;
        let mut write_row = |row: usize| match rows.row(row, name) {
            Ok(body) => write(name, body),
            Err(column) => {
                let OutputColumn { of_route, .. } = &self.columns[column];
                let message = match column == self.body {
                    true => format!("column `{of_route}` is null in a row, which is no document then"),
                    false => format!(
                        "no file can be named by a row: column `{of_route}` is null or empty, or the name has more than 255 bytes"
                    ),
                };
                let help = reject_them(batch, &format!("{{not_null: {of_route}}}"));
                let of_model = "accepted rows of a model are checked and rejected without such a rule";
                Err(Error::sink(sink, target, message, format!("{help}; {of_model}")))
            }
        };
        match chosen {
            None => (0..batch.num_rows()).try_for_each(&mut write_row)?,
            Some(chosen) => chosen.set_indices().try_for_each(&mut write_row)?,
        }
        Ok(chosen.map_or(batch.num_rows(), BooleanBuffer::count_set_bits) as u64)
    }
}

impl DocumentRows<'_> {
    /// Writes the name of a row in place of `name`, and returns its content; or the column that has no value for it.
    fn row(&self, row: usize, name: &mut String) -> Result<&str, usize> {
        let value = |number: usize| {
            let values: &StringViewArray = &self.keys[number];
            values.is_valid(row).then(|| values.value(row))
        };
        if !self.layout.name.write(value, name) {
            let lacks = |number: &usize| value(*number).is_none_or(str::is_empty);
            let number = (0..self.keys.len()).find(lacks).unwrap_or(0);
            return Err(self.layout.of_name[number]);
        }
        match self.bodies.is_valid(row) {
            true => Ok(self.bodies.value(row)),
            false => Err(self.layout.body),
        }
    }
}
