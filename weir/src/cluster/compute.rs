//! Has the stages of a run computed by other machines, as far as they can be.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider as _;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use serde_json::Value;

use super::folder::JobRef;
use super::host::Host;
use super::lease::Lease;
use super::planner::{Planner, SourceTables};
use super::receipt::SplitReceipt;
use super::scan::drain;
use super::ship::{Splits, shipped};
use super::{Cluster, Job, JobFailed, told};
use crate::engine;
use crate::error::{Error, Result, state_io};
use crate::format::scan::SourceTable;
use crate::format::split::Split;
use crate::plan::{BoundStage, Plan, Stage};
use crate::sink::Written;
use crate::source::Source;
use crate::stage::{Broken, Computed, Pass, is_guarded_below_exchange, unordered};
use crate::system::stop::Stop;
use crate::system::{fault, threads};
use crate::task::Task;

/// How often a stage is tried.
const ATTEMPTS: usize = 3;

/// How often it is looked how far the parts of sources are.
const LOOK: Duration = Duration::from_millis(500);

/// A run whose stages other machines compute.
pub(crate) struct AwayRun {
    planner: Planner,
    /// What reads parts of sources in this process.
    host: Host,
    folder: PathBuf,
    /// The task and the run, for logs.
    name: String,
    jobs: AtomicUsize,
    /// The sources that were read by other machines.
    read: Mutex<HashMap<String, AwaySource>>,
    _lease: Lease,
}

/// A source that was read by other machines.
struct AwaySource {
    job: JobRef,
    splits: Arc<[Split]>,
}

/// A pass that other machines do.
struct Work {
    stage: Arc<Stage>,
    is_unordered: bool,
    plan: Arc<dyn ExecutionPlan>,
    splits: Splits,
}

/// What has become of a stage.
pub(crate) enum Away {
    /// It is to be computed in this process, for a reason: the stage, with values in place of scalar subqueries.
    Here(String, Box<BoundStage>),
    Done(Computed),
}

/// The parts of a run that other machines have to know.
pub(crate) struct AwayFrom<'a> {
    pub(crate) task: &'a Task,
    pub(crate) run: &'a str,
    pub(crate) session: &'a SessionContext,
    /// The folder of the run that all machines have.
    pub(crate) folder: &'a Path,
    /// The pending form of each sink, if executors may write to it.
    pub(crate) sinks: Vec<Option<Value>>,
}

impl AwayRun {
    /// Prepares a run for the machines of a cluster.
    pub(crate) async fn begin(cluster: &Arc<dyn Cluster>, host: Host, from: AwayFrom<'_>) -> Result<Self> {
        let AwayFrom { task, run, session, folder, sinks } = from;
        let writes = sinks.iter().map(Option::is_some).collect();
        let planner = Planner::begin(cluster, session, writes).await?;
        let lease = Lease::begin(folder)?;
        told::write(folder, task, engine::moment(session), sinks)?;
        fault::point("run_told");
        Ok(Self {
            planner,
            host,
            folder: folder.to_owned(),
            name: format!("{} {run}", task.name()),
            jobs: AtomicUsize::new(0),
            read: Mutex::default(),
            _lease: lease,
        })
    }

