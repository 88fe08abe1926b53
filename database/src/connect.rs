//! Repeats attempts to open a session.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::error::Failure;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Time limit of the last attempt when `wait` has elapsed: an attempt with no time at all would only hide why the
/// others failed.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// The attempts to open a session: they are repeated until there is one, until a failure is permanent, or the wait is over.
///
/// ```
/// # use weir_database::{Failure, Retries};
/// # async fn attempt(_: Option<std::time::Instant>) -> Result<(), Failure> { Ok(()) }
/// # async fn connect() -> Result<(), Failure> {
/// let mut retries = Retries::for_up_to(std::time::Duration::from_secs(30));
/// loop {
///     match attempt(retries.end()).await {
///         Ok(session) => return Ok(session),
///         Err(failure) => retries.after(failure).await?,
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Retries {
    begun: Instant,
    wait: Duration,
    pause: Duration,
    failed: u32,
}

impl Retries {
    /// Attempts that begin within a time.
    pub fn for_up_to(wait: Duration) -> Self {
        Self { begun: Instant::now(), wait, pause: FIRST_PAUSE, failed: 0 }
    }

    /// When the next attempt has to end; none for the first one.
    pub fn end(&self) -> Option<Instant> {
        (self.failed > 0).then(|| self.begun.checked_add(self.wait)).flatten()
    }

    /// Waits for the next attempt.
    ///
    /// # Errors
    /// The failure, if there is to be no other attempt.
    pub async fn after(&mut self, mut failure: Failure) -> Result<(), Failure> {
        self.failed += 1;
        let left = self.wait.saturating_sub(self.begun.elapsed());
        if !failure.reason.is_transient() || left.is_zero() {
            if self.failed > 1 {
                let tried = format!(" (tried {} times in {:.1} s)", self.failed, self.begun.elapsed().as_secs_f64());
                failure.message.push_str(&tried);
            }
            return Err(failure);
        }
        if self.failed == 1 {
            tracing::warn!("{}; retrying for up to {:.0} s", failure.message, left.as_secs_f64().ceil());
        }
        tokio::time::sleep(jittered(self.pause).min(left)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// The time limit of an attempt that may take `most`, and has to end at a time.
pub fn time_limit(most: Duration, end: Option<Instant>) -> Duration {
    match end {
        Some(end) => most.min(end.saturating_duration_since(Instant::now()).max(LAST_ATTEMPT)),
        None => most,
    }
}

/// Between half of the pause and all of it, so that clients that lost a server together do not reconnect together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + random() / 2.0)
}

/// A random number from 0 to 1. The keys of a hasher are the only source of randomness in the standard library.
fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}
