//! Reads parts of a source, or files of a kept table, as its input says which.
//!
//! The scheduler gives each task its share by dividing a table in memory, and knows no other leaf that it could divide. So the
//! parts are the rows of such a table, and the scan is a node above it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::{TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::folder::JobRef;
use super::host::Host;
use super::lease;
use super::receipt::SplitReceipt;
use crate::engine::LeafSpec;
use crate::error::{Error, Result};
use crate::format::scan::{Batches, SourceTable};
use crate::format::split::Split;
use crate::route::RejectedRoute;
use crate::scratch;
use crate::sink::SharedParts;
use crate::system::fault;
use crate::watch::ScanProgress;

/// What a scan reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ScanSpec {
    pub(super) job: JobRef,
    pub(super) leaf: LeafSpec,
    /// How many rows there are, as far as it is known: exactly or not.
    pub(super) rows: Option<(usize, bool)>,
}

/// One thing to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Piece {
    /// The number of a part of a source, and the part.
    Split(usize, Split),
    /// A file of a kept table, and its rows.
    Kept(PathBuf, u64),
}

/// The table of the pieces, with so many partitions at most.
pub(super) fn table(pieces: &[Piece], partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = Arc::new(Schema::new(vec![Field::new("piece", DataType::Utf8, false)]));
    let partitions = partitions.clamp(1, pieces.len().max(1));
    let failed = |error: &dyn fmt::Display| Error::internal(format!("the parts of a source: {error}"));
    let mut batches = Vec::with_capacity(partitions);
    for partition in 0..partitions {
        // Each reader has parts from the whole of the source.
        let own = pieces.iter().skip(partition).step_by(partitions).map(serde_json::to_string);
        let own = own.collect::<serde_json::Result<Vec<_>>>().map_err(|error| failed(&error))?;
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(own))]);
        batches.push(vec![batch.map_err(|error| failed(&error))?]);
    }
    let source = MemorySourceConfig::try_new_exec(&batches, schema, None).map_err(|error| failed(&error))?;
    Ok(source)
}

/// Reads the pieces that come out of its input.
pub(super) struct ScanExec {
    pub(super) spec: ScanSpec,
    host: Option<Host>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    /// A scan with this schema. It can be executed where there is a host.
    pub(super) fn new(spec: ScanSpec, schema: SchemaRef, host: Option<Host>, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self { spec, host, input, properties }
    }

    fn table(&self) -> &str {
        match &self.spec.leaf {
            LeafSpec::Source { source, .. } => source,
            LeafSpec::Kept { table, .. } => table,
        }
    }
}

impl fmt::Debug for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanExec").field("table", &self.table()).finish_non_exhaustive()
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanExec: {}", self.table())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("a scan has one input");
        };
        Ok(Arc::new(Self::new(self.spec.clone(), self.schema(), self.host.clone(), input)))
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> QueryResult<TreeNodeRecursion>,
    ) -> QueryResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> QueryResult<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = match self.spec.rows {
            Some((rows, true)) => Precision::Exact(rows),
            Some((rows, false)) => Precision::Inexact(rows),
            None => Precision::Absent,
        };
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let Some(host) = self.host.clone() else { return internal_err!("this process reads no parts of sources") };
        let (spec, schema) = (self.spec.clone(), self.schema());
        let input = self.input.execute(partition, context)?;
        let table = self.table().to_owned();
        let pieces = input.map_ok(|batch| {
            let texts: Vec<String> = batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            stream::iter(texts.into_iter().map(Ok::<_, DataFusionError>))
        });
        let out = schema.clone();
        let batches = pieces.try_flatten().map_ok(move |piece| {
            let batches = Reading::begin(&spec, &host, &piece);
            let (schema, table) = (out.clone(), table.clone());
            let batches = batches.unwrap_or_else(|error| Box::new(std::iter::once(Err(error.into()))));
            stream::iter(batches.map(move |batch| match batch {
                Ok(batch) => {
                    // What may be null may differ.
                    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                    Ok(RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)?)
                }
                Err(error) => Err(super::pass::told(&table, error)),
            }))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten())))
    }
}

