//! Tasks run by a program, without a command line.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::displayable;
use miette::Diagnostic;

use super::replay::Search;
use super::{Purpose, Settings, key_of, run_for};
use crate::alert::Alerts;
use crate::cluster::{Cluster, Planner, SourceTables};
use crate::database::{Connector, Sessions};
use crate::engine::{self, Resources};
use crate::error::{Error, Result};
use crate::ledger::{Ledger, runs_of};
use crate::metrics;
#[cfg(feature = "http")]
use crate::openlineage::OpenLineage;
use crate::plan::{Draft, Plan, PlanDescription, SourceDescription, Tables, resolved};
use crate::report::{ReplayReport, Report, RunRecord};
use crate::source::fetch::Fetch;
use crate::source::{Opening, Source};
use crate::system::allocator::{self, Allocator};
use crate::system::stop::Stop;
use crate::task::{Read, Task};
use crate::watch::{Observer, Observers};

/// Runs tasks. The command line is one user of it.
///
/// It needs a multi-threaded Tokio runtime.
///
/// ```
/// use weir::task::ParamChoice;
/// use weir::{Runner, Task};
///
/// # let folder = tempfile::tempdir()?;
/// # let at = |path: &str| folder.path().join(path);
/// std::fs::write(at("people.csv"), "name,age\nAnn,30\nBob,17\n")?;
/// std::fs::write(at("adult.sql"), "select name, age from person")?;
/// std::fs::write(at("task.yaml"), r#"
/// name: people
/// params: {folder: {type: string}}
/// sources:
///   person:
///     files: {path: "${folder}/people.csv", format: csv}
///     columns: {name: string, age: integer}
/// models: {adult: adult.sql}
/// quality:
///   adult: {reject_unless: {too_young: age >= 18}}
/// sinks:
///   good: {from: adult, mode: overwrite, files: {path: "${folder}/good", format: csv}}
///   bad: {from: adult.rejected, mode: overwrite, files: {path: "${folder}/bad", format: csv}}
/// "#)?;
///
/// let mut params = ParamChoice::default();
/// params.values.push(("folder".to_owned(), folder.path().display().to_string()));
/// let task = Task::load(&at("task.yaml"), &params)?;
/// let runner = Runner::new(at("state")).threads(2);
/// let runtime = tokio::runtime::Runtime::new()?;
///
/// let plan = runtime.block_on(runner.plan(&task))?;
/// assert_eq!(plan.stages[0].rules, ["too_young"]);
///
/// let report = runtime.block_on(runner.run(&task))?;
/// let adults = report.tables.iter().find(|table| table.table == "adult").unwrap();
/// assert_eq!((adults.accepted, adults.rejected), (1, 1));
/// assert_eq!(std::fs::read_to_string(at("good/part-00000.csv"))?, "name,age\nAnn,30\n");
/// assert_eq!(runner.runs(Some("people"), 10)?[0].id, report.run);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Runner {
    settings: Settings,
}

/// A run that ended with an error: the error, and what the run completed before it.
#[derive(Debug)]
pub struct RunError {
    /// The error that ended the run.
    pub error: Error,
    /// The counts, samples and steps up to the error.
    pub report: Report,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Diagnostic for RunError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.error.help()
    }
}

