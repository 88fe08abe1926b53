//! A program with a fetcher of its own, and with a verb that uses the library.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches};
use miette::IntoDiagnostic;
use weir::fetch::{Fetch, FetchError, Options};
use weir::task::{Format, ParamChoice};
use weir::{Event, Observer, Runner, Task};

/// The prime numbers up to the option `most`.
#[derive(Debug)]
struct Primes;

#[weir::fetch::async_trait]
impl Fetch for Primes {
    fn name(&self) -> &str {
        "primes"
    }

    fn format(&self) -> Format {
        Format::Csv
    }

    async fn fetch(&self, options: &Options, into: &mut (dyn Write + Send)) -> Result<(), FetchError> {
        options.only(&["most"])?;
        let most: u64 = options.parsed("most")?;
        writeln!(into, "number")?;
        for number in (2..=most).filter(|number| (2..*number).all(|divisor| number % divisor != 0)) {
            writeln!(into, "{number}")?;
        }
        Ok(())
    }
}

/// Prints the steps of a run.
#[derive(Debug)]
struct Steps;

impl Observer for Steps {
    fn event(&self, event: &Event<'_>) {
        if let Event::Step { name, .. } = event {
            println!("step: {name}");
        }
    }
}

/// Run the task through the library.
#[derive(Debug, Args)]
struct LibraryArgs {
    /// The task file.
    #[arg(long, value_name = "FILE")]
    task_config: PathBuf,
    /// The folder for the numbers.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

fn library(matches: &ArgMatches, _: &weir::Cli) -> miette::Result<u8> {
    let args = LibraryArgs::from_arg_matches(matches).into_diagnostic()?;
    let values = vec![("output".to_owned(), args.output.display().to_string())];
    let task = Task::load(&args.task_config, &ParamChoice { values, ..ParamChoice::default() })?;
    let runner = Runner::new(args.output.with_extension("state")).fetch(Primes).observer(Steps);
    let runtime = tokio::runtime::Runtime::new().into_diagnostic()?;
    let report = runtime.block_on(runner.run(&task))?;
    println!("{} numbers", report.outputs.iter().map(|output| output.rows).sum::<u64>());
    Ok(report.exit_code())
}

fn main() -> ExitCode {
    weir::Cli::new("fetcher").fetch(Primes).command::<LibraryArgs>("library", library).main()
}
