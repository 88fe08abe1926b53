//! Retention: old runs leave the ledger, but not what tells which files were read.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{Ledger, rfc3339};
use crate::error::Result;
use crate::report::RunKey;

/// What was removed, or would be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pruned {
    /// Runs that are gone: they published nothing.
    pub(crate) runs: u64,
    /// Runs of which the id, the times and the state stay: what they published refers to them.
    pub(crate) reduced: u64,
}

/// The states of runs that may have published something: one that died may have committed some of its sinks.
const PUBLISHED: &str = "('done', 'gate_closed', 'died')";

/// A run of the task, of any window, that ended before a time.
const OLD: &str = "task = ?1 and environment = ?2 and ended < ?3
                   and state not in ('running', 'publishing')";

impl Ledger {
    /// Removes what is known of the runs of a task, of all its windows, that ended before a time. Of a run that published something its id and
    /// state stay, because outputs in `append` mode and inputs of `read: new` are known by them: without them rows would be
    /// there twice.
    pub(crate) fn prune(&mut self, key: &RunKey, before: DateTime<Utc>, dry_run: bool) -> Result<Pruned> {
        let before = rfc3339(before);
        let of = params![key.task, key.environment, before];
        // Only runs of which more is known than what stays.
        let published = format!("{OLD} and state in {PUBLISHED}");
        let reduced = format!("{published} and report is not null");
        let gone = format!("{OLD} and state not in {PUBLISHED}");
        let pruned = self.ask(|c| {
            let count =
                |which: &str| c.query_row(&format!("select count(*) from run where {which}"), of, |row| row.get(0));
            Ok(Pruned { runs: count(&gone)?, reduced: count(&reduced)? })
        })?;
        if dry_run || pruned == Pruned::default() {
            return Ok(pruned);
        }
        self.write(|t| {
            t.execute(&format!("delete from run where {gone}"), of)?; // and what refers to it
            // A window that has failed for so long is not run any more.
            t.execute(
                "delete from trouble where task = ?1 and environment = ?2 and \"window\" <> '' and since < ?3",
                of,
            )?;
            for table in ["step", "reason", "output"] {
                t.execute(&format!("delete from {table} where run in (select id from run where {published})"), of)?;
            }
            t.execute(
                &format!(
                    "delete from input where run in (select id from run where {published})
                     and hash is null and archive is null and until is not null
                     and (until in (select id from run where {OLD}) or until not in (select id from run))"
                ),
                of,
            )?;
            t.execute(
                &format!("update run set report = null, parameters = '{{}}', message = null where {reduced}"),
                of,
            )?;
            Ok(())
        })?;
        Ok(pruned)
    }

    /// Gives the space of removed runs back to the file system.
    pub(crate) fn shrink(&self) -> Result<()> {
        self.ask(|c| c.execute_batch("vacuum"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::State;

    #[test]
    fn a_run_that_may_have_published_something_stays_known() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, key) = (Ledger::open(folder.path()).unwrap(), RunKey::new("people", "default"));
        for state in State::ALL {
            let of = params![
                state.as_str(),
                key.task,
                key.environment,
                (!state.is_open()).then_some("2020-01-01T00:00:00Z")
            ];
            let insert = "insert into run (id, task, environment, started, ended, state, pid, parameters)
                          values (?1, ?2, ?3, '2020-01-01T00:00:00Z', ?4, ?1, 1, '{}')";
            ledger.write(|t| t.execute(insert, of).map(drop)).unwrap();
        }
        ledger.prune(&key, Utc::now(), false).unwrap();
        let mut left: Vec<_> = ledger.runs(None, 99).unwrap().iter().map(|run| run.state.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["died", "done", "gate_closed", "publishing", "running"]);
    }
}