impl Runner {
    /// Runs tasks with a state folder, which has their ledger, locks and scratch space.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        let (state, resources) = (state.into(), Resources::default());
        let observers = Observers::default();
        let settings = Settings { state, resources, functions: vec![], fetchers: [].into(), observers, cluster: None };
        Self { settings }
    }

    /// Adds SQL functions.
    #[must_use]
    pub fn functions(mut self, functions: impl IntoIterator<Item = ScalarUDF>) -> Self {
        self.settings.functions.extend(functions);
        self
    }

    /// Adds a fetcher.
    #[must_use]
    pub fn fetch(mut self, fetcher: impl Fetch + 'static) -> Self {
        let fetcher: Arc<dyn Fetch> = Arc::new(fetcher);
        self.settings.fetchers = self.settings.fetchers.iter().cloned().chain([fetcher]).collect();
        self
    }

    /// Adds an observer of the runs.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.settings.observers.add(observer);
        self
    }

    /// Has the stages computed by the machines of a cluster, as far as they can be.
    #[must_use]
    pub fn cluster(mut self, cluster: Arc<dyn Cluster>) -> Self {
        self.settings.cluster = Some(cluster);
        self
    }

    /// Sets the threads of a run; one for each core when not set.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.resources.threads = threads;
        self
    }

    /// Sets the bytes of memory that the process may have; half of the machine's when not set.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.settings.resources.memory_limit = bytes;
        self
    }

    /// Names the global allocator of the program.
    #[must_use]
    pub fn allocator(self, allocator: Allocator) -> Self {
        allocator::set(allocator);
        self
    }

    /// Runs a task: all of its sinks are published, or none; then sends its `alerts`. A run that is dropped before its end is rolled back, or
    /// forward, by the next one.
    ///
    /// # Errors
    /// If the task is wrong, another run holds the lock, or anything fails on the way; the error has the report of what was
    /// done. A bad row is not an error, and neither is a closed gate: see [`Report::outcome`].
    pub async fn run(&self, task: &Task) -> Result<Report, RunError> {
        self.run_for(Purpose::NewData, task).await
    }

    /// Judges the records again that earlier runs of a task have rejected, and publishes those that are accepted now, each at
    /// most once; then sends its `alerts`.
    ///
    /// # Errors
    /// As [`run`](Self::run); and if the task cannot be replayed without harm, for example because a sink would replace its
    /// rows by those of the replay.
    pub async fn replay(&self, task: &Task) -> Result<Report, RunError> {
        self.run_for(Purpose::Replay, task).await
    }

    async fn run_for(&self, purpose: Purpose, task: &Task) -> Result<Report, RunError> {
        let mut settings = self.settings.clone();
        let alerts = Alerts::of(task, &settings.state);
        alerts.iter().for_each(|alerts| settings.observers.share(alerts.clone()));
        #[cfg(feature = "http")]
        let lineage = OpenLineage::of(task, &key_of(task));
        #[cfg(feature = "http")]
        lineage.iter().for_each(|lineage| settings.observers.share(lineage.clone()));
        let run = run_for(purpose, task, &settings, Stop::never()).await;
        #[cfg(feature = "http")]
        if let Some(lineage) = lineage {
            // What could not be sent is logged.
            let _ = tokio::task::spawn_blocking(move || lineage.finish()).await;
        }
        metrics::write(task, &key_of(task), &settings.state);
        if let Some(alerts) = alerts {
            // What could not be sent is logged.
            let _ = tokio::task::spawn_blocking(move || alerts.deliver()).await;
        }
        run.map_err(|failed| RunError { error: failed.error, report: failed.report })
    }

    /// Describes what a run of the task would do, if it were started now. Nothing is changed.
    ///
    /// # Errors
    /// If such a run would end with an error before it reads a row.
    pub async fn plan(&self, task: &Task) -> Result<PlanDescription> {
        describe(task, &self.settings).await
    }

    /// The newest runs of the state folder first, of one task or of all.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn runs(&self, task: Option<&str>, most: u32) -> Result<Vec<RunRecord>> {
        runs_of(&self.settings.state, task, most)
    }
}

