//! The arguments of the subcommands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;

use super::decrypt::TextFormat;
use super::values::{duration, name_and_value, size};
use crate::error::{Error, Result};
use crate::task::{ParamChoice, Task};
use crate::watch::{LogFormat, about_task, start_log};

#[derive(Debug, Clone, Args)]
pub(super) struct TaskArgs {
    #[command(flatten)]
    pub(super) file: TaskFileArgs,
    /// The environment whose parameter values are used.
    #[arg(long, value_name = "NAME", env = "WEIR_ENV")]
    pub(super) env: Option<String>,
    /// Sets a parameter, overriding the task file; can be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) params: Vec<(String, String)>,
    /// The moment from which values such as `today` and `now - 2h` of parameters are computed [default: now].
    #[arg(long, value_name = "RFC3339")]
    pub(super) due: Option<DateTime<Utc>>,
    /// The window of time that is worked on, by its beginning, of a task that has windows [default: the last one that is due].
    #[arg(long, value_name = "WINDOW")]
    pub(super) window: Option<String>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// The task file, as an argument or as an option.
#[derive(Debug, Clone, Args)]
pub(super) struct TaskFileArgs {
    /// The task file.
    #[arg(value_name = "TASK.yaml")]
    task: Option<PathBuf>,
    /// The task file, as an option.
    #[arg(long, value_name = "FILE", env = "WEIR_TASK_CONFIG")]
    task_config: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) task: TaskArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// Memory limit of the process, such as 256MiB or 2GB: operators spill to disk near it, and a run that exceeds it
    /// ends with an error [default: half of the memory of the machine, or of its container].
    #[arg(long, value_name = "SIZE", value_parser = size, env = "WEIR_MEMORY_LIMIT")]
    pub(super) memory_limit: Option<u64>,
    /// Number of threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct RunVerbArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Maximum duration of the run, such as 50m: then it is asked to stop and rolls back, and 30 s later the process ends.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// Write the report of the run as JSON, whatever its outcome: one object as printed by `runs --json`.
    #[arg(long, value_name = "FILE.json")]
    pub(super) report: Option<PathBuf>,
    /// Run all windows from this one on that no run has loaded, up to --to.
    #[arg(long = "from", value_name = "WINDOW", conflicts_with_all = ["window", "report", "timeout"])]
    pub(super) from_window: Option<String>,
    /// The last window that --from runs [default: the last one that is due].
    #[arg(long = "to", value_name = "WINDOW", requires = "from_window")]
    pub(super) to_window: Option<String>,
    /// How many windows --from runs side by side.
    #[arg(long, value_name = "N", requires = "from_window", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
    /// With --from: run windows again that are loaded already.
    #[arg(long, requires = "from_window")]
    pub(super) again: bool,
    /// Ends with exit code 75 instead of 1 if the run may succeed when it is started again.
    #[arg(long, hide = true)]
    pub(super) scheduled: bool,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Show how many records would be judged again, and change nothing.
    #[arg(long)]
    pub(super) list: bool,
    /// Write the report of the replay as JSON, as `run` does.
    #[arg(long, value_name = "FILE.json", conflicts_with = "list")]
    pub(super) report: Option<PathBuf>,
    /// Maximum duration of the replay, such as 50m.
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "list")]
    pub(super) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct QueueArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Show the windows in the queue that are not done, and change nothing.
    #[arg(long)]
    pub(super) list: bool,
    /// With --list: show the windows that are done, too.
    #[arg(long, requires = "list")]
    pub(super) all: bool,
    /// With --list: print JSON, one window per line.
    #[arg(long, requires = "list")]
    pub(super) json: bool,
    /// Enter a window again that has ended; without a window, all that are dead.
    #[arg(long, value_name = "WINDOW", num_args = 0..=1, default_missing_value = "", conflicts_with = "list")]
    pub(super) retry: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct WorkArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Run all windows that are ready, instead of --jobs of them.
    #[arg(long)]
    pub(super) all: bool,
    /// How many windows are run side by side.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    pub(super) task: TaskArgs,
    /// Run only the cases whose `model.case` contains one of these texts [default: all].
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Print JSON, one case per line, and a last line with the summary.
    #[arg(long)]
    pub(super) json: bool,
    /// Also write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    #[command(flatten)]
    pub(super) file: TaskFileArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// The number of runs to show, newest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) last: u32,
    /// Print JSON, one run per line.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    pub(super) task: TaskArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// Roll every run that did not end forward, if it has a commit record, or back; what the next start does first.
    #[arg(long)]
    pub(super) retry: bool,
    /// End this run without publishing the rest of it.
    #[arg(long, value_name = "RUN", conflicts_with = "retry")]
    pub(super) abandon: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Files (CSV, JSON Lines, Parquet, …), and tables of databases. A file is a table of the task, whose rows determine
    /// the types of its columns; a folder is one table of all its files. A table is named by a connection of weir.yaml, as
    /// CONNECTION:SCHEMA.TABLE, or by its URL, postgres://USER@HOST/DATABASE/SCHEMA.TABLE or
    /// mysql://USER@HOST/DATABASE/TABLE.
    #[arg(value_name = "INPUT", required = true)]
    pub(super) inputs: Vec<PathBuf>,
    /// The folder of the task.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) folder: PathBuf,
    /// The task's name [default: that of the file or table, if there is one].
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct ProfileArgs {
    /// A file (CSV, JSON Lines, Parquet, …), a folder or a pattern of files, `-` for standard input, an object of a store, or
    /// a table of a database, named as for `init`; with --task-config a source of the task.
    #[arg(value_name = "SOURCE")]
    pub(super) source: PathBuf,
    /// The task file that declares the source, with its types.
    #[arg(long, value_name = "FILE")]
    pub(super) task_config: Option<PathBuf>,
    /// The environment of the task whose parameter values are used.
    #[arg(long, value_name = "NAME", requires = "task_config")]
    pub(super) env: Option<String>,
    /// Sets a parameter of the task; can be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value, requires = "task_config")]
    pub(super) params: Vec<(String, String)>,
    /// Compare each column with this one: its rate or its mean by value, or by range.
    #[arg(long, value_name = "COLUMN")]
    pub(super) target: Option<String>,
    /// A text that means null, such as NA; can be given several times.
    #[arg(long = "null-value", value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) null_values: Vec<String>,
    /// Show no values of texts, no frequent values and no examples: only counts and measures.
    #[arg(long)]
    pub(super) no_values: bool,
    /// The page [default: NAME.profile.html in the working folder].
    #[arg(long, value_name = "FILE.html")]
    pub(super) output: Option<PathBuf>,
    /// Print the profile as JSON; the page is written only if --output names it.
    #[arg(long)]
    pub(super) json: bool,
    /// Number of threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct LineageArgs {
    #[command(flatten)]
    pub(super) task: TaskArgs,
    /// Only this model, rejected route (`model.rejected`) or sink; of a source, what depends on it.
    #[arg(long, value_name = "NAME")]
    pub(super) table: Option<String>,
    /// Only this column of --table.
    #[arg(long, value_name = "NAME", requires = "table")]
    pub(super) column: Option<String>,
    /// Print JSON.
    #[arg(long, conflicts_with_all = ["mermaid", "html"])]
    pub(super) json: bool,
    /// Print a Mermaid flowchart of the tables and their columns.
    #[arg(long, conflicts_with = "html")]
    pub(super) mermaid: bool,
    /// Write an HTML page, on which a column that is chosen marks those that it depends on.
    #[arg(long)]
    pub(super) html: bool,
    /// The page [default: TASK.lineage.html in the working folder].
    #[arg(long, value_name = "FILE.html", requires = "html")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Also check this crontab: that cron can read it, and that it starts this program.
    #[arg(long, value_name = "FILE")]
    pub(super) crontab: Option<PathBuf>,
    /// Send a test by each of the alerts of the task: by those of its environment, if they are for some only.
    #[arg(long)]
    pub(super) send_test_alert: bool,
    /// Print JSON, one finding per line.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub(super) cron: CronArgs,
    /// Further task files, which the same scheduler serves.
    #[arg(value_name = "MORE.yaml")]
    pub(super) more: Vec<PathBuf>,
    /// How many runs go on side by side: of several tasks, and of windows.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
    /// Serve metrics for Prometheus at http://ADDR/metrics, such as 127.0.0.1:9464.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "ADDR")]
    pub(super) metrics: Option<std::net::SocketAddr>,
}

