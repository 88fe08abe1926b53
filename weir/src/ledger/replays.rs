//! Which rejected records were judged again, and published.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use super::Ledger;
use crate::error::Result;
use crate::report::RunKey;

/// A file as the last published run has read it that took it for a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// BLAKE3 of its content.
    pub(crate) hash: String,
    /// Where the run has moved it.
    pub(crate) archive: Option<String>,
    /// How many contents runs have read under this path that may have published what they rejected.
    pub(crate) contents: u64,
}

/// How many contents of a file were read by runs whose quarantine may be published, also if their gate was closed.
const CONTENTS: &str = r#"
    select count(distinct other.hash) from input other join run reader on reader.id = other.run
    where other.path = input.path and other.source = input.source and other.hash is not null
      and reader.task = run.task and reader.environment = run.environment and reader."window" is run."window"
      and reader.state in ('done', 'gate_closed', 'died')"#;

/// The runs of a key that are published.
const PUBLISHED: &str = r#"run.task = ?2 and run.environment = ?3 and run."window" is ?4 and run.state = 'done'"#;

impl Ledger {
    /// The files of a source with `read: new` that published runs have read, each once.
    pub(crate) fn files_read(&self, key: &RunKey, source: &str) -> Result<Vec<ReadFile>> {
        let rows: Vec<ReadFile> = self.ask(|c| {
            let mut query = c.prepare(&format!(
                "select input.path, input.bytes, input.hash, input.archive, ({CONTENTS})
                 from input join run on run.id = input.run
                 where input.source = ?1 and input.hash is not null and {PUBLISHED} order by input.rowid desc"
            ))?;
            let rows = query.query_map(params![source, key.task, key.environment, key.window], |row| {
                Ok(ReadFile {
                    path: row.get(0)?,
                    bytes: row.get(1)?,
                    hash: row.get(2)?,
                    archive: row.get(3)?,
                    contents: row.get(4)?,
                })
            })?;
            rows.collect()
        })?;
        let mut known = HashSet::new();
        Ok(rows.into_iter().filter(|file| known.insert(file.path.clone())).collect())
    }

    /// The lines of records that replays have published, by the path of their file.
    pub(crate) fn replayed(&self, key: &RunKey, source: &str) -> Result<HashMap<String, HashSet<u64>>> {
        let rows: Vec<(String, u64)> = self.ask(|c| {
            // A look that changes nothing may meet the tables of an older version.
            if !c.table_exists(None, "replayed")? {
                return Ok(vec![]);
            }
            let mut query = c.prepare(&format!(
                "select replayed.path, replayed.line from replayed join run on run.id = replayed.run
                 where replayed.source = ?1 and {PUBLISHED}"
            ))?;
            let rows = query.query_map(params![source, key.task, key.environment, key.window], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        })?;
        let mut by_path: HashMap<String, HashSet<u64>> = HashMap::new();
        for (path, line) in rows {
            by_path.entry(path).or_default().insert(line);
        }
        Ok(by_path)
    }

    /// Enters the records of a source that a run has accepted. They count once it is published.
    pub(crate) fn replays<'a>(
        &mut self,
        run: &str,
        source: &str,
        records: impl Iterator<Item = (&'a str, u64)>,
    ) -> Result<()> {
        self.write(|t| {
            let mut insert = t.prepare("insert into replayed (run, source, path, line) values (?1, ?2, ?3, ?4)")?;
            for (path, line) in records {
                insert.execute(params![run, source, path, line])?;
            }
            Ok(())
        })
    }
}
