//! Executes the pass over one table, and those over the tables whose rows stream into it.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use indicatif::HumanBytes;
use tokio::task::JoinSet;

use super::failed::FailedRows;
use super::guard::guard;
use super::pass::PassExec;
use super::receipt::{BrokenPartition, Pass, Receipt};
use super::streamed::StreamedPass;
use crate::engine;
use crate::error::{Error, Result};
use crate::plan::{BoundStage, Stage};
use crate::route::RowSink;
use crate::sink::{Parts, SharedParts};
use crate::system::stop::Stop;

/// A stage that was computed.
#[derive(Debug)]
pub(crate) struct Computed {
    pub(crate) stage: Arc<Stage>,
    pub(crate) pass: Pass,
}

/// Stages of which one ended with an error, and what was counted until then.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: Error,
    pub(crate) stages: Vec<Computed>,
}

/// Where a stage is computed.
pub(crate) struct Execution<'a> {
    pub(crate) context: &'a SessionContext,
    pub(crate) sinks: &'a Arc<[Arc<dyn Parts>]>,
    pub(crate) scratch: &'a Path,
    pub(crate) stop: &'a mut Stop,
}

/// A stage that is being computed.
struct Open {
    stage: Arc<Stage>,
    /// The rows that cannot be computed, and the parts that they are written to.
    failed: Arc<FailedRows>,
    failed_parts: Arc<SharedParts>,
    pass: Pass,
    /// If its rows stream into another one.
    streamed: Option<Arc<StreamedPass>>,
}

/// Computes a stage, and those whose rows stream into it; returns them in the order in which rows go through them.
pub(crate) async fn execute(bound: &BoundStage, mut on: Execution<'_>) -> Result<Vec<Computed>, Box<Broken>> {
    let mut open = Vec::new();
    let mut computed = on.compute(bound, &mut open).await;
    if computed.is_err() {
        // What a stage has not read to its end holds streams of the stages before it.
        for Open { pass, streamed, .. } in open.iter_mut().rev() {
            if let Some(streamed) = streamed {
                streamed.settle().await;
                let (tally, error) = streamed.broken_off();
                pass.tally.merge(tally);
                // The error of a stage is the cause of those of the stages after it.
                computed = error.map_or(computed, Err);
            }
        }
    }
    let stages = open.into_iter().map(|Open { stage, pass, .. }| Computed { stage, pass }).collect();
    match computed {
        Ok(()) => Ok(stages),
        Err(error) => Err(Box::new(Broken { error, stages })),
    }
}

