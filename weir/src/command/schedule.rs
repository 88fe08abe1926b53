//! `schedule`: starts tasks at their due times, and runs windows when they are due, in the foreground.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::args::{CronArgs, TaskFileArgs};
use super::queue::{enter, windowed};
use super::work::program;
use super::{Cli, RunArgs, ScheduleArgs, runtime};
use crate::alert::{Alerts, AtOnce};
use crate::database::Connector;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
#[cfg(feature = "http")]
use crate::metrics;
use crate::run::{Settings, key_of, recover_all};
use crate::schedule::{Board, Scheduler, Worker};
use crate::system::stop::count_signals;
use crate::task::{Task, Times, parse_cron};
use crate::watch::start_service_log;

/// How long a run that is stopped has to roll back.
const GRACE: Duration = Duration::from_secs(30);

pub(super) fn schedule(cli: &Cli, args: &ScheduleArgs) -> Result<u8> {
    let log = &args.run.task.log;
    start_service_log(log.log_format, log.quiet);
    let board = Board::new(args.jobs.into());
    let all = all_tasks(args)?;
    let mut services = Vec::with_capacity(all.len());
    for (args_of_task, task) in &all {
        board.enter(task.name());
        let settings = alerted(cli, args_of_task, task);
        services.push(service(args_of_task, &args.cron, task, (&board, args.jobs.into()), settings)?);
    }
    check_order(&all)?;
    #[cfg(feature = "http")]
    if let Some(address) = args.metrics {
        let endpoint =
            metrics::Endpoint::bind(address, services.iter().map(|service| service.settings().state.clone()))?;
        for ((_, task), service) in all.iter().zip(&services) {
            metrics::enter_interval(task, &key_of(task), &service.settings().state)?;
        }
        endpoint.start()?;
    }
    let stops = count_signals()?;
    for ((_, task), service) in all.iter().zip(&services) {
        recover_dead_runs(task, service.settings())?;
    }
    let serving = services.iter().map(|service| async {
        // The other tasks go on.
        service.serve(stops.clone()).await.inspect_err(|error| tracing::error!(%error, "a task is served no more"))
    });
    let ends = runtime(1)?.block_on(futures::future::join_all(serving));
    // The first error, otherwise the highest exit code.
    ends.into_iter().try_fold(0, |code, end| end.map(|of_task| code.max(of_task)))
}

/// The tasks that are served, each with the arguments of its runs.
fn all_tasks(args: &ScheduleArgs) -> Result<Vec<(RunArgs, Task)>> {
    let one = "start a scheduler for each task, or write the values into the task files";
    if !args.more.is_empty() && !args.run.task.params.is_empty() {
        return Err(Error::usage("--param is for a scheduler of one task", one));
    }
    if !args.more.is_empty() && args.cron.cron.is_some() {
        return Err(Error::usage("--cron is for a scheduler of one task", one));
    }
    let mut all: Vec<(RunArgs, Task)> = vec![(args.run.clone(), args.run.task.load()?)];
    for path in &args.more {
        let mut of_task = args.run.clone();
        of_task.task.file = TaskFileArgs::of(path.clone());
        let task = of_task.task.load()?;
        if let Some((_, other)) = all.iter().find(|(_, other)| other.name() == task.name()) {
            let files = format!(
                "{} and {} have a task of the same name, `{}`",
                other.source.name(),
                path.display(),
                task.name()
            );
            return Err(Error::usage(files, "give each task a name of its own"));
        }
        all.push((of_task, task));
    }
    Ok(all)
}

/// Fails if tasks wait for each other.
fn check_order(all: &[(RunArgs, Task)]) -> Result<()> {
    let mut left: Vec<&Task> = all.iter().map(|(_, task)| task).collect();
    loop {
        let names: Vec<&str> = left.iter().map(|task| task.name()).collect();
        let before = left.len();
        left.retain(|task| task.spec.after.iter().any(|name| names.contains(&name.value.as_str())));
        match left.first() {
            None => return Ok(()),
            Some(task) if left.len() == before => {
                let error =
                    task.error(&task.spec.after[0], format!("tasks that come after each other: {}", names.join(", ")));
                return Err(Box::new(error.with_help("remove `after` from one of them")).into());
            }
            Some(_) => {}
        }
    }
}

/// What serves a task.
enum Service<'a> {
    /// At the due times of its schedule.
    Times(Scheduler, Settings),
    /// By its windows.
    Windows(Worker, Settings, &'a RunArgs, &'a Task),
}

/// The settings of a task whose alerts are sent as they come, by a process that stays.
pub(super) fn alerted(cli: &Cli, args: &RunArgs, task: &Task) -> Settings {
    let mut settings = cli.settings(args);
    if let Some(alerts) = Alerts::of(task, &settings.state) {
        settings.observers.add(AtOnce::new(alerts));
    }
    settings
}

impl Service<'_> {
    fn settings(&self) -> &Settings {
        match self {
            Self::Times(_, settings) | Self::Windows(_, settings, ..) => settings,
        }
    }

    async fn serve(&self, stops: watch::Receiver<u32>) -> Result<u8> {
        match self {
            Self::Times(scheduler, _) => scheduler.serve(stops).await,
            Self::Windows(worker, settings, args, task) => {
                let mut told = vec![];
                worker.serve(async || enter(settings, args, task, &mut told).await.map(drop), stops).await
            }
        }
    }
}

