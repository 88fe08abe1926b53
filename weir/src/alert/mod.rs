//! Alerts: what happened, told to those whom `alerts` in `weir.yaml` and in the task name.
//!
//! An observer collects what there is to tell; it is sent when the run has ended, all alerts in parallel and each for no longer
//! than its timeout. That an alert cannot be sent is a warning: it changes neither the run nor its exit code. Which ones were
//! sent is in the ledger, because runs of cron are processes of their own.

mod command;
#[cfg(feature = "email")]
mod email;
mod notice;
mod send;
#[cfg(any(feature = "http", test))]
mod template;
#[cfg(feature = "http")]
mod webhook;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use chrono::Utc;

use crate::error::{Error, Result, SourceText};
use crate::ledger::{Claim, Claimed, Ledger, Over, ToSend, Trouble};
use crate::report::{Outcome, RunKey};
use crate::task::{AlertSpec, Params, Project, Task, TaskOwner};
use crate::watch::{Event, Observer};
pub(crate) use notice::Notice;
use send::{Failed, Outgoing};

/// The alerts of a task in an environment.
#[derive(Debug)]
pub(crate) struct Alerts {
    state: PathBuf,
    all: Vec<Alert>,
    params: Params,
    collected: Mutex<Vec<(Notice, Change)>>,
}

/// An alert, and the file that it is in.
#[derive(Debug)]
struct Alert {
    name: String,
    spec: AlertSpec,
    source: SourceText,
}

/// What a notice says about the trouble of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Begins(Trouble),
    /// It is over, if there was one: then that is a notice, too.
    Ends(Trouble),
}

/// An alert that could not be sent.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub(crate) alert: String,
    pub(crate) why: String,
}

impl Alerts {
    /// Those of a task; none if it has none in its environment.
    pub(crate) fn of(task: &Task, state: &Path) -> Option<Arc<Self>> {
        let own = task.spec.alerts.iter().map(|(name, alert)| (&task.source, name.as_str(), &alert.value));
        Self::new(&task.project, own.collect(), &task.params, &task.environment, state)
    }

    /// Those of a task whose file is broken: of `weir.yaml`.
    pub(crate) fn of_owner(owner: &TaskOwner, environment: &str, state: &Path) -> Option<Arc<Self>> {
        Self::new(&owner.project, vec![], &owner.params, environment, state)
    }

    fn new(
        project: &Project,
        own: Vec<(&SourceText, &str, &AlertSpec)>,
        params: &Params,
        environment: &str,
        state: &Path,
    ) -> Option<Arc<Self>> {
        let is_own = |name: &str| own.iter().any(|(_, own, _)| *own == name);
        let shared = project.alerts().filter(|(_, name, _)| !is_own(name));
        let is_for =
            |spec: &AlertSpec| spec.environments.is_empty() || spec.environments.iter().any(|one| one == environment);
        let all: Vec<Alert> = shared
            .chain(own.iter().copied())
            .filter(|(_, _, spec)| is_for(spec))
            .map(|(source, name, spec)| Alert { name: name.to_owned(), spec: spec.clone(), source: source.clone() })
            .collect();
        let (state, params) = (state.to_owned(), params.clone());
        (!all.is_empty()).then(|| Arc::new(Self { state, all, params, collected: Mutex::default() }))
    }

