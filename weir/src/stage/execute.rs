//! One pass over one table: every batch is judged and written to all sinks of its routes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use indicatif::HumanBytes;
use tokio::task::JoinSet;

use super::failed::FailedRows;
use super::guard::guard;
use crate::engine::{self, RowError};
use crate::error::{Error, Result};
use crate::plan::{BoundStage, Stage};
use crate::quality::Tally;
use crate::route::{Reasons, RowSink};
use crate::scratch::ScratchWriter;
use crate::sink::{Part, Parts, SharedParts, Written};
use crate::system::stop::Stop;

/// Result of a pass.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// The counts of the judged, or only counted, rows, and of those that could not be computed.
    pub(crate) tally: Tally,
    /// The rows that could not be computed, by reason.
    pub(crate) failed: Reasons,
    /// For each sink of the stage the parts that were written.
    pub(crate) parts: Vec<(usize, Written)>,
    /// Rows kept for other models.
    pub(crate) kept: u64,
}

/// A pass that ended with an error, and what the reader that failed had counted.
#[derive(Debug)]
pub(crate) struct BrokenPass {
    pub(crate) error: Error,
    pub(crate) pass: Pass,
}

impl From<Error> for Box<BrokenPass> {
    fn from(error: Error) -> Self {
        Self::new(BrokenPass { error, pass: Pass::default() })
    }
}

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
    let streams = guard(plan, &failed).and_then(|plan| execute_stream_partitioned(plan, context.task_ctx()));
    let streams = streams.map_err(|error| Error::query(&stage.table, error))?;
    let mut readers = JoinSet::new();
    for stream in streams {
        let reader = Reader::new(stage.clone(), sinks.clone(), scratch.to_path_buf());
        readers.spawn(reader.read(stream));
    }
    let mut pass = Pass { tally: Tally::default(), ..Pass::default() };
    if let Some(judge) = &stage.judge {
        pass.tally = judge.tally(scratch);
    }
    loop {
        let done = tokio::select! {
            done = readers.join_next() => done,
            () = stop.wanted() => Some(Ok(Err(Error::Interrupted.into()))),
            (limit, resident) = engine::exceeded(context) => Some(Ok(Err(over(&stage.table, limit, resident).into()))),
        };
        match done {
            None => {
                pass.add_failed(failed.reasons(), parts.finish()?);
                return Ok(pass);
            }
            Some(Ok(Ok(part))) => pass.merge(part),
            Some(Ok(Err(mut broken))) => {
                // The others must have stopped writing before what they wrote can be removed.
                readers.shutdown().await;
                pass.merge(std::mem::take(&mut broken.pass));
                broken.pass = pass;
                return Err(broken);
            }
            Some(Err(panic)) => {
                readers.shutdown().await;
                let message = format!("a reader broke off: {panic}");
                return Err(Error::Query { table: stage.table.clone(), message }.into());
            }
        }
    }
}

impl Pass {
    fn merge(&mut self, other: Self) {
        self.tally.merge(other.tally);
        self.parts.extend(other.parts);
        self.kept += other.kept;
    }

    fn add_failed(&mut self, reasons: Reasons, parts: Vec<(usize, Written)>) {
        let rows = reasons.rows();
        self.tally.rows += rows;
        self.tally.rejected += rows;
        self.parts.extend(parts);
        self.failed = reasons;
    }
}

/// One of the readers of a stage, with its parts of the sinks.
struct Reader {
    stage: Arc<Stage>,
    sinks: Arc<[Arc<dyn Parts>]>,
    scratch: PathBuf,
    accepted: Vec<LazyPart>,
    rejected: Vec<LazyPart>,
    kept: Option<ScratchWriter>,
    tally: Tally,
}

/// A part of a sink, which begins with its first row.
struct LazyPart {
    sink: usize,
    part: Option<Box<dyn Part>>,
}

impl LazyPart {
    fn write(&mut self, sinks: &[Arc<dyn Parts>], batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let part = match &mut self.part {
            Some(part) => part,
            none => none.insert(sinks[self.sink].part()?),
        };
        part.write(batch, chosen)
    }
}

impl Reader {
    fn new(stage: Arc<Stage>, sinks: Arc<[Arc<dyn Parts>]>, scratch: PathBuf) -> Self {
        let parts = |takers: &[usize]| takers.iter().map(|sink| LazyPart { sink: *sink, part: None }).collect();
        let tally = stage.judge.as_ref().map(|judge| judge.tally(&scratch)).unwrap_or_default();
        Self {
            accepted: parts(&stage.accepted),
            rejected: parts(&stage.rejected),
            kept: None,
            tally,
            stage,
            sinks,
            scratch,
        }
    }

