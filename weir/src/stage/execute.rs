//! Executes the pass over one table, and those over the tables whose rows stream into it.

use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use indicatif::HumanBytes;
use tokio::task::JoinSet;

use super::consumer::Outputs;
use super::guard::guard;
use super::pass::PassExec;
use super::receipt::{BrokenPartition, Pass, Receipt};
use super::streamed::StreamedPass;
use crate::engine;
use crate::error::{Error, Result};
use crate::plan::{BoundStage, Stage};
use crate::scratch::StreamedRows;
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
    pub(crate) to: &'a Arc<Outputs>,
    pub(crate) stop: &'a mut Stop,
}

/// A stage that is being computed.
struct Open {
    stage: Arc<Stage>,
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
            let pass = Arc::new(StreamedPass::new(plan, stage.stage.clone(), self.to.clone()));
            let rows: Arc<dyn StreamedRows> = pass.clone();
            table.stream(&rows);
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
        }
        Ok(())
    }

    /// Plans a stage, and guards its plan.
    async fn open(&self, bound: &BoundStage, open: &mut Vec<Open>) -> Result<Arc<dyn ExecutionPlan>> {
        let stage = &bound.stage;
        open.push(Open { stage: stage.clone(), pass: Pass::begin(stage), streamed: None });
        let plan = bound.physical_plan(self.context).await?;
        guard(plan).map_err(|error| Error::query(&stage.table, error))
    }

    /// Starts the pass over the last stage.
    fn start(
        &self,
        stage: &Arc<Stage>,
        plan: Arc<dyn ExecutionPlan>,
        context: &Arc<TaskContext>,
    ) -> Result<Partitions> {
        let pass = PassExec::new(plan, stage.clone(), self.to.clone());
        let streams = execute_stream_partitioned(Arc::new(pass), context.clone());
        let mut partitions = JoinSet::new();
        for stream in streams.map_err(|error| Error::query(&stage.table, error))? {
            partitions.spawn(receipts(stage.table.clone(), stream));
        }
        Ok(partitions)
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
                Some(Ok(receipts)) => {
                    receipts.into_iter().for_each(|receipt| pass.take(receipt, stage, &self.to.scratch))
                }
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

/// The error of a run that has too much memory.
pub(crate) fn over(table: &str, limit: u64, resident: u64) -> Error {
    let message = format!("the run has {} of memory, and its limit is {}", HumanBytes(resident), HumanBytes(limit));
    Error::Memory { table: table.to_owned(), message }
}
