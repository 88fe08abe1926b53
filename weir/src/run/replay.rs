//! A replay: records that earlier runs rejected are judged again, and those are published that are accepted now.
//!
//! The quarantine says which records these are: the name of their file, and the number of their line. They are read from the
//! file itself, wherever it is now, so that a rule, the SQL and the declaration of the source may all have been repaired, and
//! values are there that the quarantine may not have. The ledger knows which records were published by a replay: each is at
//! most once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::prelude::SessionContext;
use glob::Pattern;
use serde_saphyr::Spanned;

use crate::engine;
use crate::error::{Error, Result, number_of};
use crate::ledger::{Ledger, ReadFile};
use crate::place::{Arrival, ChosenRecords, FoundFile, file_system, former_end, hashes};
use crate::plan::{Place, Quarantine, ReplayPlan, Role};
use crate::report::{LeftOut, ReplayReport, Report};
use crate::sink::{Part, Parts, Written};
use crate::source::{Opening, Source};
use crate::task::{IfChanged, Task};

/// The records that a replay judges again.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// The files with them, by source.
    pub(super) files: HashMap<String, Vec<FoundFile>>,
    /// Where each of them is in the ledger: the path of its file, by source and the name that rows have of it.
    paths: HashMap<(String, String), String>,
    /// Their lines, by source and the name that rows have of the file.
    lines: BTreeMap<(String, String), BTreeSet<u64>>,
    left_out: BTreeMap<String, u64>,
}

/// What a replay needs to find its records.
pub(super) struct Search<'a> {
    pub(super) task: &'a Task,
    pub(super) session: &'a SessionContext,
    pub(super) plan: &'a ReplayPlan,
}

impl Records {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn number(&self) -> u64 {
        self.lines.values().map(|lines| lines.len() as u64).sum()
    }

    /// What is known of the replay before it judges.
    pub(super) fn report(&self) -> ReplayReport {
        let left_out =
            self.left_out.iter().map(|(reason, records)| LeftOut { records: *records, reason: reason.clone() });
        let (records, files) = (self.number(), self.lines.len() as u64);
        ReplayReport { records, files, accepted: 0, rejected: 0, left_out: left_out.collect() }
    }

    fn leave_out(&mut self, reason: impl Into<String>, records: usize) {
        *self.left_out.entry(reason.into()).or_default() += records as u64;
    }

    /// Enters the records that are not among the rejected ones; fails if not all records were read.
    pub(super) fn settle(&self, noted: &Noted, run: &str, ledger: &mut Ledger, report: &mut Report) -> Result<()> {
        let rejected = noted.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        for source in self.files.keys() {
            let of_source = self.lines.iter().filter(|((of, _), _)| of == source);
            let asked: u64 = of_source.map(|(_, lines)| lines.len() as u64).sum();
            let read = report.tables.iter().find(|table| table.table == *source).map_or(0, |table| table.rows);
            if asked != read {
                let message =
                    format!("of {} of its quarantine {read} are at their lines", number_of(asked as usize, "record"));
                let help = "the lines count as the run that rejected them has counted: let `skip_lines`, `records` and `sheet` be as they \
                            were then";
                return Err(Error::input(format!("source `{source}`"), message, help));
            }
        }
        let mut again = 0;
        for ((source, file), lines) in &self.lines {
            let is_rejected = |line: &u64| rejected.contains(&Record::new(source, file, *line));
            let (still, accepted): (Vec<u64>, Vec<u64>) = lines.iter().partition(|line| is_rejected(line));
            again += still.len() as u64;
            let path = self.paths.get(&(source.clone(), file.clone()));
            let path = path.ok_or_else(|| Error::internal(format!("{file} has no path")))?;
            ledger.replays(run, source, accepted.into_iter().map(|line| (path.as_str(), line)))?;
        }
        if let Some(replay) = &mut report.replay {
            (replay.accepted, replay.rejected) = (replay.records - again, again);
        }
        Ok(())
    }
}

