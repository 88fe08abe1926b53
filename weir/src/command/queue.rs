//! `queue`: enters the windows that are due, and shows the queue.

use chrono::Utc;
use serde_json::json;

use super::columns::{Column, table, terminal_width, wrapped};
use super::{Cli, QueueArgs, RunArgs, runtime};
use crate::alert::{Alerts, Unsent};
use crate::error::{Error, Result, number_of};
use crate::ledger::{JobState, Ledger, QueuedJob, Trouble};
use crate::metrics;
use crate::report::RunKey;
use crate::run::{Settings, has_new_files};
use crate::schedule::{Entered, enter_due, late};
use crate::task::{ParamChoice, Task, Window, Windows};
use crate::watch::Event;

pub(super) fn queue(cli: &Cli, args: &QueueArgs) -> Result<u8> {
    let task = args.run.task.load()?;
    let (key, windows) = windowed(&task)?;
    let state = args.run.state.folder(args.run.task.file.path());
    if args.list {
        let ledger = Ledger::read_only(&state)?;
        let jobs = ledger.map(|ledger| ledger.jobs(&key)).transpose()?.unwrap_or_default();
        return show(&windows, &jobs, args);
    }
    if let Some(window) = &args.retry {
        let window = (!window.is_empty()).then(|| windows.named(window)).transpose();
        let window = window
            .map_err(|message| Error::usage(format!("--retry {message}"), "`weir queue --list` shows the windows"))?;
        let entered = Ledger::open(&state)?.retry_jobs(&key, window.as_ref().map(|window| window.label.as_str()))?;
        say!("{} to be run again", number_of(entered, "window"));
        return Ok(0);
    }
    let (mut settings, alerts) = (cli.settings(&args.run), Alerts::of(&task, &state));
    alerts.iter().for_each(|alerts| settings.observers.share(alerts.clone()));
    let entered = runtime(1)?.block_on(enter(&settings, &args.run, &task, &mut vec![]))?;
    metrics::write(&task, &key, &state);
    for Unsent { alert, why } in alerts.iter().flat_map(|alerts| alerts.deliver()) {
        complain!("alert `{alert}` could not be sent: {why}");
    }
    let jobs = Ledger::open(&state)?.jobs(&key)?;
    let count = |state: JobState| jobs.iter().filter(|job| job.state == state).count();
    say!(
        "entered: {} due, {} with new files; waiting: {}, running: {}, dead: {}",
        entered.due,
        entered.again,
        count(JobState::Waiting),
        count(JobState::Running),
        count(JobState::Dead)
    );
    Ok(0)
}

/// The key of a task without its window, and its windows.
pub(super) fn windowed(task: &Task) -> Result<(RunKey, Windows)> {
    let windows = task.windows()?.ok_or_else(|| {
        let help =
            "add one, such as `window: {every: 1h, start: 2026-01-01}`; without windows `weir run` runs the task";
        Error::usage(format!("{} has no `window`", task.source.name()), help)
    })?;
    Ok((RunKey::new(task.name(), &task.environment), windows))
}

/// Enters the windows of a task that are due, and those for which files came later. Says which are late, the oldest last, if
/// others were `told` before.
pub(super) async fn enter(settings: &Settings, args: &RunArgs, task: &Task, told: &mut Vec<String>) -> Result<Entered> {
    let (key, windows) = windowed(task)?;
    let now = args.task.due.unwrap_or_else(Utc::now);
    let choice = args.task.choice();
    let has_new = |window: Window| {
        let choice = ParamChoice { window: Some(window.label), ..choice.clone() };
        async move { has_new_files(&Task::load(args.task.file.path(), &choice)?, settings).await }
    };
    let entered = enter_due(&settings.state, &key, &windows, now, has_new).await?;
    let ledger = Ledger::open(&settings.state)?;
    let jobs = ledger.jobs(&key)?;
    let late: Vec<&str> = late(&windows, &jobs, now).iter().map(|job| job.window.as_str()).collect();
    // Others may have been told of windows that were late.
    if late != *told || (late.is_empty() && ledger.is_in_trouble(&key, Trouble::Late)?) {
        if let Some(oldest) = late.last() {
            let windows = number_of(late.len(), "window");
            tracing::warn!(task = key.task, oldest, "late, because they are due and have no data: {windows}");
        }
        settings.observers.event(&Event::Late { key: &key, windows: &late });
        *told = late.into_iter().map(str::to_owned).collect();
    }
    Ok(entered)
}

fn show(windows: &Windows, jobs: &[QueuedJob], args: &QueueArgs) -> Result<u8> {
    let now = Utc::now();
    let late: Vec<&str> = late(windows, jobs, now).iter().map(|job| job.window.as_str()).collect();
    if args.json {
        for job in jobs {
            let QueuedJob { window, state, attempts, due, ready, message } = job;
            let late = late.contains(&window.as_str());
            say!(
                "{}",
                json!({"window": window, "state": state, "late": late, "attempts": attempts,
                       "due": due.to_rfc3339(), "ready": ready.to_rfc3339(),
                       "message": message})
            );
        }
        return Ok(0);
    }
    if jobs.is_empty() {
        say!("no window is in the queue: `weir queue` without --list enters those that are due");
        return Ok(0);
    }
    const COLUMNS: [Column; 5] = [
        Column::text("window"),
        Column::text("state"),
        Column::number("attempts"),
        Column::text("due").dropped(2),
        Column::text("ready").dropped(1),
    ];
    let time = |at: chrono::DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%SZ").to_string();
    let shown =
        jobs.iter().filter(|job| args.all || job.state != JobState::Done || late.contains(&job.window.as_str()));
    let row = |job: &QueuedJob| {
        let late = if late.contains(&job.window.as_str()) { ", late" } else { "" };
        let ready = if job.state == JobState::Waiting { time(job.ready) } else { String::new() };
        let state = format!("{}{late}", job.state.name());
        vec![job.window.clone(), state, job.attempts.to_string(), time(job.due), ready]
    };
    let shown: Vec<&QueuedJob> = shown.collect();
    let width = terminal_width();
    if !shown.is_empty() {
        let rows: Vec<Vec<String>> = shown.iter().map(|job| row(job)).collect();
        say!("{}", table(&COLUMNS, &rows, width).trim_end());
    }
    for job in &shown {
        if let Some(message) = &job.message {
            say!("{}", wrapped(&format!("{}: {message}", job.window), width));
        }
    }
    if jobs.len() > shown.len() {
        say!("done: {}, which --all shows", number_of(jobs.len() - shown.len(), "window"));
    }
    Ok(0)
}
