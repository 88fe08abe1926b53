//! `partition_by`: a folder for each combination of values, named as Hive does: `year=2024/month=01`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::{BooleanBuffer, MutableBuffer};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::bit_util;

use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::function::encode::Column;
use crate::sink::{Part, Written};
use crate::task::{SinkSpec, Task, type_name};

/// The name of null, in place of a value.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A name on a Linux file system has at most that many bytes.
const LONGEST_NAME: usize = 255;

/// Files that a reader has open at once: with more, the one that was used longest ago is completed.
pub(super) const MOST_OPEN: usize = 64;

/// The columns by whose values rows are put into folders: the escaped name of each, and its position in the route.
#[derive(Debug, Clone)]
pub(in crate::sink) struct PartitionBy(Vec<(String, usize)>);

impl PartitionBy {
    /// Takes the columns out of those that are written: the folders have their values.
    pub(in crate::sink) fn bind(
        task: &Task,
        name: &str,
        spec: &SinkSpec,
        columns: &mut Vec<OutputColumn>,
    ) -> Result<Option<Self>> {
        let mut chosen = Vec::new();
        for by in &spec.partition_by {
            let refused = |message: String| Box::new(task.error(by, message));
            let Some(at) = columns.iter().position(|column| column.name == by.value) else {
                let error = refused(format!("sink `{name}` has no column `{}` left to partition by", by.value));
                return Err(
                    Box::new(error.nearest(&by.value, columns.iter().map(|column| column.name.as_str()))).into()
                );
            };
            let column = columns.remove(at);
            if !Column::takes(&column.kind) || column.kind.is_floating() {
                let kind = type_name(&column.kind);
                let message =
                    format!("sink `{name}`: column `{}` is {kind}, by which no folder can be named", by.value);
                let help = "partition by a text, a whole number, a date or a boolean; convert the column in the model";
                return Err(Box::new(refused(message).with_help(help)).into());
            }
            chosen.push((escaped(&column.name, true), column.index));
        }
        if columns.is_empty() {
            let error = task.error(&spec.from, format!("sink `{name}` has no column besides those of `partition_by`"));
            return Err(Box::new(error.with_help("a file needs at least one column")).into());
        }
        Ok((!chosen.is_empty()).then_some(Self(chosen)))
    }

    /// The names of the columns, as the folders have them.
    pub(in crate::sink) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The chosen rows, or all, by their folder.
    fn split(
        &self,
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
    ) -> Result<Vec<(String, BooleanBuffer)>, ArrowError> {
        let columns = self.0.iter().map(|(name, index)| Ok((name, Column::new(batch.column(*index))?)));
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        let rows = batch.num_rows();
        let mut found: HashMap<String, usize> = HashMap::new();
        let mut masks: Vec<(String, MutableBuffer)> = Vec::new();
        let mut folder = String::new();
        let mut put = |row: usize| {
            folder.clear();
            for (name, column) in &columns {
                if !folder.is_empty() {
                    folder.push('/');
                }
                folder.push_str(name);
                folder.push('=');
                match column.text(row) {
                    Some(text) => folder.push_str(&escaped(text, false)),
                    None => folder.push_str(NULL),
                }
            }
            let at = found.get(&folder).copied().unwrap_or_else(|| {
                found.insert(folder.clone(), masks.len());
                masks.push((folder.clone(), MutableBuffer::from_len_zeroed(bit_util::ceil(rows, 8))));
                masks.len() - 1
            });
            bit_util::set_bit(masks[at].1.as_slice_mut(), row);
        };
        match chosen {
            Some(chosen) => chosen.set_indices().for_each(&mut put),
            None => (0..rows).for_each(&mut put),
        }
        Ok(masks.into_iter().map(|(folder, mask)| (folder, BooleanBuffer::new(mask.into(), 0, rows))).collect())
    }
}

/// A name or value without the characters that mean something in a path, escaped as Hive does: `%2F`.
fn escaped(text: &str, is_name: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // What would be taken for null, or is no name of a folder.
    let first = !is_name && text == NULL;
    for (at, c) in text.char_indices() {
        match c {
            '\0'..='\x1f'
            | '\x7f'
            | '"'
            | '#'
            | '%'
            | '\''
            | '*'
            | '/'
            | ':'
            | '='
            | '?'
            | '\\'
            | '{'
            | '['
            | ']'
            | '^' => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{:02X}", c as u32);
            }
            '_' if first && at == 0 => out.push_str("%5F"),
            _ => out.push(c),
        }
    }
    out
}

/// Creates the files of partitions.
pub(in crate::sink) trait PartitionFiles: Send + Sync {
    type File: Part;

