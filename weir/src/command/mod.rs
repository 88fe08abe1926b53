//! The command line: one file per subcommand.

/// Prints a line on standard error. A failure to do so does not end a run.
macro_rules! complain {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

/// Prints a line on standard output. A closed pipe (`weir plan | head`) is not an error.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod args;
mod completions;
mod doctor;
mod init;
mod plan;
mod recover;
mod run;
mod runs;
mod schedule;
mod schema;
mod summary;
mod test;
mod validate;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use datafusion::logical_expr::ScalarUDF;
use miette::Diagnostic;

use crate::engine::Resources;
use crate::error::{Error, Result, printable};
use crate::fetch::Fetch;
use crate::run::Settings;
use crate::system::allocator::{self, Allocator};
use crate::watch::{LogFormat, Observer, Observers};
use args::{
    CompletionsArgs, DoctorArgs, InitArgs, ManArgs, RecoverArgs, RunArgs, RunVerbArgs, RunsArgs, SchemaArgs, TaskArgs,
    TestArgs,
};

/// A command line that runs tasks: `weir` itself, or the command of a section with its own functions.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     weir::Cli::new("section1").default_task("section1/conf/applications.yaml").functions(vec![]).main()
/// }
/// ```
#[derive(Debug)]
pub struct Cli {
    name: &'static str,
    about: &'static str,
    version: &'static str,
    default_task: Option<&'static str>,
    functions: Vec<ScalarUDF>,
    fetchers: Vec<Arc<dyn Fetch>>,
    observers: Observers,
    aliases: Vec<(&'static str, &'static str)>,
    options: Option<OwnOptions>,
    own: Vec<OwnCommand>,
}

/// A subcommand that a section adds.
struct OwnCommand {
    command: clap::Command,
    run: fn(&clap::ArgMatches, &Cli) -> miette::Result<u8>,
}

impl std::fmt::Debug for OwnCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OwnCommand({})", self.command.get_name())
    }
}

/// Names and values of task parameters.
pub type ParamValues = Vec<(String, String)>;

/// Options that a section adds to the subcommands that work on its task.
struct OwnOptions {
    augment: fn(clap::Command) -> clap::Command,
    params: fn(&clap::ArgMatches) -> miette::Result<ParamValues>,
}

impl std::fmt::Debug for OwnOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnOptions")
    }
}

/// The subcommands that accept a section's own options.
const WITH_OPTIONS: [&str; 4] = ["run", "plan", "doctor", "schedule"];

/// The subcommands of every command line.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the task: read, validate, write, and publish all sinks atomically.
    Run(RunVerbArgs),
    /// Check the task file, its SQL and its rules. No data is read.
    Validate(TaskArgs),
    /// Run the test cases of the models: given rows in, expected rows out.
    Test(TestArgs),
    /// Show what a run would read, the models in order, and the physical plans.
    Plan(RunArgs),
    /// Show earlier runs.
    Runs(RunsArgs),
    /// Show the runs that did not end, and end them.
    Recover(RecoverArgs),
    /// Create a new task from a CSV file. Nothing is overwritten.
    Init(InitArgs),
    /// Check everything the task needs on this machine: files, disk, memory, ledger and lock. Nothing is changed.
    Doctor(DoctorArgs),
    /// Keep running, and start the task at the due times of its `schedule`.
    Schedule(RunArgs),
    /// Print the format of task files: a JSON schema for editors, or a human-readable reference.
    Schema(SchemaArgs),
    /// Print the completion script of a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man(ManArgs),
}

