//! Whether the runs of a task are on time.

use chrono::{DateTime, TimeDelta, Utc};

use crate::ledger::History;
use crate::report::State;
use crate::task::Times;

/// A run may take as long as its timeout; without one until the next is due, but not longer than this.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// Clocks of processes differ, and cron starts a run some seconds after its time.
const SLACK: TimeDelta = TimeDelta::minutes(1);

/// A due time further back is not looked for: leap days are the rarest.
const LONG_AGO: TimeDelta = TimeDelta::days(366 * 9);

/// What is due, and when.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    /// The due times: those of the schedule, or of each line of a crontab.
    pub(crate) times: Vec<&'a Times>,
    /// How long a run may take.
    pub(crate) timeout: Option<TimeDelta>,
    /// When the scheduler was started: what was due before does not count.
    pub(crate) since: Option<DateTime<Utc>>,
}

/// The answer: healthy with the first text, or not, with the reason.
pub(crate) type Health = Result<String, String>;

/// Judges the history of a task. The reason is the newest run if that one failed; otherwise a run that is late.
pub(crate) fn judge(history: &History, expected: &Expected<'_>, now: DateTime<Utc>) -> Health {
    if let Some(dead) = &history.dead {
        return Err(format!("run {dead} did not end: its process is gone"));
    }
    if let Some(ended) = history.ended.as_ref().filter(|run| !is_good(run.state)) {
        let why = ended.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
        return Err(format!("run {} ended as {}{why}", ended.id, ended.state));
    }
    let late = expected.times.iter().filter_map(|times| late(times, history.published, expected, now)).min();
    if let Some((due, times)) = late.map(|due| (due, expected.times[0])) {
        let last = match history.published {
            Some(last) => format!("the last one that was published started at {}", times.show(last)),
            None => "none was ever published".to_owned(),
        };
        let running = history.running.as_ref().map_or(String::new(), |run| format!("; run {run} has not ended"));
        return Err(format!("no run was published for {}: {last}{running}", times.show(due)));
    }
    let next = expected.times.iter().filter_map(|times| times.after(now)).min();
    let next = next.zip(expected.times.first()).map(|(next, times)| format!("; next: {}", times.show(next)));
    Ok(match &history.ended {
        Some(run) => format!("run {} ended as {}{}", run.id, run.state, next.unwrap_or_default()),
        None => format!("no run was due yet{}", next.unwrap_or_default()),
    })
}

/// The latest due time whose run should have been published by now, unless one was.
fn late(
    times: &Times,
    published: Option<DateTime<Utc>>,
    expected: &Expected<'_>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    // A due time is late when the time that its run may take is over, too.
    let passed = |until: DateTime<Utc>, most| times.passed(until - LONG_AGO, until, most).0.into_iter();
    let due = match expected.timeout {
        Some(timeout) => passed(now - SLACK - timeout, 1).next_back(),
        None => passed(now, 3).rev().find(|due| {
            let interval = times.after(*due).map_or(LONGEST, |next| next - *due);
            *due + interval.min(LONGEST) + SLACK <= now
        }),
    }?;
    let counts = expected.since.is_none_or(|since| since <= due);
    (counts && published.is_none_or(|published| published < due)).then_some(due)
}

fn is_good(state: State) -> bool {
    matches!(state, State::Done | State::Skipped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ended;
    use crate::task::{parse_cron, parse_zone};

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-01T{text}Z").parse().unwrap()
    }

    fn history(published: Option<&str>) -> History {
        let ended = |_| Ended { id: "7".into(), state: State::Done, message: None };
        History { dead: None, running: None, ended: published.map(ended), published: published.map(at) }
    }

    fn health(history: &History, timeout: Option<TimeDelta>, since: Option<&str>, now: &str) -> Health {
        let hourly = Times::new(parse_cron("0 * * * *").unwrap(), "0 * * * *", parse_zone("UTC").unwrap());
        judge(history, &Expected { times: vec![&hourly], timeout, since: since.map(at) }, at(now))
    }

    #[test]
    fn a_run_is_late_when_its_time_is_over() {
        let run = history(Some("10:00:01"));
        let healthy = Ok("run 7 ended as done; next: 2026-05-01 12:00 UTC".to_owned());
        assert_eq!(health(&run, None, None, "11:59:59"), healthy, "the run of 11:00 may take until 12:00");
        let late = "no run was published for 2026-05-01 11:00 UTC: the last one that was published started at \
                    2026-05-01 10:00 UTC";
        assert_eq!(health(&run, None, None, "12:01:00"), Err(late.to_owned()));
        assert_eq!(health(&run, Some(TimeDelta::minutes(5)), None, "11:06:00"), Err(late.to_owned()));
        assert_eq!(health(&run, Some(TimeDelta::minutes(5)), None, "11:05:59"), healthy);
        let hung = History { running: Some("8".into()), ..run };
        assert_eq!(health(&hung, None, None, "12:01:00"), Err(format!("{late}; run 8 has not ended")));
    }

    #[test]
    fn what_was_due_before_the_scheduler_was_started_does_not_count() {
        let none = history(None);
        assert_eq!(
            health(&none, None, Some("11:00:01"), "12:01:00"),
            Ok("no run was due yet; next: 2026-05-01 13:00 UTC".to_owned())
        );
        let never = "no run was published for 2026-05-01 12:00 UTC: none was ever published";
        assert_eq!(health(&none, None, Some("11:00:01"), "13:01:00"), Err(never.to_owned()));
        assert!(health(&none, None, None, "12:01:00").is_err());
    }

    #[test]
    fn a_run_that_failed_is_told_at_once() {
        for state in State::ALL.into_iter().filter(|state| !state.is_open() && *state != State::Missed) {
            let ended = Ended { id: "8".into(), state, message: Some("no file".into()) };
            let history = History { ended: Some(ended), ..history(Some("10:00:01")) };
            let healthy = health(&history, None, None, "11:00:30");
            match state {
                State::Done | State::Skipped => assert!(healthy.is_ok(), "{state}"),
                _ => assert_eq!(healthy, Err(format!("run 8 ended as {state}: no file"))),
            }
        }
        let dead = History { dead: Some("9".into()), ..history(Some("10:00:01")) };
        assert_eq!(health(&dead, None, None, "10:01:00"), Err("run 9 did not end: its process is gone".to_owned()));
    }
}
