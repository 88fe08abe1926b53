//! `schedule`: starts the task at its due times, in the foreground.

use std::time::Duration;

use super::args::CronArgs;
use super::{RunArgs, ScheduleArgs, runtime};
use crate::database::Connector;
use crate::error::{Error, Result};
use crate::run::{key_of, recover_all};
use crate::schedule::Scheduler;
use crate::system::stop::count_signals;
use crate::task::{Task, Times, parse_cron};
use crate::watch::start_service_log;

/// How long a run that is stopped has to roll back.
const GRACE: Duration = Duration::from_secs(30);

pub(super) fn schedule(ScheduleArgs { run: args, cron }: &ScheduleArgs) -> Result<u8> {
    start_service_log(args.task.log.log_format, args.task.log.quiet);
    let task = args.task.load()?;
    let times = own_times(&task, cron)?.ok_or_else(|| without_schedule(&task))?;
    let program = std::env::current_exe()
        .map_err(|error| Error::system("the path of this program is unknown", error, "start it with its full path"))?;
    let scheduler = Scheduler {
        key: key_of(&task),
        times,
        retries: task.spec.schedule.as_ref().and_then(|schedule| schedule.value.retries),
        timeout: task.spec.schedule.as_ref().and_then(|schedule| schedule.value.timeout).map(|timeout| timeout.0),
        grace: quick().map_or(GRACE, |(_, grace)| grace),
        state: args.state.folder(args.task.file.path()),
        program,
        arguments: args.to_arguments(),
    };
    let stops = count_signals()?;
    recover_dead_runs(&task, &scheduler)?;
    runtime(1)?.block_on(scheduler.serve(stops))
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

/// Ends what an earlier run has left, which would otherwise wait for the next due time.
fn recover_dead_runs(task: &Task, scheduler: &Scheduler) -> Result<()> {
    let connector = Connector::of(task);
    match runtime(1)?.block_on(recover_all(&scheduler.state, &scheduler.key, &connector)) {
        Ok(_) | Err(Error::Locked { .. }) => {}
        Err(error) => tracing::error!(%error, "an earlier run could not be recovered; the next run tries again"),
    }
    Ok(())
}

impl RunArgs {
    /// The arguments of an equivalent `run`.
    fn to_arguments(&self) -> Vec<String> {
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
