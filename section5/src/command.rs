//! The command line: one file per command.

mod common;
mod evaluate;
mod generate;
mod output;
mod predict;
mod report;
mod train;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Cross-validate, save and apply models of the buying price class of a car.
#[derive(Debug, Parser)]
#[command(name = "section5", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Arguments),
    Evaluate(evaluate::Arguments),
    Train(train::Arguments),
    Predict(predict::Arguments),
    Report(report::Arguments),
}

/// Runs the program with its command line.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the program with these arguments; the first one is its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Arguments { command } = Arguments::parse_from(arguments);
    let done = match command {
        Command::Generate(arguments) => arguments.run(),
        Command::Evaluate(arguments) => arguments.run(),
        Command::Train(arguments) => arguments.run(),
        Command::Predict(arguments) => arguments.run(),
        Command::Report(arguments) => arguments.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            output::complain(&format_args!("{:?}", miette::Report::new(error)));
            ExitCode::from(code)
        }
    }
}
