//! The `section1` command: runs the membership applications task, and makes applications to try it on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches};
use miette::IntoDiagnostic;
use section1::generate::{Generate, generate};
use weir::Cli;

/// Batches live only as long as it takes to write them: what matters is an allocator that hands the same memory out
/// again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The task file, from the folder that `section1/` is in.
const TASK: &str = "section1/conf/applications.yaml";

fn main() -> ExitCode {
    Cli::new("section1")
        .about("Sorts membership applications into successful and unsuccessful.")
        .version(env!("CARGO_PKG_VERSION"))
        .default_task(TASK)
        .functions(section1::functions())
        .command::<GenerateArgs>("generate", generate_files)
        .command::<DemoArgs>("demo", demo)
        .main()
}

/// Write made-up applications, with every defect that real ones have.
#[derive(Debug, Args)]
struct GenerateArgs {
    /// Well-formed rows, in all files together.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,
    /// Another seed gives other applications; the same one gives the same bytes.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Lines that are not four fields, per million rows and in addition to them.
    #[arg(long, value_name = "N", default_value_t = 200)]
    malformed_per_million: u32,
    /// The folder that takes the CSV files.
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

/// Make a sample, run the task on it, and show what came of it.
#[derive(Debug, Args)]
struct DemoArgs {
    /// How many applications to make.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u64,
    /// The folder for the sample and its outcome.
    #[arg(long, value_name = "DIR", default_value = "section1-demo")]
    dir: PathBuf,
}

fn demo(matches: &ArgMatches, cli: &Cli) -> miette::Result<u8> {
    let DemoArgs { rows, dir } = DemoArgs::from_arg_matches(matches).into_diagnostic()?;
    if !Path::new(TASK).exists() {
        return Err(miette::miette!(help = "run it from the folder that `section1/` is in", "there is no {TASK} here"));
    }
    let (input, output) = (dir.join("applications"), dir.join("members"));
    let made = generate(&Generate { rows, ..Generate::default() }, &input).into_diagnostic()?;
    println!("made {} applications in {}\n", made.rows + made.malformed, input.display());
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
