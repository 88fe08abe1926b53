//! The part of a run that can be rolled back: open the sources, compute, judge and write the rows, complete the sinks.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::prelude::SessionContext;

use super::Run;
use super::counts::{balanced, counted, reasons, table_report};
use super::replay::{Noted, Records, Search};
use crate::cluster::{self, Away, AwayFrom, AwayRun, Cluster, Host};
use crate::database::Sessions;
use crate::error::{Error, Result, number_of};
use crate::format::scan::SourceTable;
use crate::ledger::Ledger;
use crate::place::FoundFile;
use crate::plan::{Plan, ReplayPlan, Stage, Tables};
use crate::quality::{self, Effect, Tally};
use crate::report::{Outcome, OutputReport, ReasonReport, Report, TableReport};
use crate::route::Counted;
use crate::scratch::ScratchFolder;
use crate::sink::{OpenTarget, Parts, Pending, Prepared, SharedParts, Writing, Written, protected};
use crate::source::{Opening, Source};
use crate::stage::{Computed, Execution, Outputs, Pass, Shared, execute};
use crate::system::fault;
use crate::system::stop::Stop;
use crate::task::Route;
use crate::watch::{Event, Progress};

/// A run before its commit record.
pub(super) struct Preparation<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) plan: &'a Plan,
    pub(super) session: &'a SessionContext,
    pub(super) scratch: &'a ScratchFolder,
    pub(super) ledger: &'a mut Ledger,
    pub(super) stop: Stop,
    /// What is judged again, if the run is a replay.
    pub(super) replay: Option<&'a ReplayPlan>,
    /// The machines that compute the stages, if not this process.
    pub(super) cluster: Option<&'a Arc<dyn Cluster>>,
    /// The sinks as the ledger has them, and whether other processes can write to them.
    pub(super) pending: &'a [Box<dyn Pending>],
    pub(super) takes_attempts: Vec<bool>,
}

/// Result of a preparation.
pub(super) enum PreparedRun {
    /// The sinks, in the order of the plan.
    Sinks(Vec<Box<dyn Prepared>>),
    /// There is nothing to read, and the task specifies to do nothing then.
    NothingToDo,
}

/// A stage with rules, and its counts.
struct JudgedStage {
    stage: Arc<Stage>,
    tally: Tally,
    /// The rows that each rule counted that is counted after the pass.
    later: Vec<u64>,
}

/// The tables of the sources, in the order of the sources.
type SourceTables = Vec<Arc<dyn SourceTable>>;