/// A part of a source that is being read.
struct Reading {
    run: PathBuf,
    batches: Batches,
    /// Until it is read to its end.
    open: Option<OpenSplit>,
}

/// What is known of a part at its end.
struct OpenSplit {
    number: usize,
    folder: PathBuf,
    table: Arc<dyn SourceTable>,
    rejected: Arc<RejectedRoute>,
    parts: Option<Arc<SharedParts>>,
    progress: Arc<ScanProgress>,
}

impl Reading {
    /// Begins to read a piece.
    fn begin(spec: &ScanSpec, host: &Host, piece: &str) -> Result<Batches> {
        lease::check(&spec.job.run)?;
        let piece = serde_json::from_str(piece).map_err(|error| Error::internal(format!("a part: {error}")))?;
        match (piece, &spec.leaf) {
            (Piece::Kept(file, rows), LeafSpec::Kept { in_files, .. }) => Ok(scratch::batches(&file, in_files, rows)),
            (Piece::Split(number, split), LeafSpec::Source { source, columns }) => {
                Self::split(&spec.job, host, source, columns, number, &split)
            }
            _ => Err(Error::internal("a scan was told parts of something else")),
        }
    }

    fn split(
        job: &JobRef,
        host: &Host,
        source: &str,
        columns: &[usize],
        number: usize,
        split: &Split,
    ) -> Result<Batches> {
        let run = host.run(&job.run)?;
        let (declared, sinks) = run.source(source)?;
        let (rejected, progress) = (Arc::new(declared.rejected().of_part()), Arc::new(ScanProgress::default()));
        let parts = (!sinks.is_empty()).then(|| Arc::new(SharedParts::new(run.to.sinks.clone(), sinks)));
        if let Some(parts) = parts.clone() {
            rejected.connect(Box::new(move |batch| parts.write(batch)));
        }
        let table = declared.open_split(split, &rejected, &progress)?;
        let batches = table.batches(columns).map_err(|error| Error::query(source, error))?;
        fault::point("split_begun");
        let folder = job.receipts(source);
        let open = Some(OpenSplit { number, folder, table, rejected, parts, progress });
        Ok(Box::new(Self { run: job.run.clone(), batches, open }))
    }
}

impl OpenSplit {
    /// Tells what the part has come to.
    fn end(self) -> Result<()> {
        let parts = self.parts.as_ref().map(|parts| parts.finish()).transpose()?.unwrap_or_default();
        fault::point("split_read");
        let receipt = SplitReceipt {
            rows: self.progress.rows.load(Ordering::Relaxed),
            bytes: self.progress.bytes.load(Ordering::Relaxed),
            counts: self.rejected.counts(),
            found: self.table.found(),
            parts,
        };
        receipt.write(&self.folder, self.number)?;
        fault::point("split_told");
        Ok(())
    }
}

impl Iterator for Reading {
    type Item = QueryResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.batches.next() {
            Some(batch) => Some(lease::check(&self.run).map_err(Into::into).and(batch)),
            None => match self.open.take()?.end() {
                Ok(()) => None,
                Err(error) => Some(Err(error.into())),
            },
        }
    }
}

/// Reads a part of a source for what it comes to alone.
pub(super) fn drain(job: &JobRef, host: &Host, source: &str, number: usize, split: &Split) -> Result<()> {
    let mut batches = Reading::split(job, host, source, &[], number, split)?;
    batches.try_for_each(|batch| batch.map(drop)).map_err(|error| Error::query(source, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_in_one_partition() {
        let pieces: Vec<Piece> =
            (0..7).map(|number| Piece::Kept(PathBuf::from(format!("{number}.arrow")), 1)).collect();
        for (asked, partitions) in [(1, 1), (3, 3), (20, 7)] {
            let plan = table(&pieces, asked).unwrap();
            assert_eq!(plan.output_partitioning().partition_count(), partitions);
        }
        assert_eq!(table(&[], 4).unwrap().output_partitioning().partition_count(), 1);
    }
}
