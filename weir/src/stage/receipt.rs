//! What one partition of a pass has done, and the sum of them.

use std::fmt;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, BinaryArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::quality::{Keys, Tally};
use crate::route::Reasons;
use crate::scratch::ScratchRows;
use crate::sink::Written;

/// The result of one partition of a pass. It is a row of the query plan's output, so that it does not matter which thread,
/// or which process, has computed the partition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Receipt {
    /// The counts of the judged, or only counted, rows.
    pub(super) tally: Tally,
    /// The keys that the partition has seen, for each `unique` rule.
    pub(super) keys: Vec<Keys>,
    /// The parts that it has written, with the position of their sink.
    pub(super) parts: Vec<(usize, Written)>,
    /// The rows that it has kept for other models.
    pub(super) kept: Option<ScratchRows>,
}

/// The columns of what a pass returns: one row a partition.
static SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("receipt", DataType::Binary, false)])));

impl Receipt {
    pub(super) fn schema() -> SchemaRef {
        SCHEMA.clone()
    }

    pub(super) fn to_batch(&self) -> Result<RecordBatch> {
        let json = serde_json::to_vec(self).map_err(|error| Error::internal(format!("a receipt: {error}")))?;
        let column = Arc::new(BinaryArray::from_vec(vec![&json]));
        RecordBatch::try_new(SCHEMA.clone(), vec![column])
            .map_err(|error| Error::internal(format!("a receipt: {error}")))
    }

    pub(super) fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>> {
        let rows = batch.column(0).as_binary::<i32>().iter().flatten();
        let receipts = rows.map(serde_json::from_slice).collect::<serde_json::Result<_>>();
        receipts.map_err(|error| Error::internal(format!("a receipt: {error}")))
    }
}

/// Result of a pass.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// The counts of the judged, or only counted, rows, and of those that could not be computed.
    pub(crate) tally: Tally,
    /// For each `unique` rule the keys of all partitions.
    pub(crate) keys: Vec<Vec<Keys>>,
    /// The rows that could not be computed, by reason.
    pub(crate) failed: Reasons,
    /// The parts that were written, with the position of their sink.
    pub(crate) parts: Vec<(usize, Written)>,
    /// The rows that are kept for other models, unless they are streamed.
    pub(crate) kept: Option<u64>,
}

impl Pass {
    /// Adds what a partition has done; returns what it has kept.
    pub(super) fn add(&mut self, receipt: Receipt) -> Option<ScratchRows> {
        self.tally.merge(receipt.tally);
        self.keys.resize_with(self.keys.len().max(receipt.keys.len()), Vec::new);
        self.keys.iter_mut().zip(receipt.keys).for_each(|(all, keys)| all.push(keys));
        self.parts.extend(receipt.parts);
        receipt.kept
    }

    /// Adds the rows that could not be computed, and the parts to which they were written.
    pub(super) fn add_failed(&mut self, reasons: Reasons, parts: Vec<(usize, Written)>) {
        let rows = reasons.rows();
        self.tally.rows += rows;
        self.tally.rejected += rows;
        self.parts.extend(parts);
        self.failed = reasons;
    }
}

/// A partition that ended with an error, and what it had counted.
#[derive(Debug)]
pub(super) struct BrokenPartition {
    pub(super) error: Error,
    pub(super) tally: Tally,
}

impl BrokenPartition {
    /// What a failed pass says of one of its partitions.
    pub(super) fn of(table: &str, error: DataFusionError) -> Box<Self> {
        let error = match error {
            DataFusionError::External(error) => match error.downcast::<Self>() {
                Ok(own) => return own,
                Err(other) => DataFusionError::External(other),
            },
            other => other,
        };
        Box::new(Self { error: Error::query(table, error), tally: Tally::default() })
    }
}

impl From<Error> for Box<BrokenPartition> {
    fn from(error: Error) -> Self {
        Self::new(BrokenPartition { error, tally: Tally::default() })
    }
}

impl fmt::Display for BrokenPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for BrokenPartition {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Counted, Shown};

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        let counted = Counted { rows: 3, samples: vec![Shown::message("a, 1")] };
        let receipt = Receipt {
            tally: Tally { rows: 7, accepted: 4, rejected: 3, failed: vec![counted, Counted::default()] },
            parts: vec![(2, Written { rows: 4, bytes: 99, files: vec!["part-00000.csv".into()] })],
            kept: Some(ScratchRows { file: "t-0.arrow".into(), rows: 4 }),
            keys: vec![],
        };
        let read = Receipt::from_batch(&receipt.to_batch().unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("[{receipt:?}]"));
    }
}