    /// Begins a file, of a partition if there are any.
    fn create(&self, partition: Option<&str>) -> Result<Self::File>;

    /// How many files a reader has open at once.
    fn most_open(&self) -> usize;

    /// The error of rows that cannot be written.
    fn refused(&self, message: String, help: &str) -> Error;
}

/// What one reader writes to a folder with partitions.
pub(in crate::sink) struct PartitionedPart<F: PartitionFiles> {
    by: PartitionBy,
    parts: Arc<F>,
    /// The open file of each folder, and when it was used.
    open: HashMap<String, (F::File, u64)>,
    used: u64,
    written: Vec<Written>,
}

impl<F: PartitionFiles> PartitionedPart<F> {
    pub(in crate::sink) fn new(by: PartitionBy, parts: Arc<F>) -> Self {
        Self { by, parts, open: HashMap::new(), used: 0, written: vec![] }
    }

    /// The open file of a folder.
    fn file(&mut self, folder: &str) -> Result<&mut F::File> {
        self.used += 1;
        if !self.open.contains_key(folder) {
            if self.open.len() >= self.parts.most_open() {
                let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(folder, _)| folder.clone());
                if let Some((file, _)) = oldest.and_then(|oldest| self.open.remove(&oldest)) {
                    self.finish_file(file)?;
                }
            }
            if let Some(long) = folder.split('/').find(|name| name.len() > LONGEST_NAME) {
                let column = long.split('=').next().unwrap_or_default();
                let message = format!("a value of column `{column}` is too long for the name of a folder");
                let help = "partition by a shorter one, such as left(column, 40) or a hash of it";
                return Err(self.parts.refused(message, help));
            }
            let file = self.parts.create(Some(folder))?;
            self.open.insert(folder.to_owned(), (file, 0));
        }
        match self.open.get_mut(folder) {
            Some((file, used)) => {
                *used = self.used;
                Ok(file)
            }
            None => Err(Error::internal("the file of a partition is not open")),
        }
    }

    fn finish_file(&mut self, file: F::File) -> Result<()> {
        self.written.extend(Box::new(file).finish()?);
        Ok(())
    }
}

impl<F: PartitionFiles> Part for PartitionedPart<F> {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let rows = self.by.split(batch, chosen);
        let rows = rows.map_err(|error| self.parts.refused(error.to_string(), "report this as a bug of weir"))?;
        rows.iter().try_for_each(|(folder, rows)| self.file(folder)?.write(batch, Some(rows)))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Written>> {
        for (_, (file, _)) in std::mem::take(&mut self.open) {
            self.finish_file(file)?;
        }
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Date32Array, Int64Array, StringViewArray};

    use super::*;

    #[test]
    fn rows_are_split_by_folders_that_no_two_values_share() {
        let texts = ["a", "a/b", "a%2Fb", "", ".", NULL, "x=1", "é", "\n", "a"];
        let text: ArrayRef = Arc::new(StringViewArray::from_iter(texts.iter().map(Some).chain([None])));
        let number: ArrayRef = Arc::new(Int64Array::from_iter_values((0..11).map(|_| 7)));
        let day: ArrayRef = Arc::new(Date32Array::from_iter_values((0..11).map(|_| 19_723)));
        let batch = RecordBatch::try_from_iter([("t", text), ("n", number), ("d", day)]).unwrap();
        let by = PartitionBy(vec![("d".into(), 2), ("n".into(), 1), ("t".into(), 0)]);
        let split = by.split(&batch, None).unwrap();
        let found: Vec<(&str, Vec<usize>)> = split
            .iter()
            .map(|(folder, rows)| (folder.strip_prefix("d=2024-01-01/n=7/").unwrap(), rows.set_indices().collect()))
            .collect();
        let expected = [
            ("t=a", vec![0, 9]),
            ("t=a%2Fb", vec![1]),
            ("t=a%252Fb", vec![2]),
            ("t=", vec![3]),
            ("t=.", vec![4]),
            ("t=%5F_HIVE_DEFAULT_PARTITION__", vec![5]),
            ("t=x%3D1", vec![6]),
            ("t=é", vec![7]),
            ("t=%0A", vec![8]),
            ("t=__HIVE_DEFAULT_PARTITION__", vec![10]),
        ];
        assert_eq!(found, expected);
        let chosen = BooleanBuffer::from_iter((0..11).map(|row| row == 9));
        let split = by.split(&batch, Some(&chosen)).unwrap();
        assert_eq!(split.len(), 1);
        assert!(split[0].1.set_indices().eq([9]));
    }
}
