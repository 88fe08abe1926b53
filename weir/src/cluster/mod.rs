//! The machines that compute the stages of a run, if it does not compute them itself.
//!
//! A program that connects to such machines implements [`Cluster`]; its executors decode plans with [`Host`].

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result as QueryResult;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

use crate::error::Result;
use crate::source::Fetchers;

/// Machines that compute plans.
#[async_trait]
pub trait Cluster: Debug + Send + Sync {
    /// The folder that all machines, this one among them, have under the same path.
    fn shared_folder(&self) -> &Path;

    /// The number of partitions that plans should have. Fails if the machines cannot be reached.
    async fn partitions(&self) -> Result<usize>;

    /// The settings of a session that plans for these machines.
    fn configure(&self, config: SessionConfig) -> SessionConfig;

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

/// A node of weir as bytes; none for a node of anybody else.
pub fn encode(_node: &Arc<dyn ExecutionPlan>) -> QueryResult<Option<Vec<u8>>> {
    Ok(None)
}

/// What the program of an executor brings along: the same as that of the client.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) functions: Arc<[ScalarUDF]>,
    pub(crate) fetchers: Fetchers,
}

impl Host {
    /// The state of a session with all functions.
    pub fn session(&self, _config: SessionConfig, _runtime: Arc<RuntimeEnv>) -> Result<SessionState> {
        todo!()
    }

    /// The resources of an executor: its limit of resident memory in bytes, and the folder to which operators spill.
    pub fn runtime(_memory_limit: Option<u64>, _threads: usize, _spill: &Path) -> Result<Arc<RuntimeEnv>> {
        todo!()
    }

    /// Reads a node that [`encode`] has written.
    pub fn decode(&self, _bytes: &[u8], _inputs: &[Arc<dyn ExecutionPlan>]) -> QueryResult<Arc<dyn ExecutionPlan>> {
        todo!()
    }
}

/// A text that is the same for all machines with the same build of the program.
pub fn build_id() -> Result<String> {
    todo!()
}
