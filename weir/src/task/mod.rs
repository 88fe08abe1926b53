//! The task file: YAML, parsed into typed and validated structs.
//!
//! Every mapping rejects unknown and duplicate keys. Every error names the file, the line, the column and, for a name,
//! the nearest known one.

mod alert;
mod characters;
mod column;
mod dialect;
mod documents;
mod every;
mod file;
mod files;
mod misplaced;
mod moving;
mod openlineage;
mod output_files;
mod params;
mod private;
mod project;
mod quality;
mod reference;
mod schedule;
mod schema;
mod secret;
mod sink;
mod source;
mod sql_type;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod values;
mod window;
mod yaml;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use serde_saphyr::Spanned;

pub(crate) use alert::Channel;
pub use alert::{AlertEvent, AlertSpec, EmailSpec, Template, WebhookSpec};
pub use characters::Characters;
pub use column::{ColumnFrom, ColumnSpec, OnInvalid};
pub use dialect::{HeaderSpec, Headers, LineEnd, MergedCells, Quoting, RepeatedHeader, ShortLines};
pub use documents::DocumentsSpec;
pub use every::Every;
pub use files::{Compression, FilesSpec, Format};
pub use openlineage::OpenLineageSpec;
#[cfg(feature = "http")]
pub(crate) use openlineage::OpenLineageTarget;
pub use output_files::{OutputFilesSpec, OutputFormat};
pub(crate) use params::RUN_STARTED_AT;
pub use params::{EnvironmentSpec, Param, ParamChoice, ParamSpec, Params};
pub use private::{KeySpec, PrivateSpec};
pub(crate) use project::PROJECT_FILE;
pub use project::{ConnectionSpec, Dialect, MetricsSpec, Project, ProjectSpec, RetentionSpec};
pub use quality::{GateSpec, Keep, QualitySpec, Requirement, RuleSpec};
pub(crate) use reference::Published;
pub use reference::ReferenceSpec;
pub use schedule::{RetriesSpec, ScheduleSpec, Span};
pub use sink::{HistorySpec, Mode, OutputColumnSpec, Publish, Route, SchemaChanges, SinkSpec, TableSpec};
pub use source::{
    CursorSpec, FetchSpec, IfChanged, IfCopied, IfEmpty, IfMissing, MysqlSourceSpec, PostgresSourceSpec, Read,
    SourceSpec, UnknownColumns, ZeroDates,
};
pub use sql_type::SqlType;
pub(crate) use sql_type::{UTC, is_json, mark_json, type_name, type_of};
#[cfg(feature = "object-stores")]
pub(crate) use store::StoreSettings;
pub use store::StoreSpec;
pub(crate) use store::is_object_url;
pub use text::{Limit, Scalar};
pub use values::{Formats, Negative, ValueSpec};
pub use window::{Window, WindowOrder, WindowSpec};

pub(crate) use file::read_text;
pub(crate) use schema::{json_schema, project_schema};
pub(crate) use times::{NAMED_TIMES, Times, parse_cron, parse_zone};
pub(crate) use window::Windows;
pub(crate) use yaml::parse_yaml;

use crate::error::{Error, Result};
pub use crate::error::{Place, SourceText, TaskError};
use crate::system::disk;
use yaml::shortened;

/// Names become parts of file names, which the file system limits.
const MAX_NAME: usize = 64;