impl Search<'_> {
    /// Finds the records of the quarantines that no replay has published yet.
    pub(super) async fn records(&self, opening: &mut Opening<'_>) -> Result<Records> {
        let mut records = Records::default();
        let mut rejected: BTreeMap<&str, BTreeMap<String, BTreeSet<u64>>> = BTreeMap::new();
        for quarantine in &self.plan.quarantines {
            let rows = self.rows(quarantine, opening).await?;
            let of_source = rejected.entry(&quarantine.source).or_default();
            for (file, line) in rows.records {
                of_source.entry(file).or_default().insert(line);
            }
            if rows.without_place > 0 {
                records
                    .leave_out(format!("sink `{}` has no file or line of them", quarantine.sink), rows.without_place);
            }
            if rows.of_other_rows > 0 {
                let reason = format!(
                    "rows with the same key rejected them, and only they are judged: sink `{}`",
                    quarantine.sink
                );
                records.leave_out(reason, rows.of_other_rows);
            }
        }
        for (source, files) in rejected {
            let ledger = opening.ledger.as_deref().ok_or_else(|| Error::internal("a replay has no ledger"))?;
            let (read, replayed) = (ledger.files_read(opening.key, source)?, ledger.replayed(opening.key, source)?);
            // Of a file that grows the lines stay.
            let grows = self.task.spec.sources.get(source).is_some_and(|of| of.value.if_changed == IfChanged::NewRows);
            let mut found: BTreeMap<String, Chosen<'_>> = BTreeMap::new();
            for (file, mut lines) in files {
                let (read, name, member) = match read_as(&read, &file) {
                    Ok(as_read) => as_read,
                    Err(reason) => {
                        records.leave_out(reason, lines.len());
                        continue;
                    }
                };
                if read.contents > 1 && !grows {
                    let reason =
                        format!("{name} was read with several contents: which of them they are in is not known");
                    records.leave_out(reason, lines.len());
                    continue;
                }
                let path = format!("{}{member}", read.path);
                if let Some(replayed) = replayed.get(&path) {
                    lines.retain(|line| !replayed.contains(line));
                }
                if lines.is_empty() {
                    continue;
                }
                records.paths.insert((source.to_owned(), file.clone()), path);
                let chosen = found.entry(name.to_owned()).or_insert_with(|| Chosen { read, members: BTreeMap::new() });
                chosen.members.insert(member.to_owned(), (file, lines));
            }
            let arrival = Arrival { scratch: opening.scratch, stop: opening.stop };
            for (name, Chosen { read, members }) in found {
                let count = members.values().map(|(_, lines)| lines.len()).sum();
                let file = match self.file(read, &arrival).await? {
                    Ok(file) => file,
                    Err(reason) => {
                        records.leave_out(format!("{name} {reason}"), count);
                        continue;
                    }
                };
                let lines = members.iter().map(|(member, (_, lines))| (member.clone(), Arc::new(lines.clone())));
                let chosen = ChosenRecords { file: name.clone(), lines: lines.collect() };
                let file = file.named(name).with_only(chosen);
                records.files.entry(source.to_owned()).or_default().push(file);
                for (file, lines) in members.into_values() {
                    records.lines.insert((source.to_owned(), file), lines);
                }
            }
        }
        Ok(records)
    }

    /// The records that a sink has as rejected.
    async fn rows(&self, quarantine: &Quarantine, opening: &mut Opening<'_>) -> Result<Rows> {
        let mut reading = self.task.clone();
        let at = &self.task.spec.sinks[&quarantine.sink];
        reading.spec.sources.clear();
        let Spanned { referenced, defined, .. } = *at;
        let source = Spanned { value: quarantine.published.clone(), referenced, defined };
        reading.spec.sources.insert(quarantine.sink.clone(), source);
        let failed = |error| Error::query(&quarantine.sink, error);
        let mut rows = Rows::default();
        for source in Source::declare_all(&reading)? {
            let mut looking = Opening::to_show(opening.key, None, opening.fetchers, opening.sessions, opening.stop);
            let Some(table) = source.open(&mut looking).await?.table else { continue };
            let context = engine::without_tables(self.session);
            let frame = context.read_table(table).map_err(failed)?;
            let columns = [Some(&quarantine.file), Some(&quarantine.line), quarantine.reasons.as_ref()];
            let columns: Vec<&str> = columns.into_iter().flatten().map(String::as_str).collect();
            let frame = frame.select_columns(&columns).and_then(|frame| frame.distinct()).map_err(failed)?;
            for batch in frame.collect().await.map_err(failed)? {
                rows.add(&batch, quarantine)?;
            }
        }
        Ok(rows)
    }

    /// The file as it was read, in the archive or where it was; otherwise why it is not there.
    async fn file(&self, read: &ReadFile, arrival: &Arrival<'_>) -> Result<Result<FoundFile, &'static str>> {
        let is_stopped = || arrival.stop.is_wanted();
        let mut has_changed = false;
        for path in read.archive.iter().chain([&read.path]) {
            let system = file_system(self.task, path).map_err(Error::internal)?;
            for file in system.find(&Pattern::escape(path), arrival).await? {
                let is_same = match file.size() > read.bytes {
                    // A file that grows was read up to there.
                    true => former_end(&file, read.bytes, &read.hash, &is_stopped)?.is_some(),
                    false => hashes(&[&file], &is_stopped)? == [read.hash.clone()],
                };
                if is_same {
                    return Ok(Ok(file));
                }
                has_changed = true;
            }
        }
        Ok(Err(if has_changed { "has changed since it was read" } else { "is gone: put it back, or into its archive" }))
    }
}

