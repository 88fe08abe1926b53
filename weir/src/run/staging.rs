//! The part of a run that can be taken back: find, read, judge, write to one side, and decide.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;

use super::ledger::Ledger;
use super::report::{Outcome, OutputReport, ReasonReport, Report, StepReport, TableReport};
use crate::error::{Error, Result, state_io};
use crate::model::Model;
use crate::quality::{self, Effect};
use crate::sink::{FolderSink, Part, Written};
use crate::source::{CsvTable, FileSource};
use crate::stage::{Flow, Pass, Stage, Stop, Tables, execute};
use crate::task::{IfMissing, Route, Task};
use crate::watch::Watch;

/// The sources as the task declares them. Nothing is looked at.
pub(crate) fn declare(task: &Task) -> Result<Vec<FileSource>> {
    task.spec.sources.iter().map(|(name, spec)| FileSource::declare(task, name, &spec.value)).collect()
}

/// A folder for what does not fit memory; it goes when the run ends.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder, empty. Whoever holds the lock of that name may: what is there is a dead run's.
    pub(crate) fn make(state: &Path, lock: &str) -> Result<Self> {
        let path = state.join("scratch").join(lock);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(state_io(&path)(error)),
            _ => std::fs::create_dir_all(&path).map_err(state_io(&path))?,
        }
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the scratch folder could not be removed");
        }
    }
}

/// A run before its commit record.
pub(super) struct Staging<'a> {
    pub(super) id: &'a str,
    pub(super) task: &'a Task,
    pub(super) session: SessionContext,
    pub(super) sources: &'a [FileSource],
    pub(super) models: &'a [Model],
    pub(super) sinks: Arc<[FolderSink]>,
    pub(super) scratch: &'a Scratch,
    pub(super) watch: &'a Watch,
    pub(super) started: Instant,
    pub(super) steps: Vec<StepReport>,
    /// The sources' tables, in the order of the sources.
    pub(super) opened: Vec<Arc<CsvTable>>,
}