impl Cli {
    /// A command line with this name.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            about: "Runs batch-pipeline tasks: YAML and SQL in; validated, gated, atomically published data out.",
            version: env!("CARGO_PKG_VERSION"),
            default_task: None,
            functions: vec![],
            fetchers: vec![],
            observers: Observers::default(),
            aliases: vec![],
            options: None,
            own: vec![],
        }
    }

    /// The description shown by `--help`.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// The program's version.
    #[must_use]
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// The default of `--task-config`.
    #[must_use]
    pub fn default_task(mut self, path: &'static str) -> Self {
        self.default_task = Some(path);
        self
    }

    /// Adds SQL functions for the section's tasks.
    #[must_use]
    pub fn functions(mut self, functions: Vec<ScalarUDF>) -> Self {
        self.functions = functions;
        self
    }

    /// Adds a fetcher for `fetch` sources.
    #[must_use]
    pub fn fetch(mut self, fetcher: impl Fetch + 'static) -> Self {
        self.fetchers.push(Arc::new(fetcher));
        self
    }

    /// Adds an observer of the runs that `run` starts: for metrics, alerts or lineage.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.add(observer);
        self
    }

    /// Sets the global allocator of the program: with a memory limit it returns freed memory to the system.
    #[must_use]
    pub fn allocator(self, allocator: Allocator) -> Self {
        allocator::set(allocator);
        self
    }

    /// Adds a subcommand. `run` gets its arguments, and this command line to run further subcommands with; it returns
    /// the exit code.
    #[must_use]
    pub fn command<A: Args>(
        mut self,
        name: &'static str,
        run: fn(&clap::ArgMatches, &Self) -> miette::Result<u8>,
    ) -> Self {
        self.own.push(OwnCommand { command: A::augment_args(clap::Command::new(name)), run });
        self
    }

    /// Adds an alias of a subcommand.
    #[must_use]
    pub fn alias(mut self, verb: &'static str, alias: &'static str) -> Self {
        self.aliases.push((verb, alias));
        self
    }

    /// Adds options to the subcommands that work on the task (`run`, `plan`, `doctor` and `schedule`). `params`
    /// converts them to parameter values, which `--param` overrides; it is called before any other thread runs.
    #[must_use]
    pub fn options<A: Args>(mut self, params: fn(&clap::ArgMatches) -> miette::Result<ParamValues>) -> Self {
        self.options = Some(OwnOptions { augment: A::augment_args, params });
        self
    }

    /// Parses the process's arguments, runs the subcommand, and reports errors.
    pub fn main(self) -> ExitCode {
        ExitCode::from(self.main_from(std::env::args_os()))
    }

    /// The same for given arguments; returns the exit code.
    pub fn main_from<I, T>(&self, arguments: I) -> u8
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let matches = match self.parser().try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(error) => {
                // Help and version are reported this way, too, with exit code 0; a closed pipe is not an error.
                let _ = error.print();
                return error.exit_code() as u8;
            }
        };
        let own = matches.subcommand().and_then(|(name, args)| {
            self.own.iter().find(|own| own.command.get_name() == name).map(|own| (own.run)(args, self))
        });
        let (result, format) = match own {
            Some(result) => (result, LogFormat::Text),
            None => match Verb::from_arg_matches(&matches) {
                Ok(mut verb) => {
                    let format = verb.log_format();
                    let ready = self.own_params(&matches).map(|params| verb.set_params(params));
                    (
                        ready.and_then(|()| self.run(&verb).map_err(|error| miette::Report::new(WithoutCause(error)))),
                        format,
                    )
                }
                Err(error) => {
                    let _ = error.print();
                    return 2;
                }
            },
        };
        result.unwrap_or_else(|error| report_error(&error, format))
    }

    /// The parameter values from the section's own options.
    fn own_params(&self, matches: &clap::ArgMatches) -> miette::Result<ParamValues> {
        match (&self.options, matches.subcommand()) {
            (Some(options), Some((verb, args))) if WITH_OPTIONS.contains(&verb) => (options.params)(args),
            _ => Ok(vec![]),
        }
    }

    fn parser(&self) -> clap::Command {
        #[derive(Parser)]
        #[command(subcommand_required = true, arg_required_else_help = true)]
        struct Verbs {
            #[command(subcommand)]
            _verb: Verb,
        }
        let mut parser = Verbs::command().name(self.name).bin_name(self.name).about(self.about).version(self.version);
        if let Some(task) = self.default_task {
            for verb in ["run", "validate", "test", "plan", "runs", "doctor", "schedule"] {
                parser = parser.mut_subcommand(verb, |verb| {
                    verb.mut_arg("task_config", |arg| arg.required(false).default_value(task))
                });
            }
        }
        for (verb, alias) in &self.aliases {
            parser = parser.mut_subcommand(verb, |verb| verb.visible_alias(*alias));
        }
        if let Some(options) = &self.options {
            let with_options = |verb: clap::Command| {
                // Clap would show the doc comment of the options as that of the subcommand.
                let about = verb.get_about().cloned().unwrap_or_default();
                (options.augment)(verb).about(about).long_about(None)
            };
            parser = WITH_OPTIONS.iter().fold(parser, |parser, verb| parser.mut_subcommand(verb, with_options));
        }
        self.own.iter().fold(parser, |parser, own| parser.subcommand(own.command.clone()))
    }

    fn run(&self, verb: &Verb) -> Result<u8> {
        match verb {
            Verb::Run(args) => run::run(self, args),
            Verb::Validate(args) => validate::validate(self, args),
            Verb::Test(args) => test::test(self, args),
            Verb::Plan(args) => plan::plan(self, args),
            Verb::Runs(args) => runs::runs(args),
            Verb::Recover(args) => recover::recover(args),
            Verb::Init(args) => init::init(self, args),
            Verb::Doctor(args) => doctor::doctor(self, args),
            Verb::Schedule(args) => schedule::schedule(args),
            Verb::Schema(args) => schema::schema(args),
            Verb::Completions(args) => completions::completions(self, args),
            Verb::Man(args) => completions::man(self, args),
        }
    }

    fn settings(&self, args: &RunArgs) -> Settings {
        let mut resources = Resources::default();
        if let Some(limit) = args.memory_limit {
            resources.memory_limit = limit;
        }
        if let Some(threads) = args.threads {
            resources.threads = threads.into();
        }
        Settings {
            state: args.state.folder(&args.task.task_config),
            resources,
            functions: self.functions.clone(),
            fetchers: self.fetchers.clone().into(),
            observers: self.observers.clone(),
        }
    }
}