/// A file with the records that are chosen in it.
struct Chosen<'a> {
    read: &'a ReadFile,
    /// By what follows the name of the file: the name that rows have of it, and the lines.
    members: BTreeMap<String, (String, BTreeSet<u64>)>,
}

/// The rows of a quarantine.
#[derive(Default)]
struct Rows {
    records: Vec<(String, u64)>,
    without_place: usize,
    /// Rows that were rejected because of others.
    of_other_rows: usize,
}

impl Rows {
    fn add(&mut self, batch: &RecordBatch, quarantine: &Quarantine) -> Result<()> {
        let places = RowPlaces::of(batch, 0, 1)?;
        let reasons = quarantine.reasons.as_ref().map(|_| texts(batch, 2)).transpose()?;
        for row in 0..batch.num_rows() {
            let reasons = reasons.as_ref().map(|reasons| reasons.as_string::<i32>().value(row));
            let has_other =
                reasons.into_iter().flat_map(|all| all.split(';')).any(|one| quarantine.unique.contains(one));
            match places.of_row(row) {
                _ if has_other => self.of_other_rows += 1,
                Some((file, line)) => self.records.push((file.to_owned(), line)),
                None => self.without_place += 1,
            }
        }
        Ok(())
    }
}

/// The file that runs have read under a name that rows have of it, that name, and what follows it: the name of a member of an
/// archive. A name is relative to the folder in which the run was started.
fn read_as<'a, 'b>(read: &'a [ReadFile], name: &'b str) -> Result<(&'a ReadFile, &'b str, &'b str), String> {
    let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
    let ends: Vec<usize> = ends.collect();
    for end in ends.into_iter().rev() {
        let (file, member) = name.split_at(end);
        let mut plain = file;
        while let Some(rest) = plain.strip_prefix("./").or_else(|| plain.strip_prefix("../")) {
            plain = rest;
        }
        let is_it = |path: &str| path == file || path.strip_suffix(plain).is_some_and(|folder| folder.ends_with('/'));
        let mut found = read.iter().filter(|read| !plain.is_empty() && is_it(&read.path));
        match (found.next(), found.next()) {
            (Some(read), None) => return Ok((read, file, member)),
            (Some(_), Some(_)) => return Err(format!("several files that were read are called {file}")),
            (None, _) => {}
        }
    }
    Err(format!("no published run has read {name}: the next run judges its records again"))
}

/// A record, by its source, the name that rows have of its file, and its line.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Record(String, String, u64);

impl Record {
    fn new(source: &str, file: &str, line: u64) -> Self {
        Self(source.to_owned(), file.to_owned(), line)
    }
}

/// What a replay takes note of while rows go by.
#[derive(Debug, Default)]
pub(super) struct Noted {
    rejected: Mutex<HashSet<Record>>,
}

impl Noted {
    /// The parts of a sink, whose records are taken note of as its role has it.
    pub(super) fn by(self: &Arc<Self>, role: &Role, sink: &str, parts: Arc<dyn Parts>) -> Arc<dyn Parts> {
        let (place, once) = match role {
            Role::Publish | Role::Leave => return parts,
            Role::PublishOnce(place) => (place.clone(), Some(Arc::default())),
            Role::Quarantine(place) => (place.clone(), None),
        };
        Arc::new(NotedParts { note: Note { noted: self.clone(), place, once, sink: sink.to_owned() }, parts })
    }
}

