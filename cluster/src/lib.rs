//! weir whose stages are computed by the machines of a cluster: client, scheduler and executor in one program.
//!
//! The machines run [Apache DataFusion Ballista](https://datafusion.apache.org/ballista/). A program becomes client,
//! scheduler and executor of a cluster with one call:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     weir_cluster::with_cluster(weir::Cli::new("example")).main()
//! }
//! ```
//!
//! All machines need the same build of the program, because its functions are not sent, only their names.
#![cfg_attr(test, allow(clippy::unwrap_used))]

/// Prints a line on standard output. A closed pipe is not an error.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod args;
mod cancel;
mod channel;
mod client;
mod codec;
mod compact;
mod executor;
mod executor_service;
mod janitor;
mod job;
mod joins;
mod lease;
mod leaves;
mod listen;
mod log;
mod overview;
mod patient;
mod pool;
mod runtime;
mod scheduler;
mod session;
mod status;
mod strict;
mod task_error;
mod tls;
mod work_dir;

use std::ffi::OsString;
use std::sync::Arc;

use args::{ClusterArgs, ExecutorArgs, SchedulerArgs, StatusArgs};
use clap::Args;
use weir::cluster::Cluster;
use weir::{Error, Result};

/// Adds to a command line the verbs `scheduler`, `executor` and `status`, and the options of `run` and `plan` that name a
/// cluster.
#[must_use]
pub fn with_cluster(cli: weir::Cli) -> weir::Cli {
    cli.cluster::<ClusterArgs>(client::connect)
        .command::<SchedulerArgs>("scheduler", scheduler::run)
        .command::<ExecutorArgs>("executor", executor::run)
        .command::<StatusArgs>("status", status::run)
}

/// The cluster that these options of `run` name, if they name one: for programs without a command line.
///
/// ```
/// let cluster = weir_cluster::connect(["--cluster=http://127.0.0.1:50050", "--shared=/tmp"])?;
/// assert!(cluster.is_some());
/// # Ok::<(), weir::Error>(())
/// ```
pub fn connect<I, T>(options: I) -> Result<Option<Arc<dyn Cluster>>>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let command = ClusterArgs::augment_args(clap::Command::new("options").no_binary_name(true));
    let matches = command.try_get_matches_from(options);
    client::remote(&matches.map_err(|error| Error::usage(error, "see the options of `run`"))?)
}
