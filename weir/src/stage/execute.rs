//! Executes the pass over one table.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use indicatif::HumanBytes;
use tokio::task::JoinSet;

use super::failed::FailedRows;
use super::guard::guard;
use super::pass::PassExec;
use super::receipt::{BrokenPartition, BrokenPass, Pass, Receipt};
use crate::engine;
use crate::error::{Error, Result};
use crate::plan::BoundStage;
use crate::quality::Tally;
use crate::route::RowSink;
use crate::sink::{Parts, SharedParts};
use crate::system::stop::Stop;

/// Computes a stage.
pub(crate) async fn execute(
    bound: &BoundStage,
    context: &SessionContext,
    sinks: &Arc<[Arc<dyn Parts>]>,
    scratch: &Path,
    stop: &mut Stop,
) -> Result<Pass, Box<BrokenPass>> {
    let stage = &bound.stage;
    let plan = bound.physical_plan(context).await?;
    let parts = Arc::new(SharedParts::new(sinks.clone(), stage.rejected.clone()));
    let to = parts.clone();
    let to = move || Box::new(move |batch: &RecordBatch| to.write(batch)) as RowSink;
    let failed = Arc::new(FailedRows::new(stage, (!stage.rejected.is_empty()).then(to)));
    let streams = guard(plan, &failed).and_then(|plan| {
        let pass = PassExec::new(plan, stage.clone(), sinks.clone(), scratch.to_path_buf());
        execute_stream_partitioned(Arc::new(pass), context.task_ctx())
    });
    let streams = streams.map_err(|error| Error::query(&stage.table, error))?;
    let mut partitions = JoinSet::new();
    for stream in streams {
        partitions.spawn(receipts(stage.table.clone(), stream));
    }
    let mut pass =
        Pass { tally: stage.judge.as_ref().map(|judge| judge.tally()).unwrap_or_default(), ..Pass::default() };
    let broken = |error| Box::new(BrokenPartition { error, tally: Tally::default() });
    loop {
        let done = tokio::select! {
            done = partitions.join_next() => done,
            () = stop.wanted() => Some(Ok(Err(broken(Error::Interrupted)))),
            (limit, resident) = engine::exceeded(context) => Some(Ok(Err(broken(over(&stage.table, limit, resident))))),
        };
        let done = done.map(|done| {
            done.unwrap_or_else(|panic| {
                let message = format!("a reader broke off: {panic}");
                Err(broken(Error::Query { table: stage.table.clone(), message }))
            })
        });
        match done {
            None => break,
            Some(Ok(receipts)) => receipts.into_iter().for_each(|receipt| pass.add(receipt)),
            Some(Err(partition)) => {
                let BrokenPartition { error, tally } = *partition;
                // The others must have stopped writing before what they wrote can be removed.
                partitions.shutdown().await;
                pass.tally.merge(tally);
                return Err(Box::new(BrokenPass { error, pass }));
            }
        }
    }
    pass.add_failed(failed.reasons(), parts.finish()?);
    if let Some(table) = &stage.scratch {
        pass.kept.iter().for_each(|rows| table.add(scratch, rows));
    }
    Ok(pass)
}

/// Runs one partition of a pass.
async fn receipts(table: String, stream: SendableRecordBatchStream) -> Result<Vec<Receipt>, Box<BrokenPartition>> {
    let batches: Vec<_> = stream.try_collect().await.map_err(|error| BrokenPartition::of(&table, error))?;
    let receipts = batches.iter().map(Receipt::from_batch).collect::<Result<Vec<_>>>();
    let receipts = receipts.map_err(|error| Box::new(BrokenPartition { error, tally: Tally::default() }))?;
    Ok(receipts.into_iter().flatten().collect())
}

fn over(table: &str, limit: u64, resident: u64) -> Error {
    let message = format!("the run has {} of memory, and its limit is {}", HumanBytes(resident), HumanBytes(limit));
    Error::Memory { table: table.to_owned(), message }
}
