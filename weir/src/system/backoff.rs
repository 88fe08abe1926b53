//! The pauses between attempts to reach a server.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use chrono::DateTime;

/// Exponential backoff: the pauses after successive failures, each twice as long as the one before it.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses from the first one to the longest one.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// The next pause: between half of it and all of it, so that clients that lost a server together do not reconnect
    /// together.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + random() / 2.0);
        self.next = self.next.saturating_mul(2).min(self.longest);
        pause
    }
}

/// The pause that a server asks for in the header `Retry-After`: seconds, or a time.
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let seconds = header.trim().parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Some(http_time(header)?.duration_since(now).unwrap_or_default()))
}

/// A time in a header of HTTP.
pub(crate) fn http_time(header: &str) -> Option<SystemTime> {
    DateTime::parse_from_rfc2822(header.trim()).ok().map(SystemTime::from)
}

/// A random number from 0 to 1. The keys of a hasher are the only source of randomness in the standard library.
fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_differ_from_client_to_client() {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(10));
        let pauses = |mut backoff: Backoff| -> Vec<Duration> { (0..12).map(|_| backoff.pause()).collect() };
        let (one, other) = (pauses(Backoff::new(first, longest)), pauses(Backoff::new(first, longest)));
        for (i, pause) in one.iter().enumerate() {
            let most = (first * 2_u32.pow(i as u32)).min(longest);
            assert!(*pause >= most / 2 && *pause <= most, "{i}: {pause:?}");
        }
        assert_ne!(one, other);
    }

    #[test]
    fn retry_after_is_seconds_or_a_time() {
        let now = SystemTime::from(DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap());
        for (header, expected) in [
            ("120", Some(120)),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(90)),
            ("Wed, 31 Dec 2025 23:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(retry_after(header, now), expected.map(Duration::from_secs), "{header}");
        }
    }
}
