//! The command line: one file per subcommand.

/// Prints a line on standard error. A failure to do so does not end a run.
macro_rules! complain {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

/// Prints a line on standard output. A closed pipe (`weir plan | head`) is not an error; a full disk is one, at the end.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        $crate::command::output::written(writeln!(std::io::stdout(), $($text)*));
    }};
}

mod args;
mod columns;
mod completions;
mod decrypt;
mod doctor;
mod failure;
mod health;
mod init;
mod lineage;
mod output;
mod page_file;
mod plan;
mod profile;
mod prune;
mod queue;
mod recover;
mod run;
mod runs;
mod schedule;
mod schema;
mod summary;
mod test;
mod validate;
mod values;
mod verb;
mod work;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::{Args, CommandFactory, FromArgMatches, Parser};
use datafusion::logical_expr::ScalarUDF;

use crate::cluster::{Cluster, Host};
use crate::engine::Resources;
use crate::error::{Error, Result};
use crate::fetch::Fetch;
use crate::plan::resolved;
use crate::run::Settings;
use crate::source::Fetchers;
use crate::system::allocator::{self, Allocator};
use crate::task::Task;
use crate::watch::{LogFormat, Observer, Observers};
use args::{
    CompletionsArgs, DoctorArgs, HealthArgs, InitArgs, LineageArgs, ManArgs, ProfileArgs, PruneArgs, QueueArgs,
    RecoverArgs, ReplayArgs, RunArgs, RunVerbArgs, RunsArgs, ScheduleArgs, SchemaArgs, TaskArgs, TokensArgs, WorkArgs,
};
use failure::{WithoutCause, report_error};
use page_file::{check_page, write_page};
use verb::Verb;

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
    cluster: Option<OwnCluster>,
}

/// Options of `run` and `plan` that name a cluster.
struct OwnCluster {
    augment: fn(clap::Command) -> clap::Command,
    connect: Connect,
    /// What was connected to.
    connected: OnceLock<Arc<dyn Cluster>>,
}

/// The cluster that the options of a subcommand name.
type Connect = fn(&clap::ArgMatches) -> miette::Result<Option<Arc<dyn Cluster>>>;

impl std::fmt::Debug for OwnCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnCluster")
    }
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

/// The subcommands that a cluster can compute for.
const ON_CLUSTER: [&str; 2] = ["run", "plan"];

/// Options of `run`, by their ids, that have another name where a section has one of the same name.
const OTHER_NAMES: [(&str, &str); 2] = [("from_window", "from-window"), ("to_window", "to-window")];

