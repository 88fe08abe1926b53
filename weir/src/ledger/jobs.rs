//! The queue: the windows of tasks that are to be run, or were.
//!
//! A job is taken by one worker, which holds the lock of the job as long as it lives. One whose worker has died is taken again
//! by the next one.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde::Serialize;

use super::{Ledger, Lock, rfc3339, state};
use crate::error::Result;
use crate::report::{RunKey, State};

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// It waits for a worker.
    Waiting,
    /// A worker has it.
    Running,
    /// Its window is loaded.
    Done,
    /// Its window had no data.
    Empty,
    /// Its attempts are used up.
    Dead,
}

impl JobState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Done, Self::Empty, Self::Dead];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Empty => "empty",
            Self::Dead => "dead",
        }
    }
}

/// A window that is to be entered into the queue.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    pub(crate) window: String,
    pub(crate) starts: DateTime<Utc>,
    pub(crate) due: DateTime<Utc>,
}

/// A window in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuedJob {
    pub(crate) window: String,
    pub(crate) state: JobState,
    pub(crate) attempts: u32,
    pub(crate) due: DateTime<Utc>,
    /// When it may be taken.
    pub(crate) ready: DateTime<Utc>,
    pub(crate) message: Option<String>,
}

/// The queue of a task as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    /// When the earliest window was due whose job has not ended.
    pub(crate) open: Option<DateTime<Utc>>,
    /// When the next job may be taken that may not be now.
    pub(crate) ready: Option<DateTime<Utc>>,
    pub(crate) has_dead: bool,
}

/// A job that this process has taken. Others can take it once this is dropped without an end.
#[derive(Debug)]
pub(crate) struct TakenJob {
    pub(crate) key: RunKey,
    /// The attempts before this one.
    pub(crate) attempts: u32,
    pub(crate) due: DateTime<Utc>,
    _lock: Lock,
}

/// What becomes of a job that was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JobEnd {
    /// It has come to this state.
    Ended(JobState),
    /// It is tried again from this time on.
    Again {
        /// When.
        ready: DateTime<Utc>,
        /// Whether the attempt counts.
        counts: bool,
    },
}

/// How many jobs are looked at to find one that nobody has.
const CANDIDATES: usize = 200;

const COLUMNS: &str = "\"window\", state, attempts, due, ready, message";

impl Ledger {
    /// Enters windows that are not in the queue. One that a run has loaded already is entered as loaded.
    pub(crate) fn enqueue(&mut self, key: &RunKey, jobs: &[NewJob]) -> Result<u64> {
        self.write(|t| {
            let mut published = t.prepare(
                "select state from run where task = ?1 and environment = ?2 and \"window\" = ?3
                 and state in ('done', 'skipped') order by state = 'done' desc limit 1",
            )?;
            let mut insert = t.prepare(
                "insert or ignore into job (task, environment, \"window\", starts, due, state, ready)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?5)",
            )?;
            let mut entered = 0;
            for job in jobs {
                let of = params![key.task, key.environment, job.window];
                let before: Option<String> = published.query_row(of, |row| row.get(0)).optional()?;
                let state = match before.as_deref() {
                    None => JobState::Waiting,
                    Some(state) if state == State::Done.as_str() => JobState::Done,
                    Some(_) => JobState::Empty,
                };
                let (starts, due) = (rfc3339(job.starts), rfc3339(job.due));
                let new = insert.execute(params![key.task, key.environment, job.window, starts, due, state.name()])?;
                entered += if state == JobState::Waiting { new as u64 } else { 0 };
            }
            Ok(entered)
        })
    }

    /// The jobs of a task, those with the newest windows first.
    pub(crate) fn jobs(&self, key: &RunKey) -> Result<Vec<QueuedJob>> {
        self.ask(|c| {
            // A look that changes nothing may meet the tables of an older version.
            if !c.table_exists(None, "job")? {
                return Ok(vec![]);
            }
            let sql = format!("select {COLUMNS} from job where task = ?1 and environment = ?2 order by starts desc");
            c.prepare(&sql)?.query_map(params![key.task, key.environment], queued)?.collect()
        })
    }

