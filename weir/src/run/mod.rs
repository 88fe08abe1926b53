//! One run, from lock to report.

mod ledger;
mod lock;
mod machine;
mod recover;
mod report;
mod staging;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use datafusion::logical_expr::ScalarUDF;

pub(crate) use ledger::Ledger;
pub(crate) use report::{Outcome, Report, StepReport};
pub(crate) use staging::{Scratch, declare};

use crate::engine::{self, Resources};
use crate::error::{Error, Result};
use crate::model;
use crate::sink::{Folder, FolderSink};
use crate::stage::{Flow, Stop, empty_tables};
use crate::task::{Publish, Task};
use crate::watch::Watch;
use lock::Lock;
pub(crate) use lock::is_held;
use staging::Staging;

/// What a run needs beside its task.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The state folder: ledger, locks, scratch.
    pub(crate) state: PathBuf,
    pub(crate) resources: Resources,
    /// The functions that a section adds.
    pub(crate) functions: Vec<ScalarUDF>,
}

/// Runs a task: all of its sinks are published, or none.
pub(crate) async fn run(task: &Task, settings: &Settings, watch: &Watch, stop: Stop) -> Result<Report> {
    let started = Instant::now();
    let id = new_id();
    let identity = identity(task.name(), &task.environment);
    let _lock = Lock::take(&locks(&settings.state), &identity, &id)?;
    let mut ledger = Ledger::open(&settings.state)?;
    recover::recover(&mut ledger, task)?;

    // Planned over tables without rows first: what is wrong with the task is said before anything is read.
    let scratch = Scratch::make(&settings.state, &identity)?;
    let session = engine::session(settings.resources, scratch.path(), &settings.functions)?;
    let sources = declare(task)?;
    let models = model::load(task)?;
    let flow = Flow::plan(task, &engine::without_tables(&session), &sources, &models, empty_tables(&sources)).await?;
    let sinks: Arc<[FolderSink]> =
        flow.sinks.iter().map(|sink| sink.open(&identity, &id)).collect::<Result<Vec<_>>>()?.into();
    sinks.iter().try_for_each(FolderSink::check)?;

    let folders: Vec<&Folder> = sinks.iter().map(FolderSink::folder).collect();
    ledger.begin(&id, task.name(), &task.environment, &parameters(task), &folders)?;
    let mut staging = Staging {
        id: &id,
        task,
        session,
        sources: &sources,
        models: &models,
        sinks: sinks.clone(),
        scratch: &scratch,
        watch,
        started,
        steps: vec![],
        opened: vec![],
    };
    let staged = staging.stage(&mut ledger, stop).await;
    let published = staged.and_then(|report| decide(&flow, &sinks, report));
    let (mut report, published) = match published {
        Ok(decided) => decided,
        Err(error) => {
            take_back(&sinks, &mut ledger, &id, &error);
            return Err(error);
        }
    };
    if report.outcome != Outcome::Skipped {
        let publishing = Instant::now();
        // From here on the run only goes forward: what fails is finished by the next start.
        ledger.commit(&report, &chosen(&sinks, &published, true).collect::<Vec<_>>())?;
        let switched = chosen(&sinks, &published, true).try_for_each(Folder::publish);
        let discarded = switched.and_then(|()| chosen(&sinks, &published, false).try_for_each(Folder::discard));
        discarded.map_err(|error| error.while_publishing(&id))?;
        report.steps.push(StepReport { name: "publish".to_owned(), seconds: watch.step("publish", publishing) });
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.peak_memory = machine::peak_memory();
    ledger.end(&report)?;
    Ok(report)
}

/// Decides for each sink whether it is published, and looks a last time whether it can be: a folder that cannot be
/// switched must stop all of them.
fn decide(flow: &Flow, sinks: &[FolderSink], mut report: Report) -> Result<(Report, Vec<bool>)> {
    let is_published = |publish| match report.outcome {
        Outcome::Done => true,
        Outcome::GateClosed => publish == Publish::Always,
        Outcome::Skipped => false,
    };
    let published: Vec<bool> = flow.sinks.iter().map(|sink| is_published(sink.publish)).collect();
    for (output, published) in report.outputs.iter_mut().zip(&published) {
        output.published = *published;
    }
    chosen(sinks, &published, true).try_for_each(Folder::check)?;
    Ok((report, published))
}

/// The folders of the sinks that are published, or of those that are not.
fn chosen<'a>(sinks: &'a [FolderSink], published: &'a [bool], which: bool) -> impl Iterator<Item = &'a Folder> {
    sinks.iter().zip(published).filter(move |(_, published)| **published == which).map(|(sink, _)| sink.folder())
}

/// Removes what a run has staged that ended with an error. What cannot be removed now is removed by the next start,
/// which finds the run open in the ledger.
fn take_back(sinks: &[FolderSink], ledger: &mut Ledger, id: &str, error: &Error) {
    let left = sinks.iter().filter_map(|sink| sink.folder().discard().err()).inspect(|left| {
        tracing::warn!(error = %left, "staged files are left; the next run removes them");
    });
    if left.count() == 0
        && let Err(unwritten) = ledger.fail(id, error)
    {
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

/// The time of the start, and a part that tells apart what starts in the same second.
fn new_id() -> String {
    let now = Utc::now();
    let part = ahash::RandomState::with_seeds(5, 6, 7, 8).hash_one((now.timestamp_nanos_opt(), std::process::id()));
    format!("{}-{:04x}", now.format("%Y%m%dT%H%M%SZ"), part as u16)
}

fn parameters(task: &Task) -> String {
    let text = |name: &str| task.params.get(name).map(|param| param.text.clone());
    let values: serde_json::Map<String, serde_json::Value> =
        task.params.names().map(|name| (name.to_owned(), text(name).into())).collect();
    serde_json::Value::Object(values).to_string()
}
