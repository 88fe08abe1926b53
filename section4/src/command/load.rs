//! `section4 load`, which is `run` with the options of this file: each stands for a parameter of the task.

use clap::{ArgMatches, FromArgMatches};
use miette::IntoDiagnostic;
use weir::ParamValues;

use super::fetch::{Manner, Selection};

/// What is loaded, and into which database.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    manner: Manner,
    /// The database, as libpq reads it: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full
    #[arg(long, value_name = "URL", env = DATABASE_URL, hide_env_values = true)]
    database_url: Option<String>,
}

/// Where weir.yaml has the database from.
const DATABASE_URL: &str = "DATABASE_URL";

/// The parameters that options stand for.
pub(super) fn params(matches: &ArgMatches) -> miette::Result<ParamValues> {
    let Arguments { selection, manner, database_url } = Arguments::from_arg_matches(matches).into_diagnostic()?;
    if let Some(url) = database_url {
        // A parameter would stand in the ledger, with the password in it.
        // SAFETY: `Cli::options` calls this before any other thread runs.
        unsafe { std::env::set_var(DATABASE_URL, url) };
    }
    let mut params = selection.options();
    params.extend(manner.options());
    Ok(params)
}