    /// The queue of a task as a whole.
    pub(crate) fn queue(&self, key: &RunKey) -> Result<Queue> {
        self.ask(|c| {
            let sql = "select min(case when state in ('waiting', 'running') then due end),
                              min(case when state = 'waiting' and ready > ?3 then ready end), coalesce(max(state = 'dead'), 0)
                       from job where task = ?1 and environment = ?2";
            let of = params![key.task, key.environment, super::now()];
            let time = |text: Option<String>| text.and_then(|text| text.parse().ok());
            c.query_row(sql, of, |row| {
                Ok(Queue { open: time(row.get(0)?), ready: time(row.get(1)?), has_dead: row.get(2)? })
            })
        })
    }

    /// Takes a job that is ready: one that waits, or whose worker has died, and that was due `before` a time, if one is given.
    /// `newest` says which of several is taken first.
    pub(crate) fn take_job(
        &mut self,
        state: &Path,
        key: &RunKey,
        newest: bool,
        before: Option<DateTime<Utc>>,
    ) -> Result<Option<TakenJob>> {
        let order = if newest { "desc" } else { "asc" };
        let sql = format!(
            "select {COLUMNS} from job where task = ?1 and environment = ?2
             and (state = 'running' or (state = 'waiting' and ready <= ?3)) and (?4 is null or due < ?4) order by starts {order} limit {CANDIDATES}"
        );
        let candidates: Vec<QueuedJob> = self.ask(|c| {
            let of = params![key.task, key.environment, super::now(), before.map(rfc3339)];
            c.prepare(&sql)?.query_map(of, queued)?.collect()
        })?;
        for QueuedJob { window, .. } in candidates {
            let key = RunKey { window: Some(window), ..key.clone() };
            let Some(lock) = Lock::try_job(state, &key)? else { continue };
            // The worker of a job may have died, and the run that it had started may go on.
            if super::is_held(state, &key) {
                continue;
            }
            // Another worker may have ended it before this one had the lock.
            let taken = self.write(|t| {
                let found = job(t, &key)?.filter(|job| {
                    job.state == JobState::Running || (job.state == JobState::Waiting && job.ready <= Utc::now())
                });
                let Some(found) = found else { return Ok(None) };
                change(t, &key, "state = ?4", &[&JobState::Running.name()])?;
                Ok(Some(found))
            })?;
            if let Some(QueuedJob { attempts, due, .. }) = taken {
                return Ok(Some(TakenJob { key, attempts, due, _lock: lock }));
            }
        }
        Ok(None)
    }

    /// Enters what became of a job.
    pub(crate) fn end_job(&mut self, job: &TakenJob, end: JobEnd, message: Option<&str>) -> Result<()> {
        self.write(|t| match end {
            JobEnd::Ended(state) => {
                let attempts = job.attempts + 1;
                change(t, &job.key, "state = ?4, attempts = ?5, message = ?6", &[&state.name(), &attempts, &message])
            }
            JobEnd::Again { ready, counts } => {
                let attempts = job.attempts + u32::from(counts);
                let set = "state = 'waiting', attempts = ?4, ready = ?5, message = ?6";
                change(t, &job.key, set, &[&attempts, &rfc3339(ready), &message])
            }
        })
    }

    /// Enters jobs again that have come to an end: all dead ones, or that of a window. Returns their number.
    pub(crate) fn retry_jobs(&mut self, key: &RunKey, window: Option<&str>) -> Result<u64> {
        self.write(|t| {
            let which = if window.is_some() { "state in ('done', 'empty', 'dead')" } else { "state = 'dead'" };
            let sql = format!(
                "update job set state = 'waiting', attempts = 0, ready = ?4, message = null
                 where task = ?1 and environment = ?2 and (?3 is null or \"window\" = ?3) and {which}"
            );
            t.execute(&sql, params![key.task, key.environment, window, super::now()]).map(|jobs| jobs as u64)
        })
    }

    /// Whether a run of a key is published.
    pub(crate) fn is_loaded(&self, key: &RunKey) -> Result<bool> {
        self.ask(|c| {
            let query = "select exists (select 1 from run where task = ?1 and environment = ?2 and \"window\" is ?3
                         and state = 'done')";
            c.query_row(query, params![key.task, key.environment, key.window], |row| row.get(0))
        })
    }