    /// Adds what is to be told.
    fn add(&self, notice: Notice, change: Change) {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner).push((notice, change));
    }

    /// Adds an error that ended a run before it began.
    pub(crate) fn not_begun(&self, key: &RunKey, error: &Error) {
        if !matches!(error, Error::Locked { .. } | Error::Interrupted) {
            self.add(Notice::failed(key, "", error.summary()), Change::Begins(Trouble::Unsuccessful));
        }
    }

    /// Sends what was collected. It returns when all is sent, or when the longest timeout is over.
    pub(crate) fn deliver(&self) -> Vec<Unsent> {
        let notices = std::mem::take(&mut *self.collected.lock().unwrap_or_else(PoisonError::into_inner));
        if notices.is_empty() {
            return vec![];
        }
        let began = Instant::now();
        let mut ledger = match Ledger::open_briefly(&self.state) {
            Ok(ledger) => Some(ledger),
            // A full disk is a reason for an alert, not for none.
            Err(error) => {
                let mut none = None;
                without(&mut none, &error);
                none
            }
        };
        let mut claims = vec![];
        for (notice, change) in notices {
            for notice in changed(&mut ledger, notice, change) {
                claims.extend(self.claims(&mut ledger, &notice, began));
            }
        }
        drop(ledger); // it is opened again if something could not be sent
        let sent = send::all(claims);
        let failed: Vec<_> =
            sent.into_iter().filter_map(|(outgoing, result)| Some((outgoing, result.err()?))).collect();
        self.release(&failed);
        failed.into_iter().map(unsent).collect()
    }

    /// The alerts that are sent for a notice.
    fn claims(&self, ledger: &mut Option<Ledger>, notice: &Notice, began: Instant) -> Vec<Outgoing> {
        let for_event = self.all.iter().filter(|alert| alert.spec.events.contains(&notice.event));
        let mut claimed = vec![];
        for alert in for_event {
            let claim =
                ledger.as_mut().map(|ledger| ledger.claim_alert(to_send(&alert.name, &alert.spec, notice), Utc::now()));
            let before = match claim {
                None => None,
                Some(Ok(Claim::Send(before))) => Some(before),
                Some(Ok(Claim::Told)) => continue,
                Some(Ok(Claim::TooSoon)) => {
                    let event = notice.event.as_str();
                    tracing::info!(alert = alert.name, event, "not sent: another one was sent a short time ago");
                    continue;
                }
                Some(Err(error)) => {
                    without(ledger, &error);
                    None
                }
            };
            claimed.push(self.outgoing(alert, notice, before, began));
        }
        claimed
    }

    fn outgoing(&self, alert: &Alert, notice: &Notice, claimed: Option<Claimed>, began: Instant) -> Outgoing {
        let suppressed = claimed.as_ref().map_or(0, |claimed| claimed.suppressed);
        Outgoing {
            alert: alert.name.clone(),
            interval: alert.spec.interval.0,
            notice: notice.after(suppressed),
            channel: alert.spec.channel(&alert.source, &self.params),
            until: began + alert.spec.timeout.0,
            timeout: alert.spec.timeout.0,
            claimed,
        }
    }

    /// What could not be sent does not keep the next one from being sent.
    fn release(&self, failed: &[(Outgoing, Failed)]) {
        let claimed = |outgoing: &Outgoing| outgoing.claimed.clone();
        for (outgoing, claimed) in failed.iter().filter_map(|(outgoing, _)| Some((outgoing, claimed(outgoing)?))) {
            let Outgoing { alert, notice, interval, .. } = outgoing;
            let of =
                ToSend { alert, event: notice.event.as_str(), key: &notice.key, run: &notice.run, interval: *interval };
            let released = Ledger::open_briefly(&self.state).and_then(|mut ledger| ledger.release_alert(of, &claimed));
            if let Err(error) = released {
                tracing::warn!(%error, alert, "the ledger could not be told that the alert was not sent");
            }
        }
    }

    /// Sends a test to each alert; returns the name of each, and why it could not be sent.
    pub(crate) fn test(&self, key: &RunKey) -> Vec<(String, Option<String>)> {
        let notice = Notice::test(key);
        let began = Instant::now();
        let sent = send::all(self.all.iter().map(|alert| self.outgoing(alert, &notice, None, began)).collect());
        sent.into_iter().map(|(outgoing, result)| (outgoing.alert, result.err().map(|failed| failed.0))).collect()
    }

    /// Whether what the alerts refer to is there: the name of each, and what is wrong with it.
    pub(crate) fn check(&self) -> Vec<(&str, Result<()>)> {
        let checked = |alert: &Alert| alert.spec.channel(&alert.source, &self.params).map(|_| ());
        self.all.iter().map(|alert| (alert.name.as_str(), checked(alert))).collect()
    }
}

/// From here on alerts do without the ledger: it is not waited for again.
fn without(ledger: &mut Option<Ledger>, error: &Error) {
    *ledger = None;
    tracing::warn!(%error, "alerts are sent without the ledger, so that some may be sent twice");
}

