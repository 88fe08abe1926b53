//! What the ledger has of alerts: which were sent, and which keys are in trouble. Processes of cron know it from each other.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Ledger, now, rfc3339};
use crate::error::Result;
use crate::report::RunKey;

/// The event of an alert that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToSend<'a> {
    /// The alert's name.
    pub(crate) alert: &'a str,
    pub(crate) event: &'a str,
    pub(crate) key: &'a RunKey,
    /// The run that it is about; empty if it is about none.
    pub(crate) run: &'a str,
    /// How long after an alert no further one is sent for the event.
    pub(crate) interval: Duration,
}

/// Whether an alert is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is; so many before it were not.
    Send(Claimed),
    /// One was sent for the event a short time ago.
    TooSoon,
    /// It was sent for this run already.
    Told,
}

/// What the ledger had before a claim: it is entered again if nothing could be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// How many alerts of the event were not sent since the last one.
    pub(crate) suppressed: u64,
    sent: Option<String>,
}

/// A key's runs without success, or windows that are late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Unsuccessful,
    Late,
}

impl Trouble {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unsuccessful => "unsuccessful",
            Self::Late => "late",
        }
    }
}

/// A trouble that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Over {
    /// How many runs were without success; none where windows were late.
    pub(crate) runs: u64,
    /// When it began.
    pub(crate) since: String,
}

impl Ledger {
    /// Claims the sending of an alert: another process that asks at the same time gets no. The runs of all windows of a task
    /// count together.
    pub(crate) fn claim_alert(&mut self, to_send: ToSend<'_>, at: DateTime<Utc>) -> Result<Claim> {
        let ToSend { alert, event, key, run, interval } = to_send;
        self.write(|t| {
            let of = params![alert, key.task, key.environment, event];
            let query = "select sent, suppressed, run from alert
                         where alert = ?1 and task = ?2 and environment = ?3 and event = ?4";
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, u64>(1)?, row.get::<_, String>(2)?))
            };
            let known = t.query_row(query, of, row).optional()?;
            let (sent, suppressed, told) = known.unwrap_or_default();
            if !run.is_empty() && told == run {
                return Ok(Claim::Told);
            }
            let last: Option<DateTime<Utc>> = sent.as_deref().and_then(|sent| sent.parse().ok());
            let interval = TimeDelta::from_std(interval).unwrap_or(TimeDelta::MAX);
            // A time that is still to come is that of a clock that was ahead.
            if last.is_some_and(|last| last <= at && at - last < interval) {
                t.execute(
                    "update alert set suppressed = suppressed + 1
                     where alert = ?1 and task = ?2 and environment = ?3 and event = ?4",
                    of,
                )?;
                return Ok(Claim::TooSoon);
            }
            t.execute(
                "insert or replace into alert (alert, task, environment, event, run, sent, suppressed)
                 values (?1, ?2, ?3, ?4, ?5, ?6, 0)",
                params![alert, key.task, key.environment, event, run, rfc3339(at)],
            )?;
            Ok(Claim::Send(Claimed { suppressed, sent }))
        })
    }

    /// Takes back the claim of an alert that could not be sent: the next one is sent, and counts it.
    pub(crate) fn release_alert(&mut self, to_send: ToSend<'_>, claimed: &Claimed) -> Result<()> {
        let ToSend { alert, event, key, run, .. } = to_send;
        self.write(|t| {
            t.execute(
                "update alert set sent = ?6, suppressed = suppressed + ?7 + 1, run = ''
                 where alert = ?1 and task = ?2 and environment = ?3 and event = ?4 and run = ?5",
                params![alert, key.task, key.environment, event, run, claimed.sent, claimed.suppressed],
            )?;
            Ok(())
        })
    }

    /// Enters that a run of a key had no success, or that windows of it are late.
    pub(crate) fn in_trouble(&mut self, key: &RunKey, trouble: Trouble) -> Result<()> {
        self.write(|t| {
            t.execute(
                "insert into trouble (task, environment, \"window\", kind, since, runs) values (?1, ?2, ?3, ?4, ?5, 1)
                 on conflict do update set runs = runs + 1",
                params![key.task, key.environment, window(key), trouble.as_str(), now()],
            )?;
            Ok(())
        })
    }

    /// Whether a key is in trouble.
    pub(crate) fn is_in_trouble(&self, key: &RunKey, trouble: Trouble) -> Result<bool> {
        let query = "select 1 from trouble where task = ?1 and environment = ?2 and \"window\" = ?3 and kind = ?4";
        let of = params![key.task, key.environment, window(key), trouble.as_str()];
        self.ask(|c| c.query_row(query, of, |_| Ok(())).optional()).map(|found| found.is_some())
    }

    /// Ends the trouble of a key, if it was in one: as alerts have entered it, or as the runs before this one ended.
    pub(crate) fn end_trouble(&mut self, key: &RunKey, trouble: Trouble, run: &str) -> Result<Option<Over>> {
        self.write(|t| {
            let of = params![key.task, key.environment, window(key), trouble.as_str()];
            let over = |row: &rusqlite::Row<'_>| Ok(Over { since: row.get(0)?, runs: row.get(1)? });
            let query = "select since, runs from trouble
                         where task = ?1 and environment = ?2 and \"window\" = ?3 and kind = ?4";
            let entered = t.query_row(query, of, over).optional()?;
            let delete = "delete from trouble where task = ?1 and environment = ?2 and \"window\" = ?3 and kind = ?4";
            t.execute(delete, of)?;
            if trouble == Trouble::Late || entered.is_some() {
                return Ok(entered.map(|over| match trouble {
                    Trouble::Late => Over { runs: 0, ..over },
                    Trouble::Unsuccessful => over,
                }));
            }
            // Runs that ended when nobody was to be told.
            let query = "
                with before as (
                    select rowid, state, started from run
                    where task = ?1 and environment = ?2 and \"window\" is ?3
                    and report ->> '$.replay' is null
                    and rowid < (select rowid from run where id = ?4))
                select min(started), count(*) from before
                where state in ('failed', 'gate_closed', 'timed_out', 'died')
                and rowid > coalesce((select max(rowid) from before where state in ('done', 'skipped')), 0)";
            let of = params![key.task, key.environment, key.window, run];
            let (since, runs): (Option<String>, u64) = t.query_row(query, of, |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(since.map(|since| Over { runs, since }))
        })
    }
}