/// The subcommands whose task is the default one unless another is given.
const WITH_DEFAULT_TASK: [&str; 14] = [
    "run", "replay", "validate", "test", "plan", "lineage", "runs", "recover", "doctor", "queue", "work", "schedule",
    "health", "prune",
];

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
            cluster: None,
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

    /// Adds options to `run` and `plan` that name a cluster, on which the stages are then computed. Without them there is none.
    #[must_use]
    #[expect(clippy::type_complexity, reason = "as the documentation shows it")]
    pub fn cluster<A: Args>(
        mut self,
        connect: fn(&clap::ArgMatches) -> miette::Result<Option<Arc<dyn Cluster>>>,
    ) -> Self {
        self.cluster = Some(OwnCluster { augment: A::augment_args, connect, connected: OnceLock::new() });
        self
    }

    /// What an executor of a cluster has of this program.
    pub fn host(&self) -> Host {
        Host::new(&self.functions, &self.fetchers.clone().into())
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
        let (result, format, show_values) = match own {
            Some(result) => (result, LogFormat::Text, false),
            None => match Verb::from_arg_matches(&matches) {
                Ok(mut verb) => {
                    let (format, show_values) =
                        verb.log().map_or((LogFormat::Text, false), |log| (log.log_format, log.show_values));
                    let own = |error| miette::Report::new(WithoutCause(error));
                    let ready = verb.choose_task(self.name, &matches).map_err(own);
                    let ready = ready.and_then(|()| self.own_params(&matches)).map(|params| verb.set_params(params));
                    let ready = ready.and_then(|()| self.connect(&matches));
                    (ready.and_then(|()| self.run(&verb).map_err(own)), format, show_values)
                }
                Err(error) => {
                    let _ = error.print();
                    return 2;
                }
            },
        };
        let code = result.unwrap_or_else(|error| report_error(&error, format, show_values));
        match output::failure() {
            // What could not be printed is missed only by somebody who reads it to the end.
            Some(error) if code == 0 => {
                complain!("error: standard output cannot be written: {error}");
                1
            }
            _ => code,
        }
    }

    /// The parameter values from the section's own options.
    fn own_params(&self, matches: &clap::ArgMatches) -> miette::Result<ParamValues> {
        match (&self.options, matches.subcommand()) {
            (Some(options), Some((verb, args))) if WITH_OPTIONS.contains(&verb) => (options.params)(args),
            _ => Ok(vec![]),
        }
    }

    /// Connects to the cluster that the options name, if they do.
    fn connect(&self, matches: &clap::ArgMatches) -> miette::Result<()> {
        if let (Some(cluster), Some((verb, args))) = (&self.cluster, matches.subcommand())
            && ON_CLUSTER.contains(&verb)
            && let Some(connected) = (cluster.connect)(args)?
        {
            cluster.connected.get_or_init(|| connected);
        }
        Ok(())
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
            for verb in WITH_DEFAULT_TASK {
                parser = parser.mut_subcommand(verb, |verb| verb.mut_arg("task_config", |arg| arg.default_value(task)));
            }
        }
        for (verb, alias) in &self.aliases {
            parser = parser.mut_subcommand(verb, |verb| verb.visible_alias(*alias));
        }
        if let Some(options) = &self.options {
            let with_options = |verb: clap::Command| {
                // Clap would show the doc comment of the options as that of the subcommand.
                let about = verb.get_about().cloned().unwrap_or_default();
                (options.augment)(yielding(verb, options)).about(about).long_about(None)
            };
            parser = WITH_OPTIONS.iter().fold(parser, |parser, verb| parser.mut_subcommand(verb, with_options));
        }
        if let Some(cluster) = &self.cluster {
            let with_options = |verb: clap::Command| {
                let about = verb.get_about().cloned().unwrap_or_default();
                (cluster.augment)(verb).about(about).long_about(None)
            };
            parser = ON_CLUSTER.iter().fold(parser, |parser, verb| parser.mut_subcommand(verb, with_options));
        }
        self.own.iter().fold(parser, |parser, own| parser.subcommand(own.command.clone()))
    }

    fn run(&self, verb: &Verb) -> Result<u8> {
        match verb {
            Verb::Run(args) => run::run(self, args),
            Verb::Replay(args) => run::replay(self, args),
            Verb::Validate(args) => validate::validate(self, args),
            Verb::Test(args) => test::test(self, args),
            Verb::Plan(args) => plan::plan(self, args),
            Verb::Lineage(args) => lineage::lineage(self, args),
            Verb::Runs(args) => runs::runs(args),
            Verb::Recover(args) => recover::recover(args),
            Verb::Init(args) => init::init(self, args),
            Verb::Profile(args) => profile::profile(self, args),
            Verb::Doctor(args) => doctor::doctor(self, args),
            Verb::Queue(args) => queue::queue(self, args),
            Verb::Work(args) => work::work(self, args),
            Verb::Schedule(args) => schedule::schedule(self, args),
            Verb::Health(args) => health::health(self, args),
            Verb::Prune(args) => prune::prune(args),
            Verb::Decrypt(args) => decrypt::decrypt(args),
            Verb::Rotate(args) => decrypt::rotate(args),
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
            state: args.state.folder(args.task.file.path()),
            resources,
            functions: self.functions.clone(),
            fetchers: self.fetchers.clone().into(),
            observers: self.observers.clone(),
            cluster: self.cluster.as_ref().and_then(|cluster| cluster.connected.get().cloned()),
        }
    }
}

/// A subcommand whose options have no name that the section's own options have.
fn yielding(verb: clap::Command, options: &OwnOptions) -> clap::Command {
    let own = (options.augment)(clap::Command::new("own"));
    let is_taken =
        |name: Option<&str>| name.is_some() && own.get_arguments().any(|argument| argument.get_long() == name);
    OTHER_NAMES.into_iter().fold(verb, |verb, (id, other)| {
        let taken = verb.get_arguments().any(|argument| argument.get_id() == id && is_taken(argument.get_long()));
        if taken { verb.mut_arg(id, |argument| argument.long(other)) } else { verb }
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

impl Cli {
    /// The task of the arguments, with what other tasks publish as files and tables.
    fn load(&self, args: &TaskArgs) -> Result<Task> {
        let task = args.load()?;
        if !task.has_references() {
            return Ok(task);
        }
        let fetchers: Fetchers = self.fetchers.clone().into();
        Ok(runtime(1)?.block_on(resolved(&task, &self.functions, &fetchers))?.into_owned())
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
        #[derive(Args)]
        struct Own {
            #[arg(long)]
            from: Option<String>,
            #[arg(long)]
            to: Option<String>,
        }
        let own = Cli::new("section4").options::<Own>(|_| Ok(vec![]));
        own.parser().debug_assert();
        let matches = own.parser().try_get_matches_from(["section4", "run", "t.yaml", "--from=1", "--from-window=2"]);
        let (_, run) = matches.unwrap().remove_subcommand().unwrap();
        let given = |id: &str| run.get_one::<String>(id).map(String::as_str).map(str::to_owned);
        assert_eq!((given("from").as_deref(), given("from_window").as_deref()), (Some("1"), Some("2")));
    }
}
