//! The subcommands, and what they have in common: a task file, parameters, a log.

use clap::Subcommand;

use super::ParamValues;
use super::args::{
    CompletionsArgs, DoctorArgs, HealthArgs, InitArgs, LineageArgs, LogArgs, ManArgs, ProfileArgs, PruneArgs,
    QueueArgs, RecoverArgs, ReplayArgs, RunArgs, RunVerbArgs, RunsArgs, ScheduleArgs, SchemaArgs, TaskArgs,
    TaskFileArgs, TestArgs, TokensArgs, WorkArgs,
};
use crate::error::{Error, Result};

/// The subcommands of every command line.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run the task: read, validate, write, and publish all sinks atomically.
    Run(RunVerbArgs),
    /// Judge the records again that earlier runs rejected, and publish those that are accepted now: after a rule, the SQL, the source
    /// or what it is joined with was repaired. Each record at most once.
    Replay(ReplayArgs),
    /// Check the task file, its SQL and its rules. No data is read.
    Validate(TaskArgs),
    /// Run the test cases of the models: given rows in, expected rows out.
    Test(TestArgs),
    /// Show what a run would read, the models in order, and the physical plans.
    Plan(RunArgs),
    /// Show which columns of the sources each column of the models and sinks depends on. No data is read.
    Lineage(LineageArgs),
    /// Show earlier runs.
    Runs(RunsArgs),
    /// Show the runs that did not end, and end them.
    Recover(RecoverArgs),
    /// Create a new task from a CSV file. Nothing is overwritten.
    Init(InitArgs),
    /// Get to know data: measure the columns of files, of a table or of a source, and write them as an HTML page.
    Profile(ProfileArgs),
    /// Check everything the task needs on this machine: files, disk, memory, ledger and lock. Nothing is changed.
    Doctor(DoctorArgs),
    /// Enter the windows of the task that are due into its queue, or show the queue.
    Queue(QueueArgs),
    /// Run windows of the queue. Any number of workers may do so at once.
    Work(WorkArgs),
    /// Keep running, and start the task at the due times of its `schedule`.
    Schedule(ScheduleArgs),
    /// Check that the runs are on time: the newest ones in the ledger against the schedule, or windows that are late or dead.
    /// Exit code 1 if not.
    #[command(visible_alias = "check")]
    Health(HealthArgs),
    /// Remove old runs from the ledger. What tells which files were read stays.
    Prune(PruneArgs),
    /// Write a text with the values of private columns that were encrypted, decrypted. The keys are those of weir.yaml.
    Decrypt(TokensArgs),
    /// Write a text with its encrypted values encrypted with the key in use, in place of a former one.
    Rotate(TokensArgs),
    /// Print the format of task files: a JSON schema for editors, or a human-readable reference.
    Schema(SchemaArgs),
    /// Print the completion script of a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man(ManArgs),
}

impl Verb {
    /// The task file is the argument, or the value of the option; not both.
    pub(super) fn choose_task(&mut self, program: &str, matches: &clap::ArgMatches) -> Result<()> {
        let (verb, given) = matches.subcommand().unwrap_or(("", matches));
        if let Self::Test(args) = self {
            let name = args.task.file.take_other_argument();
            args.names.splice(0..0, name);
        }
        let Some(file) = self.task_file() else { return Ok(()) };
        let as_option = given.value_source("task_config") == Some(clap::parser::ValueSource::CommandLine);
        if file.take_argument() && as_option {
            let help = format!("{program} {verb} TASK.yaml, or {program} {verb} --task-config TASK.yaml");
            return Err(Error::usage("the task file was given twice: as an argument and with --task-config", help));
        }
        // Runs can be found by their state folder alone.
        if verb == "runs" { Ok(()) } else { file.require(program, verb) }
    }

    pub(super) fn task_file(&mut self) -> Option<&mut TaskFileArgs> {
        Some(match self {
            Self::Run(args) => &mut args.run.task.file,
            Self::Plan(args) => &mut args.task.file,
            Self::Replay(args) => &mut args.run.task.file,
            Self::Validate(args) => &mut args.file,
            Self::Lineage(args) => &mut args.task.file,
            Self::Test(args) => &mut args.task.file,
            Self::Runs(args) => &mut args.file,
            Self::Recover(args) => &mut args.task.file,
            Self::Doctor(args) => &mut args.run.task.file,
            Self::Queue(args) => &mut args.run.task.file,
            Self::Work(args) => &mut args.run.task.file,
            Self::Schedule(args) => &mut args.run.task.file,
            Self::Health(args) => &mut args.task.file,
            Self::Prune(args) => &mut args.task.file,
            Self::Init(_) | Self::Profile(_) => return None,
            Self::Schema(_) | Self::Completions(_) | Self::Man(_) => return None,
            Self::Decrypt(_) | Self::Rotate(_) => return None,
        })
    }

    /// Sets parameters that the command line does not set itself.
    pub(super) fn set_params(&mut self, params: ParamValues) {
        let args = match self {
            Self::Plan(args) => args,
            Self::Run(args) => &mut args.run,
            Self::Replay(args) => &mut args.run,
            Self::Schedule(args) => &mut args.run,
            Self::Queue(args) => &mut args.run,
            Self::Work(args) => &mut args.run,
            Self::Doctor(args) => &mut args.run,
            Self::Recover(args) => {
                args.task.params.splice(0..0, params);
                return;
            }
            Self::Validate(_) | Self::Lineage(_) | Self::Test(_) | Self::Runs(_) | Self::Init(_) | Self::Schema(_) => {
                return;
            }
            Self::Health(_) | Self::Prune(_) | Self::Completions(_) | Self::Man(_) | Self::Profile(_) => return,
            Self::Decrypt(_) | Self::Rotate(_) => return,
        };
        args.task.params.splice(0..0, params);
    }

    pub(super) fn log(&self) -> Option<&LogArgs> {
        Some(match self {
            Self::Plan(args) => &args.task.log,
            Self::Schedule(args) => &args.run.task.log,
            Self::Queue(args) => &args.run.task.log,
            Self::Work(args) => &args.run.task.log,
            Self::Health(args) => &args.task.log,
            Self::Prune(args) => &args.task.log,
            Self::Decrypt(args) | Self::Rotate(args) => &args.log,
            Self::Run(args) => &args.run.task.log,
            Self::Replay(args) => &args.run.task.log,
            Self::Init(args) => &args.log,
            Self::Profile(args) => &args.log,
            Self::Doctor(args) => &args.run.task.log,
            Self::Validate(args) => &args.log,
            Self::Lineage(args) => &args.task.log,
            Self::Recover(args) => &args.task.log,
            Self::Test(args) => &args.task.log,
            Self::Runs(args) => &args.log,
            Self::Schema(_) | Self::Completions(_) | Self::Man(_) => return None,
        })
    }
}
