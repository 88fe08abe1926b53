//! `test`: runs the test cases of the models.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use super::args::TestArgs;
use super::{Cli, runtime};
use crate::engine::{self, Resources};
use crate::error::{Error, Result};
use crate::fixture::{Case, Failure, Suite, Verdict};
use crate::run::Settings;
use crate::system::disk::write_whole;
use crate::system::stop::Stop;
use crate::task::Task;
use crate::watch::{Observers, start_log};

pub(super) fn test(cli: &Cli, args: &TestArgs) -> Result<u8> {
    let log = &args.task.log;
    // The logs of the cases would hide the results; WEIR_LOG shows them.
    start_log(log.log_format, true);
    let task = cli.load(&args.task)?;
    let resources = Resources { threads: 1, ..Resources::default() };
    let settings = Settings {
        state: PathBuf::new(),
        resources,
        functions: cli.functions.clone(),
        fetchers: [].into(),
        observers: Observers::default(),
        cluster: None,
    };
    let started = Instant::now();
    let threads = Resources::default().threads;
    let (suite, verdicts) = runtime(threads)?.block_on(async {
        let session = engine::session(resources, &std::env::temp_dir(), &settings.functions, None)?;
        let suite = Suite::load(&task, &args.task.choice(), &session).await?;
        let cases = chosen(&suite, &args.names, &task)?;
        let show = |verdict: &Verdict| match (args.json, log.quiet) {
            (true, _) => say!("{}", as_json(verdict)),
            (false, true) => {}
            (false, false) => show(verdict),
        };
        let verdicts = Suite::run(&cases, &settings, &Stop::on_signal()?, show).await?;
        Ok::<_, Error>((suite, verdicts))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if let Some(path) = &args.junit {
        write_junit(path, &junit(&task, &verdicts, seconds))?;
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty());
    // With some cases only, this would not mean that there are no others.
    let (without, untripped) = match args.names.is_empty() {
        true => (suite.without.clone(), suite.untripped(&verdicts)),
        false => (vec![], vec![]),
    };
    let (cases, failures) = (verdicts.len(), failed.clone().count());
    if args.json {
        let summary = json!({
            "type": "summary",
            "cases": cases,
            "failed": failures,
            "seconds": seconds,
            "no_fixture": without,
            "untripped": untripped,
        });
        say!("{summary}");
    } else {
        failed.for_each(explain);
        if !log.quiet {
            let failures = if failures == 0 { "all ok".to_owned() } else { format!("{failures} FAILED") };
            let ending = if cases == 1 { "" } else { "s" };
            let listed = |what: &str, names: &[String]| match names {
                [] => String::new(),
                names => format!("; {what}: {}", names.join(", ")),
            };
            let (without, untripped) = (listed("no fixture", &without), listed("no case trips", &untripped));
            say!("\n{cases} case{ending}, {failures}, in {seconds:.2} s{without}{untripped}");
        }
    }
    Ok(u8::from(failures > 0))
}

/// The cases that the command line selects, or all.
fn chosen(suite: &Suite, names: &[String], task: &Task) -> Result<Vec<Arc<Case>>> {
    if suite.cases.is_empty() {
        let example = task.spec.models.values().next().map_or("sql/model.sql", |sql| sql.value.as_str());
        let example = Path::new(example).with_extension("test.yaml");
        return Err(Error::usage(
            format!("{}: no model has a fixture", task.source.name()),
            format!("write cases next to a model's SQL file, such as {}", example.display()),
        ));
    }
    let is_chosen = |case: &&Arc<Case>| names.is_empty() || names.iter().any(|name| case.title().contains(name));
    let cases: Vec<_> = suite.cases.iter().filter(is_chosen).cloned().collect();
    if cases.is_empty() {
        let titles: Vec<_> = suite.cases.iter().map(|case| case.title()).collect();
        return Err(Error::usage(
            format!("no case has {} in its name", names.join(" or ")),
            format!("the cases: {}", titles.join(", ")),
        ));
    }
    Ok(cases)
}

/// A result on one line.
fn show(verdict: &Verdict) {
    let state = if verdict.failures.is_empty() { coloured("ok    ", GREEN) } else { coloured("FAILED", RED) };
    say!("{state}  {}  {:.0} ms", verdict.case.title(), verdict.seconds * 1e3);
}

/// The differences of a failed case.
fn explain(verdict: &Verdict) {
    say!("\n{}  {} ({})", coloured("FAILED", RED), verdict.case.title(), verdict.case.place());
    for line in verdict.failures.iter().flat_map(Failure::lines) {
        match line.trim_start().get(..2) {
            Some("- ") => say!("  {}", coloured(&line, RED)),
            Some("+ ") => say!("  {}", coloured(&line, GREEN)),
            _ => say!("  {line}"),
        }
    }
}

const RED: &str = "31";
const GREEN: &str = "32";

/// The text in a colour on a terminal, unless NO_COLOR is set.
fn coloured(text: &str, colour: &str) -> String {
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain { text.to_owned() } else { format!("\x1b[{colour}m{text}\x1b[0m") }
}

fn as_json(verdict: &Verdict) -> Value {
    json!({
        "type": "case",
        "model": verdict.case.model,
        "case": verdict.case.name,
        "place": verdict.case.place(),
        "ok": verdict.failures.is_empty(),
        "seconds": verdict.seconds,
        "failures": verdict.failures.iter().map(failure_as_json).collect::<Vec<_>>(),
    })
}

fn failure_as_json(failure: &Failure) -> Value {
    match failure {
        Failure::Rows(diff) => {
            let row = |row: &Vec<Option<String>>| {
                diff.columns.iter().cloned().zip(row.iter().map(|value| json!(value))).collect::<Value>()
            };
            let (near, alone) = (diff.near.iter(), diff.missing.iter());
            json!({
                "route": diff.route,
                "missing": near.clone().map(|(missing, _)| missing).chain(alone).map(row).collect::<Vec<_>>(),
                "unexpected": near.map(|(_, got)| got).chain(&diff.unexpected).map(row).collect::<Vec<_>>(),
            })
        }
        Failure::Warned { rule, expected, got } => json!({ "warned": rule, "expected": expected, "got": got }),
        Failure::Error { expected, got } => json!({ "error": got, "expected": expected }),
    }
}

/// One suite per model.
fn junit(task: &Task, verdicts: &[Verdict], seconds: f64) -> Report {
    let mut report = Report::new(task.name());
    report.set_time(Duration::from_secs_f64(seconds));
    for of_model in verdicts.chunk_by(|one, other| one.case.model == other.case.model) {
        let mut suite = TestSuite::new(of_model[0].case.model.as_str());
        suite.set_time(Duration::from_secs_f64(of_model.iter().map(|verdict| verdict.seconds).sum()));
        suite.add_test_cases(of_model.iter().map(|verdict| {
            let lines: Vec<String> = verdict.failures.iter().flat_map(Failure::lines).collect();
            let status = match lines.first() {
                None => TestCaseStatus::success(),
                Some(first) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    let text = format!("{}\n{}", verdict.case.place(), lines.join("\n"));
                    status.set_message(first.as_str()).set_description(text);
                    status
                }
            };
            let mut case = TestCase::new(verdict.case.name.as_str(), status);
            case.set_classname(verdict.case.model.as_str()).set_time(Duration::from_secs_f64(verdict.seconds));
            case
        }));
        report.add_test_suite(suite);
    }
    report
}

fn write_junit(path: &Path, report: &Report) -> Result<()> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::usage(format!("--junit {}: {error}", path.display()), "specify a file in a writable folder")
    };
    let text = report.to_string().map_err(|error| wrong(&error))?;
    write_whole(path, text.as_bytes()).map_err(|error| wrong(&error))
}