/// Whether a run that would be started now finds files that the published runs of its window have not read.
pub(crate) async fn has_new_files(task: &Task, settings: &Settings) -> Result<bool> {
    let task = &*resolved(task, &settings.functions, &settings.fetchers).await?;
    let (key, connector, stop) = (key_of(task), Connector::of(task), Stop::never());
    let mut ledger = Ledger::read_only(&settings.state)?;
    let mut sessions = Sessions::new(connector, &stop);
    for source in Source::declare_all(task)? {
        let Some(spec) = task.spec.sources.get(source.name()).filter(|spec| spec.value.files.is_some()) else {
            continue;
        };
        let mut opening = Opening::to_show(&key, ledger.as_mut(), &settings.fetchers, &mut sessions, &stop);
        let files = source.open(&mut opening).await?.files;
        let is_new = match (spec.value.read, ledger.as_ref()) {
            (Read::All, Some(ledger)) => ledger.has_changed(&key, source.name(), &files)?,
            _ => !files.is_empty(),
        };
        if is_new {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a replay would judge again, if it were started now. Nothing is changed.
pub(crate) async fn replayable(task: &Task, settings: &Settings) -> Result<ReplayReport> {
    let task = &*resolved(task, &settings.functions, &settings.fetchers).await?;
    let (key, connector, stop) = (key_of(task), Connector::of(task), Stop::never());
    let session = engine::session(settings.resources, &std::env::temp_dir(), &settings.functions, task.run_started_at)?;
    let plan = Draft::of(task, &session, &settings.fetchers).await?.replay(task)?;
    // Without a ledger no run has read a file.
    let Some(mut ledger) = Ledger::read_only(&settings.state)? else { return Ok(ReplayReport::default()) };
    let mut sessions = Sessions::new(connector, &stop);
    let search = Search { task, session: &session, plan: &plan };
    let mut opening = Opening::to_show(&key, Some(&mut ledger), &settings.fetchers, &mut sessions, &stop);
    let records = search.records(&mut opening).await;
    sessions.end().await;
    Ok(records?.report())
}

/// The plan of a run that would be started now, with the limits of the sinks' targets, and what it would read.
pub(crate) async fn describe(task: &Task, settings: &Settings) -> Result<PlanDescription> {
    let task = &*resolved(task, &settings.functions, &settings.fetchers).await?;
    let (key, connector, stop) = (key_of(task), Connector::of(task), Stop::never());
    let session = engine::session(settings.resources, &std::env::temp_dir(), &settings.functions, task.run_started_at)?;
    let draft = Draft::of(task, &session, &settings.fetchers).await?;
    let ledger = Mutex::new(Ledger::read_only(&settings.state)?);
    let history = |run: &str| match ledger.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(ledger) => ledger.state_of(run, &key),
        None => Ok(None),
    };
    let sinks = draft.open_sinks(task, &key, "plan", &connector, &history).await?;
    let plan = draft.plan(task, &session, &sinks.limits)?;
    let mut ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut sessions = Sessions::new(connector.clone(), &stop);
    let writes = sinks.targets.iter().map(|target| target.takes_attempts()).collect();
    let planner = match settings.cluster.as_ref().filter(|_| !task.has_private_columns()) {
        Some(cluster) => Some(Planner::begin(cluster, &session, writes).await?),
        None => None,
    };
    let (mut tables, mut of_files) = (Tables::new(), SourceTables::new());
    let (mut sources, mut nothing_to_do) = (vec![], None);
    for source in &plan.sources {
        let mut opening = Opening::to_show(&key, ledger.as_mut(), &settings.fetchers, &mut sessions, &stop);
        let opened = source.open(&mut opening).await?;
        if let Some(table) = opened.table {
            of_files.insert(source.name().to_owned(), table.clone());
            tables.insert(source.name().to_owned(), table);
        }
        nothing_to_do = nothing_to_do.or(opened.nothing_to_do);
        sources.push(SourceDescription {
            name: source.name().to_owned(),
            summary: opened.summary,
            bytes: opened.bytes,
            files: opened.files.into_iter().map(|file| (file.name.clone(), file.size())).collect(),
        });
    }
    let mut stages = vec![];
    for reader in &plan.bind(&session, &tables, planner.is_none()).await? {
        for bound in reader.all() {
            let mut physical = bound.physical_plan(&session).await?;
            let mut computed = None;
            if let Some(planner) = &planner {
                let away = planner.plan(bound).await?;
                let why = planner.why_here(&bound.stage, &away, &plan, &of_files)?;
                if why.is_none() {
                    physical = away;
                }
                computed =
                    Some(why.map_or_else(|| "by the cluster".to_owned(), |why| format!("in this process: {why}")));
            }
            let physical = displayable(physical.as_ref()).indent(false).to_string();
            let mut stage = plan.describe_stage(&bound.stage, bound.streams_to.clone(), physical);
            stage.computed = computed;
            stages.push(stage);
        }
    }
    sessions.end().await;
    let text = |name: &str| task.params.get(name).map(|param| param.text.clone()).unwrap_or_default();
    let (Plan { models, .. }, sinks) = (&plan, plan.describe_sinks());
    Ok(PlanDescription {
        task: task.name().to_owned(),
        environment: task.environment.clone(),
        params: task.params.names().map(|name| (name.to_owned(), text(name))).collect(),
        nothing_to_do,
        sources,
        models: models.iter().map(|model| model.name.clone()).collect(),
        stages,
        sinks,
        lineage: plan.lineage(task),
    })
}
