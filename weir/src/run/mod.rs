//! One run, from the lock to the report.
//!
//! lock -> recover dead runs -> plan -> open the sinks -> ledger entry -> prepare (open the sources, compute each stage, judge
//! and write its rows, complete the sinks) -> ask the gate -> commit record -> commit the sinks -> archive the inputs -> report

mod counts;
mod datasets;
mod prepare;
mod recover;
mod replay;
mod retention;
mod runner;

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::Utc;
use datafusion::logical_expr::ScalarUDF;

pub(crate) use recover::{Recovered, abandon, recover_all, unfinished};
pub(crate) use retention::{Removed, apply as apply_retention};
pub use runner::{RunError, Runner};
pub(crate) use runner::{describe, has_new_files, replayable};

use crate::cluster::Cluster;
use crate::database::Connector;
use crate::engine::{self, MemoryWatch, Resources};
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Lock, PendingTarget};
use crate::place::finish_moves;
use crate::plan::{Draft, Plan, ReplayPlan, Role, resolved};
use crate::report::{Outcome, ReplayReport, Report, RunKey, State};
use crate::scratch::ScratchFolder;
use crate::sink::{self, OpenTransaction, Pending, Prepared, Transaction};
use crate::source::Fetchers;
use crate::system::stop::Stop;
use crate::system::{fault, memory};
use crate::task::{Publish, Task};
use crate::watch::{Event, Observers};
use prepare::{Preparation, PreparedRun};

/// What a run needs besides its task.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The state folder: ledger, locks, scratch.
    pub(crate) state: PathBuf,
    pub(crate) resources: Resources,
    /// The functions that the host program adds.
    pub(crate) functions: Vec<ScalarUDF>,
    /// The fetchers that the host program adds.
    pub(crate) fetchers: Fetchers,
    /// Those who observe the run.
    pub(crate) observers: Observers,
    /// The machines that compute its stages, if not this process.
    pub(crate) cluster: Option<Arc<dyn Cluster>>,
}

/// A run that ended with an error, and what it completed before.
#[derive(Debug)]
pub(crate) struct FailedRun {
    pub(crate) error: Error,
    pub(crate) report: Report,
}

/// Runs a task: all of its sinks are published, or none.
pub(crate) async fn run(task: &Task, settings: &Settings, stop: Stop) -> Result<Report, Box<FailedRun>> {
    run_for(Purpose::NewData, task, settings, stop).await
}

/// The same, or what else a run is for.
pub(crate) async fn run_for(
    purpose: Purpose,
    task: &Task,
    settings: &Settings,
    stop: Stop,
) -> Result<Report, Box<FailedRun>> {
    let (id, key) = (new_id(), key_of(task));
    let (task, unresolved) = match resolved(task, &settings.functions, &settings.fetchers).await {
        Ok(resolved) => (resolved, Ok(())),
        Err(error) => (Cow::Borrowed(task), Err(error)),
    };
    let task = &*task;
    let connector = Connector::of(task);
    let run = Run { id: &id, key: &key, purpose, task, settings, connector: &connector, started: Instant::now() };
    let mut report = Report::begin(&id, &key);
    report.replay = (purpose == Purpose::Replay).then(ReplayReport::default);
    let result = match unresolved {
        Ok(()) => run.execute(&mut report, stop.clone()).await.map_err(|error| stop.explain(error)),
        Err(error) => Err(error),
    };
    let is_private = task.has_private_columns();
    let result = result.map_err(|error| if is_private { error.hiding_values() } else { error });
    if is_private {
        report.hide_values();
    }
    if let Err(error) = &result {
        run.close(&mut report);
        report.fail(error);
        run.count(&report, error);
    }
    settings.observers.event(&Event::Ended { report: &report, error: result.as_ref().err() });
    match result {
        Ok(()) => Ok(report),
        Err(error) => Err(Box::new(FailedRun { error, report })),
    }
}

/// The key of a task's runs.
pub(crate) fn key_of(task: &Task) -> RunKey {
    let window = task.window.as_ref().map(|window| window.label.clone());
    RunKey { window, ..RunKey::new(task.name(), &task.environment) }
}

/// What a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What the task says.
    NewData,
    /// The records that earlier runs have rejected: those are published that are accepted now.
    Replay,
}

