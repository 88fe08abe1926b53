//! Sends alerts: all in parallel, each in several attempts until its time is over.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::future::join_all;

#[cfg(feature = "email")]
use super::email;
#[cfg(feature = "http")]
use super::webhook;
use super::{Notice, command};
use crate::error::Result;
use crate::ledger::Claimed;
use crate::system::backoff::Backoff;
use crate::task::Channel;

/// The pause after the first attempt, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));

const ATTEMPTS: u32 = 5;

/// An alert ends this long before its time is over, so that its end is still seen.
const MARGIN: Duration = Duration::from_millis(50);

/// An alert that is being sent.
pub(super) struct Outgoing {
    pub(super) alert: String,
    pub(super) interval: Duration,
    pub(super) notice: Notice,
    pub(super) channel: Result<Channel>,
    /// When it has to be sent.
    pub(super) until: Instant,
    pub(super) timeout: Duration,
    pub(super) claimed: Option<Claimed>,
}

/// Why an alert could not be sent. It has no secret.
#[derive(Debug, Clone)]
pub(super) struct Failed(pub(super) String);

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) why: String,
    /// Whether another one may succeed.
    pub(super) may_pass: bool,
    /// The pause that a server asks for.
    pub(super) asked: Option<Duration>,
}

impl Attempt {
    pub(super) fn failed(why: impl Into<String>, may_pass: bool) -> Self {
        Self { why: why.into(), may_pass, asked: None }
    }
}

/// Sends them; returns how each ended. A name server that does not answer and the like block a thread, which is left behind: they
/// are sent by threads of their own.
pub(super) fn all(outgoing: Vec<Outgoing>) -> Vec<(Outgoing, Result<(), Failed>)> {
    let Some(until) = outgoing.iter().map(|of| of.until).max() else { return vec![] };
    // Those of one alert in their order: a recovery after the failure.
    let mut plans: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (number, of) in outgoing.iter().enumerate() {
        if let Ok(channel) = &of.channel {
            plans.entry(of.alert.clone()).or_default().push((number, channel.clone(), of.notice.clone(), of.until));
        }
    }
    let (send, receive) = mpsc::channel();
    let work = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let sends = plans.into_values().map(|plans| {
            let send = send.clone();
            async move {
                for (number, channel, notice, until) in plans {
                    let _ = send.send((number, in_time(&channel, &notice, until).await)); // nobody may wait any more
                }
            }
        });
        runtime.block_on(join_all(sends));
        runtime.shutdown_background();
    };
    let mut results: Vec<Option<Result<(), Failed>>> =
        outgoing.iter().map(|of| of.channel.as_ref().err().map(|error| Err(Failed(error.to_string())))).collect();
    if let Err(error) = std::thread::Builder::new().name("alerts".to_owned()).spawn(work) {
        tracing::warn!(%error, "the thread of the alerts could not be started");
    }
    while results.iter().any(Option::is_none) {
        let left = until.saturating_duration_since(Instant::now());
        let Ok((number, result)) = receive.recv_timeout(left) else { break };
        results[number] = Some(result);
    }
    let ended = outgoing.into_iter().zip(results);
    ended
        .map(|(of, result)| {
            let result = result.unwrap_or_else(|| Err(not_in(of.timeout)));
            (of, result)
        })
        .collect()
}

fn not_in(timeout: Duration) -> Failed {
    Failed(format!("it was not sent within {}", humantime::format_duration(timeout)))
}

async fn in_time(channel: &Channel, notice: &Notice, until: Instant) -> Result<(), Failed> {
    let mut last = None;
    let left = until.saturating_duration_since(Instant::now()).saturating_sub(MARGIN);
    let began = Instant::now();
    match tokio::time::timeout(left, attempts(channel, notice, until, &mut last)).await {
        Ok(result) => result,
        Err(_) => {
            let last = last.unwrap_or_else(|| "there was no answer".to_owned());
            Err(Failed(format!("{last}; given up after {:.1} s", began.elapsed().as_secs_f64())))
        }
    }
}

async fn attempts(channel: &Channel, notice: &Notice, until: Instant, last: &mut Option<String>) -> Result<(), Failed> {
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    for attempt in 1.. {
        let left = until.saturating_duration_since(Instant::now());
        // One that is not answered leaves time for another one.
        let Err(failed) = once(channel, notice, left / 2).await else { return Ok(()) };
        if !failed.may_pass || attempt == ATTEMPTS {
            return Err(Failed(failed.why));
        }
        *last = Some(failed.why);
        tokio::time::sleep(backoff.pause().max(failed.asked.unwrap_or_default())).await;
    }
    Ok(())
}

async fn once(channel: &Channel, notice: &Notice, most: Duration) -> Result<(), Attempt> {
    match channel {
        Channel::Command { program, arguments } => command::run(program, arguments, notice).await,
        #[cfg(feature = "http")]
        Channel::Webhook { url, template, headers } => {
            webhook::post(url, headers, &super::template::body(*template, notice), most).await
        }
        #[cfg(feature = "email")]
        Channel::Email { smtp, from, to } => email::send(smtp, from, to, notice, most).await,
        #[cfg(not(all(feature = "http", feature = "email")))]
        _ => {
            let _ = most;
            Err(Attempt::failed("this program was built without the feature `http` or `email`", false))
        }
    }
}