/// The window of a key, as a part of a primary key: a null is none.
fn window(key: &RunKey) -> &str {
    key.window.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> RunKey {
        RunKey::new("people", "default")
    }

    #[test]
    fn an_alert_is_sent_once_in_its_interval_and_the_next_one_says_how_many_were_not() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, key) = (Ledger::open(folder.path()).unwrap(), people());
        let at = |seconds: i64| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let of = |run| ToSend { alert: "ops", event: "failed", key: &key, run, interval: Duration::from_secs(600) };
        let suppressed = |claim: Claim| match claim {
            Claim::Send(claimed) => Some(claimed.suppressed),
            _ => None,
        };
        assert_eq!(suppressed(ledger.claim_alert(of("1"), at(0)).unwrap()), Some(0));
        assert_eq!(ledger.claim_alert(of("1"), at(700)).unwrap(), Claim::Told);
        assert_eq!(ledger.claim_alert(of("2"), at(1)).unwrap(), Claim::TooSoon);
        assert_eq!(ledger.claim_alert(of("3"), at(599)).unwrap(), Claim::TooSoon);
        // Another event, another alert and another environment have their own time.
        let other = ToSend { event: "recovered", ..of("3") };
        assert_eq!(suppressed(ledger.claim_alert(other, at(599)).unwrap()), Some(0));
        assert_eq!(suppressed(ledger.claim_alert(ToSend { alert: "dev", ..of("3") }, at(599)).unwrap()), Some(0));
        let prod = RunKey::new("people", "prod");
        assert_eq!(suppressed(ledger.claim_alert(ToSend { key: &prod, ..of("3") }, at(599)).unwrap()), Some(0));
        let Claim::Send(claimed) = ledger.claim_alert(of("4"), at(600)).unwrap() else { panic!() };
        assert_eq!(claimed.suppressed, 2);
        // It could not be sent: the next one is sent at once.
        ledger.release_alert(of("4"), &claimed).unwrap();
        assert_eq!(suppressed(ledger.claim_alert(of("5"), at(601)).unwrap()), Some(3));
        assert_eq!(suppressed(ledger.claim_alert(of("6"), at(5)).unwrap()), Some(0), "the clock was ahead");
    }

    #[test]
    fn a_trouble_is_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, key) = (Ledger::open(folder.path()).unwrap(), people());
        assert_eq!(ledger.end_trouble(&key, Trouble::Unsuccessful, "1").unwrap(), None);
        for _ in 0..3 {
            ledger.in_trouble(&key, Trouble::Unsuccessful).unwrap();
        }
        ledger.in_trouble(&key, Trouble::Late).unwrap();
        assert!(ledger.is_in_trouble(&key, Trouble::Late).unwrap());
        let january = RunKey { window: Some("2026-01".into()), ..key.clone() };
        assert_eq!(ledger.end_trouble(&january, Trouble::Unsuccessful, "1").unwrap(), None);
        assert_eq!(ledger.end_trouble(&key, Trouble::Unsuccessful, "1").unwrap().unwrap().runs, 3);
        assert_eq!(ledger.end_trouble(&key, Trouble::Unsuccessful, "1").unwrap(), None);
        assert_eq!(ledger.end_trouble(&key, Trouble::Late, "").unwrap().unwrap().runs, 0);
        assert!(!ledger.is_in_trouble(&key, Trouble::Late).unwrap());
    }

    #[test]
    fn runs_that_ended_before_there_were_alerts_count() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, key) = (Ledger::open(folder.path()).unwrap(), people());
        for (id, state) in ["failed", "done", "gate_closed", "interrupted", "died", "missed", "done"].iter().enumerate()
        {
            let of = params![id.to_string(), state, key.task, key.environment];
            let insert = "insert into run (id, task, environment, started, state, pid, parameters)
                          values (?1, ?3, ?4, '2026-01-0' || (?1 + 1) || 'T00:00:00Z', ?2, 1, '{}')";
            ledger.write(|t| t.execute(insert, of).map(drop)).unwrap();
        }
        let over = Over { runs: 2, since: "2026-01-03T00:00:00Z".to_owned() };
        assert_eq!(ledger.end_trouble(&key, Trouble::Unsuccessful, "6").unwrap(), Some(over));
        assert_eq!(ledger.end_trouble(&key, Trouble::Unsuccessful, "1").unwrap().unwrap().runs, 1);
    }
}
