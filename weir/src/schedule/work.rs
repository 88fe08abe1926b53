//! Runs of windows, several side by side: each is a process of its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;

use super::LOCKED;
use super::board::{Board, Slot, Standing};
use super::job::{End, Job};
use crate::error::{Error, Result};
use crate::ledger::{JobEnd, JobState, Ledger, TakenJob};
use crate::report::RunKey;
use crate::task::{WindowOrder, Windows};
use crate::watch::Observers;

/// How soon a window is tried again that another process was running.
const SOON: TimeDelta = TimeDelta::seconds(5);

/// A longer wait between two attempts helps nobody.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// A clock that was set and a machine that was asleep are noticed after this time, and so are late files.
const LOOK: TimeDelta = TimeDelta::seconds(30);

/// The program that runs a window, and its arguments for a run of the task.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) timeout: Option<Duration>,
    /// How long a run that is asked to stop has to roll back.
    pub(crate) grace: Duration,
}

impl Program {
    fn start(&self, window: &str, due: Option<DateTime<Utc>>) -> Result<Job> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).arg(format!("--window={window}"));
        command.args(due.map(|due| format!("--due={}", due.to_rfc3339_opts(SecondsFormat::Secs, true))));
        Job::start(&mut command, self.timeout, self.grace).map_err(|error| {
            let help = "check that the program is there and can be executed";
            Error::system(format!("{} cannot be started", self.path.display()), error, help)
        })
    }
}

/// How the run of a window ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowEnd {
    pub(crate) window: String,
    pub(crate) outcome: WindowOutcome,
}

/// What became of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WindowOutcome {
    /// Its rows are published.
    Loaded,
    /// There was nothing to read.
    Empty,
    /// Another process runs it.
    Locked,
    /// It was stopped.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

impl fmt::Display for WindowOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded => f.write_str("loaded"),
            Self::Empty => f.write_str("nothing to read"),
            Self::Locked => f.write_str("another process is running it"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(message) => write!(f, "failed: {message}"),
        }
    }
}

impl WindowOutcome {
    /// The outcome of a run that ended in this way.
    fn of(end: End, ledger: &Ledger, key: &RunKey, is_stopping: bool) -> Result<Self> {
        Ok(match end {
            End { code: Some(0), .. } if ledger.is_loaded(key)? => Self::Loaded,
            End { code: Some(0), .. } => Self::Empty,
            End { code: Some(LOCKED), .. } => Self::Locked,
            _ if is_stopping => Self::Stopped,
            End { timed_out: true, .. } => Self::Failed("it took longer than its timeout".to_owned()),
            End { code, signal, .. } => {
                let how =
                    code.map(|code| format!("exit code {code}")).or(signal.map(|signal| format!("signal {signal}")));
                let message = ledger.newest_message(key)?;
                Self::Failed(message.or(how).unwrap_or_else(|| "it did not end in the usual way".to_owned()))
            }
        })
    }
}

/// A worker: takes windows from the queue of a task, and runs them.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) key: RunKey,
    pub(crate) windows: Windows,
    pub(crate) state: PathBuf,
    pub(crate) program: Program,
    /// How many windows are run side by side, at most.
    pub(crate) jobs: usize,
    /// How many windows are taken, at most; without it all that are ready.
    pub(crate) most: Option<usize>,
    /// The tasks of the same scheduler, and those of them after which this one is run.
    pub(crate) board: Board,
    pub(crate) after: Vec<String>,
    /// Those who are told of runs that cannot tell themselves how they ended.
    pub(crate) observers: Observers,
}

/// The runs of a worker: each with its job, and how it ended.
type Runs<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = ((TakenJob, Slot), End)> + 'a>>>;

impl Worker {
    /// Runs windows until none is ready. After a first request to stop no further one is taken, a second one stops the runs,
    /// whose windows then wait again.
    pub(crate) async fn work(&self, stops: watch::Receiver<u32>, told: &mut dyn FnMut(&WindowEnd)) -> Result<()> {
        let (mut taken, mut runs) = (0, Runs::new());
        loop {
            self.take(&mut runs, &mut taken, &stops)?;
            let Some(((job, _slot), end)) = runs.next().await else { return Ok(()) };
            told(&self.ended(&job, end, &stops)?);
        }
    }

