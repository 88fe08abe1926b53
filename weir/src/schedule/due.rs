//! Which windows are to be run: those that are due, and those for which files came later.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::health::Health;
use crate::error::{Result, number_of};
use crate::ledger::{JobState, Ledger, NewJob, QueuedJob};
use crate::report::RunKey;
use crate::task::{Window, Windows};

/// What was entered into the queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered {
    /// Windows that have become due.
    pub(crate) due: u64,
    /// Windows that had been run, and for which files came later.
    pub(crate) again: u64,
}

/// Enters all windows that are due and not in the queue, and those that have ended and have `new_files` within their lookback.
pub(crate) async fn enter_due<F>(
    state: &Path,
    key: &RunKey,
    windows: &Windows,
    now: DateTime<Utc>,
    has_new_files: impl Fn(Window) -> F,
) -> Result<Entered>
where
    F: Future<Output = Result<bool>>,
{
    let (Some(first), Some(last)) = (windows.first(), windows.last_due(now)) else { return Ok(Entered::default()) };
    let mut ledger = Ledger::open(state)?;
    let known = ledger.jobs(key)?;
    let all: Vec<Window> = windows.between(&first, &last).collect();
    let new = new_jobs(windows, &all, &known);
    let mut entered = Entered { due: ledger.enqueue(key, &new)?, again: 0 };
    for window in all.into_iter().filter(|window| windows.due(window) + windows.lookback > now) {
        let has_ended = |job: &&QueuedJob| matches!(job.state, JobState::Done | JobState::Empty);
        if known.iter().filter(has_ended).any(|job| job.window == window.label) {
            let label = window.label.clone();
            if has_new_files(window).await? {
                entered.again += ledger.retry_jobs(key, Some(&label))?;
            }
        }
    }
    Ok(entered)
}

fn new_jobs(windows: &Windows, all: &[Window], known: &[QueuedJob]) -> Vec<NewJob> {
    let known: std::collections::HashSet<&str> = known.iter().map(|job| job.window.as_str()).collect();
    let new = all.iter().filter(|window| !known.contains(window.label.as_str()));
    new.map(|window| NewJob { window: window.label.clone(), starts: window.start, due: windows.due(window) }).collect()
}

/// The windows in the queue that are late: due for longer than `late_after` without data, and not longer ago than one looks
/// back.
pub(crate) fn late<'a>(windows: &Windows, jobs: &'a [QueuedJob], now: DateTime<Utc>) -> Vec<&'a QueuedJob> {
    let since = looks_back_to(windows, now);
    let is_late =
        |job: &&QueuedJob| job.state != JobState::Done && job.due + windows.late_after <= now && job.due > since;
    jobs.iter().filter(is_late).collect()
}

/// A window that was due before is not looked after any more.
fn looks_back_to(windows: &Windows, now: DateTime<Utc>) -> DateTime<Utc> {
    now - windows.lookback.max(TimeDelta::days(1)) - windows.late_after
}

/// Judges the windows of a task: none may be dead, and none late, whether it is in the queue or not.
pub(crate) fn judge_windows(windows: &Windows, jobs: &[QueuedJob], now: DateTime<Utc>) -> Health {
    let because = |job: &QueuedJob| job.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
    if let Some(dead) = jobs.iter().find(|job| job.state == JobState::Dead) {
        return Err(format!("window {} is dead{}; `weir queue --retry` enters it again", dead.window, because(dead)));
    }
    let newest = windows.last_due(now - windows.late_after);
    if let Some(window) = newest.filter(|window| jobs.iter().all(|job| job.window != window.label)) {
        return Err(format!(
            "window {window} is late: it is not in the queue, so that no scheduler and no `weir queue` has been at work"
        ));
    }
    if let Some(late) = late(windows, jobs, now).first() {
        return Err(format!("window {} is late: it is {}{}", late.window, late.state.name(), because(late)));
    }
    let (waiting, newest) = (
        jobs.iter().filter(|job| job.state == JobState::Waiting).count(),
        jobs.iter().find(|job| job.state == JobState::Done),
    );
    let newest = newest.map_or("no window is loaded yet".to_owned(), |job| format!("window {} is loaded", job.window));
    Ok(format!("{newest}; {} waiting", number_of(waiting, "window")))
}
