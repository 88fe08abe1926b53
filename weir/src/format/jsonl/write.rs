//! Writes rows as JSON Lines: one object per line, with all keys in the order of the columns.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::error::ArrowError;

use crate::format::write::OutputColumn;
use crate::function::encode::MAX_ROOM;
use crate::function::encode::json::{Key, Keys, Value};

/// Bytes per value in addition to its own: two quotes.
const SLACK: usize = 2;

/// The columns of lines.
pub(crate) struct Lines {
    keys: Keys,
    /// For each its position in the batches, and whether its texts are documents.
    columns: Vec<(usize, bool)>,
}

impl Lines {
    pub(crate) fn new(columns: &[OutputColumn]) -> Self {
        let keys = Keys::new(columns.iter().map(|column| column.name.as_str()));
        Self { keys, columns: columns.iter().map(|column| (column.index, column.is_json)).collect() }
    }

    /// Appends the chosen rows, or all; returns their number.
    pub(crate) fn write(
        &self,
        batch: &RecordBatch,
        chosen: Option<&BooleanBuffer>,
        out: &mut Vec<u8>,
    ) -> Result<u64, ArrowError> {
        let values = self.columns.iter().map(|(column, is_json)| Value::new(batch.column(*column), *is_json));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let mut rows = 0;
        let room = |(key, value): (&Key, &Value)| value.length() + batch.num_rows() * (key.length() + SLACK);
        out.reserve(self.keys.iter().zip(&values).map(room).sum::<usize>().min(MAX_ROOM));
        let mut row = |row: usize| {
            for (key, value) in self.keys.iter().zip(&values) {
                key.push(out);
                value.write(row, out);
            }
            out.extend_from_slice(b"}\n");
            rows += 1;
        };
        match chosen {
            Some(chosen) => chosen.set_indices().for_each(&mut row),
            None => (0..batch.num_rows()).for_each(&mut row),
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, StringViewArray};
    use datafusion::arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn the_chosen_rows_are_lines_and_documents_are_no_texts() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["1", "\"2\"", "{\n}"]));
        let batch = RecordBatch::try_from_iter([("a", texts)]).unwrap();
        let column = |name: &str, is_json| OutputColumn {
            name: name.to_owned(),
            of_route: "a".to_owned(),
            index: 0,
            kind: DataType::Utf8View,
            is_json,
        };
        let lines = Lines::new(&[column("a", false), column("b", true)]);
        let mut out = Vec::new();
        let chosen = BooleanBuffer::from(vec![true, false, true]);
        assert_eq!(lines.write(&batch, Some(&chosen), &mut out).unwrap(), 2);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\":\"1\",\"b\":1}\n{\"a\":\"{\\n}\",\"b\":{}}\n");
    }
}