impl Preparation<'_> {
    /// Prepares every sink. The report gets what is done, also when it ends with an error.
    pub(super) async fn prepare(
        mut self,
        targets: Vec<Box<dyn OpenTarget>>,
        report: &mut Report,
    ) -> Result<PreparedRun> {
        let mut sessions = Sessions::new(self.run.connector.clone(), &self.stop);
        let prepared = self.prepare_over(&mut sessions, targets, report).await;
        sessions.end().await;
        prepared
    }

    async fn prepare_over(
        &mut self,
        sessions: &mut Sessions,
        targets: Vec<Box<dyn OpenTarget>>,
        report: &mut Report,
    ) -> Result<PreparedRun> {
        let replay = match self.replay {
            None => None,
            Some(plan) => Some((plan, self.find_records(plan, sessions, report).await?)),
        };
        if replay.as_ref().is_some_and(|(_, records)| records.is_empty()) {
            (report.outcome, report.note) =
                (Outcome::Skipped, Some("no rejected record is left to be judged again".to_owned()));
            return Ok(PreparedRun::NothingToDo);
        }
        let files = replay.as_ref().map(|(_, records)| &records.files);
        let Some(tables) = self.open_sources(sessions, files, report).await? else {
            return Ok(PreparedRun::NothingToDo);
        };
        let mut writing: Vec<Box<dyn Writing>> = Vec::with_capacity(targets.len());
        let mut failed = None;
        for target in targets {
            match target.begin().await {
                Ok(begun) => writing.push(begun),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let written = match failed {
            Some(error) => Err(error),
            None => self.write(&tables, &writing, replay.as_ref(), report).await,
        };
        match written {
            Ok(parts) => self.complete(writing, parts, report).await.map(PreparedRun::Sinks),
            Err(error) => {
                for sink in writing {
                    sink.cancel().await;
                }
                Err(error)
            }
        }
    }

    /// Finds the records that a replay judges again.
    async fn find_records(
        &mut self,
        plan: &ReplayPlan,
        sessions: &mut Sessions,
        report: &mut Report,
    ) -> Result<Records> {
        let started = self.run.begin_step("quarantine");
        let search = Search { task: self.run.task, session: self.session, plan };
        let mut opening = self.opening(sessions, None);
        let records = search.records(&mut opening).await?;
        report.replay = Some(records.report());
        self.run.step(report, "quarantine", started);
        Ok(records)
    }

    fn opening<'a>(
        &'a mut self,
        sessions: &'a mut Sessions,
        replay: Option<&'a HashMap<String, Vec<FoundFile>>>,
    ) -> Opening<'a> {
        Opening {
            key: self.run.key,
            ledger: Some(&mut *self.ledger),
            run: Some(self.run.id),
            fetchers: &self.run.settings.fetchers,
            sessions,
            scratch: self.scratch.path(),
            stop: &self.stop,
            replay,
        }
    }

    /// Opens the sources, and checks them against the declared columns; none if there is nothing to do.
    async fn open_sources(
        &mut self,
        sessions: &mut Sessions,
        replay: Option<&HashMap<String, Vec<FoundFile>>>,
        report: &mut Report,
    ) -> Result<Option<SourceTables>> {
        let started = self.run.begin_step("find");
        let (mut tables, mut bytes) = (SourceTables::new(), 0);
        for source in &self.plan.sources {
            let opened = source.open(&mut self.opening(sessions, replay)).await?;
            if let Some(note) = opened.nothing_to_do {
                tracing::info!("nothing to do: {note}");
                (report.outcome, report.note) = (Outcome::Skipped, Some(note));
                return Ok(None);
            }
            bytes += opened.bytes;
            let without = || Error::internal(format!("source `{}` was opened without rows", source.name()));
            tables.push(opened.table.ok_or_else(without)?);
        }
        fault::point("inputs_entered");
        self.run.step(report, "find", started);
        let progress = Progress::of(self.plan.sources.iter().map(Source::progress).collect());
        self.run.settings.observers.event(&Event::Reading { bytes, progress });
        Ok(Some(tables))
    }

    /// Computes the stages and writes their rows; returns the parts of each sink.
    async fn write(
        &mut self,
        tables: &SourceTables,
        writing: &[Box<dyn Writing>],
        replay: Option<&(&ReplayPlan, Records)>,
        report: &mut Report,
    ) -> Result<Vec<Vec<Written>>> {
        let noted = Arc::new(Noted::default());
        let of_sinks = writing.iter().zip(&self.plan.sinks).enumerate();
        let of_sinks = of_sinks.map(|(number, (sink, bound))| {
            let parts = protected(sink.parts(), bound.protection.as_ref());
            match replay.and_then(|(plan, _)| plan.roles.get(number)) {
                Some(role) => noted.by(role, &bound.name, parts),
                None => parts,
            }
        });
        let sinks: Arc<[Arc<dyn Parts>]> = of_sinks.collect();
        let mut parts: Vec<Vec<Written>> = vec![Vec::new(); sinks.len()];
        let mut accepted = HashMap::new();
        let mut judged = Vec::new();
        let away = self.away(writing).await?;
        let away = away.as_ref();
        let computed = self.compute(away, tables, &sinks, &mut parts, &mut accepted, &mut judged, report).await;
        let sources = self.plan.sources.iter().map(|source| match &computed {
            Ok(()) => self.source_report(source, &parts, &accepted),
            // How far the others had come when one failed.
            Err(_) => Ok(counted(source)),
        });
        let sources = sources.collect::<Result<Vec<_>>>();
        let sources = match (computed, sources) {
            (Ok(()), sources) => sources?,
            (Err(error), sources) => {
                report.tables.splice(0..0, sources.unwrap_or_default());
                return Err(error);
            }
        };
        accepted.extend(sources.iter().map(|source| (source.table.clone(), source.accepted)));
        let compared = compare_rows(&mut judged, &accepted, report);
        // The rejected records were counted by the runs that rejected them.
        if replay.is_none() {
            self.ask_gates(&sources, &judged, &parts, report);
        }
        report.tables.splice(0..0, sources);
        compared?;
        if let Some((_, records)) = replay {
            records.settle(&noted, self.run.id, self.ledger, report)?;
        }
        Ok(parts)
    }

    /// Prepares the run for other machines, if they compute its stages.
    async fn away(&mut self, writing: &[Box<dyn Writing>]) -> Result<Option<AwayRun>> {
        let Some(cluster) = self.cluster else { return Ok(None) };
        let mut sinks = Vec::with_capacity(writing.len());
        for ((sink, pending), takes_attempts) in writing.iter().zip(self.pending).zip(&self.takes_attempts) {
            let failed = |error| Error::internal(format!("sink `{}`: {error}", pending.sink()));
            if *takes_attempts {
                sink.allow_attempts()?;
            }
            sinks.push(takes_attempts.then(|| pending.to_json().map_err(failed)).transpose()?);
        }
        let Run { task, id, settings, .. } = self.run;
        let host = Host::new(&settings.functions, &settings.fetchers);
        let from = AwayFrom { task, run: id, session: self.session, folder: self.scratch.path(), sinks };
        AwayRun::begin(cluster, host, from).await.map(Some)
    }

    #[expect(clippy::too_many_arguments, reason = "what the stages add to")]
    async fn compute(
        &mut self,
        away: Option<&AwayRun>,
        tables: &SourceTables,
        sinks: &Arc<[Arc<dyn Parts>]>,
        parts: &mut [Vec<Written>],
        accepted: &mut HashMap<String, u64>,
        judged: &mut Vec<JudgedStage>,
        report: &mut Report,
    ) -> Result<()> {
        let names = self.plan.sources.iter().map(|source| source.name().to_owned());
        let by_name: Tables = names.zip(tables.iter().map(|table| table.clone() as _)).collect();
        let stages = self.plan.bind(self.session, &by_name, away.is_none()).await?;
        let sources: cluster::SourceTables =
            self.plan.sources.iter().zip(tables).map(|(of, table)| (of.name().to_owned(), table.clone())).collect();
        let unreadable = self.route_unreadable(sinks);
        let scratch = self.scratch.path().to_path_buf();
        let to = Arc::new(Outputs { sinks: sinks.clone(), scratch, shared: away.map(|_| Shared::default()) });
        for bound in &stages {
            let started = self.run.begin_step(&bound.stage.table);
            let elsewhere = match away {
                Some(away) => away.compute(bound, self.plan, &sources, &mut self.stop).await.map(Some),
                None => Ok(None),
            };
            let here = Execution { context: self.session, to: &to, stop: &mut self.stop };
            let computed = match elsewhere {
                Ok(None) => execute(bound, here).await,
                Ok(Some(Away::Done(computed))) => Ok(vec![computed]),
                Ok(Some(Away::Here(why, bound))) => {
                    let table = &bound.stage.table;
                    tracing::info!(table, "computed in this process, not by the cluster: {why}");
                    execute(&bound, here).await
                }
                Err(broken) => Err(broken),
            };
            let computed = match computed {
                Ok(computed) => computed,
                Err(broken) => {
                    let reports = broken
                        .stages
                        .iter()
                        .map(|Computed { stage, pass }| table_report(stage, &pass.tally, reasons(stage, pass)));
                    report.tables.extend(reports);
                    return Err(broken.error);
                }
            };
            for Computed { stage, pass } in computed {
                self.check_counts(&stage, &pass)?;
                accepted.insert(stage.table.clone(), pass.tally.accepted);
                judged.extend(self.judged(&stage, pass, parts, report)?);
            }
            self.run.step(report, &bound.stage.table, started);
        }
        self.drain(away, tables, parts, report)?;
        for shared in unreadable {
            shared.finish()?.into_iter().for_each(|(sink, written)| parts[sink].push(written));
        }
        Ok(())
    }

    /// Reads what no stage has read, so that every record of the sources is accounted for.
    fn drain(
        &self,
        away: Option<&AwayRun>,
        tables: &SourceTables,
        parts: &mut [Vec<Written>],
        report: &mut Report,
    ) -> Result<()> {
        let started = self.run.begin_step("drain");
        for (source, table) in self.plan.sources.iter().zip(tables) {
            let stop = &self.stop;
            let stopped = || stop.is_wanted();
            match away.filter(|away| away.has_read(source.name())) {
                Some(away) => {
                    let written = away.settle(source, table.as_ref(), &stopped)?;
                    written.into_iter().for_each(|(sink, written)| parts[sink].push(written));
                }
                None => table.drain(&stopped).map_err(|error| Error::query(source.name(), error))?,
            }
        }
        if self.stop.is_wanted() {
            return Err(Error::Interrupted);
        }
        self.run.step(report, "drain", started);
        Ok(())
    }

    /// Connects the sources' unreadable records with the sinks that read them.
    fn route_unreadable(&self, sinks: &Arc<[Arc<dyn Parts>]>) -> Vec<Arc<SharedParts>> {
        let mut all = Vec::new();
        for source in &self.plan.sources {
            let readers = self.plan.sinks_of_rejected(source.name());
            if !readers.is_empty() {
                let shared = Arc::new(SharedParts::new(sinks.clone(), readers));
                let to = shared.clone();
                source.rejected().connect(Box::new(move |batch| to.write(batch)));
                all.push(shared);
            }
        }
        all
    }

    /// Asks the gates, once all sources are read to their end.
    fn ask_gates(&self, sources: &[TableReport], judged: &[JudgedStage], parts: &[Vec<Written>], report: &mut Report) {
        let plan = self.plan;
        let mut breaches = Vec::new();
        for source in sources {
            let gate = plan.gate(&source.table);
            let mut messages = quality::of_table(&gate, source.rows, source.rejected);
            if source.rows > 0 && source.accepted == 0 && gate.min_rows != Some(0) {
                messages.push(format!("no record was accepted, of {}", number_of(source.rows, "record")));
            }
            breaches.extend(messages.into_iter().map(|message| (&source.table, message)));
        }
        for JudgedStage { stage, tally, later } in judged {
            let Some(judge) = &stage.judge else { continue };
            let upstream = plan.upstream(&stage.table);
            let of_sources = sources.iter().filter(|source| upstream.contains(source.table.as_str()));
            let unreadable = of_sources.map(|source| source.rejected).sum();
            let messages = quality::breaches(judge, tally, later, unreadable);
            breaches.extend(messages.into_iter().map(|message| (&stage.table, message)));
        }
        for (sink, parts) in plan.sinks.iter().zip(parts) {
            let is_emptied = sink.replaces_rows() && parts.iter().all(|part| part.rows == 0);
            if is_emptied && plan.gate(&sink.route.table).min_rows != Some(0) {
                let upstream = plan.upstream(&sink.route.table);
                let has_read = sources.iter().any(|source| upstream.contains(source.table.as_str()) && source.rows > 0);
                // Where rows were read, an empty result is most likely a fault.
                let help = match has_read {
                    true => String::new(),
                    false => format!(
                        "; if it is right that there is nothing to read, specify `quality: {{{}: {{gate: {{min_rows: 0}}}}}}`",
                        sink.route.table
                    ),
                };
                let message = format!("no row for sink `{}`, whose rows would be replaced by nothing{help}", sink.name);
                breaches.push((&sink.route.table, message));
            }
        }
        report.breaches.extend(breaches.into_iter().map(|(table, message)| format!("{table}: {message}")));
    }

    /// Takes the parts of a stage, and counts what is left to count.
    fn judged(
        &self,
        stage: &Arc<Stage>,
        mut pass: Pass,
        parts: &mut [Vec<Written>],
        report: &mut Report,
    ) -> Result<Option<JudgedStage>> {
        for (sink, written) in std::mem::take(&mut pass.parts) {
            parts[sink].push(written);
        }
        let mut reasons = reasons(stage, &pass);
        let Pass { tally, keys, .. } = pass;
        let Some(judge) = &stage.judge else {
            if !reasons.is_empty() {
                report.tables.push(table_report(stage, &tally, reasons));
            }
            return Ok(None);
        };
        let mut later = Vec::new();
        for (number, rule) in judge.unique.iter().enumerate() {
            let keys = keys.get(number).map_or(&[][..], Vec::as_slice);
            let repeated = rule.count(&stage.table, self.scratch.path(), keys)?;
            let rows = repeated.rows;
            let error = (rule.effect == Effect::Fail && rows > 0).then(|| judge.failed(&rule.name, &repeated));
            later.push(rows);
            if rows > 0 {
                reasons.push(ReasonReport::of(&rule.name, rule.effect.name(), repeated));
            }
            if let Some(error) = error {
                report.tables.push(table_report(stage, &tally, reasons));
                return Err(error);
            }
        }
        report.tables.push(table_report(stage, &tally, reasons));
        Ok(Some(JudgedStage { stage: stage.clone(), tally, later }))
    }

    /// Completes every sink: after this they only have to be committed.
    async fn complete(
        &mut self,
        writing: Vec<Box<dyn Writing>>,
        parts: Vec<Vec<Written>>,
        report: &mut Report,
    ) -> Result<Vec<Box<dyn Prepared>>> {
        let started = self.run.begin_step("prepare");
        let mut prepared = Vec::with_capacity(writing.len());
        let mut failed = None;
        for ((sink, bound), parts) in writing.into_iter().zip(&self.plan.sinks).zip(parts) {
            if failed.is_some() {
                sink.cancel().await;
                continue;
            }
            match sink.prepare(parts).await {
                Ok((Written { rows, bytes, .. }, sink)) => {
                    let (name, path) = (bound.name.clone(), bound.target.place());
                    report.outputs.push(OutputReport { sink: name, path, rows, bytes, published: false, loaded: None });
                    prepared.push(sink);
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.run.step(report, "prepare", started);
        Ok(prepared)
    }

    /// The rows of a source, reconciled with the sinks that read its unreadable records.
    fn source_report(
        &self,
        source: &Source,
        parts: &[Vec<Written>],
        accepted: &HashMap<String, u64>,
    ) -> Result<TableReport> {
        let report = counted(source);
        let route = Route { table: source.name().to_owned(), rejected: true };
        for (sink, parts) in self.plan.sinks.iter().zip(parts).filter(|(sink, _)| sink.route == route) {
            balanced(&sink.name, report.rejected, parts.iter().map(|part| part.rows).sum())?;
        }
        if let Some(rows) = accepted.get(source.name()) {
            balanced(source.name(), report.accepted, *rows)?;
        }
        Ok(report)
    }

    /// Row-count reconciliation: what was judged is accepted or rejected, and every sink has the rows of its route.
    fn check_counts(&self, stage: &Stage, pass: &Pass) -> Result<()> {
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
                balanced(&self.plan.sinks[*sink].name, rows, written)?;
            }
        }
        if let Some(kept) = pass.kept {
            balanced(&stage.table, tally.accepted, kept)?;
        }
        Ok(())
    }
}

