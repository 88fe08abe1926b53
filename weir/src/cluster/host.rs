//! What the program of an executor brings along.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::Result as QueryResult;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

use super::node;
use super::told::ToldRun;
use crate::engine::{self, MemoryWatch, Resources};
use crate::error::{Error, Result};
use crate::source::Fetchers;

/// How many runs an executor keeps planned.
const KEPT: usize = 8;

/// Runs by their folders.
type Runs = VecDeque<(PathBuf, Arc<ToldRun>)>;

/// What the program of an executor brings along: the same as that of the client.
#[derive(Clone)]
pub struct Host {
    pub(super) functions: Arc<[ScalarUDF]>,
    pub(super) fetchers: Fetchers,
    /// The runs that were planned here, the newest first.
    runs: Arc<Mutex<Runs>>,
}

impl Host {
    pub(crate) fn new(functions: &[ScalarUDF], fetchers: &Fetchers) -> Self {
        Self { functions: functions.into(), fetchers: fetchers.clone(), runs: Arc::default() }
    }

    /// The state of a session with all functions, also those that only plans have.
    ///
    /// # Errors
    /// If the session cannot be made.
    pub fn session(&self, config: SessionConfig, runtime: Arc<RuntimeEnv>) -> Result<SessionState> {
        let context = engine::session(Resources::default(), &std::env::temp_dir(), &self.functions, None)?;
        for function in engine::hidden_functions() {
            context.register_udf(function);
        }
        let state = SessionStateBuilder::new_from_existing(context.state());
        Ok(state.with_config(config).with_runtime_env(runtime).build())
    }

    /// The resources of an executor: its limit of resident memory in bytes, by default half of the machine's, and the folder
    /// to which operators spill. To be made once: from then on the memory of the process is watched, and a process that has
    /// too much of it ends.
    ///
    /// # Errors
    /// If the limit is too small for so many threads, or the folder cannot be used.
    pub fn runtime(memory_limit: Option<u64>, threads: usize, spill: &Path) -> Result<Arc<RuntimeEnv>> {
        let mut resources = Resources { threads, ..Resources::default() };
        resources.memory_limit = memory_limit.unwrap_or(resources.memory_limit);
        let context = engine::session(resources, spill, &[], None)?;
        // The memory is watched as long as the process lives.
        std::mem::forget(MemoryWatch::start(&context));
        Ok(context.runtime_env())
    }

    /// Reads a node that [`encode`](super::encode) has written.
    ///
    /// # Errors
    /// If it was written by another build of the program.
    pub fn decode(&self, bytes: &[u8], inputs: &[Arc<dyn ExecutionPlan>]) -> QueryResult<Arc<dyn ExecutionPlan>> {
        node::decode(bytes, inputs, self)
    }

    /// The run of a folder, planned once.
    pub(super) fn run(&self, folder: &Path) -> Result<Arc<ToldRun>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, run)) = runs.iter().find(|(of, _)| of == folder) {
            return Ok(run.clone());
        }
        let run = Arc::new(ToldRun::load(folder, self)?);
        runs.push_front((folder.to_owned(), run.clone()));
        runs.truncate(KEPT);
        Ok(run)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.functions.iter().map(|function| function.name()).collect();
        f.debug_struct("Host").field("functions", &names).finish_non_exhaustive()
    }
}

/// A text that is the same for all machines with the same build of the program.
///
/// # Errors
/// If the file of the program cannot be read.
pub fn build_id() -> Result<String> {
    // The file that runs, even if another one has taken its path since then.
    build_id_of(Path::new("/proc/self/exe"))
}

/// The same of the program in a file.
///
/// # Errors
/// If the file cannot be read.
pub fn build_id_of(program: &Path) -> Result<String> {
    let failed = |error: std::io::Error| {
        let what = format!("the program {} cannot be read", program.display());
        Error::system(what, error, "check its access rights")
    };
    let program = std::fs::File::open(program).map_err(failed)?;
    let hash = blake3::Hasher::new().update_reader(program).map_err(failed)?.finalize();
    Ok(hash.to_hex()[..32].to_owned())
}
