//! The `section1` command: runs the membership applications task, and generates applications to try it on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches};
use miette::IntoDiagnostic;
use section1::generate::{Generate, generate};
use weir::Cli;

/// Batches live only until they are written, so an allocator that reuses memory quickly matters.
#[global_allocator]
static ALLOCATOR: weir::allocator::MiMalloc = weir::allocator::MiMalloc;

/// The task file, relative to the folder that contains `section1/`.
const TASK: &str = "section1/conf/applications.yaml";

fn main() -> ExitCode {
    Cli::new("section1")
        .allocator(weir::allocator::MIMALLOC)
        .about("Splits membership applications into successful and unsuccessful.")
        .version(env!("CARGO_PKG_VERSION"))
        .default_task(TASK)
        .functions(section1::functions())
        .command::<GenerateArgs>("generate", generate_files)
        .command::<DemoArgs>("demo", demo)
        .main()
}

/// Generate applications with every kind of defect that real ones have.
#[derive(Debug, Args)]
struct GenerateArgs {
    /// Well-formed rows, in all files together.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,
    /// Seed of the random numbers; the same seed gives the same bytes.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Malformed lines, which do not have four fields, per million rows and in addition to them.
    #[arg(long, value_name = "N", default_value_t = 200)]
    malformed_per_million: u32,
    /// Output folder of the CSV files.
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

fn generate_files(matches: &ArgMatches, _: &Cli) -> miette::Result<u8> {
    let GenerateArgs { rows, seed, malformed_per_million, out } =
        GenerateArgs::from_arg_matches(matches).into_diagnostic()?;
    let what = Generate { rows, seed, malformed_per_million, ..Generate::default() };
    let made = generate(&what, &out).into_diagnostic()?;
    println!(
        "{}: {} files, {} rows, {} malformed lines, {} bytes",
        out.display(),
        made.files.len(),
        made.rows,
        made.malformed,
        made.bytes
    );
    Ok(0)
}

/// Generate a sample, run the task on it, and show the result.
#[derive(Debug, Args)]
struct DemoArgs {
    /// Number of applications to generate.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u64,
    /// Folder of the sample and the results.
    #[arg(long, value_name = "DIR", default_value = "section1-demo")]
    dir: PathBuf,
}

fn demo(matches: &ArgMatches, cli: &Cli) -> miette::Result<u8> {
    let DemoArgs { rows, dir } = DemoArgs::from_arg_matches(matches).into_diagnostic()?;
    if !Path::new(TASK).exists() {
        let help = "run it from the folder that contains `section1/`";
        return Err(miette::miette!(help = help, "{TASK} does not exist in this folder"));
    }
    let (input, output) = (dir.join("applications"), dir.join("members"));
    let made = generate(&Generate { rows, ..Generate::default() }, &input).into_diagnostic()?;
    println!("generated {} applications in {}\n", made.rows + made.malformed, input.display());
    let arguments = [
        "section1".into(),
        "run".into(),
        format!("--param=input={}", input.display()),
        format!("--param=output={}", output.display()),
        format!("--state={}", dir.join("state").display()),
    ];
    let code = cli.main_from(arguments);
    if code == 0 {
        let program = std::env::args().next().unwrap_or_else(|| "section1".to_owned());
        println!("\nlook at   head {}/*/part-00000.csv", output.display());
        println!("history   {program} runs --state {}", dir.join("state").display());
    }
    Ok(code)
}
