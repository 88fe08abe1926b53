//! One run, from lock to report.

mod inputs;
mod inspect;
mod ledger;
mod lock;
mod machine;
mod missed;
mod recover;
mod report;
mod staging;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use datafusion::logical_expr::ScalarUDF;

pub(crate) use inputs::choose;
pub(crate) use inspect::{Inspection, inspect};
pub(crate) use ledger::Ledger;
pub(crate) use report::{Outcome, Report, StepReport};
pub(crate) use staging::{Scratch, check_fetchers, declare};

use crate::engine::{self, MemoryWatch, Resources};
use crate::error::{Error, Result};
use crate::fault;
use crate::model;
use crate::sink::{Narrow, Sink, Target};
use crate::source::{Fetchers, finish_moves};
use crate::stage::{Flow, empty_tables};
use crate::stop::Stop;
use crate::task::{Publish, Task};
use crate::watch::Watch;
use lock::Lock;
pub(crate) use lock::{holder, is_held};
use staging::Staging;

/// What a run needs beside its task.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The state folder: ledger, locks, scratch.
    pub(crate) state: PathBuf,
    pub(crate) resources: Resources,
    /// The functions that a section adds.
    pub(crate) functions: Vec<ScalarUDF>,
    /// What a section adds to read from elsewhere.
    pub(crate) fetchers: Fetchers,
}

/// Runs a task: all of its sinks are published, or none.
pub(crate) async fn run(task: &Task, settings: &Settings, watch: &Watch, stop: Stop) -> Result<Report> {
    let started = Instant::now();
    let id = new_id();
    let identity = identity(task.name(), &task.environment);
    let _lock = Lock::take(&locks(&settings.state), &identity, &id)?;
    fault::point("locked");
    let mut ledger = Ledger::open(&settings.state)?;
    recover::recover(&mut ledger, task).await?;
    fault::point("recovered");

    // Planned over tables without rows first: what is wrong with the task is said before anything is read.
    let scratch = Scratch::make(&settings.state, &identity)?;
    let session = engine::session(settings.resources, scratch.path(), &settings.functions)?;
    let sources = declare(task)?;
    check_fetchers(&sources, &settings.fetchers)?;
    let models = model::load(task)?;
    let tables = empty_tables(&sources);
    let alone = engine::without_tables(&session);
    let flow = Flow::plan(task, &alone, &sources, &models, tables, &Narrow::default()).await?;
    let opened = flow.sinks.iter().enumerate().map(|(number, sink)| sink.open(task, &identity, &id, number));
    let mut sinks = opened.collect::<Result<Vec<_>>>()?;
    let mut narrow = Narrow::default();
    for (sink, bound) in sinks.iter_mut().zip(&flow.sinks) {
        sink.look(&|run: &str| ledger.state_of(run, task.name(), &task.environment))?;
        narrow.insert(bound.name.clone(), bound.must_be_judged(sink.look_at_table().await?, task)?);
    }
    let sinks: Arc<[Sink]> = sinks.into();

    let targets: Vec<Target> = sinks.iter().map(Sink::target).collect();
    ledger.begin(&id, task.name(), &task.environment, &parameters(task), &targets)?;
    fault::point("begun");
    let mut staging = Staging {
        id: &id,
        task,
        session,
        sources: &sources,
        fetchers: &settings.fetchers,
        models: &models,
        sinks: sinks.clone(),
        narrow,
        scratch: &scratch,
        watch,
        started,
        steps: vec![],
        opened: vec![],
    };
    let memory = MemoryWatch::start(&staging.session);
    let staged = staging.stage(&mut ledger, stop).await;
    drop(memory);
    let decided = match staged {
        Ok(report) => decide(task, &flow, &sinks, report).await,
        Err(error) => Err(error),
    };
    let (mut report, decided) = match decided {
        Ok(decided) => decided,
        Err(error) => {
            let targets: Vec<Target> = sinks.iter().map(Sink::target).collect();
            take_back(task, &targets, &mut ledger, &id, &error).await;
            return Err(error);
        }
    };
    if report.outcome == Outcome::Skipped {
        ledger.end(&report)?;
        return Ok(report);
    }
    fault::point("decided");
    let publishing = Instant::now();
    commit(task, &mut ledger, &report, &decided).await?;
    fault::point("committed");
    // From here on the run only goes forward: what fails is finished by the next start.
    let publish = async {
        publish(task, &decided, &mut report).await?;
        if report.outcome == Outcome::Done {
            finish_moves(&id, &ledger.moves(&id)?)?;
            fault::point("archived");
        }
        report.steps.push(StepReport { name: "publish".to_owned(), seconds: watch.step("publish", publishing) });
        report.seconds = started.elapsed().as_secs_f64();
        report.peak_memory = machine::peak_memory();
        ledger.end(&report)
    };
    if let Err(error) = publish.await {
        return Err(not_published(task, &decided, &mut ledger, &id, error).await);
    }
    fault::point("ended");
    Ok(report)
}

