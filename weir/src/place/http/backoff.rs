//! The pauses between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);

/// The pause after each failure is twice as long as the one before it.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// Between half of the pause and all of it: clients that lost a server together do not come back together.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(0.5 + random() / 2.0);
        self.0 *= 2;
        pause
    }
}

/// A random number from 0 to 1: the keys of a hasher are random.
fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_from_client_to_client() {
        let pauses = |mut backoff: Backoff| -> Vec<Duration> { (0..5).map(|_| backoff.next()).collect() };
        let (one, other) = (pauses(Backoff::default()), pauses(Backoff::default()));
        for (i, pause) in one.iter().enumerate() {
            let most = FIRST * 2_u32.pow(i as u32);
            assert!(*pause >= most / 2 && *pause <= most, "{i}: {pause:?}");
        }
        assert_ne!(one, other);
    }
}
