//! A sample of the rows of a table: those whose numbers have the least hashes.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray};
use datafusion::arrow::compute::{concat_batches, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::Result as QueryResult;

use super::hash_of;

/// The number of rows of a sample: a share has a standard error of half a percentage point.
const ROWS: usize = 10_000;

/// The bytes that are kept of a text.
const LONGEST: usize = 200;

/// Draws a sample of the rows of one thread.
#[derive(Debug)]
pub(crate) struct Sampler {
    schema: SchemaRef,
    thread: u64,
    seen: u64,
    /// Rows with a smaller hash are kept.
    limit: u64,
    kept: Vec<(RecordBatch, Vec<u64>)>,
}

impl Sampler {
    /// For the rows of a thread.
    pub(crate) fn new(schema: SchemaRef, thread: usize) -> Self {
        Self { schema, thread: thread as u64, seen: 0, limit: u64::MAX, kept: vec![] }
    }

    /// Takes rows into account.
    ///
    /// # Errors
    /// If rows cannot be chosen.
    pub(crate) fn update(&mut self, rows: &RecordBatch) -> QueryResult<()> {
        let hashes: Vec<u64> = (self.seen..).take(rows.num_rows()).map(|row| self.hash(row)).collect();
        self.seen += rows.num_rows() as u64;
        self.keep(rows, &hashes)?;
        if self.kept.iter().map(|(_, hashes)| hashes.len()).sum::<usize>() > 2 * ROWS {
            self.reduce()?;
        }
        Ok(())
    }

    /// Takes over what another thread has drawn.
    ///
    /// # Errors
    /// If rows cannot be chosen.
    pub(crate) fn merge(&mut self, other: Self) -> QueryResult<()> {
        self.limit = self.limit.min(other.limit);
        for (rows, hashes) in other.kept {
            self.keep(&rows, &hashes)?;
        }
        self.reduce()
    }

    /// The rows that were drawn: all of few rows.
    ///
    /// # Errors
    /// If rows cannot be chosen.
    pub(crate) fn finish(mut self) -> QueryResult<RecordBatch> {
        self.reduce()?;
        let batches: Vec<RecordBatch> = self.kept.into_iter().map(|(rows, _)| rows).collect();
        Ok(concat_batches(&self.schema, &batches)?)
    }

    fn hash(&self, row: u64) -> u64 {
        hash_of(&[self.thread.to_le_bytes(), row.to_le_bytes()].concat())
    }

    fn keep(&mut self, rows: &RecordBatch, hashes: &[u64]) -> QueryResult<()> {
        let chosen: BooleanArray = hashes.iter().map(|hash| Some(*hash < self.limit)).collect();
        let hashes: Vec<u64> = hashes.iter().copied().filter(|hash| *hash < self.limit).collect();
        if !hashes.is_empty() {
            let rows = compact(&filter_record_batch(rows, &chosen)?)?;
            self.kept.push((rows, hashes));
        }
        Ok(())
    }

    fn reduce(&mut self) -> QueryResult<()> {
        let mut hashes: Vec<u64> = self.kept.iter().flat_map(|(_, hashes)| hashes).copied().collect();
        if hashes.len() > ROWS {
            let (_, limit, _) = hashes.select_nth_unstable(ROWS);
            self.limit = self.limit.min(*limit);
        }
        for (rows, hashes) in std::mem::take(&mut self.kept) {
            self.keep(&rows, &hashes)?;
        }
        Ok(())
    }
}

/// The beginning of a text that is too long to be one of a few values.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// The rows without the blocks of text that they were cut out of.
fn compact(rows: &RecordBatch) -> QueryResult<RecordBatch> {
    let compact = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => {
                Arc::new(column.as_string_view().iter().map(|text| text.map(short)).collect::<StringViewArray>())
            }
            _ => column.clone(),
        }
    };
    Ok(RecordBatch::try_new(rows.schema(), rows.columns().iter().map(compact).collect())?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::{Field, Int64Type, Schema};

    use super::*;

    fn drawn(thread: usize, rows: std::ops::Range<i64>) -> Sampler {
        let schema: SchemaRef = Schema::new(vec![Field::new("number", DataType::Int64, true)]).into();
        let mut sampler = Sampler::new(schema.clone(), thread);
        let numbers: Vec<i64> = rows.collect();
        for numbers in numbers.chunks(1_000) {
            let column: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
            sampler.update(&RecordBatch::try_new(schema.clone(), vec![column]).unwrap()).unwrap();
        }
        sampler
    }

    fn numbers(sampler: Sampler) -> Vec<i64> {
        let rows = sampler.finish().unwrap();
        rows.column(0).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn few_rows_are_all_drawn() {
        let mut sampler = drawn(0, 0..3_000);
        sampler.merge(drawn(1, 3_000..5_000)).unwrap();
        assert_eq!(numbers(sampler), (0..5_000).collect::<Vec<_>>());
        assert_eq!(numbers(drawn(0, 0..0)), Vec::<i64>::new());
    }

    #[test]
    fn rows_of_all_threads_are_drawn_with_the_same_probability() {
        let mut sampler = drawn(0, 0..150_000);
        sampler.merge(drawn(1, 150_000..200_000)).unwrap();
        let numbers = numbers(sampler);
        assert_eq!(numbers.len(), ROWS);
        let mean = numbers.iter().sum::<i64>() / ROWS as i64;
        assert!((98_000..102_000).contains(&mean), "{mean}");
        let of_second = numbers.iter().filter(|number| **number >= 150_000).count();
        assert!((2_300..2_700).contains(&of_second), "{of_second}");
    }
}