/// What is taken note of in a sink.
#[derive(Debug, Clone)]
struct Note {
    noted: Arc<Noted>,
    place: Place,
    /// The records that have a row already, if each may have one.
    once: Option<Arc<Mutex<HashSet<Record>>>>,
    sink: String,
}

/// Creates parts that take note of the records of their rows.
#[derive(Debug)]
struct NotedParts {
    note: Note,
    parts: Arc<dyn Parts>,
}

impl Parts for NotedParts {
    fn part(&self) -> Result<Box<dyn Part>> {
        Ok(Box::new(NotedPart { note: self.note.clone(), part: self.parts.part()? }))
    }
}

struct NotedPart {
    note: Note,
    part: Box<dyn Part>,
}

impl Part for NotedPart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let Note { noted, place: Place { source, file, line }, once, sink } = &self.note;
        let places = RowPlaces::of(batch, *file, *line)?;
        let records = once.as_deref().unwrap_or(&noted.rejected);
        let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
        for row in (0..batch.num_rows()).filter(|row| chosen.is_none_or(|chosen| chosen.value(*row))) {
            let place = places.of_row(row);
            let is_new = place.is_some_and(|(file, line)| records.insert(Record::new(source, file, line)));
            if once.is_some() && !is_new {
                let (file, line) = place.unwrap_or(("a record", 0));
                let message =
                    format!("{file}:{line} makes several rows: which of them are there already cannot be told");
                let help = "let the sink merge by a key, or run the task anew";
                return Err(Error::input(format!("sink `{sink}`"), message, help));
            }
        }
        drop(records);
        self.part.write(batch, chosen)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Written>> {
        self.part.finish()
    }
}

/// The files and lines of the rows of a batch.
struct RowPlaces {
    files: ArrayRef,
    lines: ArrayRef,
}

impl RowPlaces {
    fn of(batch: &RecordBatch, file: usize, line: usize) -> Result<Self> {
        let lines = cast(batch.column(line), &DataType::Int64).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { files: texts(batch, file)?, lines })
    }

    fn of_row(&self, row: usize) -> Option<(&str, u64)> {
        let is_there = self.files.is_valid(row) && self.lines.is_valid(row);
        let line = || u64::try_from(self.lines.as_primitive::<Int64Type>().value(row)).ok();
        is_there.then(|| Some((self.files.as_string::<i32>().value(row), line()?))).flatten()
    }
}

fn texts(batch: &RecordBatch, column: usize) -> Result<ArrayRef> {
    cast(batch.column(column), &DataType::Utf8).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> ReadFile {
        ReadFile { path: path.to_owned(), bytes: 1, hash: String::new(), archive: None, contents: 1 }
    }

    #[test]
    fn a_file_is_found_by_the_name_that_rows_have_of_it() {
        let all = [
            read("/data/in/a.csv"),
            read("/data/in/a.zip"),
            read("s3://b/in/c.csv"),
            read("/other/b.csv"),
            read("/data/b.csv"),
        ];
        let as_read = |name| read_as(&all, name).map(|(read, file, member)| (read.path.as_str(), file, member));
        assert_eq!(as_read("in/a.csv"), Ok(("/data/in/a.csv", "in/a.csv", "")));
        assert_eq!(as_read("../in/a.csv"), Ok(("/data/in/a.csv", "../in/a.csv", "")));
        assert_eq!(as_read("/data/in/a.csv"), Ok(("/data/in/a.csv", "/data/in/a.csv", "")));
        assert_eq!(as_read("in/a.zip/x/y.csv"), Ok(("/data/in/a.zip", "in/a.zip", "/x/y.csv")));
        assert_eq!(as_read("s3://b/in/c.csv"), Ok(("s3://b/in/c.csv", "s3://b/in/c.csv", "")));
        assert!(as_read("b.csv").unwrap_err().contains("several"));
        assert_eq!(as_read("data/b.csv").unwrap().0, "/data/b.csv");
        assert!(as_read("n/a.csv").unwrap_err().contains("no published run"));
        assert!(as_read("ata/in/a.csv").is_err(), "a part of a folder's name");
    }
}
