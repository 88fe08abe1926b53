//! The part of a run that can be taken back: find, read, judge, write to one side, and decide.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datafusion::prelude::SessionContext;

use super::inputs::choose;
use super::ledger::Ledger;
use super::report::{Outcome, OutputReport, ReasonReport, Report, StepReport, TableReport};
use crate::error::{Error, Result, state_io};
use crate::fault;
use crate::model::Model;
use crate::quality::{self, Effect, Tally};
use crate::sink::{Narrow, SharedParts, Sink, Written};
use crate::source::{Fetchers, FileSet, Origin, Snapshots, Source, SourceTable};
use crate::stage::{Flow, Pass, Stage, Tables, execute};
use crate::stop::Stop;
use crate::task::{Route, Task};
use crate::watch::Watch;

/// The sources as the task declares them. Nothing is looked at.
pub(crate) fn declare(task: &Task) -> Result<Vec<Source>> {
    task.spec.sources.iter().map(|(name, spec)| Source::declare(task, name, spec)).collect()
}

/// Fails if a source is fetched by what this program does not have.
pub(crate) fn check_fetchers(sources: &[Source], fetchers: &Fetchers) -> Result<()> {
    for source in sources {
        if let Origin::Fetch(fetching) = source.origin() {
            fetching.among(fetchers)?;
        }
    }
    Ok(())
}

/// A folder for what does not fit memory, or is fetched; it goes when the run ends.
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
    pub(super) sources: &'a [Source],
    /// What gets rows that only this program can get.
    pub(super) fetchers: &'a Fetchers,
    pub(super) models: &'a [Model],
    pub(super) sinks: Arc<[Sink]>,
    /// What the sinks' tables take only some values of.
    pub(super) narrow: Narrow,
    pub(super) scratch: &'a Scratch,
    pub(super) watch: &'a Watch,
    pub(super) started: Instant,
    pub(super) steps: Vec<StepReport>,
    /// The sources' tables, in the order of the sources.
    pub(super) opened: Vec<Arc<dyn SourceTable>>,
}