/// Due times other than those of the task file.
#[derive(Debug, Args)]
pub(super) struct CronArgs {
    /// The due times as five cron fields in the time zone of the task's `schedule`, instead of its `cron`.
    #[arg(long, value_name = "FIELDS")]
    pub(super) cron: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    pub(super) task: TaskArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
    #[command(flatten)]
    pub(super) cron: CronArgs,
    /// The due times are those at which this crontab starts this program.
    #[arg(long, value_name = "FILE", conflicts_with = "cron")]
    pub(super) crontab: Option<PathBuf>,
    /// When the scheduler was started: what was due before does not count.
    #[arg(long, value_name = "RFC3339")]
    pub(super) since: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    pub(super) task: TaskArgs,
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// How much of the history stays, such as 90d [default: `retention.runs` in weir.yaml].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) keep: Option<Duration>,
    /// Also remove files from the archives of the sources that were archived longer ago than this
    /// [default: `retention.archives` in weir.yaml, otherwise none is removed].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) keep_archives: Option<Duration>,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct TokensArgs {
    /// The text: CSV, JSON Lines or any other [default: standard input].
    pub(super) file: Option<PathBuf>,
    /// How values stand in the text [default: that of the file's name, otherwise text].
    #[arg(long, value_enum)]
    pub(super) format: Option<TextFormat>,
    /// The folder of weir.yaml.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(super) project: PathBuf,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Print the reference of all keys in Markdown instead.
    #[arg(long)]
    pub(super) markdown: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page for each command to this folder, instead of the main page to standard output.
    #[arg(value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct StateArgs {
    /// The folder of the ledger, the locks and the scratch space [default: .weir next to the task file].
    #[arg(long, value_name = "DIR", env = "WEIR_STATE")]
    pub(super) state: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct LogArgs {
    /// The format of log lines.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT", env = "WEIR_LOG_FORMAT")]
    pub(super) log_format: LogFormat,
    /// Print only errors.
    #[arg(long)]
    pub(super) quiet: bool,
    /// Print example values of rows also where the output is not a terminal, and may be kept as a log.
    #[arg(long, env = "WEIR_SHOW_VALUES")]
    pub(super) show_values: bool,
}

impl TaskArgs {
    pub(super) fn load(&self) -> Result<Task> {
        start_log(self.log.log_format, self.log.quiet);
        let task = Task::load(self.file.path(), &self.choice())?;
        about_task(task.name());
        Ok(task)
    }

