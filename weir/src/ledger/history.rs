//! What the health of a task is judged by: its newest runs.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Ledger, is_held, state};
use crate::error::Result;
use crate::report::{RunKey, State};

/// The newest runs of a key. One that was missed or is not due counts for none.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// A run whose process is gone without an end.
    pub(crate) dead: Option<String>,
    /// The run that is going on.
    pub(crate) running: Option<String>,
    /// The newest run that has ended.
    pub(crate) ended: Option<Ended>,
    /// When the newest run started that was published, or that had nothing to do.
    pub(crate) published: Option<DateTime<Utc>>,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) message: Option<String>,
}

/// The history of a key, without its replays, as the ledger of a state folder has it, which is not changed.
pub(crate) fn history(folder: &Path, key: &RunKey) -> Result<History> {
    let Some(ledger) = Ledger::read_only(folder)? else { return Ok(History::default()) };
    let mut history = ledger.ask(|c| read(c, key))?;
    if !is_held(folder, key) {
        history.dead = history.running.take();
    }
    Ok(history)
}

fn read(c: &Connection, key: &RunKey) -> rusqlite::Result<History> {
    let newest = |columns: &str, states: &str| {
        format!(
            "select {columns} from run where task = ?1 and environment = ?2 and \"window\" is ?3 and state {states}
               and report ->> '$.replay' is null
             order by started desc, rowid desc limit 1"
        )
    };
    let of = params![key.task, key.environment, key.window];
    let open = newest("id", "in ('running', 'publishing')");
    let ended = newest("id, state, message", "not in ('running', 'publishing', 'missed')");
    let published = newest("started", "in ('done', 'skipped')");
    let published: Option<String> = c.query_row(&published, of, |row| row.get(0)).optional()?;
    Ok(History {
        dead: None,
        running: c.query_row(&open, of, |row| row.get(0)).optional()?,
        ended: c
            .query_row(&ended, of, |row| Ok(Ended { id: row.get(0)?, state: state(row, 1)?, message: row.get(2)? }))
            .optional()?,
        published: published.and_then(|text| text.parse().ok()),
    })
}
