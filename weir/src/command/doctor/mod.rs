//! `doctor`: checks everything that a task needs on this machine. Nothing is changed, and nothing is left behind.

mod places;
mod state;

use std::path::Path;

use miette::Diagnostic;
use serde::Serialize;

use super::columns::{has_colours, terminal_width, wrapped};
use super::summary::bytes;
use super::{Cli, DoctorArgs, runtime, validate};
use crate::alert::Alerts;
use crate::database::{Connector, Sessions};
use crate::engine::Resources;
use crate::error::{Error, Result, number_of};
use crate::ledger::{Inspection, inspect};
use crate::place;
use crate::plan::Plan;
use crate::run::{Settings, key_of};
use crate::schedule::Crontab;
use crate::scratch::private_root;
use crate::sink::{Claim, SinkRun};
use crate::source::{Opening, Source};
use crate::system::memory::physical_memory;
use crate::system::stop::Stop;
use crate::task::{Task, is_object_url};
use places::Needs;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    /// A run can work, but may fail or have an unwanted result.
    Warning,
    /// A run would fail.
    Problem,
}

/// A finding, and what to do about it.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// The subject: `task`, `source person`, `state folder`.
    about: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, about: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { level: Level::Ok, about: about.into(), message: message.into(), help: None });
    }

    fn warn(&mut self, about: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        let (about, message, help) = (about.into(), message.into(), Some(help.into()));
        self.0.push(Finding { level: Level::Warning, about, message, help });
    }

    /// A problem that would end a run, with the error that it would end with.
    fn problem(&mut self, about: impl Into<String>, error: &Error) {
        let help = error.help().map(|help| help.to_string());
        self.0.push(Finding { level: Level::Problem, about: about.into(), message: error.to_string(), help });
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}

pub(super) fn doctor(cli: &Cli, args: &DoctorArgs) -> Result<u8> {
    let mut findings = Findings::default();
    let settings = cli.settings(&args.run);
    match cli.load(&args.run.task) {
        Ok(task) => {
            runtime(2)?.block_on(examine(cli, &task, &settings, &mut findings))?;
            check_alerts(&task, &settings, args.send_test_alert, &mut findings);
            check_metrics(&task, &mut findings);
            #[cfg(feature = "http")]
            match task.project.openlineage(&task.params) {
                None => {}
                Some(Ok(_)) => findings.ok("openlineage", "its secrets are there"),
                Some(Err(error)) => findings.problem("openlineage", &error),
            }
        }
        Err(error @ Error::Task(_)) => findings.problem("task", &error),
        Err(wrong_usage) => return Err(wrong_usage),
    }
    if let Some(path) = &args.crontab {
        check_crontab(path, cli.name, &mut findings);
    }
    let shown = findings.0.iter().filter(|finding| !args.run.task.log.quiet || finding.level != Level::Ok);
    if args.json {
        for finding in shown {
            say!("{}", serde_json::to_string(finding).map_err(Error::internal)?);
        }
    } else {
        show(shown);
        let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
        let counts = [(problems, "problem"), (warnings, "warning"), (findings.0.len(), "check")];
        say!("\n{}", counts.map(|(count, of)| number_of(count, of)).join(", "));
    }
    Ok(u8::from(findings.count(Level::Problem) > 0))
}

/// Prints a finding per paragraph, as wide as the terminal at most.
fn show<'a>(findings: impl Iterator<Item = &'a Finding>) {
    let width = terminal_width().map(|width| width.saturating_sub(INDENT.len()));
    for Finding { level, about, message, help } in findings {
        let level = match level {
            Level::Ok => coloured("ok", "32"),
            Level::Warning => coloured("warning", "33"),
            Level::Problem => coloured("problem", "1;31"),
        };
        let text = wrapped(&format!("{about}: {message}"), width).replace('\n', INDENT_LINE);
        say!("{level}{text}");
        if let Some(help) = help {
            say!("{INDENT}{}", wrapped(&format!("-> {help}"), width).replace('\n', INDENT_LINE));
        }
    }
}

/// What is below the level of a finding.
const INDENT: &str = "         ";
const INDENT_LINE: &str = "\n         ";

/// The level of a finding, as wide as the indent.
fn coloured(level: &str, colour: &str) -> String {
    let padding = &INDENT[level.len()..];
    match has_colours() {
        true => format!("\x1b[{colour}m{level}\x1b[0m{padding}"),
        false => format!("{level}{padding}"),
    }
}

