//! `weir schedule`: starts tasks at their due times, one run of each at a time.
//!
//! Every due time has exactly one outcome: a run, or a missed run: an entry `missed` in the ledger with the reason. `queue`
//! says what is due, `job` is a process that runs it, `board` what several tasks know of each other, `due` says which windows are to be run, and `work` runs them, `retry` tries a failed run again; `health` says whether the runs are on time, `crontab` reads the due times of cron.

mod board;
mod crontab;
mod due;
mod health;
mod job;
mod queue;
mod retry;
mod work;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::ledger::{Ledger, holder};
use crate::report::RunKey;
use crate::task::{RetriesSpec, Times};
use crate::watch::{Event, Observers};
pub(crate) use board::Board;
use board::{Slot, Standing, Turn};
pub(crate) use crontab::Crontab;
pub(crate) use due::{Entered, enter_due, judge_windows, late};
pub(crate) use health::{Expected, Health, judge};
use job::{End, Job};
use queue::{DueRun, Queue};
use retry::Retry;
pub(crate) use work::{Program, WindowEnd, WindowOutcome, Worker, run_windows};

/// The interval at which a clock change or a suspended machine is noticed.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);

/// A clock that goes back by more than this was set back.
const SET_BACK: TimeDelta = TimeDelta::seconds(60);

/// The exit code of a run that finds the lock held.
const LOCKED: i32 = 4;

/// The exit code of a run that may succeed when it is started again (EX_TEMPFAIL of sysexits).
pub(crate) const TRANSIENT: u8 = 75;

/// What is started, and when.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) key: RunKey,
    pub(crate) times: Times,
    pub(crate) timeout: Option<Duration>,
    /// How a run is tried again that may succeed then.
    pub(crate) retries: Option<RetriesSpec>,
    /// How long a run that is asked to stop has to roll back.
    pub(crate) grace: Duration,
    pub(crate) state: PathBuf,
    /// The program, and its arguments for a run of the task.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// The tasks of the same scheduler, and those of them after which this one is run.
    pub(crate) board: Board,
    pub(crate) after: Vec<String>,
    /// Those who are told of runs that are missed, and of runs that cannot tell themselves how they ended.
    pub(crate) observers: Observers,
}

/// A due run, and the process that runs it.
struct Running {
    due: DueRun,
    /// How many times it was tried before.
    tried: u32,
    job: Job,
    _slot: Slot,
}

/// A due run that waits for other tasks.
struct Waiting {
    due: DueRun,
    tried: u32,
}