/// A run that is going on.
struct Run<'a> {
    id: &'a str,
    key: &'a RunKey,
    purpose: Purpose,
    task: &'a Task,
    settings: &'a Settings,
    connector: &'a Connector,
    started: Instant,
}

/// A sink that is prepared, and whether it is published.
struct Decided {
    sink: Box<dyn Prepared>,
    is_published: bool,
}

/// A transaction that has begun.
struct Begun {
    transaction: Box<dyn Transaction>,
    open: Box<dyn OpenTransaction>,
}

impl Run<'_> {
    async fn execute(&self, report: &mut Report, stop: Stop) -> Result<()> {
        let Self { id, key, task, settings, connector, .. } = *self;
        let _lock = Lock::take(&settings.state, key, id)?;
        fault::point("locked");
        let mut ledger = Ledger::open(&settings.state)?;
        let recovered = recover::recover(&mut ledger, key, connector).await?;
        recovered.iter().for_each(|dead| dead.tell(key, &settings.observers));
        fault::point("recovered");

        let cluster = self.cluster();
        let scratch = match cluster {
            Some(cluster) => ScratchFolder::create_shared(cluster.shared_folder(), &settings.state, key)?,
            None => ScratchFolder::create(&settings.state, key, task.has_private_columns())?,
        };
        let session = engine::session(settings.resources, scratch.path(), &settings.functions, task.run_started_at)?;
        let draft = Draft::of(task, &session, &settings.fetchers).await?;
        let replay = (self.purpose == Purpose::Replay).then(|| draft.replay(task)).transpose()?;
        let replay = replay.as_ref();
        let ledger = Mutex::new(ledger);
        let history = |run: &str| ledger.lock().unwrap_or_else(PoisonError::into_inner).state_of(run, key);
        let sinks = draft.open_sinks(task, key, id, connector, &history).await?;
        let plan = draft.plan(task, &session, &sinks.limits)?;
        let mut ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);

        let pending: Vec<Box<dyn Pending>> = sinks.targets.iter().map(|target| target.pending()).collect();
        ledger.begin(id, key, &parameters(task), &in_ledger(pending.iter().map(AsRef::as_ref))?)?;
        settings.observers.event(&Event::Started { run: id, key });
        settings.observers.event(&Event::Planned { plan: &datasets::planned(task, &plan, connector) });
        fault::point("begun");
        let watch = MemoryWatch::start(&session);
        let waits = stop.clone();
        let preparation = Preparation {
            run: self,
            plan: &plan,
            session: &session,
            scratch: &scratch,
            ledger: &mut ledger,
            stop,
            replay,
            cluster,
            pending: &pending,
            takes_attempts: sinks.targets.iter().map(|target| target.takes_attempts()).collect(),
        };
        let prepared = preparation.prepare(sinks.targets, report).await;
        drop(watch);
        match prepared {
            Ok(PreparedRun::Sinks(sinks)) => {
                self.publish((&plan, replay), sinks, &pending, &mut ledger, report, waits).await?;
                self.retain(&mut ledger).await;
                Ok(())
            }
            Ok(PreparedRun::NothingToDo) => {
                self.close(report);
                ledger.end(report, None)?;
                self.retain(&mut ledger).await;
                Ok(())
            }
            Err(error) => {
                let error = waits.explain(error);
                self.abort(&pending, &mut ledger, report, &error).await;
                Err(error)
            }
        }
    }

    /// The machines that compute its stages, if any do.
    fn cluster(&self) -> Option<&Arc<dyn Cluster>> {
        let cluster = self.settings.cluster.as_ref()?;
        let why = match self.purpose {
            Purpose::Replay => "a replay remembers each of its records",
            Purpose::NewData if self.task.has_private_columns() => "private columns leave the process only protected",
            Purpose::NewData => return Some(cluster),
        };
        tracing::info!("the stages are computed in this process, not by the cluster: {why}");
        None
    }

    /// Removes what is older than the project keeps it. That it cannot be removed is no failure of the run.
    async fn retain(&self, ledger: &mut Ledger) {
        let project = self.connector.project();
        if let Err(error) = retention::apply(ledger, self.key, project, project.retention(), false).await {
            tracing::warn!(%error, "what is older than `retention` could not be removed");
        }
    }

    /// Asks the gate, enters the commit record, and commits the sinks.
    async fn publish(
        &self,
        plan: (&Plan, Option<&ReplayPlan>),
        sinks: Vec<Box<dyn Prepared>>,
        pending: &[Box<dyn Pending>],
        ledger: &mut Ledger,
        report: &mut Report,
        stop: Stop,
    ) -> Result<()> {
        // The transactions, too: the rows of tables are moved there.
        let publishing = self.begin_step("publish");
        let decided = self.decide(plan, sinks, report).await;
        let begun = match decided {
            Ok(sinks) => self.begin(&sinks, stop.clone()).await.map(|transactions| (sinks, transactions)),
            Err(error) => Err(error),
        };
        let (sinks, transactions) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let error = stop.explain(error);
                report.outputs.iter_mut().for_each(|output| output.published = false);
                self.abort(pending, ledger, report, &error).await;
                return Err(error);
            }
        };
        fault::point("decided");
        if let Err(error) = self.commit_record(&sinks, ledger, report) {
            return Err(self.without_record(transactions, pending, ledger, report, error).await);
        }
        fault::point("committed");
        // From here on the run only goes forward: if something fails, the next start finishes it.
        if let Err(error) = self.make_visible(&sinks, transactions, ledger, report).await {
            return Err(self.not_published(&sinks, pending, ledger, report, error).await);
        }
        // What the sinks hold, such as the locks of folders, is gone before the run has ended: nobody would look for it then.
        drop(sinks);
        fault::point("released");
        self.step(report, "publish", publishing);
        self.close(report);
        ledger.end(report, None).map_err(|error| error.while_publishing(self.id))?;
        fault::point("ended");
        Ok(())
    }

    /// Decides for each sink whether it is published, and checks a last time that it can be: one that cannot must stop all
    /// of them.
    async fn decide(
        &self,
        (plan, replay): (&Plan, Option<&ReplayPlan>),
        sinks: Vec<Box<dyn Prepared>>,
        report: &mut Report,
    ) -> Result<Vec<Decided>> {
        report.outcome = if report.breaches.is_empty() { Outcome::Done } else { Outcome::GateClosed };
        let mut decided = Vec::with_capacity(sinks.len());
        for (number, ((sink, bound), output)) in sinks.into_iter().zip(&plan.sinks).zip(&mut report.outputs).enumerate()
        {
            output.published = match replay {
                None => report.outcome == Outcome::Done || bound.publish == Publish::Always,
                Some(replay) => matches!(replay.roles.get(number), Some(Role::Publish | Role::PublishOnce(_))),
            };
            decided.push(Decided { sink, is_published: output.published });
        }
        for sink in published(&decided) {
            sink.check(self.connector).await?;
        }
        if replay.is_some() {
            // The others are as they were.
            report.outputs.retain(|output| output.published);
        }
        Ok(decided)
    }

    /// Begins the transactions of what is published: what can be refused is refused here, before the commit record.
    async fn begin(&self, sinks: &[Decided], mut stop: Stop) -> Result<Vec<Begun>> {
        let mut begun: Vec<Begun> = Vec::new();
        for transaction in sink::transactions(published(sinks)) {
            let open = tokio::select! {
                open = transaction.begin(self.connector) => open,
                () = stop.wanted() => Err(Error::Interrupted),
            };
            match open {
                Ok(open) => begun.push(Begun { transaction, open }),
                Err(error) => {
                    roll_back(begun).await;
                    return Err(error);
                }
            }
        }
        Ok(begun)
    }

    /// Enters the commit record.
    fn commit_record(&self, sinks: &[Decided], ledger: &mut Ledger, report: &Report) -> Result<()> {
        ledger.commit(report, &in_ledger(published(sinks).map(|sink| sink as &dyn Pending))?)
    }

    /// The error of a commit record that could not be entered. The record may exist all the same: where not even that can be
    /// told, the next start can.
    async fn without_record(
        &self,
        transactions: Vec<Begun>,
        pending: &[Box<dyn Pending>],
        ledger: &mut Ledger,
        report: &Report,
        error: Error,
    ) -> Error {
        roll_back(transactions).await;
        match ledger.state_of(self.id, self.key) {
            Ok(Some(State::Running)) => self.abort(pending, ledger, report, &error).await,
            _ => return error.while_publishing(self.id),
        }
        error
    }

    /// Commits the sinks, and archives the inputs.
    async fn make_visible(
        &self,
        sinks: &[Decided],
        transactions: Vec<Begun>,
        ledger: &mut Ledger,
        report: &mut Report,
    ) -> Result<()> {
        self.commit(sinks, transactions, report).await?;
        if report.outcome == Outcome::Done {
            finish_moves(self.connector.project(), self.id, &ledger.moves(self.id)?).await?;
            fault::point("archived");
        }
        Ok(())
    }

    /// Commits what is published, and aborts the rest.
    async fn commit(&self, sinks: &[Decided], transactions: Vec<Begun>, report: &mut Report) -> Result<()> {
        for Begun { transaction, open } in transactions {
            let loads = match open.commit().await {
                // The commit may have reached the server or not: the server tells, once it is asked again.
                Err(error) if error.is_lost() => {
                    tracing::warn!("{error}; trying again");
                    sink::commit(&*transaction, self.connector).await?
                }
                committed => committed?,
            };
            for (sink, load) in loads {
                if let Some(output) = report.outputs.iter_mut().find(|output| output.sink == sink) {
                    output.loaded = Some(load);
                }
            }
        }
        for Decided { sink, .. } in sinks.iter().filter(|decided| !decided.is_published) {
            sink.abort(self.connector).await?;
        }
        Ok(())
    }

    /// The error of a run that could not be published. As long as nothing of it is, and nothing ever will be because a
    /// table refuses its rows, it is rolled back; otherwise the next start finishes it.
    async fn not_published(
        &self,
        sinks: &[Decided],
        pending: &[Box<dyn Pending>],
        ledger: &mut Ledger,
        report: &mut Report,
        error: Error,
    ) -> Error {
        if !error.is_refusal() {
            return error.while_publishing(self.id);
        }
        for sink in published(sinks) {
            if sink.is_committed(self.connector).await.unwrap_or(true) {
                return error.while_publishing(self.id);
            }
        }
        report.outputs.iter_mut().for_each(|output| output.published = false);
        self.abort(pending, ledger, report, &error).await;
        error
    }

    /// Removes what a run that ended with an error has written. What cannot be removed now is removed by the next start,
    /// which finds the run open in the ledger.
    async fn abort(&self, pending: &[Box<dyn Pending>], ledger: &mut Ledger, report: &Report, error: &Error) {
        let mut is_clean = true;
        for sink in pending {
            if let Err(left) = sink.abort(self.connector).await {
                is_clean = false;
                tracing::warn!(error = %left, sink = sink.sink(), "not all was removed; the next run removes it");
            }
        }
        let mut report = report.clone();
        self.close(&mut report);
        report.fail(error);
        if is_clean && let Err(unwritten) = ledger.end(&report, Some(error)) {
            tracing::warn!(error = %unwritten, "the ledger could not be told that the run failed");
        }
    }

    /// Counts a run that ended before the ledger had an entry of it.
    fn count(&self, report: &Report, error: &Error) {
        // One that found the lock held is none.
        if matches!(error, Error::Locked { .. } | Error::State { .. }) {
            return;
        }
        let counted = Ledger::open(&self.settings.state).and_then(|mut ledger| ledger.count_not_begun(report));
        if let Err(uncounted) = counted {
            tracing::warn!(error = %uncounted, "the run could not be counted");
        }
    }

    /// Announces a step; returns when it has begun.
    fn begin_step(&self, name: &str) -> Instant {
        self.settings.observers.event(&Event::StepStarted { name });
        Instant::now()
    }

    fn step(&self, report: &mut Report, name: &str, started: Instant) {
        let seconds = started.elapsed().as_secs_f64();
        self.settings.observers.event(&Event::Step { name, seconds });
        report.step(name, seconds);
    }

    /// Sets what is known at the end only.
    fn close(&self, report: &mut Report) {
        report.seconds = self.started.elapsed().as_secs_f64();
        report.peak_memory = memory::peak_memory();
    }
}

async fn roll_back(transactions: Vec<Begun>) {
    for Begun { open, .. } in transactions {
        open.roll_back().await;
    }
}

fn published(sinks: &[Decided]) -> impl Iterator<Item = &dyn Prepared> {
    sinks.iter().filter(|decided| decided.is_published).map(|decided| decided.sink.as_ref())
}

fn in_ledger<'a>(pending: impl Iterator<Item = &'a dyn Pending>) -> Result<Vec<PendingTarget>> {
    pending.map(PendingTarget::of).collect()
}

/// The time of the start, and a part that tells apart what starts in the same second, here or on another machine: a
/// table takes the rows of a run once, and knows it by this.
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
