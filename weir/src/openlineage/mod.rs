//! Events of OpenLineage: that a run has started, what it reads and writes, and how it ended, sent to an HTTP endpoint.
//!
//! An observer makes the events, and a thread of its own sends them in their order: the first one while the run goes on. The end
//! of the run waits for no longer than the timeout. That an endpoint is dead is a warning.

mod event;
mod facets;
mod parent;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::Error;
use crate::report::{Outcome, RunKey};
use crate::system::backoff::Backoff;
use crate::system::http;
use crate::task::{OpenLineageTarget, Task};
use crate::watch::{Event, Observer, Planned};
use event::{End, Job};

/// Where a server of OpenLineage takes events, unless the URL has a path.
const PATH: &str = "/api/v1/lineage";

/// The pause after the first attempt, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));

/// Sends the events of runs.
#[derive(Debug)]
pub(crate) struct OpenLineage {
    job: Job,
    state: Mutex<State>,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct State {
    planned: Option<Planned>,
    run: String,
    sender: Option<Sender<Value>>,
    /// Gets why events could not be sent, once all were tried.
    done: Option<Receiver<Option<String>>>,
}

impl OpenLineage {
    /// That of a task, if `weir.yaml` has an endpoint. What it refers to and is not there is a warning.
    pub(crate) fn of(task: &Task, key: &RunKey) -> Option<Arc<Self>> {
        let target = match task.project.openlineage(&task.params)? {
            Ok(target) => target,
            Err(error) => {
                tracing::warn!(%error, "events of OpenLineage are not sent");
                return None;
            }
        };
        let (sender, events) = channel();
        let (tell, done) = channel();
        let (url, headers, timeout) = (endpoint(&target.url), headers(&target), target.timeout);
        let work = move || {
            let _ = tell.send(send_all(&url, &headers, timeout, &events)); // nobody may wait any more
        };
        if let Err(error) = std::thread::Builder::new().name("openlineage".to_owned()).spawn(work) {
            tracing::warn!(%error, "events of OpenLineage are not sent");
            return None;
        }
        let state = State { sender: Some(sender), done: Some(done), ..State::default() };
        Some(Arc::new(Self { job: Job::of(task, key, &target.namespace), state: Mutex::new(state), timeout }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all events are sent, or the timeout is over.
    pub(crate) fn finish(&self) {
        let (sender, done) = {
            let mut state = self.state();
            (state.sender.take(), state.done.take())
        };
        drop(sender);
        let failed = match done.map(|done| done.recv_timeout(self.timeout)) {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(failed))) => failed,
            Some(Err(_)) => format!("they were not sent within {}", humantime::format_duration(self.timeout)),
        };
        tracing::warn!("events of OpenLineage could not be sent: {failed}");
    }
}

impl State {
    fn send(&self, event: Value) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(event); // a thread that is gone has said so
        }
    }
}

impl Observer for OpenLineage {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { run, .. } => self.state().run = (*run).to_owned(),
            Event::Planned { plan } => {
                let mut state = self.state();
                state.planned = Some((*plan).clone());
                state.send(self.job.start(&state.run, plan));
            }
            Event::Ended { report, error } => {
                let state = self.state();
                let end = match report.outcome {
                    Outcome::Done | Outcome::Skipped => End::Complete,
                    Outcome::Interrupted => End::Abort,
                    Outcome::Failed | Outcome::TimedOut | Outcome::GateClosed => End::Fail,
                };
                // One that found the lock held did not run.
                if !matches!(error, Some(Error::Locked { .. })) {
                    let summary = error.map(Error::summary);
                    state.send(self.job.end(report, state.planned.as_ref(), end, summary));
                }
            }
            _ => {}
        }
    }
}

/// Where events are sent to.
fn endpoint(url: &str) -> String {
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'));
    if has_path { url.to_owned() } else { format!("{}{PATH}", url.trim_end_matches('/')) }
}

fn headers(target: &OpenLineageTarget) -> Vec<(String, String)> {
    target.api_key.iter().map(|key| ("Authorization".to_owned(), format!("Bearer {key}"))).collect()
}

/// Sends events until there are no more; returns why the first one could not be sent that was not.
fn send_all(url: &str, headers: &[(String, String)], timeout: Duration, events: &Receiver<Value>) -> Option<String> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Some(error.to_string()),
    };
    let mut failed = None;
    for event in events {
        // A server that took nothing so far is asked once more only: the run may wait for it.
        let attempts = if failed.is_none() { 4 } else { 1 };
        if let Err(why) = runtime.block_on(send(url, headers, timeout, &event, attempts)) {
            failed.get_or_insert(why);
        }
    }
    runtime.shutdown_background();
    failed
}

async fn send(
    url: &str,
    headers: &[(String, String)],
    timeout: Duration,
    event: &Value,
    attempts: u32,
) -> Result<(), String> {
    let (until, mut backoff) = (Instant::now() + timeout, Backoff::new(PAUSES.0, PAUSES.1));
    for attempt in 1.. {
        let left = until.saturating_duration_since(Instant::now());
        let Err(failed) = http::post_json(url, headers, event, left / 2).await else { return Ok(()) };
        let pause = backoff.pause().max(failed.asked.unwrap_or_default());
        if !failed.may_pass || attempt == attempts || Instant::now() + pause >= until {
            return Err(failed.message);
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// The key of the runs that events are about.
pub(crate) fn job_name(key: &RunKey) -> String {
    key.owner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_gets_that_of_the_api() {
        for (url, expected) in [
            ("http://marquez:5000", "http://marquez:5000/api/v1/lineage"),
            ("http://marquez:5000/", "http://marquez:5000/api/v1/lineage"),
            ("https://x/lineage?k=v", "https://x/lineage?k=v"),
        ] {
            assert_eq!(endpoint(url), expected);
        }
    }
}