/// A task file: sources, models, quality rules and sinks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Task")]
pub struct TaskSpec {
    /// The task's name: lower-case letters, digits, `_` and `-`, a letter first. Together with the environment it is
    /// the key of the lock, of the ledger's entries and of the ownership of sink folders.
    #[schemars(with = "String", regex(pattern = r"^[a-z][a-z0-9_-]*$"), example = &"applications")]
    pub name: Spanned<String>,
    /// What the task does, in one sentence.
    pub description: Option<String>,
    /// When `weir schedule` starts the task. Without it the task runs only when `weir run` is called.
    #[serde(default)]
    #[schemars(with = "Option<ScheduleSpec>")]
    pub schedule: Option<Spanned<ScheduleSpec>>,
    /// The windows of time into which the runs are divided. Without it each run covers all of its sources.
    #[serde(default)]
    #[schemars(with = "Option<WindowSpec>", example = json!({"every": "1h", "start": "2026-01-01"}))]
    pub window: Option<Spanned<WindowSpec>>,
    /// The tasks, by name, that `weir schedule` runs before this one, if it serves them, too: a run that is due waits until theirs
    /// that were due until then have ended, and is not started if the last one was no success.
    #[serde(default)]
    #[schemars(with = "Vec<String>", example = json!(["customers"]))]
    pub after: Vec<Spanned<String>>,
    /// The folder that relative paths of data start from, itself relative to the folder of the task file; by default that
    /// folder. A path that begins with a parameter which `--param` sets starts from the working directory. Paths of SQL files
    /// are always relative to the task file.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"../..")]
    pub base_folder: Option<Spanned<String>>,
    /// Who is told how runs of this task end, by name, besides those of `weir.yaml`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, AlertSpec>", example = json!({"ops": {"webhook": {"url": "${env:HOOK}"}}}))]
    pub alerts: IndexMap<String, Spanned<AlertSpec>>,
    /// Named, typed values: `$name` in SQL and in conditions, `${name}` in paths.
    #[serde(default)]
    pub params: IndexMap<String, ParamSpec>,
    /// Overrides of parameter values, by environment name; `--env NAME` selects one.
    #[serde(default)]
    pub environments: IndexMap<String, EnvironmentSpec>,
    /// The inputs. Models read each as a table by its name: lower-case letters, digits and `_`, a letter first.
    #[schemars(with = "IndexMap<String, SourceSpec>")]
    pub sources: IndexMap<String, Spanned<SourceSpec>>,
    /// SQL models: for each table name the path of a file with one `select`, relative to the task file.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, String>", example = json!({"applicant": "sql/applicant.sql"}))]
    pub models: IndexMap<String, Spanned<String>>,
    /// Quality rules and gates, by model name.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, QualitySpec>")]
    pub quality: IndexMap<String, Spanned<QualitySpec>>,
    /// A folder that a run replaces as a whole, by one rename: the folders of all sinks lie in it side by side, with `mode:
    /// overwrite`, and it holds nothing else. Without it the folders are renamed one right after the other.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"out")]
    pub replace_folder: Option<Spanned<String>>,
    /// The outputs. All sinks of a run are published atomically: all or none.
    #[schemars(with = "IndexMap<String, SinkSpec>")]
    pub sinks: IndexMap<String, Spanned<SinkSpec>>,
}

/// A task, ready to be planned: its file, its spec and the values of its parameters.
#[derive(Debug, Clone)]
pub struct Task {
    /// The task file's text, for error messages.
    pub source: SourceText,
    /// The folder of the task file: paths of SQL files are relative to it.
    pub folder: PathBuf,
    /// The parsed file.
    pub spec: TaskSpec,
    /// The parameter values of this run.
    pub params: Params,
    /// `--env`, or `default`.
    pub environment: String,
    /// What `weir.yaml` in the same folder has.
    pub project: Project,
    /// What `now()`, `current_date` and `$run_started_at` are in a run, if not its start.
    pub run_started_at: Option<DateTime<Utc>>,
    /// The window of time that the run covers, of a task that has windows.
    pub window: Option<Window>,
}

impl Task {
    /// Reads and validates a task file. Data and SQL files are not read.
    pub fn load(path: &Path, choice: &ParamChoice) -> Result<Self> {
        let task = Self::parse(path, read(path)?, choice)?;
        Ok(Self { project: Project::load(&task.folder)?, ..task })
    }

