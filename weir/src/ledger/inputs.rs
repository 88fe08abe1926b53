//! The files that runs have read.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Ledger, rfc3339};
use crate::error::Result;
use crate::place::{self, FoundFile, Move};
use crate::report::RunKey;

/// A file that a run is going to read.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) file: FoundFile,
    /// BLAKE3 of its content, of sources with `read: new`.
    pub(crate) hash: Option<String>,
    /// Where it is moved once the run is published.
    pub(crate) archive: Option<String>,
}

/// A file as a published run has read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadBefore {
    pub(crate) run: String,
    pub(crate) bytes: u64,
    pub(crate) modified: String,
    /// BLAKE3 of its content.
    pub(crate) hash: String,
    row: i64,
}

/// A file that was read before has another time of change, and the same content.
#[derive(Debug)]
pub(crate) struct Touched {
    pub(crate) before: ReadBefore,
    pub(crate) modified: String,
}

/// The last published run that has read a file as a new one. A run that reads all files every time, and has no hash of
/// them, uses none up: a task that says `read: new` from some day on finds them all new.
const READ_BEFORE: &str = r#"
    select run.id, input.bytes, input.modified, input.hash, input.rowid
    from input join run on run.id = input.run
    where input.path = ?1 and input.source = ?2 and input.hash is not null
      and run.task = ?3 and run.environment = ?4 and run."window" is ?5 and run.state = 'done'
    order by input.rowid desc limit 1"#;

/// A file whose content a published run has read from another path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SameContent {
    pub(crate) run: String,
    /// The other path.
    pub(crate) path: String,
    /// Whether that file is still there, or was moved to the archive by the run.
    pub(crate) is_there: bool,
}

/// A file that is not read because its content is known.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) file: FoundFile,
    pub(crate) hash: String,
    /// The run that has read the content; none for the one that is going to.
    pub(crate) run: Option<String>,
}

/// The published runs that have read the same content from other files, the last one first.
const SAME_CONTENT: &str = r#"
    select run.id, input.path, input.archive is not null
    from input join run on run.id = input.run
    where input.hash = ?1 and input.source = ?2 and input.path <> ?3
      and run.task = ?4 and run.environment = ?5 and run."window" is ?6 and run.state = 'done'
    order by input.rowid desc"#;

/// The files without a hash that the newest run has read.
const THAT_ARE_READ: &str = r#"
    select input.path, input.rowid, input.bytes, input.modified
    from input join run on run.id = input.run
    where input.source = ?1 and input.hash is null and input.archive is null and input.until is null
      and run.task = ?2 and run.environment = ?3 and run."window" is ?4"#;

impl Ledger {
    /// For each of the files the last published run that has read it.
    pub(crate) fn read_before(
        &self,
        key: &RunKey,
        source: &str,
        files: &[FoundFile],
    ) -> Result<Vec<Option<ReadBefore>>> {
        self.ask(|c| {
            let t = c.unchecked_transaction()?; // one view of the ledger, and one lock, for all of them
            let mut query = t.prepare(READ_BEFORE)?;
            let before = |file: &FoundFile| {
                let of = params![file.path, source, key.task, key.environment, key.window];
                let row = query.query_row(of, |row| {
                    Ok(ReadBefore {
                        run: row.get(0)?,
                        bytes: row.get(1)?,
                        modified: row.get(2)?,
                        hash: row.get(3)?,
                        row: row.get(4)?,
                    })
                });
                row.optional()
            };
            files.iter().map(before).collect()
        })
    }