    /// The name of the environment.
    pub(super) fn environment(&self) -> &str {
        self.env.as_deref().unwrap_or("default")
    }

    pub(super) fn choice(&self) -> ParamChoice {
        ParamChoice {
            environment: self.env.clone(),
            values: self.params.clone(),
            due: self.due,
            window: self.window.clone(),
        }
    }
}

impl TaskFileArgs {
    /// Takes the argument as the task file, if there is one; returns whether there is.
    pub(super) fn take_argument(&mut self) -> bool {
        let argument = self.task.take();
        let is_given = argument.is_some();
        self.task_config = argument.or(self.task_config.take());
        is_given
    }

    /// Takes an argument that is no task file, which is one of the verb's own.
    pub(super) fn take_other_argument(&mut self) -> Option<String> {
        self.task
            .take_if(|task| task.extension().is_none_or(|extension| extension != "yaml" && extension != "yml"))
            .map(|task| task.to_string_lossy().into_owned())
    }

    /// The task file, if one was given.
    pub(super) fn given(&self) -> Option<&Path> {
        self.task_config.as_deref()
    }

    /// The task file. A command that needs one has it: `require`.
    pub(super) fn path(&self) -> &Path {
        self.given().unwrap_or(Path::new(""))
    }

    /// Another task file.
    pub(super) fn of(task_config: PathBuf) -> Self {
        Self { task: None, task_config: Some(task_config) }
    }

    /// Fails if no task file was given.
    pub(super) fn require(&self, program: &str, verb: &str) -> Result<()> {
        match self.given() {
            Some(_) => Ok(()),
            None => {
                let help = format!("{program} {verb} TASK.yaml; `{program} init` creates one from a CSV file");
                Err(Error::usage("no task file was given", help))
            }
        }
    }
}

impl StateArgs {
    /// The state folder. It does not depend on the working directory, so all runs of a task file share it.
    pub(super) fn folder(&self, task_config: &Path) -> PathBuf {
        let default = || task_config.parent().unwrap_or(Path::new("")).join(".weir");
        self.state.clone().unwrap_or_else(default)
    }
}
