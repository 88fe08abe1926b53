//! A run started by the scheduler: a process of its own, so that its memory and its crashes are isolated.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ledger::Ledger;
use crate::report::{RunKey, State};
use crate::watch::{Event, Observers};

/// A running run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) pid: u32,
    stop: watch::Sender<bool>,
    end: JoinHandle<End>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Its exit code; `None` if a signal killed it.
    pub(super) code: Option<i32>,
    /// The signal that killed it.
    pub(super) signal: Option<i32>,
    /// Whether it was stopped because it exceeded its timeout.
    pub(super) timed_out: bool,
}

/// The exit codes with which a run ends that has told its observers so.
const USUAL: [i32; 7] = [0, 1, 2, 3, super::LOCKED, super::TRANSIENT as i32, 130];

impl End {
    /// Whether the run could not tell anybody how it ended.
    pub(super) fn is_mute(&self) -> bool {
        self.timed_out || self.code.is_none_or(|code| !USUAL.contains(&code))
    }

    /// How it ended, of a run that did not tell.
    pub(super) fn shown(&self) -> String {
        match (self.timed_out, self.code, self.signal) {
            (true, _, _) => "it took longer than its timeout".to_owned(),
            (_, Some(code), _) => format!("its process ended with exit code {code}"),
            (_, _, Some(signal)) => format!("its process was ended by signal {signal}"),
            _ => "it did not end in the usual way".to_owned(),
        }
    }

    /// Tells observers of a run that could not do so itself.
    pub(super) fn tell(&self, observers: &Observers, state: &Path, key: &RunKey) {
        if !self.is_mute() {
            return;
        }
        // One that crashed before it began has no entry: the newest is that of the run before it.
        let its = |state: &State| state.is_open() || matches!(state, State::Interrupted | State::TimedOut);
        let newest = Ledger::open(state).and_then(|ledger| ledger.newest_run(key)).ok().flatten();
        let run = newest.filter(|(_, state)| its(state)).map(|(run, _)| run).unwrap_or_default();
        let state = if self.timed_out { State::TimedOut } else { State::Died };
        observers.event(&Event::Died { run: &run, key, state, message: &self.shown() });
    }
}

impl Job {
    /// Starts a run. After `timeout` it is asked to stop, and killed if it has not ended after a further `grace`.
    pub(super) fn start(command: &mut Command, timeout: Option<Duration>, grace: Duration) -> std::io::Result<Self> {
        // In a process group of its own, Ctrl-C reaches only the scheduler, which lets the run finish.
        let child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        let pid = child.id();
        let (stop, stopped) = watch::channel(false);
        Ok(Self { pid, stop, end: tokio::spawn(supervise(child, timeout, grace, stopped)) })
    }

    /// Asks the run to stop, and kills it if it does not.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end. Must not be called again after it has returned.
    pub(super) async fn ended(&mut self) -> End {
        (&mut self.end).await.unwrap_or(End { code: None, signal: None, timed_out: false })
    }
}

async fn supervise(
    mut child: Child,
    timeout: Option<Duration>,
    grace: Duration,
    mut stopped: watch::Receiver<bool>,
) -> End {
    let pid = Pid::from_child(&child);
    // Waiting without reaping keeps the process's id from being reused, so that a signal cannot hit another
    // process.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let exit = tokio::task::spawn_blocking(move || rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options)));
    tokio::pin!(exit);
    let too_long = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let mut timed_out = false;
    let is_over = tokio::select! {
        _ = &mut exit => true,
        () = too_long => {
            timed_out = true;
            false
        }
        _ = stopped.wait_for(|stop| *stop) => false,
    };
    if !is_over {
        signal(pid, Signal::TERM);
        if tokio::time::timeout(grace, &mut exit).await.is_err() {
            signal(pid, Signal::KILL);
            let _ = exit.await;
        }
    }
    let status = child.wait().ok();
    End { code: status.and_then(|s| s.code()), signal: status.and_then(|s| s.signal()), timed_out }
}

fn signal(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        tracing::warn!(%error, "the run could not be stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(200);
    const NEVER: Duration = Duration::from_secs(60);

    fn shell(script: &str, timeout: Option<Duration>, grace: Duration) -> Job {
        Job::start(Command::new("sh").arg("-c").arg(script), timeout, grace).unwrap()
    }

    #[tokio::test]
    async fn a_job_that_ends_in_time_gives_its_exit_code() {
        let end = shell("exit 3", Some(NEVER), NEVER).ended().await;
        assert_eq!(end, End { code: Some(3), signal: None, timed_out: false });
    }

    #[tokio::test]
    async fn a_job_that_exceeds_its_timeout_is_asked_to_stop() {
        let end = shell("trap 'exit 1' TERM; while :; do sleep 0.01; done", Some(SOON), NEVER).ended().await;
        assert_eq!(end, End { code: Some(1), signal: None, timed_out: true });
    }

    #[tokio::test]
    async fn a_job_that_does_not_stop_is_killed() {
        let end = shell("trap '' TERM; while :; do sleep 0.01; done", Some(SOON), SOON).ended().await;
        assert_eq!(end, End { code: None, signal: Some(9), timed_out: true });
    }

    #[test]
    fn a_run_that_crashed_has_told_nobody() {
        let end = |code, signal, timed_out| End { code, signal, timed_out }.is_mute();
        assert!(end(None, Some(9), false) && end(Some(101), None, false) && end(Some(1), None, true));
        assert!(!end(Some(0), None, false) && !end(Some(3), None, false) && !end(Some(75), None, false));
    }

    #[tokio::test]
    async fn a_job_can_be_stopped_before_its_timeout() {
        let mut job = shell("exec sleep 60", None, NEVER);
        job.stop();
        assert_eq!(job.ended().await, End { code: None, signal: Some(15), timed_out: false });
    }
}