async fn examine(cli: &Cli, task: &Task, settings: &Settings, findings: &mut Findings) -> Result<()> {
    let mut needs = Needs::default();
    let ledger = inspect(&settings.state, &key_of(task));
    match validate::plan(cli, task).await {
        Ok(plan) => {
            let models = number_of(plan.models.len(), "model");
            findings.ok("task", format!("{} and its SQL are valid: {models}", task.source.name()));
            check_routes(task, findings);
            let (key, connector, stop) = (key_of(task), Connector::of(task), Stop::never());
            let mut sessions = Sessions::new(connector.clone(), &stop);
            for source in &plan.sources {
                let mut opening = Opening::to_show(&key, None, &settings.fetchers, &mut sessions, &stop);
                check_source(task, source, &mut opening, findings, &mut needs).await;
            }
            sessions.end().await;
            let ledger = ledger.as_ref().ok().and_then(Option::as_ref);
            check_sinks(task, &plan, &connector, ledger, findings, &mut needs).await;
        }
        Err(error) => findings.problem("task", &error),
    }
    state::check(task, &settings.state, &ledger, findings);
    match task.has_private_columns().then(private_root) {
        None => needs.scratch(&settings.state),
        Some(Ok(root)) => needs.scratch(&root),
        Some(Err(error)) => findings.problem("scratch folder", &error),
    }
    needs.check(findings);
    check_memory(settings.resources, findings);
    check_schedule(task, findings);
    Ok(())
}

/// A rejected row that no sink reads ends the run.
fn check_routes(task: &Task, findings: &mut Findings) {
    let is_taken = |table: &str| {
        let mut routes = task.spec.sinks.values().map(|sink| &sink.value.from.value);
        routes.any(|route| route.rejected && route.table == table)
    };
    let judged = task.spec.quality.iter().filter(|(_, quality)| !quality.value.reject_unless.is_empty());
    for (model, _) in judged.filter(|(model, _)| !is_taken(model)) {
        let message = format!("no sink reads `{model}.rejected`: the first rejected row would end a run");
        findings.warn(format!("model {model}"), message, format!("add a sink with `from: {model}.rejected`"));
    }
    // What another task publishes can be read as it was written.
    let own = task.spec.sources.iter().filter(|(_, source)| source.value.published.is_none());
    for (source, _) in own.filter(|(source, _)| !is_taken(source)) {
        let message =
            format!("no sink reads `{source}.rejected`: the first record that cannot be read would end a run");
        findings.warn(format!("source {source}"), message, format!("add a sink with `from: {source}.rejected`"));
    }
}

async fn check_source(
    task: &Task,
    source: &Source,
    opening: &mut Opening<'_>,
    findings: &mut Findings,
    needs: &mut Needs,
) {
    let about = format!("source {}", source.name());
    let spec = task.spec.sources.get(source.name()).map(|spec| &spec.value);
    match source.open(opening).await {
        Err(error) => findings.problem(&about, &error),
        Ok(opened)
            if opened.files.is_empty() && opened.table.is_some() && spec.is_some_and(|spec| spec.files.is_some()) =>
        {
            let message = opened.nothing_to_do.unwrap_or_else(|| format!("{}: no file matches", opened.summary));
            findings.warn(&about, message, "check the path, if files are expected");
        }
        Ok(opened) => {
            needs.input += opened.bytes;
            let checked = if opened.table.is_some() { "can be read, columns match" } else { "nothing was fetched" };
            findings.ok(&about, format!("{}; {checked}", opened.summary));
        }
    }
    if let Some(archive) = spec.and_then(|spec| spec.archive.as_ref()) {
        match task.data_path(archive) {
            Ok(folder) if is_object_url(&folder) => check_object_archive(task, &about, &folder, findings).await,
            Ok(folder) => places::check_archive(source.name(), folder.as_ref(), findings),
            Err(error) => findings.problem(&about, &error),
        }
    }
}

async fn check_object_archive(task: &Task, about: &str, folder: &str, findings: &mut Findings) {
    match place::try_writing(&task.project, folder, false).await {
        Ok(()) => findings.ok(about, format!("its archive {folder} is writable")),
        Err(error) => findings.problem(about, &error),
    }
}