    /// Of a window that a run has loaded no job waits any more.
    pub(crate) fn settle_job(&mut self, key: &RunKey) -> Result<()> {
        self.write(|t| {
            let sql = "update job set state = 'done', message = null
                       where task = ?1 and environment = ?2 and \"window\" is ?3 and state in ('waiting', 'empty', 'dead')";
            t.execute(sql, params![key.task, key.environment, key.window]).map(drop)
        })
    }

    /// The newest run of a key, and its state.
    pub(crate) fn newest_run(&self, key: &RunKey) -> Result<Option<(String, State)>> {
        self.ask(|c| {
            let query = "select id, state from run where task = ?1 and environment = ?2 and \"window\" is ?3
                         order by rowid desc limit 1";
            let of = params![key.task, key.environment, key.window];
            c.query_row(query, of, |row| Ok((row.get(0)?, state(row, 1)?))).optional()
        })
    }

    /// Why the newest run of a key that has ended is in its state.
    pub(crate) fn newest_message(&self, key: &RunKey) -> Result<Option<String>> {
        self.ask(|c| {
            let query = "select message from run where task = ?1 and environment = ?2 and \"window\" is ?3
                         and ended is not null order by rowid desc limit 1";
            let of = params![key.task, key.environment, key.window];
            Ok(c.query_row(query, of, |row| row.get(0)).optional()?.flatten())
        })
    }
}

fn job(c: &Connection, key: &RunKey) -> rusqlite::Result<Option<QueuedJob>> {
    let sql = format!("select {COLUMNS} from job where task = ?1 and environment = ?2 and \"window\" is ?3");
    c.query_row(&sql, params![key.task, key.environment, key.window], queued).optional()
}

/// Changes a job; the values are those from `?4` on.
fn change(c: &Connection, key: &RunKey, set: &str, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let sql = format!("update job set {set} where task = ?1 and environment = ?2 and \"window\" is ?3");
    let of: [&dyn ToSql; 3] = [&key.task, &key.environment, &key.window];
    let all: Vec<&dyn ToSql> = of.into_iter().chain(values.iter().copied()).collect();
    c.execute(&sql, all.as_slice()).map(drop)
}