impl Scheduler {
    /// Starts the task at its due times until it is asked to stop. The first request lets the current run finish, the
    /// second one stops it. Returns the exit code.
    pub(crate) async fn serve(&self, mut stops: watch::Receiver<u32>) -> Result<u8> {
        let started = Utc::now();
        let last = Ledger::open(&self.state)?.last_start(&self.key)?;
        // An entry from a clock that was ahead must not delay the scheduler until its time.
        let from = last.map_or(started, |last| last.min(started));
        let mut queue = Queue::new(self.key.clone(), self.times.clone(), from);
        self.pass(&mut queue, started, "no scheduler was running");
        let mut running: Option<Running> = None;
        let mut waiting: Option<Waiting> = None;
        let mut retry: Option<Retry> = None;
        let (mut forced, mut is_good) = (false, true);
        let mut changes = self.board.changes();
        self.announce(&queue);
        loop {
            let stopping = *stops.borrow_and_update() > 0;
            let of_runs = [running.as_ref().map(|of| of.due.at), waiting.as_ref().map(|of| of.due.at)];
            let open = of_runs.into_iter().chain([retry.as_ref().map(|of| of.due.at), queue.next()]).flatten().min();
            self.board.stand(&self.key.task, Standing { open, is_good });
            changes.borrow_and_update();
            match &running {
                None if stopping => return Ok(if forced { 130 } else { 0 }),
                Some(running) if *stops.borrow() > 1 => {
                    forced = true;
                    running.job.stop();
                }
                _ => {}
            }
            if stopping {
                (retry, waiting) = (None, None);
            }
            if let Some(Waiting { due, tried }) = waiting.take() {
                is_good &= self.start(due, tried, &mut running, &mut waiting);
            }
            let next = if stopping { None } else { queue.next() };
            tokio::select! {
                end = end_of(&mut running) => {
                    if let Some(ended) = running.take() {
                        is_good = end.code == Some(0);
                        if !forced {
                            end.tell(&self.observers, &self.state, &ended.due.key);
                        }
                        retry = self.ended(ended, end);
                    }
                }
                () = Retry::is_due(retry.as_ref()) => {
                    if let Some(Retry { due, tried, .. }) = retry.take() {
                        is_good &= self.start(due, tried, &mut running, &mut waiting);
                    }
                }
                at = until(next) => {
                    let at = match at {
                        Ok(at) => at,
                        Err(ClockSetBack { before, now }) => {
                            let (before, now_shown) = (self.times.show(before), self.times.show(now));
                            tracing::warn!(task = self.key.task, "the clock was set back from {before} to {now_shown}: due times are computed again");
                            queue.go_back(now);
                            self.announce(&queue);
                            continue;
                        }
                    };
                    self.pass(&mut queue, at, "the machine was asleep, or its clock was set");
                    if let Some(due) = queue.take(at) {
                        // What the former run would have done is done by this one.
                        retry = None;
                        if let Some(Waiting { due, .. }) = waiting.take() {
                            self.missed(&[due], "it waited for other tasks until it was due again");
                        }
                        is_good &= self.start(due, 0, &mut running, &mut waiting);
                        self.announce(&queue);
                    }
                }
                changed = changes.changed(), if waiting.is_some() => {
                    changed.map_err(|error| Error::internal(format!("the other tasks are gone: {error}")))?;
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

    fn announce(&self, queue: &Queue) {
        match queue.next() {
            Some(next) => tracing::info!(task = self.key.task, "next: {}", self.times.show(next)),
            None => tracing::warn!(task = self.key.task, "the schedule has no further due time"),
        }
    }

    /// Starts a run, or lets it wait for other tasks. Returns whether it was not missed.
    fn start(&self, due: DueRun, tried: u32, running: &mut Option<Running>, waiting: &mut Option<Waiting>) -> bool {
        if let Some(Running { due: former, job, .. }) = running {
            let reason = format!(
                "the run that was due at {} is still running, as process {}",
                self.times.show(former.at),
                job.pid
            );
            self.missed(&[due], &reason);
            return false;
        }
        let slot = match self.board.turn(&self.after, due.at) {
            Turn::Never(task) => {
                self.missed(&[due], &format!("task `{task}`, after which it is run, did not succeed"));
                return false;
            }
            Turn::Later => None,
            Turn::Now => self.board.slot(),
        };
        let Some(slot) = slot else {
            *waiting = Some(Waiting { due, tried });
            return true;
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(format!("--due={}", due.at.to_rfc3339_opts(SecondsFormat::Secs, true)));
        match Job::start(&mut command, self.timeout, self.grace) {
            Ok(job) => {
                tracing::info!(task = due.key.task, due = self.times.show(due.at), pid = job.pid, "started");
                *running = Some(Running { due, tried, job, _slot: slot });
                true
            }
            Err(error) => {
                self.missed(&[due], &format!("{} could not be started: {error}", self.program.display()));
                false
            }
        }
    }

    /// Reports the end of a run. Returns how it is tried again, if it is.
    fn ended(&self, Running { due, tried, job, .. }: Running, end: End) -> Option<Retry> {
        match end {
            End { timed_out: true, signal, .. } => {
                let span = humantime::format_duration(self.timeout.unwrap_or_default());
                let how = if signal.is_some() { "killed" } else { "stopped" };
                let message = format!("{how} because it took longer than its timeout of {span}");
                tracing::error!(task = self.key.task, code = end.code, signal, "{message}");
                self.enter(|ledger| ledger.timed_out(job.pid, &message));
            }
            End { code: Some(LOCKED), .. } => {
                let holder = holder(&self.state, &due.key);
                let holder = holder.unwrap_or_else(|| "another process was running the task".to_owned());
                self.missed(&[due], &format!("the lock was held: {holder}"));
            }
            End { code: Some(code), .. } if code == i32::from(TRANSIENT) => {
                let retry = self.retries.and_then(|retries| Retry::after(retries, due, tried));
                let again = retry.as_ref().map_or("not tried again".to_owned(), Retry::to_string);
                tracing::error!(task = self.key.task, code, "ended without success, but may succeed later: {again}");
                return retry;
            }
            End { code: Some(0), .. } => tracing::info!(task = self.key.task, code = 0, "ended"),
            End { code, signal, .. } => tracing::error!(task = self.key.task, code, signal, "ended without success"),
        }
        None
    }

    /// Records the due runs that are too late to start at `now`.
    fn pass(&self, queue: &mut Queue, now: DateTime<Utc>, reason: &str) {
        let missed = queue.missed(now.max(Utc::now()));
        if let Some((last, first)) = missed.more {
            let (last, first) = (self.times.show(last), self.times.show(first));
            tracing::warn!(task = self.key.task, "missed: further times between {last} and {first}: {reason}");
        }
        if !missed.runs.is_empty() {
            self.missed(&missed.runs, reason);
        }
    }

    fn missed(&self, runs: &[DueRun], reason: &str) {
        for DueRun { key, at } in runs {
            tracing::warn!(task = key.task, due = self.times.show(*at), "missed: {reason}");
        }
        let due: Vec<_> = runs.iter().map(|DueRun { key, at }| (key.clone(), *at)).collect();
        self.enter(|ledger| ledger.missed(&due, reason));
        if let Some((key, at)) = due.last() {
            let due = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            self.observers.event(&Event::Missed { key, due: &due, reason });
        }
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

/// The clock went back while a due time was waited for.
struct ClockSetBack {
    before: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// Waits for a time by the clock; pends for ever if there is none. A clock that is corrected by little goes on.
async fn until(time: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, ClockSetBack> {
    let Some(time) = time else { return std::future::pending().await };
    let mut before = Utc::now();
    while let Ok(left) = (time - Utc::now()).to_std() {
        tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
        let now = Utc::now();
        if now + SET_BACK < before {
            return Err(ClockSetBack { before, now });
        }
        before = now;
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Span;

    #[tokio::test]
    async fn a_run_that_may_succeed_later_is_tried_again_and_another_one_is_not() {
        for (code, tries) in [(i32::from(TRANSIENT), 3), (1, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("log");
            let scheduler = Scheduler {
                key: RunKey::new("people", "default"),
                times: Times::Every(3),
                timeout: None,
                retries: Some(RetriesSpec {
                    attempts: 2.try_into().unwrap(),
                    backoff: Span(Duration::from_millis(100)),
                }),
                grace: Duration::from_secs(1),
                state: folder.path().join("state"),
                program: PathBuf::from("sh"),
                // The due time is the first argument after the script.
                arguments: vec!["-c".to_owned(), format!("echo \"$0\" >>{}; exit {code}", log.display())],
                board: Board::new(1),
                after: vec![],
                observers: Observers::default(),
            };
            let (stop, stops) = watch::channel(0);
            let stopper = async {
                while !log.exists() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                tokio::time::sleep(Duration::from_millis(1500)).await;
                stop.send_replace(1);
            };
            let (ended, ()) = tokio::join!(scheduler.serve(stops), stopper);
            assert_eq!(ended.unwrap(), 0);
            let log = std::fs::read_to_string(&log).unwrap();
            let due: Vec<&str> = log.lines().collect();
            assert_eq!(due, vec![due[0]; tries], "each try has the due time of the first one");
            assert!(due[0].starts_with("--due=20"), "{log}");
        }
    }
}
