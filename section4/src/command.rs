//! The command line: one file a verb.

mod fetch;
mod mock_api;
mod show;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// COVID-19: the confirmed cases of countries, from public APIs.
#[derive(Debug, Parser)]
#[command(name = "section4", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Fetch(fetch::Arguments),
    MockApi(mock_api::Arguments),
    Show(show::Arguments),
}

/// Runs the program with its arguments.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the program with these arguments, of which the first is its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Arguments { verb } = Arguments::parse_from(arguments);
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).without_time();
    let log = log.with_ansi(std::io::stderr().is_terminal());
    // It fails if whoever calls this has a log already.
    let _ = log.with_max_level(tracing::Level::WARN).try_init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(crate::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match verb {
                Verb::Fetch(arguments) => arguments.run().await,
                Verb::MockApi(arguments) => arguments.run().await,
                Verb::Show(arguments) => arguments.run().await,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(code)
        }
    }
}