    /// Enters windows when they are due, and runs them, until it is asked to stop: the first request lets the current runs
    /// finish, the second one stops them. Returns the exit code.
    pub(crate) async fn serve(
        &self,
        mut enter: impl AsyncFnMut() -> Result<()>,
        mut stops: watch::Receiver<u32>,
    ) -> Result<u8> {
        let task = &self.key.task;
        let (mut taken, mut runs) = (0, Runs::new());
        let mut enters_at = Utc::now();
        let mut changes = self.board.changes();
        loop {
            let requests = *stops.borrow_and_update();
            if requests > 0 && runs.is_empty() {
                return Ok(if requests > 1 { 130 } else { 0 });
            }
            if requests == 0 && enters_at <= Utc::now() {
                // That nothing can be entered now, as when a bucket cannot be listed, does not end the scheduler.
                if let Err(error) = enter().await {
                    tracing::error!(%error, task, "the windows that are due could not be entered");
                }
                enters_at =
                    self.windows.due_after(Utc::now()).unwrap_or(DateTime::<Utc>::MAX_UTC).min(Utc::now() + LOOK);
            }
            self.stand()?;
            changes.borrow_and_update();
            self.take(&mut runs, &mut taken, &stops)?;
            tokio::select! {
                Some(((job, _slot), end)) = runs.next() => {
                    let WindowEnd { window, outcome } = self.ended(&job, end, &stops)?;
                    match outcome {
                        WindowOutcome::Failed(message) => tracing::error!(task, window, "failed: {message}"),
                        outcome => tracing::info!(task, window, "{outcome}"),
                    }
                }
                () = self.until_ready(enters_at), if requests == 0 => {}
                changed = changes.changed() => {
                    changed.map_err(|error| Error::internal(format!("the other tasks are gone: {error}")))?;
                }
                changed = stops.changed() => {
                    changed.map_err(|error| Error::system("the signals cannot be received", error, "start the scheduler again"))?;
                    if *stops.borrow() == 1 && !runs.is_empty() {
                        tracing::info!(task, "stopping after the current windows; a second signal stops them");
                    }
                }
            }
        }
    }

    /// Tells other tasks how far this one is.
    fn stand(&self) -> Result<()> {
        let queue = Ledger::open(&self.state)?.queue(&self.key)?;
        let open = queue.open.into_iter().chain(self.windows.due_after(Utc::now())).min();
        self.board.stand(&self.key.task, Standing { open, is_good: !queue.has_dead });
        Ok(())
    }