    async fn read(mut self, mut batches: SendableRecordBatchStream) -> Result<Pass, Box<BrokenPass>> {
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| broken_off(&self.stage.table, error));
            let routed = batch.and_then(|batch| if batch.num_rows() > 0 { self.route(&batch) } else { Ok(()) });
            if let Err(error) = routed {
                let pass = Pass { tally: self.tally, ..Pass::default() };
                return Err(Box::new(BrokenPass { error, pass }));
            }
        }
        Ok(self.finish()?)
    }

    /// Sends the rows of a batch where they belong.
    fn route(&mut self, batch: &RecordBatch) -> Result<()> {
        let stage = self.stage.clone();
        let Some(judge) = &stage.judge else {
            self.tally.rows += batch.num_rows() as u64;
            self.tally.accepted += batch.num_rows() as u64;
            return self.accept(batch, None);
        };
        let verdict = judge.judge(batch, &mut self.tally)?;
        if verdict.accepted_rows > 0 {
            let chosen = (verdict.accepted_rows < batch.num_rows()).then_some(&verdict.accepted);
            self.accept(batch, chosen)?;
        }
        match verdict.reasons {
            Some(reasons) => {
                let columns = batch.columns().iter().cloned().chain([reasons]).collect();
                let batch = RecordBatch::try_new(stage.rejected_schema.clone(), columns);
                self.reject(&batch.map_err(|error| Error::query(&stage.table, error.into()))?, &!&verdict.accepted)
            }
            None => Ok(()),
        }
    }

    fn accept(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        if self.accepted.is_empty() && self.stage.scratch.is_none() {
            return Err(unrouted(&self.stage.table, &self.stage.table));
        }
        for part in &mut self.accepted {
            part.write(&self.sinks, batch, chosen)?;
        }
        let stage = self.stage.clone();
        let Some(scratch) = &stage.scratch else { return Ok(()) };
        let failed = |error| Error::query(&stage.table, error);
        let kept = match &mut self.kept {
            Some(kept) => kept,
            none => none.insert(scratch.writer(&self.scratch, &stage.table)?),
        };
        match chosen {
            None => kept.write(batch).map_err(failed),
            Some(chosen) => {
                let chosen = BooleanArray::new(chosen.clone(), None);
                let batch = filter_record_batch(batch, &chosen).map_err(|error| failed(error.into()))?;
                kept.write(&batch).map_err(failed)
            }
        }
    }

    fn reject(&mut self, batch: &RecordBatch, chosen: &BooleanBuffer) -> Result<()> {
        if self.rejected.is_empty() {
            let table = &self.stage.table;
            return Err(unrouted(table, &format!("{table}.rejected")));
        }
        self.rejected.iter_mut().try_for_each(|part| part.write(&self.sinks, batch, Some(chosen)))
    }

    fn finish(self) -> Result<Pass> {
        let mut parts = Vec::new();
        for LazyPart { sink, part } in self.accepted.into_iter().chain(self.rejected) {
            if let Some(part) = part {
                parts.push((sink, part.finish()?));
            }
        }
        let kept = match (&self.stage.scratch, self.kept) {
            (Some(scratch), Some(kept)) => scratch.add(kept).map_err(|error| Error::query(&self.stage.table, error))?,
            _ => 0,
        };
        Ok(Pass { tally: self.tally, failed: Reasons::default(), parts, kept })
    }
}

/// An error from below the steps from which a row can be rejected alone.
fn broken_off(table: &str, error: DataFusionError) -> Error {
    if let DataFusionError::ResourcesExhausted(message) = error.find_root() {
        let message = message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
        return Error::Memory { table: table.to_owned(), message: format!("its memory is used up: {message}") };
    }
    if RowError::of(&error).is_none() {
        return Error::query(table, error);
    }
    let help = "nothing was published; a row that goes into a join, an aggregate, a window, a sort or a limit is not \
                rejected alone: compute it in a model of its own before that, with a sink `from: MODEL.rejected`";
    Error::Row { table: table.to_owned(), message: error.strip_backtrace(), help: help.to_owned() }
}

fn over(table: &str, limit: u64, resident: u64) -> Error {
    let message = format!("the run has {} of memory, and its limit is {}", HumanBytes(resident), HumanBytes(limit));
    Error::Memory { table: table.to_owned(), message }
}

fn unrouted(table: &str, route: &str) -> Error {
    let which = if route == table { "accepted" } else { "rejected" };
    let message = format!("a row was {which}, but no sink reads `{route}`: add one with `from: {route}`");
    Error::Query { table: table.to_owned(), message }
}