impl Staging<'_> {
    /// Stages every sink, and says what the run comes to.
    pub(super) async fn stage(&mut self, ledger: &mut Ledger, mut stop: Stop) -> Result<Report> {
        let Some(tables) = self.open_sources(ledger).await? else {
            return Ok(self.report(Outcome::Skipped, vec![], vec![], vec![]));
        };
        let flow = Flow::plan(self.task, &self.session, self.sources, self.models, tables).await?;
        self.sinks.iter().try_for_each(FolderSink::begin)?;
        let unreadable = self.route_unreadable(&flow);

        let mut parts: Vec<Vec<Written>> = vec![Vec::new(); self.sinks.len()];
        let mut tables = Vec::new();
        let mut breaches = Vec::new();
        let mut scanned = HashMap::new();
        for stage in &flow.stages {
            let started = Instant::now();
            let pass = execute(stage, &self.session, &self.sinks, self.scratch.path(), &mut stop).await?;
            check_counts(stage, &flow, &pass)?;
            scanned.insert(stage.table.as_str(), pass.tally.rows);
            tables.extend(self.judged(stage, pass, &mut parts, &mut breaches)?);
            self.step(&stage.table, started);
        }
        self.drain(&stop)?;
        for taker in unreadable {
            taker.finish(&mut parts)?;
        }
        let sources: Vec<_> =
            self.sources.iter().map(|source| source_report(source, &parts, &flow, &scanned)).collect::<Result<_>>()?;
        for (name, gate) in &flow.source_gates {
            let of_source = sources.iter().filter(|table| table.table == *name);
            let messages = of_source.flat_map(|table| quality::of_table(gate, table.rows, table.rejected));
            breaches.extend(messages.map(|message| format!("{name}: {message}")));
        }
        tables.splice(0..0, sources);

        let started = Instant::now();
        let outputs = self.complete(&flow, parts)?;
        self.step("stage", started);
        let outcome = if breaches.is_empty() { Outcome::Done } else { Outcome::GateClosed };
        Ok(self.report(outcome, breaches, tables, outputs))
    }

    fn step(&mut self, name: &str, started: Instant) {
        let seconds = self.watch.step(name, started);
        self.steps.push(StepReport { name: name.to_owned(), seconds });
    }

    /// Finds the sources' files and checks their headers; nothing if the run is to be skipped.
    async fn open_sources(&mut self, ledger: &mut Ledger) -> Result<Option<Tables>> {
        let started = Instant::now();
        let mut tables = Tables::new();
        let mut bytes = 0;
        for source in self.sources {
            let files = source.find().await?;
            if files.is_empty() && source.if_missing() == IfMissing::Skip {
                tracing::info!(source = source.name(), "no file matches: nothing to do");
                return Ok(None);
            }
            ledger.inputs(self.id, source.name(), &files)?;
            bytes += files.iter().map(|file| file.meta.size).sum::<u64>();
            let table = source.open(files)?;
            self.opened.push(table.clone());
            tables.insert(source.name().to_owned(), table);
        }
        self.step("find", started);
        self.watch.reading(bytes, self.sources.iter().map(FileSource::progress).collect());
        Ok(Some(tables))
    }

    /// Reads what no stage has read, so that every record of the sources is accounted for.
    fn drain(&mut self, stop: &Stop) -> Result<()> {
        let started = Instant::now();
        for (source, table) in self.sources.iter().zip(&self.opened) {
            table.drain(&|| stop.is_wanted()).map_err(|error| Error::query(source.name(), error))?;
        }
        if stop.is_wanted() {
            return Err(Error::Interrupted);
        }
        self.step("drain", started);
        Ok(())
    }

    /// Sends the sources' unreadable records to the sinks that take them.
    fn route_unreadable(&self, flow: &Flow) -> Vec<Arc<Unreadable>> {
        let mut takers = Vec::new();
        for source in self.sources {
            let route = Route { table: source.name().to_owned(), rejected: true };
            let sinks: Vec<usize> =
                flow.sinks.iter().enumerate().filter(|(_, s)| s.route == route).map(|(i, _)| i).collect();
            if !sinks.is_empty() {
                let taker = Arc::new(Unreadable { all: self.sinks.clone(), sinks, parts: Mutex::default() });
                let takes = taker.clone();
                source.rejected().set_taker(Box::new(move |batch| takes.take(batch)));
                takers.push(taker);
            }
        }
        takers
    }

    /// Takes the parts of a stage, counts what is left to count, and asks the gate.
    fn judged(
        &self,
        stage: &Stage,
        pass: Pass,
        parts: &mut [Vec<Written>],
        breaches: &mut Vec<String>,
    ) -> Result<Option<TableReport>> {
        for (sink, written) in pass.parts {
            parts[sink].push(written);
        }
        let Some(judge) = &stage.judge else { return Ok(None) };
        let mut tally = pass.tally;
        let mut reasons = Vec::new();
        for (rule, (rows, samples)) in judge.rules.iter().zip(&tally.missed) {
            let effect = if rule.effect == Effect::Warn { "warn" } else { "reject" };
            reasons.push(ReasonReport {
                name: rule.name.clone(),
                effect: effect.to_owned(),
                rows: *rows,
                samples: samples.clone(),
            });
        }
        let mut unique = Vec::new();
        for (rule, keys) in judge.unique.iter().zip(std::mem::take(&mut tally.keys)) {
            let repeated = keys.count(&stage.table, rule)?;
            if rule.effect == Effect::Fail && repeated.rows > 0 {
                return Err(judge.failed(&rule.name, repeated.rows, &repeated.samples));
            }
            unique.push(repeated.rows);
            reasons.push(ReasonReport {
                name: rule.name.clone(),
                effect: "warn".to_owned(),
                rows: repeated.rows,
                samples: repeated.samples,
            });
        }
        let closed = quality::breaches(judge, &tally, &unique);
        breaches.extend(closed.into_iter().map(|message| format!("{}: {message}", stage.table)));
        reasons.retain(|reason| reason.rows > 0);
        Ok(Some(TableReport {
            table: stage.table.clone(),
            is_source: false,
            rows: tally.rows,
            accepted: tally.accepted,
            rejected: tally.rejected,
            reasons,
        }))
    }

    /// Completes every sink: after this they only have to be switched to.
    fn complete(&self, flow: &Flow, parts: Vec<Vec<Written>>) -> Result<Vec<OutputReport>> {
        let sinks = self.sinks.iter().zip(&flow.sinks).zip(parts);
        sinks
            .map(|((sink, bound), parts)| {
                let Written { rows, bytes, .. } = sink.stage(parts)?;
                Ok(OutputReport { sink: bound.name.clone(), path: bound.path.clone(), rows, bytes, published: false })
            })
            .collect()
    }

    fn report(
        &mut self,
        outcome: Outcome,
        breaches: Vec<String>,
        tables: Vec<TableReport>,
        outputs: Vec<OutputReport>,
    ) -> Report {
        Report {
            run: self.id.to_owned(),
            task: self.task.name().to_owned(),
            environment: self.task.environment.clone(),
            outcome,
            breaches,
            tables,
            outputs,
            steps: std::mem::take(&mut self.steps),
            seconds: self.started.elapsed().as_secs_f64(),
            peak_memory: super::machine::peak_memory(),
        }
    }
}

