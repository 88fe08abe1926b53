//! A look into the ledger that changes nothing: neither its version nor its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags};

use super::ledger::{VERSION, failed};
use crate::error::Result;

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
    pub(crate) states: BTreeMap<String, String>,
    /// When the newest began.
    pub(crate) latest: Option<DateTime<Utc>>,
}

impl Inspection {
    /// The runs without an end: id, and the state in which they were.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (&String, &String)> {
        self.states.iter().filter(|(_, state)| ["running", "publishing"].contains(&state.as_str()))
    }
}

/// Looks into the ledger of a state folder, if there is one.
pub(crate) fn inspect(state: &Path, task: &str, environment: &str) -> Result<Option<Inspection>> {
    let path = state.join("ledger.sqlite");
    if !path.exists() {
        Ok(None)
    } else {
        look(&path, task, environment).map(Some).map_err(|error| failed(&path, error))
    }
}

fn look(path: &Path, task: &str, environment: &str) -> rusqlite::Result<Inspection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(super::ledger::BUSY)?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
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
    let mut query = connection.prepare("select id, state, started from run where task = ?1 and environment = ?2")?;
    let mut rows = query.query([task, environment])?;
    while let Some(row) = rows.next()? {
        let (id, state, started): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        inspection.latest = inspection.latest.max(started.parse().ok());
        inspection.states.insert(id, state);
    }
    Ok(inspection)
}