impl Verb {
    /// Sets parameters that the command line does not set itself.
    fn set_params(&mut self, params: ParamValues) {
        let args = match self {
            Self::Plan(args) | Self::Schedule(args) => args,
            Self::Run(args) => &mut args.run,
            Self::Doctor(args) => &mut args.run,
            Self::Recover(args) => {
                args.task.params.splice(0..0, params);
                return;
            }
            Self::Validate(_) | Self::Test(_) | Self::Runs(_) | Self::Init(_) | Self::Schema(_) => return,
            Self::Completions(_) | Self::Man(_) => return,
        };
        args.task.params.splice(0..0, params);
    }

    fn log_format(&self) -> LogFormat {
        match self {
            Self::Plan(args) | Self::Schedule(args) => args.task.log.log_format,
            Self::Run(args) => args.run.task.log.log_format,
            Self::Init(args) => args.log.log_format,
            Self::Doctor(args) => args.run.task.log.log_format,
            Self::Validate(args) => args.log.log_format,
            Self::Recover(args) => args.task.log.log_format,
            Self::Test(args) => args.task.log.log_format,
            Self::Runs(args) => args.log.log_format,
            Self::Schema(_) | Self::Completions(_) | Self::Man(_) => LogFormat::Text,
        }
    }
}

/// An error whose message has the text of its cause already.
#[derive(Debug)]
struct WithoutCause(Error);

impl std::fmt::Display for WithoutCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&lines_of(&self.0.to_string()))
    }
}

impl std::error::Error for WithoutCause {}

impl Diagnostic for WithoutCause {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.0.help().map(|help| Box::new(lines_of(&help.to_string())) as _)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.0.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.0.related()
    }
}

/// Prints an error for a person on a terminal, otherwise as a log line; returns the exit code.
fn report_error(error: &miette::Report, format: LogFormat) -> u8 {
    let own = error.downcast_ref::<WithoutCause>().map(|WithoutCause(error)| error);
    let own = own.or_else(|| error.downcast_ref::<Error>());
    let help = error.help().map(|help| lines_of(&help.to_string()));
    let is_terminal = std::io::stderr().is_terminal();
    match format {
        LogFormat::Text if is_terminal => complain!("{error:?}"),
        LogFormat::Text => {
            complain!("error: {error}");
            for related in error.related().into_iter().flatten() {
                complain!("  {related}");
            }
            if let Some(help) = help {
                complain!("help: {help}");
            }
        }
        LogFormat::Json => {
            for related in error.related().into_iter().flatten() {
                tracing::error!("{related}");
            }
            let help = own.map_or(help, Error::help_for_log);
            tracing::error!(help, "{error}");
        }
    }
    own.map_or(1, Error::exit_code)
}

/// A text of several lines, each printable.
fn lines_of(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Writes a file atomically: readers see it complete or not at all.
fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidFilename)?;
    let partial = path.with_file_name(format!(".{}.weir-{}", name.to_string_lossy(), std::process::id()));
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&partial); // it may not exist
    })
}

/// The bytes of stack with which a task is planned, and with which each thread computes. A query with many terms is a deep
/// plan, which is walked by recursion. Memory is used as far as the stack is.
const PLANNING_STACK: usize = 256 << 20;
const COMPUTING_STACK: usize = 64 << 20;

/// That many bytes of stack, or fewer where the address space of this process is limited.
fn stack(bytes: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    limit.map_or(bytes, |limit| bytes.min((limit / 16) as usize))
}

/// The runtime of a command, with the threads that the run may use.
struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        stacker::grow(stack(PLANNING_STACK), || self.0.block_on(future))
    }
}

fn runtime(threads: usize) -> Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads).thread_stack_size(stack(COMPUTING_STACK)).enable_all().build();
    runtime.map(Runtime).map_err(|error| {
        Error::system("the runtime cannot be started", error, "check the limits of this user's processes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::new("weir").parser().debug_assert();
        Cli::new("section1").default_task("conf/task.yaml").parser().debug_assert();
    }
}
