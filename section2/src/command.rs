//! The command line: one file per command.

mod erd;
mod generate;
mod import_members;
mod migrate;
mod query;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use weir_postgres::Database;
use weir_postgres::tokio_postgres::Client;

use crate::{Result, migrations};

/// The commerce database: its schema, its data, and queries on them.
#[derive(Debug, Parser)]
#[command(name = "section2", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: Server,
}

/// Connection to the database.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// Database URL, with libpq's options: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true, global = true, default_value = "")]
    database_url: String,
    /// How long to retry while the server cannot be reached: 30s, 2m.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s", global = true)]
    wait: Duration,
}

#[derive(Debug, Subcommand)]
enum Command {
    Migrate(migrate::Arguments),
    ImportMembers(import_members::Arguments),
    Generate(generate::Arguments),
    Query(query::Arguments),
    Erd(erd::Arguments),
}

/// Runs the program with its command line.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the program with these arguments; the first one is its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Arguments { command, server } = Arguments::parse_from(arguments);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(crate::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match command {
                Command::Migrate(arguments) => arguments.run(&server).await,
                Command::ImportMembers(arguments) => arguments.run(&server).await,
                Command::Generate(arguments) => arguments.run(&server).await,
                Command::Query(arguments) => arguments.run(&server).await,
                Command::Erd(arguments) => arguments.run(&server).await,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::FAILURE
        }
    }
}

impl Server {
    /// Connects to a database regardless of its schema version.
    pub(crate) async fn connect(&self) -> Result<(Database, Client)> {
        let database = self.database_url.parse::<Database>()?.application_name("section2");
        let client = database.connect(self.wait).await?;
        Ok((database, client))
    }

    /// Connects to a database and checks that it has this program's schema version.
    pub(crate) async fn connect_migrated(&self) -> Result<(Database, Client)> {
        let (database, mut client) = self.connect().await?;
        migrations::check(&database, &mut client).await?;
        Ok((database, client))
    }
}