/// Compares the rows of tables for `equal_rows` rules, once all are computed. Fails if one of `fail_unless` is not fulfilled.
fn compare_rows(judged: &mut [JudgedStage], accepted: &HashMap<String, u64>, report: &mut Report) -> Result<()> {
    let mut failed = Ok(());
    for JudgedStage { stage, tally, later } in judged {
        let Some(judge) = &stage.judge else { continue };
        for rule in &judge.equal_rows {
            let not_counted = || Error::internal(format!("the rows of `{}` were not counted", rule.table));
            let of_other = accepted.get(&rule.table).ok_or_else(not_counted)?;
            let rows = tally.rows.abs_diff(*of_other);
            later.push(rows);
            let Some(message) = rule.compare(tally.rows, *of_other) else { continue };
            let counted = Counted { rows, samples: vec![] };
            let reason = ReasonReport::of(&rule.name, rule.effect.name(), counted);
            let reason = ReasonReport { help: Some(message.clone()), ..reason };
            if let Some(of) = report.tables.iter_mut().find(|of| of.table == stage.table) {
                of.reasons.push(reason);
            }
            if rule.effect == Effect::Fail && failed.is_ok() {
                failed = Err(Error::RowsDiffer { table: stage.table.clone(), rule: rule.name.clone(), message });
            }
        }
    }
    failed
}