fn unsent((outgoing, Failed(why)): (Outgoing, Failed)) -> Unsent {
    let alert = outgoing.alert;
    tracing::warn!(alert, event = outgoing.notice.event_name(), "the alert could not be sent: {why}");
    Unsent { alert, why }
}

fn to_send<'a>(alert: &'a str, spec: &AlertSpec, notice: &'a Notice) -> ToSend<'a> {
    let Notice { event, key, run, .. } = notice;
    ToSend { alert, event: event.as_str(), key, run, interval: spec.interval.0 }
}

/// Enters what a notice says about the trouble of its key; returns what is to be told: that it is over, too.
fn changed(ledger: &mut Option<Ledger>, notice: Notice, change: Change) -> Vec<Notice> {
    let over = match (ledger.as_mut(), change) {
        (None, _) => Ok(None),
        (Some(ledger), Change::Begins(trouble)) => ledger.in_trouble(&notice.key, trouble).map(|()| None),
        (Some(ledger), Change::Ends(trouble)) => ended(ledger, &notice, trouble),
    };
    let over = over.unwrap_or_else(|error| {
        without(ledger, &error);
        None
    });
    let recovered = over.map(|over| notice.recovered(over));
    let told = notice.is_told().then_some(notice);
    told.into_iter().chain(recovered).collect()
}

fn ended(ledger: &mut Ledger, notice: &Notice, trouble: Trouble) -> Result<Option<Over>> {
    let over = ledger.end_trouble(&notice.key, trouble, &notice.run)?;
    // A task that was not started in time is on time with its next success.
    let late = match trouble {
        Trouble::Unsuccessful => ledger.end_trouble(&notice.key, Trouble::Late, &notice.run)?,
        Trouble::Late => None,
    };
    Ok(over.or(late))
}

impl Observer for Alerts {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Ended { report, error } => {
                let change = match report.outcome {
                    Outcome::Failed if matches!(error, Some(Error::Locked { .. })) => return,
                    // Whoever stops a run knows that.
                    Outcome::Interrupted => return,
                    // That old records are published says nothing of the runs that are due.
                    Outcome::Done | Outcome::Skipped if report.replay.is_some() => return,
                    Outcome::Failed | Outcome::TimedOut | Outcome::GateClosed => Change::Begins(Trouble::Unsuccessful),
                    Outcome::Done | Outcome::Skipped => Change::Ends(Trouble::Unsuccessful),
                };
                self.add(Notice::ended(report, error.map(Error::summary)), change);
            }
            Event::Died { run, key, state, .. } => {
                self.add(Notice::died(key, run, *state), Change::Begins(Trouble::Unsuccessful));
            }
            Event::Missed { key, due, reason } => {
                self.add(Notice::missed(key, due, reason), Change::Begins(Trouble::Late));
            }
            Event::Late { key, windows: [] } => self.add(Notice::on_time(key), Change::Ends(Trouble::Late)),
            Event::Late { key, windows } => self.add(Notice::late(key, windows), Change::Begins(Trouble::Late)),
            Event::Started { .. }
            | Event::Planned { .. }
            | Event::Reading { .. }
            | Event::StepStarted { .. }
            | Event::Step { .. } => {}
        }
    }
}

/// Sends alerts as they come, of a process that stays: it does not wait for them before it ends.
#[derive(Debug)]
pub(crate) struct AtOnce {
    alerts: Arc<Alerts>,
    sending: Mutex<Vec<JoinHandle<()>>>,
}

impl AtOnce {
    pub(crate) fn new(alerts: Arc<Alerts>) -> Self {
        Self { alerts, sending: Mutex::default() }
    }
}

impl Observer for AtOnce {
    fn event(&self, event: &Event<'_>) {
        self.alerts.event(event);
        let alerts = self.alerts.clone();
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.retain(|thread| !thread.is_finished());
        match std::thread::Builder::new().spawn(move || drop(alerts.deliver())) {
            Ok(thread) => sending.push(thread),
            // It is sent with the next event.
            Err(error) => tracing::warn!(%error, "an alert could not be sent now"),
        }
    }
}

impl Drop for AtOnce {
    fn drop(&mut self) {
        for thread in self.sending.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join(); // what went wrong was logged
        }
    }
}
