//! What the tasks of one scheduler know of each other: how many runs may go on at once, and which tasks come after which.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The tasks of a scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    slots: Arc<Semaphore>,
    tasks: Arc<watch::Sender<HashMap<String, Standing>>>,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The earliest due time whose run has not ended, in the past or in the future.
    pub(crate) open: Option<DateTime<Utc>>,
    /// Whether its last run was a success.
    pub(crate) is_good: bool,
}

/// The place of a run among those that go on. Another one can be taken once it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    board: Board,
}

/// Whether a run may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The tasks before it have ended.
    Now,
    /// A task before it has a run to end.
    Later,
    /// This task before it did not succeed.
    Never(String),
}

impl Board {
    /// A board for so many runs at once.
    pub(crate) fn new(jobs: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(jobs)), tasks: Arc::new(watch::channel(HashMap::new()).0) }
    }

    /// Takes a place for a run, if one is free.
    pub(crate) fn slot(&self) -> Option<Slot> {
        let permit = self.slots.clone().try_acquire_owned().ok()?;
        Some(Slot { permit: Some(permit), board: self.clone() })
    }

    /// Enters a task that is going to tell how far it is: until then others wait for it.
    pub(crate) fn enter(&self, task: &str) {
        self.stand(task, Standing { open: Some(DateTime::<Utc>::MIN_UTC), is_good: true });
    }

    /// Enters how far a task is.
    pub(crate) fn stand(&self, task: &str, standing: Standing) {
        self.tasks.send_if_modified(|tasks| tasks.insert(task.to_owned(), standing) != Some(standing));
    }

    /// Whether a run that is due at a time may start after these tasks.
    pub(crate) fn turn(&self, after: &[String], due: DateTime<Utc>) -> Turn {
        let tasks = self.tasks.borrow();
        let before = || after.iter().filter_map(|name| tasks.get(name).map(|standing| (name, standing)));
        if before().any(|(_, standing)| standing.open.is_some_and(|open| open <= due)) {
            return Turn::Later;
        }
        match before().find(|(_, standing)| !standing.is_good) {
            Some((name, _)) => Turn::Never(name.clone()),
            None => Turn::Now,
        }
    }

    /// The due times before this one may be run, as far as these tasks are.
    pub(crate) fn limit(&self, after: &[String]) -> Option<DateTime<Utc>> {
        let tasks = self.tasks.borrow();
        after.iter().filter_map(|name| tasks.get(name)?.open).min()
    }

    /// What tells that a task has come further, or that a place has become free.
    pub(crate) fn changes(&self) -> watch::Receiver<HashMap<String, Standing>> {
        self.tasks.subscribe()
    }
}

impl Slot {
    /// Gives a place back that no run has used: nobody has waited for it.
    pub(crate) fn give_back(mut self) {
        drop(self.permit.take());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        // The place is free before others are told so.
        drop(permit);
        self.board.tasks.send_modify(|_| ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u32) -> DateTime<Utc> {
        format!("2026-05-01T{hour:02}:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_run_starts_after_the_tasks_before_it_have_ended_well() {
        let (board, after) = (Board::new(1), ["loans".to_owned()]);
        let turn = |hour| board.turn(&after, at(hour));
        assert_eq!(turn(1), Turn::Now, "it is not of this scheduler");
        board.stand("loans", Standing { open: Some(at(2)), is_good: true });
        assert_eq!((turn(1), turn(2), turn(3)), (Turn::Now, Turn::Later, Turn::Later));
        assert_eq!(board.limit(&after), Some(at(2)));
        board.stand("loans", Standing { open: Some(at(3)), is_good: false });
        assert_eq!((turn(2), turn(3)), (Turn::Never("loans".to_owned()), Turn::Later));
    }

    #[test]
    fn no_more_runs_go_on_at_once_than_there_are_places() {
        let board = Board::new(2);
        let (one, two) = (board.slot(), board.slot());
        assert!(one.is_some() && two.is_some() && board.slot().is_none());
        let changes = board.changes();
        drop(one);
        assert!(changes.has_changed().unwrap());
        let mut changes = board.changes();
        changes.borrow_and_update();
        board.slot().unwrap().give_back();
        assert!(!changes.has_changed().unwrap());
    }
}