    /// Has a stage computed, if other machines can.
    pub(crate) async fn compute(
        &self,
        bound: &BoundStage,
        plan: &Plan,
        tables: &SourceTables,
        stop: &mut Stop,
    ) -> Result<Away, Box<Broken>> {
        let stage = &bound.stage.clone();
        let broken = |error| Box::new(Broken { error, stages: vec![] });
        let bound = self.planner.with_constants(bound, stop).await.map_err(broken)?;
        let physical = self.planner.plan(&bound).await.map_err(broken)?;
        if let Some(why) = self.planner.why_here(stage, &physical, plan, tables).map_err(broken)? {
            return Ok(Away::Here(why, Box::new(bound)));
        }
        let splits = tokio::task::block_in_place(|| self.planner.splits(&physical, tables)).map_err(broken)?;
        let job = JobRef { run: self.folder.clone(), job: usize::MAX };
        let trial = shipped(physical.clone(), (stage.as_ref(), false), &job, &splits, self.planner.partitions)
            .map_err(broken)?;
        if let Some(why) = self.planner.cluster.refuses(&trial) {
            return Ok(Away::Here(why, Box::new(bound)));
        }
        let mut work = Work { stage: stage.clone(), is_unordered: false, plan: physical, splits };
        let mut before = None;
        if is_guarded_below_exchange(&work.plan)
            && let Some(node) = unordered(&work.plan).cloned()
        {
            let of_rows = Arc::new(stage.unordered(&node.schema()));
            let splits = std::mem::take(&mut work.splits);
            let rows = Work { stage: of_rows.clone(), is_unordered: true, plan: node.clone(), splits };
            before = Some(self.done(rows, plan, stop).await?);
            work.plan = self.over_kept(work.plan, &node, &of_rows).await.map_err(broken)?;
        }
        let mut pass = self.done(work, plan, stop).await?;
        before.into_iter().for_each(|before| pass.add_computed(before));
        Ok(Away::Done(Computed { stage: stage.clone(), pass }))
    }

    /// The plan over the kept rows in place of a node.
    async fn over_kept(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        node: &Arc<dyn ExecutionPlan>,
        kept: &Stage,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let failed = |error| Error::query(&kept.table, error);
        let scratch = kept.scratch.as_ref().ok_or_else(|| Error::internal("rows without an order are not kept"))?;
        let scan = scratch.scan(&self.planner.context.state(), None, &[], None).await.map_err(failed)?;
        let over = plan.transform_down(|at| match Arc::ptr_eq(&at, node) {
            true => Ok(Transformed::new(scan.clone(), true, TreeNodeRecursion::Jump)),
            false => Ok(Transformed::no(at)),
        });
        over.map(|over| over.data).map_err(failed)
    }

    /// Has a pass done, and takes what it has come to.
    async fn done(&self, work: Work, plan: &Plan, stop: &mut Stop) -> Result<Pass, Box<Broken>> {
        let (job, batches) = self.submitted(&work, plan, stop).await?;
        let Work { stage, splits, .. } = work;
        let pass = Pass::of_receipts(&stage, &batches, &self.folder);
        let pass = pass.map_err(|error| Box::new(Broken { error, stages: vec![] }))?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.extend(splits.into_iter().map(|(source, splits)| (source, AwaySource { job: job.clone(), splits })));
        Ok(pass)
    }

    /// Has a plan computed, anew if machines are lost.
    async fn submitted(
        &self,
        work: &Work,
        plan: &Plan,
        stop: &mut Stop,
    ) -> Result<(JobRef, Vec<RecordBatch>), Box<Broken>> {
        let Work { stage, is_unordered, plan: physical, splits } = work;
        let broken = |error| Box::new(Broken { error, stages: vec![] });
        let mut attempt = 1;
        loop {
            let job = JobRef { run: self.folder.clone(), job: self.jobs.fetch_add(1, Ordering::Relaxed) };
            for source in splits.keys() {
                let folder = job.receipts(source);
                std::fs::create_dir_all(&folder).map_err(state_io(&folder)).map_err(broken)?;
            }
            let of = (stage.as_ref(), *is_unordered);
            let shipped = shipped(physical.clone(), of, &job, splits, self.planner.partitions).map_err(broken)?;
            fault::point("job_made");
            let name = format!("{} {}", self.name, stage.table);
            let computing =
                self.planner.cluster.compute(Job { name, plan: shipped, config: self.planner.context.copied_config() });
            let looking = Progress { job: &job, splits, plan, done: HashMap::new() }.follow();
            let computed = tokio::select! {
                computed = computing => computed,
                () = looking => Err(JobFailed("it was not followed any more".to_owned())),
                () = stop.wanted() => return Err(broken(Error::Interrupted)),
            };
            fault::point("job_done");
            let text = match computed {
                Ok(batches) => return Ok((job, batches)),
                Err(JobFailed(text)) => text,
            };
            // What is computed below an exchange does not know the table.
            let own = Error::from_wire(&text).map(|(error, tally)| (error.of_table(&stage.table), tally));
            // What the engine of an executor says may be about a machine that it has fetched rows from.
            let may_pass = own.as_ref().is_none_or(|(error, _)| matches!(error, Error::Query { .. }));
            if let Some((error, tally)) = own.filter(|_| !may_pass || attempt == ATTEMPTS) {
                let pass = Pass { tally: serde_json::from_value(tally).unwrap_or_default(), ..Pass::default() };
                let stage = plan.stages.iter().find(|of| of.table == stage.table).cloned();
                let stages = stage.map(|stage| Computed { stage, pass }).into_iter().collect();
                return Err(Box::new(Broken { error, stages }));
            }
            if attempt == ATTEMPTS {
                return Err(broken(Error::Unavailable {
                    path: format!("table `{}`", stage.table),
                    message: format!("the cluster has not computed it, {ATTEMPTS} times: {text}"),
                    help: "nothing was published; look at the machines with `status`, and at their logs; then start the run again"
                        .to_owned(),
                }));
            }
            let shown = Error::from_wire(&text).map_or(text, |(error, _)| error.to_string());
            tracing::warn!(table = stage.table, attempt, "a job has failed, and is tried again: {shown}");
            attempt += 1;
        }
    }