fn queued(row: &Row<'_>) -> rusqlite::Result<QueuedJob> {
    let text: String = row.get(1)?;
    let unknown = || {
        let error = format!("unknown state of a job: {text}").into();
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, error)
    };
    let state = JobState::ALL.into_iter().find(|state| state.name() == text).ok_or_else(unknown)?;
    let time = |column: usize| {
        let text: String = row.get(column)?;
        text.parse::<DateTime<Utc>>().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
        })
    };
    Ok(QueuedJob {
        window: row.get(0)?,
        state,
        attempts: row.get(2)?,
        due: time(3)?,
        ready: time(4)?,
        message: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn loans() -> RunKey {
        RunKey::new("loans", "default")
    }

    fn new(hours: &[u32]) -> Vec<NewJob> {
        let at = |hour: u32| format!("2022-06-05T{hour:02}:00:00Z").parse::<DateTime<Utc>>().unwrap();
        let job = |hour: u32| NewJob { window: format!("2022-06-05T{hour:02}"), starts: at(hour), due: at(hour + 1) };
        hours.iter().map(|hour| job(*hour)).collect()
    }

    fn shown(ledger: &Ledger) -> Vec<String> {
        let job = |job: QueuedJob| format!("{} {} {}", &job.window[11..], job.state.name(), job.attempts);
        ledger.jobs(&loans()).unwrap().into_iter().map(job).collect()
    }

    #[test]
    fn a_job_is_entered_once_and_taken_by_one_worker() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.enqueue(&loans(), &new(&[7, 8, 9])).unwrap(), 3);
        assert_eq!(ledger.enqueue(&loans(), &new(&[8, 9, 10])).unwrap(), 1);
        let mut other = Ledger::open(folder.path()).unwrap();
        let newest = ledger.take_job(folder.path(), &loans(), true, None).unwrap().unwrap();
        let oldest = other.take_job(folder.path(), &loans(), false, None).unwrap().unwrap();
        let next = other.take_job(folder.path(), &loans(), true, None).unwrap().unwrap();
        let windows = [&newest, &oldest, &next].map(|job| job.key.window.as_deref().unwrap()[11..].to_owned());
        assert_eq!(windows, ["10", "07", "09"]);
        // The worker of the newest one dies.
        drop(newest);
        let again = other.take_job(folder.path(), &loans(), true, None).unwrap().unwrap();
        assert_eq!(again.key.window.as_deref(), Some("2022-06-05T10"));
        ledger.end_job(&again, JobEnd::Ended(JobState::Done), None).unwrap();
        ledger.end_job(&oldest, JobEnd::Ended(JobState::Dead), Some("no disk")).unwrap();
        let later = Utc::now() + TimeDelta::hours(1);
        ledger.end_job(&next, JobEnd::Again { ready: later, counts: true }, Some("no server")).unwrap();
        drop((again, oldest, next));
        assert_eq!(shown(&ledger), ["10 done 1", "09 waiting 1", "08 waiting 0", "07 dead 1"]);
        let last = ledger.take_job(folder.path(), &loans(), true, None).unwrap().unwrap();
        assert_eq!(last.key.window.as_deref(), Some("2022-06-05T08"), "the one before is not ready");
        assert!(ledger.take_job(folder.path(), &loans(), true, None).unwrap().is_none());
        assert!(ledger.take_job(folder.path(), &RunKey::new("loans", "prod"), true, None).unwrap().is_none());
    }

    #[test]
    fn a_job_that_has_ended_can_be_entered_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.enqueue(&loans(), &new(&[7, 8])).unwrap();
        for state in [JobState::Dead, JobState::Done] {
            let job = ledger.take_job(folder.path(), &loans(), false, None).unwrap().unwrap();
            ledger.end_job(&job, JobEnd::Ended(state), None).unwrap();
        }
        assert_eq!(ledger.queue(&loans()).unwrap(), Queue { open: None, ready: None, has_dead: true });
        assert_eq!(ledger.retry_jobs(&loans(), None).unwrap(), 1);
        let due = "2022-06-05T08:00:00Z".parse().ok();
        assert_eq!(ledger.queue(&loans()).unwrap(), Queue { open: due, ready: None, has_dead: false });
        assert_eq!(shown(&ledger), ["08 done 1", "07 waiting 0"]);
        assert_eq!(ledger.retry_jobs(&loans(), Some("2022-06-05T08")).unwrap(), 1);
        assert_eq!(shown(&ledger), ["08 waiting 0", "07 waiting 0"]);
    }

    #[test]
    fn a_window_that_was_loaded_by_hand_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        for (id, hour, state) in [("1", 7, "done"), ("2", 8, "skipped"), ("3", 9, "failed")] {
            let of = params![id, format!("2022-06-05T{hour:02}"), state];
            let insert = "insert into run (id, task, environment, \"window\", started, ended, state, pid, parameters)
                          values (?1, 'loans', 'default', ?2, '2022-06-05T12:00:00Z', '2022-06-05T12:00:01Z', ?3, 1, '{}')";
            ledger.write(|t| t.execute(insert, of).map(drop)).unwrap();
        }
        assert_eq!(ledger.enqueue(&loans(), &new(&[7, 8, 9])).unwrap(), 1);
        assert_eq!(shown(&ledger), ["09 waiting 0", "08 empty 0", "07 done 0"]);
    }
}
