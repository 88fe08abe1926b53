//! The command line: the engine's commands on the task that loads cases, and one file per additional command.

mod fetch;
mod load;
mod mock_api;
mod show;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use miette::IntoDiagnostic;
use weir::Cli;

use crate::cases::CovidCases;
use crate::{Result, output};

/// The task file, relative to the folder that contains `section4/`.
const TASK: &str = "section4/conf/covid.yaml";

/// Runs the program with its command line.
pub fn main() -> ExitCode {
    Cli::new("section4")
        .allocator(weir::allocator::MIMALLOC)
        .about("Loads confirmed COVID-19 cases of countries from public APIs into PostgreSQL.")
        .version(env!("CARGO_PKG_VERSION"))
        .default_task(TASK)
        .fetch(CovidCases)
        .alias("run", "load")
        .options::<load::Arguments>(load::params)
        .command::<fetch::Arguments>("fetch", |matches, _| run(matches, fetch::Arguments::run))
        .command::<show::Arguments>("show", |matches, _| run(matches, show::Arguments::run))
        .command::<mock_api::Arguments>("mock-api", |matches, _| run(matches, mock_api::Arguments::run))
        .main()
}

/// Runs an additional command; returns the exit code.
fn run<A: FromArgMatches>(matches: &ArgMatches, verb: impl AsyncFnOnce(A) -> Result<()>) -> miette::Result<u8> {
    let arguments = A::from_arg_matches(matches).into_diagnostic()?;
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).without_time();
    // Otherwise a closed pipe would be reported to that pipe, with a panic.
    let log = log.with_ansi(std::io::stderr().is_terminal() && !output::is_plain()).log_internal_errors(false);
    // Fails if the caller has already set up a log.
    let _ = log.with_max_level(tracing::Level::WARN).try_init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(crate::Error::from).and_then(|runtime| runtime.block_on(verb(arguments)));
    Ok(done.map_or_else(
        |error| {
            let code = error.exit_code();
            output::complain(&format_args!("{:?}", miette::Report::new(error)));
            code
        },
        |()| 0,
    ))
}