    /// Like `load`, for a text in memory; `path` is the path that errors show.
    pub fn parse(path: &Path, text: String, choice: &ParamChoice) -> Result<Self> {
        let source = SourceText::new(path, text);
        let spec = parse_spec(&source)?;
        let schedule = spec.schedule.as_ref().map(|schedule| &schedule.value);
        let windows = spec.window.as_ref().map(|window| &window.value);
        let zone = match (schedule, windows) {
            (Some(schedule), _) => schedule.zone(&source).map_err(Box::new)?,
            (None, Some(windows)) => windows.zone(&source).map_err(Box::new)?,
            (None, None) => chrono_tz::UTC,
        };
        let mut params = Params::resolve(&source, &spec.params, &spec.environments, choice, zone)?;
        let windows = windows.map(|windows| windows.windows(&source, &params)).transpose()?;
        let window = chosen_window(&source, windows.as_ref(), choice)?;
        if let Some(window) = &window {
            params.add_window(&source, &spec.params, window)?;
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let environment = choice.environment.clone().unwrap_or_else(|| "default".to_owned());
        let project = Project::default();
        Ok(Self { source, folder, spec, params, environment, project, run_started_at: None, window })
    }

    /// Whether a source has private columns: then nothing shows values of rows.
    pub(crate) fn has_private_columns(&self) -> bool {
        self.spec.sources.values().any(|source| source.value.has_private_columns())
    }

    /// The same task for a process that finds no sources: places with secrets, which it does not have, are left out.
    pub(crate) fn leave_places_out(&mut self) {
        for source in self.spec.sources.values_mut() {
            if let Some(files) = &mut source.value.files
                && ["${env:", "${file:"].iter().any(|secret| files.path.value.contains(secret))
            {
                files.path.value = "/not-told".to_owned();
            }
        }
    }

    /// The windows of time into which its runs are divided, if it has any.
    pub(crate) fn windows(&self) -> Result<Option<Windows>> {
        self.spec.window.as_ref().map(|window| window.value.windows(&self.source, &self.params)).transpose()
    }

    /// A path of data with its parameters, relative to the working directory or absolute. As the task file has it, it is
    /// relative to the base folder; one that begins with a parameter of the command line is what somebody typed where he is.
    pub(crate) fn data_path(&self, text: &Spanned<String>) -> Result<String> {
        let text = &self.in_window(text)?;
        self.located(text, self.params.fill(&self.source, text)?, str::to_owned)
    }

    /// A path with the parts of the window of the run in place of `%Y` and the like.
    fn in_window(&self, text: &Spanned<String>) -> Result<Spanned<String>> {
        let mut filled = text.clone();
        if let Some(window) = &self.window {
            let wrong = |message| Box::new(self.error(text, format!("the path has {message}")));
            filled.value = window.fill(&text.value).map_err(wrong)?;
        }
        Ok(filled)
    }

    /// Like `data_path`, for a pattern of files or objects, or a URL, which may have secrets. Values of parameters, and the
    /// base folder, are no patterns.
    pub(crate) fn data_pattern(&self, text: &Spanned<String>) -> Result<String> {
        let text = &self.in_window(text)?;
        let plain = secret::fill(&self.source, text, &self.params)?;
        if plain.contains("://") && !is_object_url(&plain) {
            return Ok(plain);
        }
        self.located(text, self.params.fill_with(&self.source, text, glob::Pattern::escape)?, glob::Pattern::escape)
    }

    fn located(&self, at: &Spanned<String>, path: String, escape: fn(&str) -> String) -> Result<String> {
        let is_stdin = path == "-";
        if is_stdin
            || path.contains("://")
            || Path::new(&path).is_absolute()
            || self.params.begins_with_given(&at.value)
        {
            return Ok(path);
        }
        let base = self.spec.base_folder.as_ref().map(|base| self.params.fill(&self.source, base)).transpose()?;
        let base = disk::absolute(&self.folder.join(base.unwrap_or_default()));
        let here = disk::absolute(Path::new("."));
        let base = base.strip_prefix(&here).unwrap_or(&base);
        match base.to_str() {
            Some("") => Ok(path),
            Some(base) => Ok(format!("{}/{path}", escape(base).trim_end_matches('/'))),
            None => {
                let error = self.error(at, "the path is relative to a folder whose name is not UTF-8");
                Err(Box::new(error.with_help("write an absolute path, or start the program in that folder")).into())
            }
        }
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.spec.name.value
    }

    /// The error for a connection that weir.yaml does not define.
    pub(crate) fn unknown_connection(&self, name: &Spanned<String>) -> TaskError {
        let error = self.error(name, format!("unknown connection `{}`", name.value));
        let error = error.with_help("define it under `connections` in weir.yaml, in the folder of the task file");
        error.nearest(&name.value, self.project.connections())
    }

    /// An error at a position in the task file.
    pub fn error<T>(&self, at: &Spanned<T>, message: impl std::fmt::Display) -> TaskError {
        TaskError::new(&self.source, Place::of(at.referenced), message)
    }
}

/// The name of the task in a task file, independent of its parameters.
pub(crate) fn name_in(path: &Path) -> Result<String> {
    Ok(parse_spec(&SourceText::new(path, read(path)?))?.name.value)
}

/// The name of the task in a text that need not be valid.
fn name_line(text: &str) -> Option<&str> {
    let name = text.lines().find_map(|line| line.strip_prefix("name:"))?;
    Some(name.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']))
}

/// What the runs of a task are found by, as far as it can be read: its name, the connections next to it, and its parameters.
/// A run that died must be recovered also when the task file was broken since then.
#[derive(Debug)]
pub(crate) struct TaskOwner {
    pub(crate) name: String,
    pub(crate) project: Project,
    pub(crate) params: Params,
}

impl TaskOwner {
    pub(crate) fn read(path: &Path, choice: &ParamChoice) -> Result<Self> {
        match Task::load(path, choice) {
            Ok(task) => Ok(Self { name: task.name().to_owned(), project: task.project, params: task.params }),
            Err(error) => {
                let name = name_line(&read(path)?).ok_or(error)?.to_owned();
                let project = Project::load(path.parent().unwrap_or(Path::new("")))?;
                Ok(Self { name, project, params: Params::default() })
            }
        }
    }
}

/// The window that was chosen, otherwise the last one that is due. Before the first one is due it is that one, so that the
/// task can be checked.
fn chosen_window(source: &SourceText, windows: Option<&Windows>, choice: &ParamChoice) -> Result<Option<Window>> {
    let chosen = match (windows, &choice.window) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            let help = "add `window: {every: 1h, start: …}` to the task, or run it without --window";
            return Err(Error::usage(format!("--window: {} has no windows", source.name()), help));
        }
        (Some(windows), Some(name)) => Some(
            windows
                .named(name)
                .map_err(|message| Error::usage(format!("--window: {message}"), "name a window by its beginning"))?,
        ),
        (Some(windows), None) => windows.last_due(choice.due.unwrap_or_else(Utc::now)).or_else(|| windows.first()),
    };
    let none = || Box::new(TaskError::new(source, None, "`window` has no window in the calendar"));
    chosen.map(Some).ok_or_else(|| none().into())
}