/// The targets of a run, and which of them are published.
#[derive(Debug)]
struct Decided(Vec<(Target, bool)>);

impl Decided {
    fn all(&self) -> Vec<Target> {
        self.0.iter().map(|(target, _)| target.clone()).collect()
    }

    /// The targets that are published, or those that are not.
    fn targets(&self, published: bool) -> impl Iterator<Item = &Target> {
        self.0.iter().filter(move |(_, is_published)| *is_published == published).map(|(target, _)| target)
    }
}

/// Switches to what is staged, and removes what is not to be published.
async fn publish(task: &Task, decided: &Decided, report: &mut Report) -> Result<()> {
    for is_table in [true, false] {
        for target in decided.targets(true).filter(|target| target.is_table() == is_table) {
            let loaded = target.publish(task).await?;
            if let Some(output) = report.outputs.iter_mut().find(|output| output.sink == target.sink()) {
                output.loaded = loaded.map(Into::into);
            }
        }
    }
    for target in decided.targets(false) {
        target.discard(task).await?;
    }
    Ok(())
}

/// What became of a run that could not be published. As long as nothing of it is, and nothing ever will be because a table
/// refuses its rows, it is taken back; otherwise it is finished by the next start.
async fn not_published(task: &Task, decided: &Decided, ledger: &mut Ledger, id: &str, error: Error) -> Error {
    if !error.is_refusal() {
        return error.while_publishing(id);
    }
    for target in decided.targets(true) {
        if target.is_published(task).await.unwrap_or(true) {
            return error.while_publishing(id);
        }
    }
    take_back(task, &decided.all(), ledger, id, &error).await;
    error
}

/// Enters the commit record, or takes back what is staged.
async fn commit(task: &Task, ledger: &mut Ledger, report: &Report, decided: &Decided) -> Result<()> {
    let Err(error) = ledger.commit(report, &decided.targets(true).collect::<Vec<_>>()) else { return Ok(()) };
    // The record may be there all the same: where not even that can be told, the next start can.
    match ledger.state_of(&report.run, &report.task, &report.environment) {
        Ok(Some(state)) if state == "running" => {
            take_back(task, &decided.all(), ledger, &report.run, &error).await;
        }
        _ => return Err(error.while_publishing(&report.run)),
    }
    Err(error)
}

/// Decides for each sink whether it is published, and looks a last time whether it can be: one that cannot be switched
/// must stop all of them.
async fn decide(task: &Task, flow: &Flow, sinks: &[Sink], mut report: Report) -> Result<(Report, Decided)> {
    let is_published = |publish| match report.outcome {
        Outcome::Done => true,
        Outcome::GateClosed => publish == Publish::Always,
        Outcome::Skipped => false,
    };
    let published: Vec<bool> = flow.sinks.iter().map(|sink| is_published(sink.publish)).collect();
    for (output, published) in report.outputs.iter_mut().zip(&published) {
        output.published = *published;
    }
    let decided = Decided(sinks.iter().map(Sink::target).zip(published).collect());
    for target in decided.targets(true) {
        target.check(task).await?;
    }
    Ok((report, decided))
}

/// Removes what a run has staged that ended with an error. What cannot be removed now is removed by the next start,
/// which finds the run open in the ledger.
async fn take_back(task: &Task, targets: &[Target], ledger: &mut Ledger, id: &str, error: &Error) {
    let mut is_clean = true;
    for target in targets {
        if let Err(left) = target.discard(task).await {
            is_clean = false;
            tracing::warn!(error = %left, "something staged is left; the next run removes it");
        }
    }
    if is_clean && let Err(unwritten) = ledger.fail(id, error) {
        tracing::warn!(error = %unwritten, "the ledger does not have that the run failed");
    }
}

/// What is locked, and what owns the folders that it writes: a task in one environment.
pub(crate) fn identity(task: &str, environment: &str) -> String {
    format!("{task}.{environment}")
}

/// The folder of the locks.
pub(crate) fn locks(state: &Path) -> PathBuf {
    state.join("locks")
}

/// The time now, as the ledger writes it: UTC, to the second.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The time of the start, and a part that tells apart what starts in the same second, here or on another machine: a
/// table takes a run's rows once, and knows it by this.
fn new_id() -> String {
    // Each of these has keys from the system's random numbers.
    let part = RandomState::new().hash_one(std::process::id());
    format!("{}-{:012x}", Utc::now().format("%Y%m%dT%H%M%SZ"), part >> 16)
}

fn parameters(task: &Task) -> String {
    let text = |name: &str| task.params.get(name).map(|param| param.text.clone());
    let values: serde_json::Map<String, serde_json::Value> =
        task.params.names().map(|name| (name.to_owned(), text(name).into())).collect();
    serde_json::Value::Object(values).to_string()
}