    /// Takes jobs, and starts their runs.
    fn take<'a>(&self, runs: &mut Runs<'a>, taken: &mut usize, stops: &watch::Receiver<u32>) -> Result<()> {
        let newest = self.windows.order == WindowOrder::Newest;
        while *stops.borrow() == 0 && runs.len() < self.jobs && self.most.is_none_or(|most| *taken < most) {
            let Some(slot) = self.board.slot() else { break };
            let before = self.board.limit(&self.after);
            let Some(job) = Ledger::open(&self.state)?.take_job(&self.state, &self.key, newest, before)? else {
                slot.give_back();
                break;
            };
            *taken += 1;
            let window = job.key.window.clone().unwrap_or_default();
            match self.program.start(&window, Some(job.due)) {
                Ok(process) => runs.push(Box::pin(run((job, slot), process, stops.clone()))),
                Err(error) => {
                    self.end(&job, &WindowOutcome::Failed(error.to_string()))?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn ended(&self, job: &TakenJob, end: End, stops: &watch::Receiver<u32>) -> Result<WindowEnd> {
        let is_stopping = *stops.borrow() > 1;
        if !is_stopping {
            end.tell(&self.observers, &self.state, &job.key);
        }
        let outcome = WindowOutcome::of(end, &Ledger::open(&self.state)?, &job.key, is_stopping)?;
        self.end(job, &outcome)?;
        Ok(WindowEnd { window: job.key.window.clone().unwrap_or_default(), outcome })
    }

    /// Waits until a job may be ready, or windows are to be entered.
    async fn until_ready(&self, enters_at: DateTime<Utc>) {
        let queue = Ledger::open(&self.state).and_then(|ledger| ledger.queue(&self.key)).ok();
        let ready = queue.and_then(|queue| queue.ready);
        let next = ready.map_or(enters_at, |ready| ready.min(enters_at));
        let wait = (next - Utc::now()).to_std().unwrap_or_default();
        tokio::time::sleep(wait.clamp(Duration::from_millis(100), Duration::from_secs(30))).await;
    }

    /// Enters what became of a window.
    fn end(&self, job: &TakenJob, outcome: &WindowOutcome) -> Result<()> {
        let again = |wait: TimeDelta, counts| JobEnd::Again { ready: Utc::now() + wait, counts };
        let (end, message) = match outcome {
            WindowOutcome::Loaded => (JobEnd::Ended(JobState::Done), None),
            WindowOutcome::Empty => (JobEnd::Ended(JobState::Empty), None),
            WindowOutcome::Locked => (again(SOON, false), Some("another process was running it")),
            WindowOutcome::Stopped => (again(TimeDelta::zero(), false), None),
            WindowOutcome::Failed(message) => {
                let retries = self.windows.retries;
                let end = match job.attempts + 1 < retries.attempts.get() {
                    true => again(backoff(retries.backoff.0, job.attempts), true),
                    false => JobEnd::Ended(JobState::Dead),
                };
                (end, Some(message.as_str()))
            }
        };
        Ledger::open(&self.state)?.end_job(job, end, message)
    }
}

/// How long to wait after an attempt: each further wait is twice as long.
fn backoff(first: Duration, attempts: u32) -> TimeDelta {
    let wait = first.checked_mul(1 << attempts.min(16)).and_then(|wait| TimeDelta::from_std(wait).ok());
    wait.unwrap_or(LONGEST).min(LONGEST)
}

/// Waits for the end of a run, which is stopped at a second request.
async fn run<T>(what: T, mut process: Job, mut stops: watch::Receiver<u32>) -> (T, End) {
    let end = tokio::select! {
        end = process.ended() => Some(end),
        Ok(_) = stops.wait_for(|requests| *requests > 1) => None,
    };
    match end {
        Some(end) => (what, end),
        None => {
            process.stop();
            let end = process.ended().await;
            (what, end)
        }
    }
}

/// Runs given windows, so many side by side, in their order. After a first request to stop no further one is started, a second
/// one stops the runs.
pub(crate) async fn run_windows(
    state: &Path,
    program: &Program,
    keys: Vec<RunKey>,
    jobs: usize,
    stops: watch::Receiver<u32>,
    ended: &mut dyn FnMut(&WindowEnd),
) -> Result<()> {
    let mut waiting = keys.into_iter();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < jobs && *stops.borrow() == 0 {
            let Some(key) = waiting.next() else { break };
            let process = program.start(key.window.as_deref().unwrap_or_default(), None)?;
            running.push(run(key, process, stops.clone()));
        }
        let Some((key, end)) = running.next().await else { return Ok(()) };
        let mut ledger = Ledger::open(state)?;
        let outcome = WindowOutcome::of(end, &ledger, &key, *stops.borrow() > 1)?;
        if outcome == WindowOutcome::Loaded {
            ledger.settle_job(&key)?;
        }
        ended(&WindowEnd { window: key.window.unwrap_or_default(), outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_as_long_up_to_a_day() {
        let waits = [0, 1, 2, 40].map(|attempts| backoff(Duration::from_secs(60), attempts));
        assert_eq!(waits, [1, 2, 4, 24 * 60].map(TimeDelta::minutes));
    }
}