fn read(path: &Path) -> Result<String> {
    read_text(path).map_err(|what| {
        let help = "check the path, as in `weir run TASK.yaml`; `weir init` creates a task to start from";
        Error::usage(format!("task file {}: {what}", path.display()), help)
    })
}

fn parse_spec(source: &SourceText) -> Result<TaskSpec> {
    let mut spec = parse_yaml(source)?;
    check_names(source, &spec)?;
    reference::follow(source, &mut spec)?;
    if let Some(schedule) = &spec.schedule {
        schedule.value.times(source).map_err(Box::new)?;
    }
    for (name, alert) in &spec.alerts {
        alert.value.check(source, name, Place::of(alert.referenced)).map_err(Box::new)?;
    }
    if let Some((_, schedule)) = spec.window.as_ref().zip(spec.schedule.as_ref()) {
        let message = "`schedule` is for tasks without windows: a window is due when it has ended";
        let help =
            "remove it; `timezone`, `timeout` and `retries` are keys of `window`, too, and `lag` delays its windows";
        return Err(Box::new(TaskError::new(source, Place::of(schedule.referenced), message).with_help(help)).into());
    }
    Ok(spec)
}

/// Names become table names, folder names and log fields, so only plain ones are valid. A table is a source or a model,
/// not both.
fn check_names(source: &SourceText, spec: &TaskSpec) -> Result<()> {
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && name.len() <= MAX_NAME
    };
    let place = Place::of(spec.name.referenced);
    if !plain(&spec.name.value.replace('-', "_")) {
        let error =
            TaskError::new(source, place, format!("`{}` is not a valid task name", shortened(&spec.name.value)))
                .with_help("use lower-case letters, digits, `_` and `-`, a letter first, at most 64 characters");
        return Err(Box::new(error).into());
    }
    let tables = spec.sources.iter().map(|(name, at)| (name, at.referenced));
    let models = spec.models.iter().map(|(name, at)| (name, at.referenced));
    let sinks = spec.sinks.iter().map(|(name, at)| (name, at.referenced));
    for (name, location) in tables.chain(models.clone()).chain(sinks) {
        if !plain(name) {
            let error =
                TaskError::new(source, Place::of(location), format!("`{}` is not a valid name", shortened(name)))
                    .with_help("use lower-case letters, digits and `_`, a letter first, at most 64 characters");
            return Err(Box::new(error).into());
        }
    }
    for name in spec.environments.keys() {
        if !plain(&name.replace('-', "_")) || name == "default" {
            let error = TaskError::new(source, None, format!("`{}` is not a valid environment name", shortened(name)))
                .with_help("use lower-case letters, digits, `_` and `-`; `default` is the environment without --env");
            return Err(Box::new(error).into());
        }
    }
    if let Some((name, location)) = models.into_iter().find(|(name, _)| spec.sources.contains_key(*name)) {
        let error = TaskError::new(source, Place::of(location), format!("`{name}` is both a source and a model"))
            .with_help("give the model another name");
        return Err(Box::new(error).into());
    }
    if spec.sinks.is_empty() {
        let error = TaskError::new(source, None, "the task has no sink: it would write nothing");
        return Err(Box::new(error).into());
    }
    Ok(())
}
