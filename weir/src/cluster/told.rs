//! What an executor is told of a run: the files of its task, from which it plans the same as the client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::folder::{task_file, told};
use super::host::Host;
use super::lease;
use crate::engine::{self, Resources};
use crate::error::{Error, Result, state_io};
use crate::plan::{Draft, Plan, Stage, resolved};
use crate::sink::{ColumnLimits, Part, Parts};
use crate::source::Source;
use crate::stage::{Outputs, Shared};
use crate::system::disk;
use crate::task::{ParamChoice, Task};

/// The run, as its folder has it.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// The task file, as an absolute path on the client.
    task: PathBuf,
    environment: String,
    /// Their names, their values, and whether the command line has set them.
    params: Vec<(String, String, bool)>,
    window: Option<String>,
    /// What `now()` is.
    moment: DateTime<Utc>,
    /// The pending form of each sink to which executors write.
    sinks: Vec<Option<Value>>,
}

/// Writes the files of a task, and what else there is to know, to the folder of a run.
pub(super) fn write(run: &Path, task: &Task, moment: DateTime<Utc>, sinks: Vec<Option<Value>>) -> Result<()> {
    for file in task.files()? {
        let to = task_file(run, &disk::absolute(&file));
        let copied = disk::make_folder(to.parent().unwrap_or(run)).and_then(|()| std::fs::copy(&file, &to).map(drop));
        copied.map_err(state_io(&to))?;
    }
    let names = task.params.names().filter(|name| task.spec.params.contains_key(*name));
    let params = names.filter_map(|name| {
        let param = task.params.get(name)?;
        Some((name.to_owned(), param.text.clone(), param.is_given))
    });
    let params = params.collect();
    let told_of = Told {
        task: disk::absolute(Path::new(task.source.name())),
        environment: task.environment.clone(),
        params,
        window: task.window.as_ref().map(|window| window.label.clone()),
        moment,
        sinks,
    };
    let path = told(run);
    let text = serde_json::to_vec(&told_of).map_err(|error| Error::internal(format!("a run as JSON: {error}")))?;
    disk::write_whole(&path, &text).map_err(state_io(&path))
}

/// A run, as an executor has planned it.
#[derive(Debug)]
pub(super) struct ToldRun {
    plan: Plan,
    /// What the passes of its stages write to.
    pub(super) to: Arc<Outputs>,
}

impl ToldRun {
    /// Plans the run of a folder.
    pub(super) fn load(run: &Path, host: &Host) -> Result<Self> {
        let path = told(run);
        let text = std::fs::read(&path).map_err(state_io(&path))?;
        let told: Told = serde_json::from_slice(&text)
            .map_err(|error| Error::state(&path, error, "let all machines have the same build of the program"))?;
        // Plans may be deep, and are made on a stack of their own.
        let planning = || std::thread::Builder::new().stack_size(256 << 20);
        std::thread::scope(|scope| {
            let thread = planning().spawn_scoped(scope, || futures::executor::block_on(Self::plan(run, &told, host)));
            let thread = thread.map_err(|error| {
                Error::system("a thread cannot be started", error, "check the limits of this user's processes")
            })?;
            thread.join().unwrap_or_else(|_| Err(Error::internal("planning a run that was told has panicked")))
        })
    }

    async fn plan(run: &Path, told: &Told, host: &Host) -> Result<Self> {
        let choice = ParamChoice {
            environment: Some(told.environment.clone()).filter(|name| name != "default"),
            values: told.params.iter().map(|(name, text, _)| (name.clone(), text.clone())).collect(),
            due: Some(told.moment),
            window: told.window.clone(),
        };
        let mut task = Task::load(&task_file(run, &told.task), &choice)?;
        task.run_started_at = Some(told.moment);
        let given = told.params.iter().filter(|(_, _, is_given)| *is_given).map(|(name, ..)| name.as_str());
        task.params.only_given(&given.collect::<Vec<_>>());
        task.leave_places_out();
        let task = resolved(&task, &host.functions, &host.fetchers).await?.into_owned();
        let session = engine::session(Resources::default(), run, &host.functions, task.run_started_at)?;
        let draft = Draft::of(&task, &session, &host.fetchers).await?;
        // Tables, which have limits of their own, are written by the client.
        let plan = draft.plan(&task, &session, &ColumnLimits::new())?;
        let sinks = plan.sinks.iter().zip(&told.sinks).map(|(sink, pending)| match pending {
            Some(pending) => sink.target.attempts(pending)?.ok_or_else(|| not_here(&sink.name)),
            None => Ok(Arc::new(NotHere(sink.name.clone())) as Arc<dyn Parts>),
        });
        let folder = run.to_owned();
        let shared = Some(Shared { is_wanted: Some(Box::new(move || lease::check(&folder))) });
        let to = Outputs { sinks: sinks.collect::<Result<_>>()?, scratch: run.to_owned(), shared };
        Ok(Self { plan, to: Arc::new(to) })
    }

    /// The stage of a table.
    pub(super) fn stage(&self, table: &str) -> Result<Arc<Stage>> {
        let stage = self.plan.stages.iter().find(|stage| stage.table == table);
        stage.cloned().ok_or_else(|| Error::internal(format!("the task has no stage `{table}` here")))
    }

    /// The source of a name, and the positions of the sinks of its unreadable records.
    pub(super) fn source(&self, name: &str) -> Result<(&Source, Vec<usize>)> {
        let source = self.plan.sources.iter().find(|source| source.name() == name);
        let source = source.ok_or_else(|| Error::internal(format!("the task has no source `{name}` here")))?;
        Ok((source, self.plan.sinks_of_rejected(name)))
    }
}

/// The parts of a sink that executors do not write to.
#[derive(Debug)]
struct NotHere(String);

impl Parts for NotHere {
    fn part(&self) -> Result<Box<dyn Part>> {
        Err(not_here(&self.0))
    }
}

fn not_here(sink: &str) -> Error {
    Error::internal(format!("sink `{sink}` is not written to by executors"))
}
