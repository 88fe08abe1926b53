//! A look into the ledger that changes nothing: neither its version nor its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{FILE, VERSION, failed, open_read_only};
use crate::error::Result;
use crate::report::{RunKey, State};

/// What a look into the ledger finds.
#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) path: PathBuf,
    /// The version of its tables, and the newest that this program knows.
    pub(crate) version: i64,
    pub(crate) known_version: i64,
    /// What SQLite finds wrong with the file.
    pub(crate) damage: Vec<String>,
    /// The runs of the task in this environment, by id: the state of each.
    pub(crate) states: BTreeMap<String, State>,
    /// When the newest began.
    pub(crate) latest: Option<DateTime<Utc>>,
}

impl Inspection {
    /// The runs without an end: id, and the state in which they were.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (&String, &State)> {
        self.states.iter().filter(|(_, state)| state.is_open())
    }
}

/// Looks into the ledger of a state folder, if there is one.
pub(crate) fn inspect(state: &Path, key: &RunKey) -> Result<Option<Inspection>> {
    let path = state.join(FILE);
    if !path.exists() { Ok(None) } else { read(&path, key).map(Some).map_err(|error| failed(&path, error)) }
}

fn read(path: &Path, key: &RunKey) -> rusqlite::Result<Inspection> {
    let (connection, version) = open_read_only(path)?;
    let mut damage = Vec::new();
    connection.pragma_query(None, "quick_check", |row| {
        let line: String = row.get(0)?;
        damage.extend((line != "ok").then_some(line));
        Ok(())
    })?;
    let mut inspection = Inspection {
        path: path.to_owned(),
        version,
        known_version: VERSION,
        damage,
        states: BTreeMap::new(),
        latest: None,
    };
    if version == 0 || version > VERSION || !inspection.damage.is_empty() {
        return Ok(inspection);
    }
    let query = "select id, state, started from run where task = ?1 and environment = ?2";
    let mut query = connection.prepare(query)?;
    let mut rows = query.query(params![key.task, key.environment])?;
    while let Some(row) = rows.next()? {
        let (id, state, started): (String, State, String) = (row.get(0)?, super::state(row, 1)?, row.get(2)?);
        inspection.latest = inspection.latest.max(started.parse().ok());
        inspection.states.insert(id, state);
    }
    Ok(inspection)
}