    /// For each of the files, which come with the hash of their content, another one with the same content that a published
    /// run has read as a new one: one that is still there, if there is one.
    pub(crate) fn contents_of(
        &self,
        key: &RunKey,
        source: &str,
        files: &[(FoundFile, String)],
    ) -> Result<Vec<Option<SameContent>>> {
        self.ask(|c| {
            let t = c.unchecked_transaction()?;
            let mut query = t.prepare(SAME_CONTENT)?;
            let other = |(file, hash): &(FoundFile, String)| {
                let of = params![hash, source, file.path, key.task, key.environment, key.window];
                let mut rows = query.query(of)?;
                let mut last = None;
                while let Some(row) = rows.next()? {
                    let (run, path, is_archived): (_, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    let is_there = is_archived || place::is_there(&path, file.size());
                    let same = SameContent { run, path, is_there };
                    if is_there {
                        return Ok(Some(same));
                    }
                    last = last.or(Some(same));
                }
                Ok(last)
            };
            files.iter().map(other).collect()
        })
    }

    /// Whether one of the files, which every run reads, is another one than the run before has read.
    pub(crate) fn has_changed(&self, key: &RunKey, source: &str, files: &[FoundFile]) -> Result<bool> {
        self.ask(|c| {
            let t = c.unchecked_transaction()?;
            let read = files_that_are_read(&t, key, source)?;
            let is_known = |file: &FoundFile| {
                read.get(&file.path).is_some_and(|(_, version)| *version == (file.size(), file.modified()))
            };
            Ok(!files.iter().all(is_known))
        })
    }

    /// Enters the files that a run reads, and those that it found touched. Of files that are read by every run only the
    /// changes since the run before are entered: the inputs of a run are those entered by it or before, and not until it.
    pub(crate) fn inputs(
        &mut self,
        id: &str,
        key: &RunKey,
        source: &str,
        inputs: &[Input],
        touched: &[Touched],
    ) -> Result<()> {
        self.write(|t| {
            let mut read = files_that_are_read(t, key, source)?;
            let mut insert = t.prepare(
                "insert into input (run, source, path, bytes, modified, hash, archive) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for Input { file, hash, archive } in inputs {
                let (bytes, modified) = (file.size(), file.modified());
                let is_plain = hash.is_none() && archive.is_none();
                if is_plain
                    && let Some((_, known)) = read.get(&file.path)
                    && *known == (bytes, modified.clone())
                {
                    read.remove(&file.path);
                    continue;
                }
                insert.execute(params![id, source, file.path, bytes, modified, hash, archive])?;
            }
            let mut until = t.prepare("update input set until = ?2 where rowid = ?1")?;
            for (row, _) in read.values() {
                until.execute(params![row, id])?;
            }
            // The next run then need not look into the file.
            let mut update = t.prepare("update input set modified = ?2 where rowid = ?1")?;
            for touched in touched {
                update.execute(params![touched.before.row, touched.modified])?;
            }
            Ok(())
        })
    }

    /// Enters files that a run does not read because their content is known, as read by the run that has read it: later runs
    /// need not look into them.
    pub(crate) fn add_known(&mut self, id: &str, source: &str, known: &[Known]) -> Result<()> {
        self.write(|t| {
            let mut insert = t.prepare(
                "insert into input (run, source, path, bytes, modified, hash) values (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for Known { file, hash, run } in known {
                let run = run.as_deref().unwrap_or(id);
                insert.execute(params![run, source, file.path, file.size(), file.modified(), hash])?;
            }
            Ok(())
        })
    }

    /// Where the files go that a run has read.
    pub(crate) fn moves(&self, id: &str) -> Result<Vec<Move>> {
        self.ask(|c| {
            let mut query = c.prepare(
                "select path, archive, bytes, modified from input where run = ?1 and archive is not null order by rowid",
            )?;
            let moves = query.query_map([id], |row| {
                Ok(Move { from: row.get(0)?, to: row.get(1)?, bytes: row.get(2)?, modified: row.get(3)? })
            })?;
            moves.collect()
        })
    }

    /// The published runs of a task, of all its windows, that ended before a time and have files in an archive.
    pub(crate) fn archived(&self, key: &RunKey, before: DateTime<Utc>) -> Result<Vec<String>> {
        self.ask(|c| {
            let mut query = c.prepare(
                "select distinct run.id from run join input on input.run = run.id
                 where run.task = ?1 and run.environment = ?2 and run.state = 'done'
                   and run.ended < ?3 and input.archive is not null order by run.id",
            )?;
            let of = params![key.task, key.environment, rfc3339(before)];
            query.query_map(of, |row| row.get(0))?.collect()
        })
    }

    /// Enters that the files which a run has archived are removed. That it has read them stays.
    pub(crate) fn removed_archived(&mut self, id: &str) -> Result<()> {
        self.write(|t| t.execute("update input set archive = null where run = ?1", [id]).map(drop))
    }
}

/// A row of the ledger, and the version of the file that it has: bytes, and time of change.
type ReadVersion = (i64, (u64, String));

/// The files without a hash that the run before has read, by their path.
fn files_that_are_read(
    t: &Transaction<'_>,
    key: &RunKey,
    source: &str,
) -> rusqlite::Result<HashMap<String, ReadVersion>> {
    let mut query = t.prepare(THAT_ARE_READ)?;
    let rows = query.query_map(params![source, key.task, key.environment, key.window], |row| {
        Ok((row.get(0)?, (row.get(1)?, (row.get(2)?, row.get(3)?))))
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_for_by_an_index_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let explain = |sql: &str| {
            let explained = ledger.ask(|c| {
                let mut query = c.prepare(&format!("explain query plan {sql}"))?;
                let values = vec![""; query.parameter_count()];
                let lines = query.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3))?;
                lines.collect::<rusqlite::Result<Vec<_>>>()
            });
            explained.unwrap().join("\n")
        };
        let explained = explain(SAME_CONTENT);
        assert!(explained.contains("SEARCH input USING INDEX input_of_content (hash=?)"), "{explained}");
        let explained = explain(THAT_ARE_READ);
        assert!(explained.contains("SEARCH input USING INDEX input_that_is_read (source=?)"), "{explained}");
        let explained = explain(READ_BEFORE);
        assert!(explained.contains("SEARCH input USING INDEX input_of_file (path=? AND source=?)"), "{explained}");
        assert!(explained.contains("SEARCH run USING INDEX sqlite_autoindex_run_1 (id=?)"), "{explained}");
    }
}