impl Execution<'_> {
    async fn compute(&mut self, bound: &BoundStage, open: &mut Vec<Open>) -> Result<()> {
        let context = self.context.task_ctx();
        for stage in bound.streamed() {
            let plan = self.open(stage, open).await?;
            let (Some(opened), Some(table)) = (open.last_mut(), &stage.stage.scratch) else { continue };
            let (sinks, scratch) = (self.sinks.clone(), self.scratch.to_path_buf());
            let pass = Arc::new(StreamedPass::new(plan, stage.stage.clone(), sinks, scratch));
            table.stream(pass.clone());
            (opened.streamed, opened.pass.kept) = (Some(pass), None);
        }
        let plan = self.open(bound, open).await?;
        let partitions = self.start(&bound.stage, plan, &context)?;
        let mut partitions = Some(partitions);
        for opened in open.iter_mut().rev() {
            if let Some(partitions) = partitions.take() {
                self.join(partitions, opened).await?;
            } else if let Some(streamed) = opened.streamed.clone() {
                streamed.settle().await;
                self.join(streamed.finish(&context), opened).await?;
            }
            opened.pass.add_failed(opened.failed.reasons(), opened.failed_parts.finish()?);
        }
        Ok(())
    }

    /// Plans a stage, and guards its plan.
    async fn open(&self, bound: &BoundStage, open: &mut Vec<Open>) -> Result<Arc<dyn ExecutionPlan>> {
        let stage = &bound.stage;
        let parts = Arc::new(SharedParts::new(self.sinks.clone(), stage.rejected.clone()));
        let to = parts.clone();
        let to = move || Box::new(move |batch: &RecordBatch| to.write(batch)) as RowSink;
        let failed = Arc::new(FailedRows::new(stage, (!stage.rejected.is_empty()).then(to)));
        open.push(Open {
            stage: stage.clone(),
            failed: failed.clone(),
            failed_parts: parts,
            pass: Pass { tally: stage.tally(), kept: stage.scratch.as_ref().map(|_| 0), ..Pass::default() },
            streamed: None,
        });
        let plan = bound.physical_plan(self.context).await?;
        guard(plan, &failed).map_err(|error| Error::query(&stage.table, error))
    }

    /// Starts the pass over the last stage.
    fn start(
        &self,
        stage: &Arc<Stage>,
        plan: Arc<dyn ExecutionPlan>,
        context: &Arc<TaskContext>,
    ) -> Result<Partitions> {
        let pass = PassExec::new(plan, stage.clone(), self.sinks.clone(), self.scratch.to_path_buf());
        let streams = execute_stream_partitioned(Arc::new(pass), context.clone());
        let mut partitions = JoinSet::new();
        for stream in streams.map_err(|error| Error::query(&stage.table, error))? {
            partitions.spawn(receipts(stage.table.clone(), stream));
        }
        Ok(partitions)
    }

    /// Adds what a partition has done.
    fn add(&self, receipt: Receipt, stage: &Stage, pass: &mut Pass) {
        if let (Some(kept), Some(table)) = (pass.add(receipt), &stage.scratch) {
            table.add(self.scratch, &kept);
            pass.kept = pass.kept.map(|rows| rows + kept.rows);
        }
    }

    /// Waits for the partitions of a pass.
    async fn join(&mut self, mut partitions: Partitions, open: &mut Open) -> Result<()> {
        let Open { stage, pass, .. } = open;
        loop {
            let done = tokio::select! {
                done = partitions.join_next() => done,
                () = self.stop.wanted() => Some(Ok(Err(Error::Interrupted.into()))),
                (limit, resident) = engine::exceeded(self.context) => {
                    Some(Ok(Err(over(&stage.table, limit, resident).into())))
                }
            };
            let done = done.map(|done| {
                done.unwrap_or_else(|panic| {
                    let message = format!("a reader broke off: {panic}");
                    Err(Error::Query { table: stage.table.clone(), message }.into())
                })
            });
            match done {
                None => return Ok(()),
                Some(Ok(receipts)) => receipts.into_iter().for_each(|receipt| self.add(receipt, stage, pass)),
                Some(Err(partition)) => {
                    let BrokenPartition { error, tally } = *partition;
                    // The others must have stopped writing before what they wrote can be removed.
                    partitions.shutdown().await;
                    pass.tally.merge(tally);
                    return Err(error);
                }
            }
        }
    }
}

/// The partitions of a pass.
pub(super) type Partitions = JoinSet<Result<Vec<Receipt>, Box<BrokenPartition>>>;

/// Runs one partition of a pass.
async fn receipts(table: String, stream: SendableRecordBatchStream) -> Result<Vec<Receipt>, Box<BrokenPartition>> {
    let batches: Vec<_> = stream.try_collect().await.map_err(|error| BrokenPartition::of(&table, error))?;
    let receipts = batches.iter().map(Receipt::from_batch).collect::<Result<Vec<_>>>()?;
    Ok(receipts.into_iter().flatten().collect())
}

fn over(table: &str, limit: u64, resident: u64) -> Error {
    let message = format!("the run has {} of memory, and its limit is {}", HumanBytes(resident), HumanBytes(limit));
    Error::Memory { table: table.to_owned(), message }
}
