//! `weir schedule`: starts a task at its due times, one run at a time.
//!
//! Every due time has exactly one outcome: a run, or a missed run: an entry `missed` in the ledger with the reason.

mod job;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::ledger::{Ledger, holder};
use crate::report::RunKey;
use crate::task::Times;
use job::{End, Job};

/// The maximum number of missed times that are recorded one by one; after a long downtime there can be more.
const MOST_MISSED: usize = 100;

/// A due time that has passed by less than this is started late; otherwise it is missed.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// The interval at which a clock change or a suspended machine is noticed.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);

/// The exit code of a run that finds the lock held.
const LOCKED: i32 = 4;

/// What is started, and when.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) key: RunKey,
    pub(crate) times: Times,
    pub(crate) timeout: Option<Duration>,
    /// How long a run that is asked to stop has to roll back.
    pub(crate) grace: Duration,
    pub(crate) state: PathBuf,
    /// The program, and its arguments for a run of the task.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// A running run, and the due time that it was started for.
struct Running {
    due: DateTime<Utc>,
    job: Job,
}

impl Scheduler {
    /// Starts the task at its due times until it is asked to stop. The first request lets the current run finish, the
    /// second one stops it. Returns the exit code.
    pub(crate) async fn serve(&self, mut stops: watch::Receiver<u32>) -> Result<u8> {
        let started = Utc::now();
        let mut last = match Ledger::open(&self.state)?.last_start(&self.key)? {
            // An entry from a clock that was ahead must not delay the scheduler until its time.
            Some(last) => self.pass(last.min(started), started, "no scheduler was running"),
            None => started,
        };
        let mut running: Option<Running> = None;
        let mut forced = false;
        self.announce(last);
        loop {
            let stopping = *stops.borrow_and_update() > 0;
            match &running {
                None if stopping => return Ok(if forced { 130 } else { 0 }),
                Some(running) if *stops.borrow() > 1 => {
                    forced = true;
                    running.job.stop();
                }
                _ => {}
            }
            let next = if stopping { None } else { self.times.after(last) };
            tokio::select! {
                end = end_of(&mut running) => {
                    if let Some(ended) = running.take() {
                        self.ended(&ended, end);
                    }
                }
                due = until(next) => {
                    last = self.pass(last, due, "the machine was asleep, or its clock was set");
                    if last < due {
                        last = due;
                        self.start(due, &mut running);
                        self.announce(due);
                    }
                }
                request = stops.changed() => {
                    request.map_err(|error| Error::system("the signals cannot be received", error, "start the scheduler again"))?;
                    if let (Some(running), 1) = (&running, *stops.borrow()) {
                        tracing::info!(pid = running.job.pid, "stopping after the current run; a second signal stops the run");
                    }
                }
            }
        }
    }

    fn announce(&self, last: DateTime<Utc>) {
        match self.times.after(last) {
            Some(next) => tracing::info!(task = self.key.task, "next: {}", self.times.show(next)),
            None => tracing::warn!(task = self.key.task, "the schedule has no further due time"),
        }
    }

    fn start(&self, due: DateTime<Utc>, running: &mut Option<Running>) {
        if let Some(Running { due: former, job }) = running {
            let reason = format!(
                "the run that was due at {} is still running, as process {}",
                self.times.show(*former),
                job.pid
            );
            return self.missed(&[due], &reason);
        }
        let mut command = Command::new(&self.program);
        match Job::start(command.args(&self.arguments), self.timeout, self.grace) {
            Ok(job) => {
                tracing::info!(task = self.key.task, due = self.times.show(due), pid = job.pid, "started");
                *running = Some(Running { due, job });
            }
            Err(error) => self.missed(&[due], &format!("{} could not be started: {error}", self.program.display())),
        }
    }

    fn ended(&self, Running { due, job }: &Running, end: End) {
        match end {
            End { timed_out: true, signal, .. } => {
                let span = humantime::format_duration(self.timeout.unwrap_or_default());
                let how = if signal.is_some() { "killed" } else { "stopped" };
                let message = format!("{how} because it took longer than its timeout of {span}");
                tracing::error!(task = self.key.task, code = end.code, signal, "{message}");
                self.enter(|ledger| ledger.timed_out(job.pid, &message));
            }
            End { code: Some(LOCKED), .. } => {
                let holder = holder(&self.state, &self.key);
                let holder = holder.unwrap_or_else(|| "another process was running the task".to_owned());
                self.missed(&[*due], &format!("the lock was held: {holder}"));
            }
            End { code: Some(0), .. } => tracing::info!(task = self.key.task, code = 0, "ended"),
            End { code, signal, .. } => tracing::error!(task = self.key.task, code, signal, "ended without success"),
        }
    }

    /// Records the due times after `last` that are too late to start at `now`; returns the time up to which all are
    /// handled.
    fn pass(&self, last: DateTime<Utc>, now: DateTime<Utc>, reason: &str) -> DateTime<Utc> {
        let (times, more) = self.times.passed(last, now.max(Utc::now()) - LATE, MOST_MISSED);
        if more && let Some(first) = times.first() {
            let (last, first) = (self.times.show(last), self.times.show(*first));
            tracing::warn!(task = self.key.task, "missed: further times between {last} and {first}: {reason}");
        }
        let Some(latest) = times.last() else { return last };
        self.missed(&times, reason);
        *latest
    }

    fn missed(&self, times: &[DateTime<Utc>], reason: &str) {
        for time in times {
            tracing::warn!(task = self.key.task, due = self.times.show(*time), "missed: {reason}");
        }
        self.enter(|ledger| ledger.missed(&self.key, times, reason));
    }

    /// Changes the ledger. A failure is logged: it must not prevent the next run.
    fn enter(&self, change: impl FnOnce(&mut Ledger) -> Result<()>) {
        if let Err(error) = Ledger::open(&self.state).and_then(|mut ledger| change(&mut ledger)) {
            tracing::error!(%error, "the ledger could not be written");
        }
    }
}

/// The end of the current run; pends for ever if there is none.
async fn end_of(running: &mut Option<Running>) -> End {
    match running {
        Some(running) => running.job.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits for a time by the clock; pends for ever if there is none.
async fn until(time: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let Some(time) = time else { return std::future::pending().await };
    while let Ok(left) = (time - Utc::now()).to_std() {
        tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
    }
    time
}
