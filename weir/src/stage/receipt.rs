//! What one partition of a pass has done, and the sum of them.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, BinaryArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::Stage;
use crate::quality::{Keys, Tally};
use crate::route::Reasons;
use crate::scratch::ScratchRows;
use crate::sink::Written;

/// The result of one partition of a pass. It is a row of the query plan's output, so that it does not matter which thread,
/// or which process, has computed the partition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Receipt {
    /// The number of the partition.
    pub(super) partition: usize,
    /// The counts of the judged, or only counted, rows.
    pub(super) tally: Tally,
    /// The keys that the partition has seen, for each `unique` rule.
    pub(super) keys: Vec<Keys>,
    /// The rows that could not be computed, by reason. They are not among the counts.
    pub(super) failed: Reasons,
    /// The parts that it has written, with the position of their sink.
    pub(super) parts: Vec<(usize, Written)>,
    /// The rows that it has kept for other models.
    pub(super) kept: Option<ScratchRows>,
}

/// The columns of what a pass returns: one row a partition.
static SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("receipt", DataType::Binary, false)])));

/// The columns of what a pass returns.
pub(crate) fn receipt_schema() -> SchemaRef {
    SCHEMA.clone()
}

impl Receipt {
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
    /// The sum of the receipts that other processes have returned, in the order of their partitions.
    pub(crate) fn of_receipts(stage: &Stage, batches: &[RecordBatch], folder: &Path) -> Result<Self> {
        let mut receipts = Vec::new();
        for batch in batches {
            receipts.extend(Receipt::from_batch(batch)?);
        }
        receipts.sort_by_key(|receipt| receipt.partition);
        let mut pass = Self::begin(stage);
        receipts.into_iter().for_each(|receipt| pass.take(receipt, stage, folder));
        Ok(pass)
    }

    /// Adds what became of rows that are judged in this pass, and were computed in one before.
    pub(crate) fn add_computed(&mut self, before: Self) {
        let failed = before.failed.rows();
        self.tally.rows += failed;
        self.tally.rejected += failed;
        self.failed.merge(before.failed);
        self.parts.extend(before.parts);
    }

    /// Zero counts.
    pub(super) fn begin(stage: &Stage) -> Self {
        Self { tally: stage.tally(), kept: stage.scratch.as_ref().map(|_| 0), ..Self::default() }
    }

    /// Adds what a partition has done, and hands over the rows that it has kept in the folder.
    pub(super) fn take(&mut self, receipt: Receipt, stage: &Stage, folder: &Path) {
        if let (Some(kept), Some(table)) = (self.add(receipt), &stage.scratch) {
            table.add(folder, &kept);
            self.kept = self.kept.map(|rows| rows + kept.rows);
        }
    }

    /// Adds what a partition has done; returns what it has kept.
    fn add(&mut self, receipt: Receipt) -> Option<ScratchRows> {
        let failed = receipt.failed.rows();
        self.tally.merge(receipt.tally);
        self.tally.rows += failed;
        self.tally.rejected += failed;
        self.failed.merge(receipt.failed);
        self.keys.resize_with(self.keys.len().max(receipt.keys.len()), Vec::new);
        self.keys.iter_mut().zip(receipt.keys).for_each(|(all, keys)| all.push(keys));
        self.parts.extend(receipt.parts);
        receipt.kept
    }
}

/// A partition that ended with an error, and what it had counted.
#[derive(Debug)]
pub(crate) struct BrokenPartition {
    pub(crate) error: Error,
    pub(crate) tally: Tally,
}

impl BrokenPartition {
    /// What a failed pass says of one of its partitions.
    pub(crate) fn of(table: &str, error: DataFusionError) -> Box<Self> {
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
            partition: 3,
            failed: Reasons::default(),
            tally: Tally { rows: 7, accepted: 4, rejected: 3, failed: vec![counted, Counted::default()] },
            parts: vec![(2, Written { rows: 4, bytes: 99, files: vec!["part-00000.csv".into()], is_attempt: true })],
            kept: Some(ScratchRows { file: "t-0.arrow".into(), rows: 4 }),
            keys: vec![],
        };
        let read = Receipt::from_batch(&receipt.to_batch().unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("[{receipt:?}]"));
    }
}
