//! The machines that compute the stages of a run, if it does not compute them itself.
//!
//! A program that connects to such machines implements [`Cluster`]; its executors read plans with [`Host`]. A plan consists
//! of nodes of DataFusion, and of two of weir: `scan` reads parts of sources and of kept tables, `pass` judges and writes the
//! rows of a stage. What both do is not written into the plan: the run's files are in its `folder`, which all machines have,
//! and an executor plans the task from them as the client has (`told`). `planner` plans a stage and says whether it can leave
//! this process, `ship` makes the plan that does, `compute` has it computed, `receipt` is what a part of a source has come to, `lease` ends the work of a client
//! that has died.

mod compute;
mod folder;
mod host;
mod lease;
mod node;
mod pass;
mod planner;
mod receipt;
mod scan;
mod ship;
mod told;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

pub(crate) use compute::{Away, AwayFrom, AwayRun};
pub use host::{Host, build_id, build_id_of};
pub use node::{decode_aggregate, decode_function, encode, encode_aggregate, encode_function};
pub use pass::error_of_task;
pub(crate) use planner::{Planner, SourceTables};

use crate::error::Result;

/// Machines that compute plans.
#[async_trait]
pub trait Cluster: Debug + Send + Sync {
    /// The folder that all machines, this one among them, have under the same path.
    fn shared_folder(&self) -> &Path;

    /// The number of partitions that plans should have. Fails if the machines cannot be reached.
    async fn partitions(&self) -> Result<usize>;

    /// The most bytes of a file that one reader reads.
    fn split_bytes(&self) -> u64 {
        64 << 20
    }

    /// The settings of a session that plans for these machines.
    fn configure(&self, config: SessionConfig) -> SessionConfig;

    /// Why a plan cannot be computed by these machines, if it cannot: then it is computed in the process of the run.
    fn refuses(&self, _plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
        None
    }

    /// Computes a plan of one partition, and returns its rows. A job whose future is dropped is cancelled.
    async fn compute(&self, job: Job) -> Result<Vec<RecordBatch>, JobFailed>;
}

/// A plan to compute.
#[derive(Debug)]
pub struct Job {
    /// A name for logs: the task, the run and the table.
    pub name: String,
    /// Its nodes are those of DataFusion, and those of weir, which [`encode`] knows.
    pub plan: Arc<dyn ExecutionPlan>,
    /// The settings with which it was planned: those of [`Cluster::configure`].
    pub config: SessionConfig,
}

/// Why a job has no result: what the machines say.
#[derive(Debug)]
pub struct JobFailed(pub String);
