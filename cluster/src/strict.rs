//! Executes stages as Ballista does, but only those that nobody has begun before, and ends those for which nobody waits.
//!
//! When Ballista 55 loses an executor it rolls running stages back, and starts them again; the stage above then reads the rows
//! of both attempts. A job of which a stage is rolled back fails here instead, and the client submits it again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::execution_plans::ShuffleWriterExec;
use ballista_core::serde::protobuf::{RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport};
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion::prelude::SessionConfig;
use weir::cluster::error_of_task;

use crate::cancel::Waiting;
use crate::compact::compacted;
use crate::pool::Pool;
use crate::task_error;

/// How the error of a stage begins that was begun before.
pub(crate) const ROLLED_BACK: &str = "a stage was begun again, because an executor was lost or could not be reached";

/// The engine of an executor.
pub(crate) struct Strict {
    inner: DefaultExecutionEngine,
    /// Whether stages that were begun before are executed, too: their rows may then be there twice.
    is_lenient: bool,
}

impl Strict {
    pub(crate) fn new(is_lenient: bool) -> Self {
        Self { inner: DefaultExecutionEngine::with_client_pool(Arc::new(Pool::default())), is_lenient }
    }
}

impl ExecutionEngine for Strict {
    fn create_query_stage_exec(
        &self,
        job: JobId,
        stage: usize,
        task: usize,
        partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let waiting = Waiting::new();
        // The root writes the stage's rows: as they come, or by partitions, which makes copies of them.
        let as_they_come = plan.is::<ShuffleWriterExec>();
        let guarded = |child: &Arc<dyn ExecutionPlan>| {
            let child = waiting.guard(child.clone())?;
            Ok(if as_they_come { compacted(child) } else { child })
        };
        let children = plan.children().into_iter().map(guarded).collect::<Result<_>>()?;
        let plan = plan.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?;
        let inner = self.inner.create_query_stage_exec(job, stage, task, partitions, plan, work_dir, config)?;
        Ok(Arc::new(Stage { inner, waiting: Mutex::new(Some(waiting)), is_lenient: self.is_lenient }))
    }
}

#[derive(Debug)]
struct Stage {
    inner: Arc<dyn QueryStageExecutor>,
    waiting: Mutex<Option<Waiting>>,
    is_lenient: bool,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Stage {
    async fn execute_query_stage(&self, task: usize, context: Arc<TaskContext>) -> Result<Vec<ShuffleWritePartition>> {
        // Dropped when this is: at its end, or when the task is aborted.
        let _waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let id = context.task_id().unwrap_or_default();
        if !self.is_lenient && !is_first_attempt(&id) {
            return Err(task_error::told(DataFusionError::External(format!("{ROLLED_BACK} ({id})").into())));
        }
        let done = self.inner.execute_query_stage(task, context).await;
        done.map_err(|error| task_error::told(error_of_task(error)))
    }

    /// None. The scheduler refuses the end of a task whose plan has another number of them than that of the first one, and waits
    /// for it for ever: an empty part of a union is enough.
    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        vec![]
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

/// Whether nobody has begun the stage of a task before. The task's name is `TID job/stage.attempt/task.attempt`.
fn is_first_attempt(task: &str) -> bool {
    let stage = task.rsplit('/').nth(1).and_then(|stage| stage.split_once('.'));
    stage.is_some_and(|(_, attempt)| attempt == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempt_of_a_stage_is_in_the_name_of_its_tasks() {
        assert!(is_first_attempt("TID job/3.0/7.0"));
        assert!(is_first_attempt("TID job/3.0/7.2"), "a task that is begun again is none of the stage");
        for not in ["TID job/3.1/7.0", "TID job/3.10/7.0", "", "TID job", "TID job/3/7"] {
            assert!(!is_first_attempt(not), "{not}");
        }
    }
}