/// The sinks of one source's unreadable records.
struct Unreadable {
    all: Arc<[FolderSink]>,
    sinks: Vec<usize>,
    parts: Mutex<Vec<Box<dyn Part>>>,
}

impl Unreadable {
    fn take(&self, batch: &RecordBatch) -> Result<()> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.is_empty() {
            *parts = self.sinks.iter().map(|sink| self.all[*sink].part()).collect::<Result<_>>()?;
        }
        parts.iter_mut().try_for_each(|part| part.write(batch, None))
    }

    fn finish(&self, written: &mut [Vec<Written>]) -> Result<()> {
        let parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        for (sink, part) in self.sinks.iter().zip(parts) {
            written[*sink].push(part.finish()?);
        }
        Ok(())
    }
}

/// What a source read, with its unreadable records checked against the sinks that took them.
fn source_report(
    source: &FileSource,
    parts: &[Vec<Written>],
    flow: &Flow,
    scanned: &HashMap<&str, u64>,
) -> Result<TableReport> {
    let rejected: u64 = source.rejected().counts().values().sum();
    let route = Route { table: source.name().to_owned(), rejected: true };
    for (sink, parts) in flow.sinks.iter().zip(parts).filter(|(sink, _)| sink.route == route) {
        balanced(&sink.name, rejected, parts.iter().map(|part| part.rows).sum())?;
    }
    let mut samples = source.rejected().samples();
    let reason = |(name, rows)| ReasonReport {
        samples: samples.remove(&name).unwrap_or_default(),
        name,
        effect: "unreadable".to_owned(),
        rows,
    };
    let reasons = source.rejected().counts().into_iter().map(reason).collect();
    let accepted = source.rows_read();
    if let Some(rows) = scanned.get(source.name()) {
        balanced(source.name(), accepted, *rows)?;
    }
    Ok(TableReport {
        table: source.name().to_owned(),
        is_source: true,
        rows: accepted + rejected,
        accepted,
        rejected,
        reasons,
    })
}

/// Rows in are rows out: what was judged is accepted or rejected, and every sink has what its route gave.
fn check_counts(stage: &Stage, flow: &Flow, pass: &Pass) -> Result<()> {
    let tally = &pass.tally;
    if tally.rows != tally.accepted + tally.rejected {
        let message = format!(
            "table `{}`: {} rows are not {} accepted and {} rejected",
            stage.table, tally.rows, tally.accepted, tally.rejected
        );
        return Err(Error::Unbalanced { message });
    }
    for (sinks, rows) in [(&stage.accepted, tally.accepted), (&stage.rejected, tally.rejected)] {
        for sink in sinks {
            let written = pass.parts.iter().filter(|(i, _)| i == sink).map(|(_, part)| part.rows).sum();
            balanced(&flow.sinks[*sink].name, rows, written)?;
        }
    }
    if stage.scratch.is_some() {
        balanced(&stage.table, tally.accepted, pass.kept)?;
    }
    Ok(())
}

fn balanced(what: &str, rows: u64, written: u64) -> Result<()> {
    if rows == written {
        return Ok(());
    }
    Err(Error::Unbalanced { message: format!("`{what}` was to get {rows} rows and has {written}") })
}
