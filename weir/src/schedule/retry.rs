//! A run that failed for a reason that may pass is tried again.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::queue::DueRun;
use crate::task::RetriesSpec;

/// A longer wait helps nobody.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A due run that is going to be started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) due: DueRun,
    /// How many times it was tried again, this one included.
    pub(super) tried: u32,
    wait: Duration,
    at: Instant,
}

impl Retry {
    /// The next try of a run that was tried again so many times; `None` if that was the last one.
    pub(super) fn after(retries: RetriesSpec, due: DueRun, tried: u32) -> Option<Self> {
        let wait = retries.backoff.0.checked_mul(1 << tried.min(16)).unwrap_or(LONGEST).min(LONGEST);
        (tried < retries.attempts.get()).then(|| Self { due, tried: tried + 1, wait, at: Instant::now() + wait })
    }

    /// Waits until it is to be started; pends for ever if there is none.
    pub(super) async fn is_due(retry: Option<&Self>) {
        match retry {
            Some(retry) => tokio::time::sleep_until(retry.at).await,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "try {} begins in {}", self.tried, humantime::format_duration(self.wait))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::report::RunKey;
    use crate::task::Span;

    #[test]
    fn each_wait_is_twice_as_long_and_the_tries_end() {
        let due = || DueRun { key: RunKey::new("people", "default"), at: DateTime::<Utc>::UNIX_EPOCH };
        let retries = RetriesSpec { attempts: 3.try_into().unwrap(), backoff: Span(Duration::from_secs(60)) };
        let waits: Vec<_> =
            (0..5).map(|tried| Retry::after(retries, due(), tried).map(|retry| retry.wait.as_secs())).collect();
        assert_eq!(waits, [Some(60), Some(120), Some(240), None, None]);
    }
}
