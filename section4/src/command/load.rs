//! `section4 load`: `run` with additional options, each of which sets a parameter of the task.

use clap::{ArgMatches, FromArgMatches};
use miette::IntoDiagnostic;
use weir::ParamValues;

use super::fetch::{Manner, Selection};

/// Data to load, and the target database.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    manner: Manner,
    /// Database URL, with libpq's options: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full
    #[arg(long, value_name = "URL", env = DATABASE_URL, hide_env_values = true)]
    database_url: Option<String>,
}

/// The environment variable from which weir.yaml takes the database.
const DATABASE_URL: &str = "DATABASE_URL";

/// The task parameters that the options set.
pub(super) fn params(matches: &ArgMatches) -> miette::Result<ParamValues> {
    let Arguments { selection, manner, database_url } = Arguments::from_arg_matches(matches).into_diagnostic()?;
    if let Some(url) = database_url {
        // Not a parameter: those are recorded in the ledger, and the URL has a password.
        // SAFETY: `Cli::options` calls this before any other thread runs.
        unsafe { std::env::set_var(DATABASE_URL, url) };
    }
    let mut params = selection.options();
    params.extend(manner.options());
    Ok(params)
}
