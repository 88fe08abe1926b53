//! The threads of a process that stays, and its end.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use weir::{Error, Result};

/// The bytes of stack with which plans are read and written, and with which each thread computes. A query of many terms is a
/// deep plan, which is walked by recursion. Memory is used as far as the stack is.
pub(crate) const PLANNING_STACK: usize = 256 << 20;
pub(crate) const COMPUTING_STACK: usize = 64 << 20;

/// How long what still runs may take to end.
const GRACE: Duration = Duration::from_secs(3);

/// Runs a process that stays.
pub(crate) fn block_on<T: Send + 'static>(
    threads: usize,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads).thread_stack_size(stack(PLANNING_STACK)).enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::system("the runtime cannot be started", error, "check the limits of this user's processes")
    })?;
    // On a thread with that stack, too.
    let result = runtime.block_on(async { tokio::spawn(future).await });
    runtime.shutdown_timeout(GRACE);
    result.unwrap_or_else(|error| {
        Err(Error::system("the process failed", error, "this is a bug: please report it with the log"))
    })
}

/// That many bytes of stack, or fewer where the address space of this process is limited.
pub(crate) fn stack(bytes: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    limit.map_or(bytes, |limit| bytes.min((limit / 64) as usize))
}

/// The signals that tell a process to end: Ctrl-C, SIGTERM and a closed terminal.
pub(crate) struct Signals([Signal; 3]);

impl Signals {
    /// From now on these signals do not end the process by themselves.
    pub(crate) fn new() -> Result<Self> {
        let failed = |error| Error::system("signals cannot be handled", error, "start the program again");
        let [a, b, c] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([a.map_err(failed)?, b.map_err(failed)?, c.map_err(failed)?]))
    }

    /// Comes back at the first of them.
    pub(crate) async fn any(mut self) {
        let any = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(any).await;
        tracing::info!("told to end");
    }
}