async fn check_sinks(
    task: &Task,
    plan: &Plan,
    connector: &Connector,
    ledger: Option<&Inspection>,
    findings: &mut Findings,
    needs: &mut Needs,
) {
    let key = key_of(task);
    let history = |run: &str| Ok(ledger.and_then(|ledger| ledger.states.get(run)).copied());
    for (number, sink) in plan.sinks.iter().enumerate() {
        let about = format!("sink {}", sink.name);
        let run = SinkRun {
            at: chrono::Utc::now(),
            sink: &sink.name,
            number,
            key: &key,
            run: "doctor",
            connector,
            has_several_servers: false,
            history: &history,
        };
        match (sink.open(task, &run).await, sink.target.claim()) {
            (Err(error), _) => findings.problem(about, &error),
            (Ok(_), Claim::Folder(folder)) => {
                let target = folder.canonicalize().unwrap_or_else(|_| folder.clone());
                places::check_sink(&sink.name, &folder, &target, findings);
                needs.output(&target);
            }
            (Ok(_), Claim::File(file)) => {
                let folder = file.parent().unwrap_or(&file);
                match places::check_writable(folder) {
                    Ok(()) => findings.ok(about, format!("{}: can be written", file.display())),
                    Err(error) => {
                        findings.problem(about, &Error::sink(&sink.name, folder, &error, places::GIVE_ACCESS))
                    }
                }
                needs.output(&file);
            }
            (Ok(_), Claim::Objects(url)) => match place::try_writing(&task.project, &url, true).await {
                Ok(()) => findings.ok(about, format!("{url}: can be written")),
                Err(error) => findings.problem(about, &error),
            },
            (Ok(_), Claim::Table(_)) => findings.ok(about, format!("{}: accepts the rows", sink.target.place())),
        }
    }
}

fn check_memory(resources: Resources, findings: &mut Findings) {
    let (limit, machine) = (resources.memory_limit, physical_memory());
    let message = format!("the limit is {}, this machine has {}", bytes(limit), bytes(machine));
    match resources.check() {
        Err(error) => findings.problem("memory", &error),
        Ok(()) if limit > machine => {
            findings.warn("memory", message, "set a lower --memory-limit, or the run may be killed");
        }
        Ok(()) => findings.ok("memory", message),
    }
}

fn check_crontab(path: &Path, program: &str, findings: &mut Findings) {
    match Crontab::read(path, program) {
        Ok(crontab) => {
            let now = chrono::Utc::now();
            let next =
                crontab.times().filter_map(|times| Some((times.after(now)?, times))).min_by_key(|(next, _)| *next);
            let next = next.map_or(String::new(), |(next, times)| format!("; next: {}", times.show(next)));
            findings.ok("crontab", format!("{}{next}", crontab.shown()));
        }
        Err(error) => findings.problem("crontab", &error),
    }
}

fn check_metrics(task: &Task, findings: &mut Findings) {
    let Some(file) = task.project.textfile() else { return };
    let shown = file.display();
    match places::check_writable(file.parent().unwrap_or(&file)) {
        Ok(()) => findings.ok("metrics", format!("{shown}: can be written")),
        Err(error) => findings.warn("metrics", format!("{shown}: {error}"), places::GIVE_ACCESS),
    }
}

/// Checks that what the alerts refer to is there, or that they arrive.
fn check_alerts(task: &Task, settings: &Settings, send: bool, findings: &mut Findings) {
    let Some(alerts) = Alerts::of(task, &settings.state) else {
        if send {
            let message = "none was sent: the task has no alerts in this environment";
            findings.warn("alerts", message, "add `alerts` to weir.yaml or to the task");
        }
        return;
    };
    let about = |name: &str| format!("alert {name}");
    if !send {
        for (name, checked) in alerts.check() {
            match checked {
                Ok(()) => findings.ok(about(name), "its secrets are there; --send-test-alert sends a test"),
                Err(error) => findings.problem(about(name), &error),
            }
        }
        return;
    }
    for (name, unsent) in alerts.test(&key_of(task)) {
        match unsent {
            None => findings.ok(about(&name), "a test was sent"),
            Some(why) => {
                let help = "check its address, and that this machine can reach it";
                findings.warn(about(&name), format!("a test could not be sent: {why}"), help);
            }
        }
    }
}

fn check_schedule(task: &Task, findings: &mut Findings) {
    let Some(schedule) = &task.spec.schedule else { return };
    let now = chrono::Utc::now();
    match schedule.value.times(&task.source).map_err(Box::new) {
        Ok(times) => match times.after(now) {
            Some(next) => findings.ok("schedule", format!("next: {}; it is {} now", times.show(next), times.show(now))),
            None => findings.warn("schedule", "it has no further due time", "correct `cron`"),
        },
        Err(error) => findings.problem("schedule", &error.into()),
    }
}
