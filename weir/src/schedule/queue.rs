//! What is due: the runs that a schedule has to start, and those whose time has passed.

use chrono::{DateTime, TimeDelta, Utc};

use crate::report::RunKey;
use crate::task::Times;

/// A due time that has passed by less than this is started late; otherwise it is missed.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// The maximum number of missed times that are recorded one by one; after a long downtime there can be more.
const MOST_MISSED: usize = 100;

/// A run that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DueRun {
    pub(super) key: RunKey,
    pub(super) at: DateTime<Utc>,
}

/// The runs of a schedule, in the order in which they are due.
#[derive(Debug)]
pub(super) struct Queue {
    key: RunKey,
    times: Times,
    /// The time up to which every due run was taken or missed.
    last: DateTime<Utc>,
}

/// Due runs that were not taken in time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MissedRuns {
    pub(super) runs: Vec<DueRun>,
    /// Further ones between these two times, which are too many to list.
    pub(super) more: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Queue {
    /// The runs that are due after a time.
    pub(super) fn new(key: RunKey, times: Times, last: DateTime<Utc>) -> Self {
        Self { key, times, last }
    }

    /// When the next run is due.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.times.after(self.last)
    }

    /// Takes the runs that are too late to start.
    pub(super) fn missed(&mut self, now: DateTime<Utc>) -> MissedRuns {
        let (times, more) = self.times.passed(self.last, now - LATE, MOST_MISSED);
        let more = times.first().filter(|_| more).map(|first| (self.last, *first));
        self.last = times.last().copied().unwrap_or(self.last);
        MissedRuns { runs: times.into_iter().map(|at| DueRun { key: self.key.clone(), at }).collect(), more }
    }

    /// The clock was set back to a time: what is due after it is due again.
    pub(super) fn go_back(&mut self, now: DateTime<Utc>) {
        self.last = self.last.min(now);
    }

    /// Takes the run that is due at a time, unless it was taken or missed.
    pub(super) fn take(&mut self, at: DateTime<Utc>) -> Option<DueRun> {
        (self.last < at).then(|| {
            self.last = at;
            DueRun { key: self.key.clone(), at }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_due_time_is_taken_or_missed_once() {
        let at = |minutes: i64| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let due = |minutes: i64| DueRun { key: RunKey::new("people", "default"), at: at(minutes) };
        let mut queue = Queue::new(RunKey::new("people", "default"), Times::Every(600), at(0));
        assert_eq!(queue.next(), Some(at(10)));
        assert_eq!(queue.missed(at(10)), MissedRuns::default(), "it is due now, and not late");
        assert_eq!(queue.take(at(10)), Some(due(10)));
        assert_eq!(queue.take(at(10)), None);
        // The machine slept: the last time is not late yet.
        assert_eq!(queue.missed(at(50)), MissedRuns { runs: vec![due(20), due(30), due(40)], more: None });
        assert_eq!(queue.take(at(50)), Some(due(50)));
        let missed = queue.missed(at(20_000));
        assert_eq!((missed.runs.len(), missed.more), (MOST_MISSED, Some((at(50), missed.runs[0].at))));
        assert_eq!(queue.next(), Some(at(20_000)));
    }

    #[test]
    fn after_the_clock_was_set_back_the_next_due_time_is_soon() {
        let at = |minutes: i64| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let mut queue = Queue::new(RunKey::new("people", "default"), Times::Every(600), at(100_000));
        assert_eq!(queue.next(), Some(at(100_010)));
        queue.go_back(at(5));
        assert_eq!(queue.next(), Some(at(10)));
    }
}