fn service<'a>(
    args: &'a RunArgs,
    cron: &CronArgs,
    task: &'a Task,
    (board, jobs): (&Board, usize),
    settings: Settings,
) -> Result<Service<'a>> {
    let state = args.state.folder(args.task.file.path());
    let observers = settings.observers.clone();
    let (board, after) = (board.clone(), task.spec.after.iter().map(|name| name.value.clone()).collect());
    if task.window.is_some() {
        let (key, windows) = windowed(task)?;
        let worker =
            Worker { key, windows, state, program: program(args, task)?, jobs, most: None, board, after, observers };
        return Ok(Service::Windows(worker, settings, args, task));
    }
    let times = own_times(task, cron)?.ok_or_else(|| without_schedule(task))?;
    let scheduler = Scheduler {
        key: key_of(task),
        times,
        retries: task.spec.schedule.as_ref().and_then(|schedule| schedule.value.retries),
        timeout: timeout_of(task),
        grace: grace(),
        state,
        program: this_program()?,
        arguments: args.to_arguments(),
        board,
        after,
        observers,
    };
    Ok(Service::Times(scheduler, settings))
}

/// The path of this program.
pub(super) fn this_program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Error::system("the path of this program is unknown", error, "start it with its full path"))
}

/// The longest that a run of a task may take, if it is limited.
pub(super) fn timeout_of(task: &Task) -> Option<Duration> {
    let of_schedule = task.spec.schedule.as_ref().and_then(|schedule| schedule.value.timeout);
    let of_window = || task.spec.window.as_ref().and_then(|window| window.value.timeout);
    of_schedule.or_else(of_window).map(|timeout| timeout.0)
}

/// How long a run that is stopped has to roll back.
pub(super) fn grace() -> Duration {
    quick().map_or(GRACE, |(_, grace)| grace)
}

/// The due times of `--cron`, otherwise those of the task's schedule, if it has one.
pub(super) fn own_times(task: &Task, cron: &CronArgs) -> Result<Option<Times>> {
    if let Some((times, _)) = quick() {
        return Ok(Some(times));
    }
    let schedule = task.spec.schedule.as_ref().map(|schedule| &schedule.value);
    match (&cron.cron, schedule) {
        (Some(fields), schedule) => {
            let help = "write minute, hour, day of the month, month and day of the week: --cron \"0 * * * *\"";
            let cron = parse_cron(fields).map_err(|what| Error::usage(format!("--cron: {what}"), help))?;
            let zone = schedule.map(|schedule| schedule.zone(&task.source)).transpose().map_err(Box::new)?;
            Ok(Some(Times::new(cron, fields, zone.unwrap_or(chrono_tz::UTC))))
        }
        (None, Some(schedule)) => Ok(Some(schedule.times(&task.source).map_err(Box::new)?)),
        (None, None) => Ok(None),
    }
}

pub(super) fn without_schedule(task: &Task) -> Error {
    let help =
        "add one, such as `schedule: {cron: \"0 * * * *\", timezone: Asia/Singapore, timeout: 50m}`, or specify --cron";
    Error::usage(format!("{} has no `schedule`", task.source.name()), help)
}

/// Ends what earlier runs have left, which would otherwise wait for the next run of their window.
fn recover_dead_runs(task: &Task, settings: &Settings) -> Result<()> {
    let (connector, state) = (Connector::of(task), settings.state.as_path());
    let ledger = Ledger::read_only(state)?;
    let keys = ledger.map(|ledger| ledger.unfinished_keys(&key_of(task))).transpose()?;
    for key in keys.into_iter().flatten() {
        match runtime(1)?.block_on(recover_all(state, &key, &connector)) {
            Ok(recovered) => recovered.iter().for_each(|dead| dead.tell(&key, &settings.observers)),
            Err(Error::Locked { .. }) => {}
            Err(error) => tracing::error!(%error, "an earlier run could not be recovered; the next run tries again"),
        }
    }
    Ok(())
}

impl RunArgs {
    /// The arguments of an equivalent `run`.
    pub(super) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["run".to_owned(), format!("--task-config={}", self.task.file.path().display())];
        arguments.extend(self.task.env.iter().map(|name| format!("--env={name}")));
        arguments.extend(self.task.params.iter().map(|(name, value)| format!("--param={name}={value}")));
        arguments.extend(self.state.state.iter().map(|state| format!("--state={}", state.display())));
        arguments.extend(self.memory_limit.map(|bytes| format!("--memory-limit={bytes}")));
        arguments.extend(self.threads.map(|threads| format!("--threads={threads}")));
        arguments.push(format!("--log-format={}", self.task.log.log_format));
        arguments.push("--scheduled".to_owned());
        arguments.extend(self.task.log.quiet.then(|| "--quiet".to_owned()));
        arguments
    }
}

/// Another schedule and grace for tests, which cannot wait for minutes: seconds between starts, milliseconds.
#[cfg(debug_assertions)]
fn quick() -> Option<(Times, Duration)> {
    let text = std::env::var("WEIR_TEST_SCHEDULE").ok()?;
    let (seconds, grace) = text.split_once(' ')?;
    Some((Times::Every(seconds.parse().ok()?), Duration::from_millis(grace.parse().ok()?)))
}

#[cfg(not(debug_assertions))]
fn quick() -> Option<(Times, Duration)> {
    None
}
