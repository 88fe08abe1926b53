//! `run`: runs the task; `replay`: judges again what its runs have rejected.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

use super::failure::{WithoutCause, report_error};
use super::recover::recover_without_task;
use super::summary;
use super::work::backfill;
use super::{Cli, ReplayArgs, RunArgs, RunVerbArgs, TaskArgs, runtime};
use crate::alert::{Alerts, Unsent};
use crate::error::{Error, Result};
use crate::metrics;
#[cfg(feature = "http")]
use crate::openlineage::OpenLineage;
use crate::report::{Report, RunKey, RunRecord};
use crate::run;
use crate::schedule::TRANSIENT;
use crate::system::disk::write_whole;
use crate::system::stop::Stop;
use crate::task::{Task, TaskOwner, name_in};
use crate::watch::{ProgressBar, StepLog};

pub(super) fn run(cli: &Cli, args: &RunVerbArgs) -> Result<u8> {
    if let Some(from) = &args.from_window {
        return backfill(args, from);
    }
    run_once(cli, args, run::Purpose::NewData)
}

pub(super) fn replay(cli: &Cli, args: &ReplayArgs) -> Result<u8> {
    let ReplayArgs { run, list, report, timeout } = args.clone();
    if list {
        return show_replay(cli, &run);
    }
    let (from_window, to_window, jobs, again, scheduled) = (None, None, 1, false, false);
    let args = RunVerbArgs { run, timeout, report, from_window, to_window, jobs, again, scheduled };
    run_once(cli, &args, run::Purpose::Replay)
}

/// Shows which records a replay would judge again.
fn show_replay(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let (task, settings) = (args.task.load()?, cli.settings(args));
    let replay = runtime(settings.resources.threads)?.block_on(run::replayable(&task, &settings))?;
    say!("{}", summary::of_replay(&replay));
    Ok(0)
}

fn run_once(cli: &Cli, args: &RunVerbArgs, purpose: run::Purpose) -> Result<u8> {
    let started = now();
    let quiet = args.run.task.log.quiet;
    let mut alerts = None;
    let (report, error) = match execute(cli, args, purpose, &mut alerts) {
        Ok(report) => (report, None),
        Err((report, error)) => (*report, Some(error)),
    };
    let written = args.report.as_ref().map(|path| write_report(path, &RunRecord::of(report.clone(), started, now())));
    if let Some(error) = error {
        tell(alerts.as_deref(), quiet);
        written.transpose()?;
        if args.scheduled && error.is_transient() {
            let log = &args.run.task.log;
            report_error(&miette::Report::new(WithoutCause(error)), log.log_format, log.show_values);
            return Ok(TRANSIENT);
        }
        return Err(error);
    }
    if !quiet {
        let with_values = args.run.task.log.show_values || std::io::stdout().is_terminal();
        // The run is done: a summary that cannot be printed does not make it a failure.
        let _ = summary::print(&report, with_values);
    }
    tell(alerts.as_deref(), quiet);
    written.transpose()?;
    for breach in report.breaches.iter().filter(|_| quiet) {
        complain!("gate closed: {breach}");
    }
    Ok(report.exit_code())
}

/// Sends the alerts of a run. What cannot be sent changes nothing else.
fn tell(alerts: Option<&Alerts>, quiet: bool) {
    for Unsent { alert, why } in alerts.into_iter().flat_map(Alerts::deliver) {
        if !quiet {
            say!("alert `{alert}` could not be sent: {why}");
        }
    }
}

fn execute(
    cli: &Cli,
    args: &RunVerbArgs,
    purpose: run::Purpose,
    alerts: &mut Option<Arc<Alerts>>,
) -> Result<Report, (Box<Report>, Error)> {
    // A task file that cannot be read has a report, too: of a run that did not begin.
    let without_task = |error: Error| {
        let key = RunKey::new(name_in(args.run.task.file.path()).unwrap_or_default(), args.run.task.environment());
        let mut report = Report::begin("", &key);
        report.fail(&error);
        (Box::new(report), error)
    };
    let task = args.run.task.load().map_err(|error| {
        let state = args.run.state.folder(args.run.task.file.path());
        recover_without_task(&args.run.task, &state);
        *alerts = alerts_without_task(&args.run.task, &state, &error);
        without_task(error)
    })?;
    let mut settings = cli.settings(&args.run);
    *alerts = Alerts::of(&task, &settings.state);
    let without_task = |error: Error| {
        alerts.iter().for_each(|alerts| alerts.not_begun(&run::key_of(&task), &error));
        without_task(error)
    };
    check_due(&task, args.run.task.due.unwrap_or_else(Utc::now)).map_err(without_task)?;
    alerts.iter().for_each(|alerts| settings.observers.share(alerts.clone()));
    settings.observers.add(StepLog);
    if let Some(bar) = (!args.run.task.log.quiet).then(ProgressBar::on_terminal).flatten() {
        settings.observers.add(bar);
    }
    let runtime = runtime(settings.resources.threads).map_err(without_task)?;
    runtime.block_on(async {
        #[cfg(feature = "http")]
        let lineage = OpenLineage::of(&task, &run::key_of(&task));
        #[cfg(feature = "http")]
        lineage.iter().for_each(|lineage| settings.observers.share(lineage.clone()));
        let stop = Stop::on_signal_or_timeout(args.timeout).map_err(without_task)?;
        let ended = run::run_for(purpose, &task, &settings, stop).await;
        #[cfg(feature = "http")]
        lineage.iter().for_each(|lineage| lineage.finish());
        metrics::write(&task, &run::key_of(&task), &settings.state);
        ended.map_err(|failed| (Box::new(failed.report), failed.error))
    })
}

/// The alerts of `weir.yaml`, which tell that the task cannot be read.
fn alerts_without_task(args: &TaskArgs, state: &Path, error: &Error) -> Option<Arc<Alerts>> {
    let owner = TaskOwner::read(args.file.path(), &args.choice()).ok()?;
    let alerts = Alerts::of_owner(&owner, args.environment(), state)?;
    alerts.not_begun(&RunKey::new(&owner.name, args.environment()), error);
    Some(alerts)
}

/// Fails if the window of the task is not due: what comes until then would be missing.
fn check_due(task: &Task, now: DateTime<Utc>) -> Result<()> {
    let (Some(windows), Some(window)) = (task.windows()?, &task.window) else { return Ok(()) };
    let due = windows.due(window);
    if due <= now {
        return Ok(());
    }
    let due = due.to_rfc3339_opts(SecondsFormat::Secs, true);
    let help = "wait until then, or run an earlier window with --window";
    Err(Error::usage(format!("window {window} is not due until {due}"), help))
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Writes the record of a run, as `weir runs --json` prints it, with the samples that the ledger does not keep.
fn write_report(path: &Path, record: &RunRecord) -> Result<()> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::usage(format!("--report {}: {error}", path.display()), "specify a file in a writable folder")
    };
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| wrong(&error))?;
    text.push(b'\n');
    write_whole(path, &text).map_err(|error| wrong(&error))
}