impl Staging<'_> {
    /// Stages every sink, and says what the run comes to.
    pub(super) async fn stage(&mut self, ledger: &mut Ledger, stop: Stop) -> Result<Report> {
        let mut snapshots = Snapshots::new(&stop);
        let staged = self.stage_from(&mut snapshots, ledger, stop).await;
        snapshots.end().await;
        staged
    }

    async fn stage_from(&mut self, snapshots: &mut Snapshots, ledger: &mut Ledger, mut stop: Stop) -> Result<Report> {
        let tables = match self.open_sources(ledger, snapshots, &stop).await? {
            Sources::Open(tables) => tables,
            Sources::NothingToDo(note) => {
                tracing::info!("nothing to do: {note}");
                return Ok(Report { note: Some(note), ..self.report(Outcome::Skipped, vec![], vec![], vec![]) });
            }
        };
        let flow = Flow::plan(self.task, &self.session, self.sources, self.models, tables, &self.narrow).await?;
        for sink in self.sinks.iter() {
            sink.begin().await?;
        }
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
            taker.finish()?.into_iter().for_each(|(sink, written)| parts[sink].push(written));
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
        let outputs = self.complete(&flow, parts).await?;
        self.step("stage", started);
        let outcome = if breaches.is_empty() { Outcome::Done } else { Outcome::GateClosed };
        Ok(self.report(outcome, breaches, tables, outputs))
    }

    fn step(&mut self, name: &str, started: Instant) {
        let seconds = self.watch.step(name, started);
        self.steps.push(StepReport { name: name.to_owned(), seconds });
    }

    /// Finds the sources' files and tables, and holds them against the declared columns.
    async fn open_sources(&mut self, ledger: &mut Ledger, snapshots: &mut Snapshots, stop: &Stop) -> Result<Sources> {
        let started = Instant::now();
        let mut tables = Tables::new();
        let mut bytes = 0;
        for source in self.sources {
            let (table, size) = match source.origin() {
                Origin::Files(files) => match self.open_files(source, files, ledger, stop).await? {
                    Opened::Table(table, size) => (table, size),
                    Opened::NothingToDo(note) => return Ok(Sources::NothingToDo(note)),
                },
                Origin::Postgres(table) => {
                    let snapshot = snapshots.of(self.task, table.connection()).await?;
                    source.open_table(table, snapshot).await?
                }
                Origin::Fetch(fetching) => {
                    let (file, form) = fetching.fetch(self.fetchers, self.scratch.path(), stop).await?;
                    let size = file.meta.size;
                    (source.open_files(vec![file], form)?, size)
                }
            };
            bytes += size;
            self.opened.push(table.clone());
            tables.insert(source.name().to_owned(), table);
        }
        fault::point("inputs_entered");
        self.step("find", started);
        self.watch.reading(bytes, self.sources.iter().map(Source::progress).collect());
        Ok(Sources::Open(tables))
    }

    /// Finds the files of a source, and enters into the ledger which of them are read.
    async fn open_files(&self, source: &Source, files: &FileSet, ledger: &mut Ledger, stop: &Stop) -> Result<Opened> {
        let stopped = || stop.is_wanted();
        let choice = choose(self.task, source.name(), files, Some(&mut *ledger), &stopped).await?;
        if let Some(archive) = files.archive() {
            archive.check(choice.files.iter().map(|(file, _)| file))?;
        }
        let nothing_to_do = choice.nothing_to_do(source.name(), files)?;
        ledger.inputs(self.id, source.name(), &choice.inputs(files, &stopped)?, &choice.touched)?;
        if let Some(note) = nothing_to_do {
            return Ok(Opened::NothingToDo(note));
        }
        if choice.before > 0 {
            tracing::info!(source = source.name(), files = choice.before, "passed over: read by earlier runs");
        }
        let found: Vec<_> = choice.files.into_iter().map(|(file, _)| file).collect();
        let size = found.iter().map(|file| file.meta.size).sum();
        Ok(Opened::Table(source.open_files(found, files.form())?, size))
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
    fn route_unreadable(&self, flow: &Flow) -> Vec<Arc<SharedParts>> {
        let mut takers = Vec::new();
        for source in self.sources {
            let route = Route { table: source.name().to_owned(), rejected: true };
            let sinks: Vec<usize> =
                flow.sinks.iter().enumerate().filter(|(_, s)| s.route == route).map(|(i, _)| i).collect();
            if !sinks.is_empty() {
                let taker = Arc::new(SharedParts::new(self.sinks.clone(), sinks));
                let takes = taker.clone();
                source.rejected().set_taker(Box::new(move |batch| takes.write(batch)));
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
        let mut tally = pass.tally;
        let failed = pass.failed.into_iter().map(|(name, (rows, samples))| ReasonReport {
            name: name.to_owned(),
            effect: "reject".to_owned(),
            rows,
            samples,
        });
        let mut reasons: Vec<ReasonReport> = failed.collect();
        let Some(judge) = &stage.judge else {
            return Ok((!reasons.is_empty()).then(|| table_report(stage, &tally, reasons)));
        };
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
        Ok(Some(table_report(stage, &tally, reasons)))
    }

    /// Completes every sink: after this they only have to be switched to.
    async fn complete(&self, flow: &Flow, parts: Vec<Vec<Written>>) -> Result<Vec<OutputReport>> {
        let mut outputs = Vec::new();
        for ((sink, bound), parts) in self.sinks.iter().zip(&flow.sinks).zip(parts) {
            let Written { rows, bytes, .. } = sink.stage(parts).await?;
            let (sink, path) = (bound.name.clone(), bound.place());
            outputs.push(OutputReport { sink, path, rows, bytes, published: false, loaded: None });
        }
        Ok(outputs)
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
            note: None,
            breaches,
            tables,
            outputs,
            steps: std::mem::take(&mut self.steps),
            seconds: self.started.elapsed().as_secs_f64(),
            peak_memory: super::machine::peak_memory(),
        }
    }
}

/// What came of looking for the files of a source.
enum Opened {
    /// They are shown as this table, and have so many bytes.
    Table(Arc<dyn SourceTable>, u64),
    NothingToDo(String),
}

/// What came of looking for the sources.
enum Sources {
    Open(Tables),
    /// There is nothing to read, and the task says to do nothing then.
    NothingToDo(String),
}

fn table_report(stage: &Stage, tally: &Tally, reasons: Vec<ReasonReport>) -> TableReport {
    TableReport {
        table: stage.table.clone(),
        is_source: false,
        rows: tally.rows,
        accepted: tally.accepted,
        rejected: tally.rejected,
        reasons,
    }
}

/// What a source read, with its unreadable records checked against the sinks that took them.
fn source_report(
    source: &Source,
    parts: &[Vec<Written>],
    flow: &Flow,
    scanned: &HashMap<&str, u64>,
) -> Result<TableReport> {
    let unreadable = source.rejected().rejected();
    let rejected: u64 = unreadable.values().map(|(rows, _)| rows).sum();
    let route = Route { table: source.name().to_owned(), rejected: true };
    for (sink, parts) in flow.sinks.iter().zip(parts).filter(|(sink, _)| sink.route == route) {
        balanced(&sink.name, rejected, parts.iter().map(|part| part.rows).sum())?;
    }
    let reasons = [("unreadable", unreadable), ("set_null", source.rejected().nulled())];
    let reasons = reasons.into_iter().flat_map(|(effect, reasons)| {
        let reason = move |(name, (rows, samples))| ReasonReport { name, effect: effect.to_owned(), rows, samples };
        reasons.into_iter().map(reason)
    });
    let reasons = reasons.collect();
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
