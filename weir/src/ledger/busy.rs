//! Waiting for a ledger that another process writes to.

use std::time::Duration;

/// The pauses between attempts in milliseconds: short ones first, as a write takes some milliseconds.
const FIRST_PAUSES: [u64; 10] = [1, 2, 5, 10, 15, 20, 25, 25, 50, 50];
const PAUSE: u64 = 100;

/// The attempt after which the wait is told, about a second after the first one.
const TOLD: usize = FIRST_PAUSES.len() + 8;

/// The last attempt, about ten seconds after the first one.
const LAST: usize = FIRST_PAUSES.len() + 98;

/// Waits before another attempt; `false` if there is none.
pub(super) fn wait(attempts: i32) -> bool {
    let attempts = attempts as usize;
    if attempts == TOLD {
        tracing::warn!("waiting for the ledger, to which another process writes");
    }
    if attempts < LAST {
        std::thread::sleep(Duration::from_millis(*FIRST_PAUSES.get(attempts).unwrap_or(&PAUSE)));
    }
    attempts < LAST
}

/// The same for about a second.
pub(super) fn wait_briefly(attempts: i32) -> bool {
    (attempts as usize) < TOLD && wait(attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_told_after_a_second_and_ends_after_ten() {
        let pauses = |attempts: usize| {
            let before: u64 = FIRST_PAUSES.iter().take(attempts).sum();
            before + PAUSE * attempts.saturating_sub(FIRST_PAUSES.len()) as u64
        };
        assert!((950..1100).contains(&pauses(TOLD)), "{}", pauses(TOLD));
        assert!((9_900..10_100).contains(&pauses(LAST)), "{}", pauses(LAST));
        assert!(!wait(LAST as i32));
    }
}
