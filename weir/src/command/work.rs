//! `work`: runs windows of the queue. `run --from` runs those of a range.

use std::io::IsTerminal;

use chrono::Utc;
use indicatif::{ProgressBar, ProgressStyle};

use super::queue::windowed;
use super::schedule::{alerted, this_program, timeout_of};
use super::{Cli, RunArgs, RunVerbArgs, WorkArgs, runtime};
use crate::error::{Error, Result, number_of};
use crate::ledger::Ledger;
use crate::report::RunKey;
use crate::schedule::{Board, Program, WindowEnd, WindowOutcome, Worker, run_windows};
use crate::system::stop::count_signals;
use crate::task::{Task, WindowOrder};

pub(super) fn work(cli: &Cli, args: &WorkArgs) -> Result<u8> {
    let task = args.run.task.load()?;
    let (key, windows) = windowed(&task)?;
    let worker = Worker {
        key,
        windows,
        state: args.run.state.folder(args.run.task.file.path()),
        program: program(&args.run, &task)?,
        jobs: args.jobs.into(),
        most: (!args.all).then_some(args.jobs.into()),
        board: Board::new(args.jobs.into()),
        after: vec![],
        observers: alerted(cli, &args.run, &task).observers,
    };
    let mut ends = Ends::new(args.run.task.log.quiet, None);
    let stops = count_signals()?;
    runtime(1)?.block_on(worker.work(stops.clone(), &mut |end| ends.add(end)))?;
    if ends.all.is_empty() && !args.run.task.log.quiet {
        say!("no window is ready to be run");
    }
    ends.code(*stops.borrow() > 0)
}

/// Runs the windows of a range that no run has loaded, or all of them.
pub(super) fn backfill(args: &RunVerbArgs, from: &str) -> Result<u8> {
    let task = args.run.task.load()?;
    let (key, windows) = windowed(&task)?;
    let wrong = |option: &str, message: String| {
        Error::usage(format!("{option}: {message}"), "name a window by its beginning, such as 2026-01-01T09:00")
    };
    let from = windows.first_from(from).map_err(|message| wrong("--from", message))?;
    let now = Utc::now();
    let last = windows
        .last_due(now)
        .ok_or_else(|| Error::usage("no window is due yet", "wait for the end of the first one, or correct `start`"))?;
    let to = match &args.to_window {
        Some(to) => windows.named(to).map_err(|message| wrong("--to", message))?,
        None => last.clone(),
    };
    if to.end > last.end {
        return Err(wrong("--to", format!("{to} is not due yet: the last window that is due is {last}")));
    }
    if to.start < from.start {
        return Err(wrong("--to", format!("{to} is before {from}")));
    }
    let state = args.run.state.folder(args.run.task.file.path());
    let ledger = Ledger::open(&state)?;
    let mut keys = Vec::new();
    let (mut all, mut loaded) = (0, 0);
    for window in windows.between(&from, &to) {
        all += 1;
        let key = RunKey { window: Some(window.label), ..key.clone() };
        match !args.again && ledger.is_loaded(&key)? {
            true => loaded += 1,
            false => keys.push(key),
        }
    }
    if windows.order == WindowOrder::Newest {
        keys.reverse();
    }
    let quiet = args.run.task.log.quiet;
    if loaded > 0 && !quiet {
        say!("{} of {} are loaded already, and are not run: --again runs them, too", loaded, number_of(all, "window"));
    }
    let mut ends = Ends::new(quiet, Some(keys.len()));
    let stops = count_signals()?;
    let program = program(&args.run, &task)?;
    let jobs = args.jobs.into();
    runtime(1)?.block_on(run_windows(&state, &program, keys, jobs, stops.clone(), &mut |end| ends.add(end)))?;
    ends.code(*stops.borrow() > 0)
}

/// What runs a window of the task.
pub(super) fn program(args: &RunArgs, task: &Task) -> Result<Program> {
    let mut arguments = args.to_arguments();
    if !args.task.log.quiet {
        arguments.push("--quiet".to_owned());
    }
    Ok(Program { path: this_program()?, arguments, timeout: timeout_of(task), grace: super::schedule::grace() })
}

/// The ends of the windows, told as they come.
struct Ends {
    quiet: bool,
    bar: Option<ProgressBar>,
    all: Vec<WindowEnd>,
}

impl Ends {
    /// With a progress bar on a terminal, where their number is known.
    fn new(quiet: bool, windows: Option<usize>) -> Self {
        let windows = windows.filter(|windows| *windows > 0 && !quiet && std::io::stderr().is_terminal());
        let bar = windows.map(|windows| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} windows  {msg}  {eta} left");
            let bar = ProgressBar::new(windows as u64);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
            bar
        });
        Self { quiet, bar, all: vec![] }
    }

    fn add(&mut self, end: &WindowEnd) {
        let line = format!("{}: {}", end.window, end.outcome);
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                match &end.outcome {
                    WindowOutcome::Failed(_) => bar.suspend(|| complain!("{line}")),
                    _ => bar.set_message(end.window.clone()),
                }
            }
            None if matches!(end.outcome, WindowOutcome::Failed(_)) => complain!("{line}"),
            None if !self.quiet => say!("{line}"),
            None => {}
        }
        self.all.push(end.clone());
    }

    /// Says how many windows ended in which way; the exit code.
    fn code(self, was_stopped: bool) -> Result<u8> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let count = |is: fn(&WindowOutcome) -> bool| self.all.iter().filter(|end| is(&end.outcome)).count();
        let failed = count(|outcome| matches!(outcome, WindowOutcome::Failed(_)));
        if self.all.len() > 1 && !self.quiet {
            let counts = [
                ("loaded", count(|outcome| *outcome == WindowOutcome::Loaded)),
                ("with nothing to read", count(|outcome| *outcome == WindowOutcome::Empty)),
                ("being run by another process", count(|outcome| *outcome == WindowOutcome::Locked)),
                ("stopped", count(|outcome| *outcome == WindowOutcome::Stopped)),
                ("failed", failed),
            ];
            let counts = counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}"));
            say!("{}: {}", number_of(self.all.len(), "window"), counts.collect::<Vec<_>>().join(", "));
        }
        Ok(match (was_stopped, failed) {
            (true, _) => 130,
            (false, 0) => 0,
            _ => 1,
        })
    }
}