    /// Whether other machines have read a source.
    pub(crate) fn has_read(&self, source: &str) -> bool {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).contains_key(source)
    }

    /// Adds up what the parts of a source have come to, and reads those that no machine has read to their ends. Returns the
    /// parts of the sinks with its unreadable records.
    pub(crate) fn settle(
        &self,
        source: &Source,
        table: &dyn SourceTable,
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<(usize, Written)>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let AwaySource { job, splits } = read
            .get(source.name())
            .ok_or_else(|| Error::internal(format!("source `{}` was read in this process", source.name())))?;
        let folder = job.receipts(source.name());
        let unread: Vec<usize> = (0..splits.len()).filter(|split| !SplitReceipt::is_there(&folder, *split)).collect();
        threads::map(&unread, |split| match stopped() {
            true => Err(Error::Interrupted),
            false => drain(job, &self.host, source.name(), *split, &splits[*split]),
        })?;
        let mut parts = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        for split in 0..splits.len() {
            let receipt = SplitReceipt::read(&folder, split)?;
            let receipt = receipt
                .ok_or_else(|| Error::internal(format!("part {split} of source `{}` has no receipt", source.name())))?;
            rows += receipt.rows;
            bytes += receipt.bytes;
            source.rejected().add(receipt.counts);
            table.add_found(receipt.found)?;
            parts.extend(receipt.parts);
        }
        source.progress().rows.store(rows, Ordering::Relaxed);
        source.progress().bytes.store(bytes, Ordering::Relaxed);
        table.check_read()?;
        Ok(parts)
    }
}

/// Follows how far the parts of sources are.
struct Progress<'a> {
    job: &'a JobRef,
    splits: &'a Splits,
    plan: &'a Plan,
    /// How many receipts of each source were seen.
    done: HashMap<&'a str, usize>,
}

impl Progress<'_> {
    /// Never ends.
    async fn follow(mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            for (source, splits) in self.splits {
                let names = std::fs::read_dir(self.job.receipts(source)).into_iter().flatten().flatten();
                let is_receipt = |name: &std::ffi::OsStr| name.as_encoded_bytes().ends_with(b".json");
                let done = names.filter(|entry| is_receipt(&entry.file_name())).count();
                let before = self.done.insert(source, done).unwrap_or_default();
                let Some(of) = self.plan.sources.iter().find(|of| of.name() == source) else { continue };
                if done != before {
                    // About as many bytes as that share of the parts.
                    let bytes: u64 = self.plan_bytes(splits);
                    let so_far = bytes * done as u64 / splits.len().max(1) as u64;
                    of.progress().bytes.store(so_far, Ordering::Relaxed);
                }
            }
        }
    }

    fn plan_bytes(&self, splits: &[Split]) -> u64 {
        let mut files: Vec<_> = splits.iter().map(|split| (&split.file, split.file.size())).collect();
        files.dedup();
        files.iter().map(|(_, size)| size).sum()
    }
}
