//! `health`: whether the runs are on time, for health checks of containers and for monitoring.

use chrono::{TimeDelta, Utc};

use super::schedule::{own_times, without_schedule};
use super::{Cli, HealthArgs};
use crate::error::Result;
use crate::ledger::{Ledger, history};
use crate::report::RunKey;
use crate::run::key_of;
use crate::schedule::{Crontab, Expected, Health, judge, judge_windows};

pub(super) fn health(cli: &Cli, args: &HealthArgs) -> Result<u8> {
    let task = args.task.load()?;
    let state = args.state.folder(args.task.file.path());
    if let Some(windows) = task.windows()? {
        let ledger = Ledger::read_only(&state)?;
        let key = RunKey::new(task.name(), &task.environment);
        let jobs = ledger.map(|ledger| ledger.jobs(&key)).transpose()?.unwrap_or_default();
        return Ok(tell(args, judge_windows(&windows, &jobs, args.task.due.unwrap_or_else(Utc::now))));
    }
    let history = history(&state, &key_of(&task))?;
    let crontab = args.crontab.as_ref().map(|path| Crontab::read(path, cli.name)).transpose()?;
    let own = own_times(&task, &args.cron)?;
    let times = match (&crontab, &own) {
        (Some(crontab), _) => crontab.times().collect(),
        (None, Some(times)) => vec![times],
        (None, None) => return Err(without_schedule(&task)),
    };
    let timeout = task.spec.schedule.as_ref().and_then(|schedule| schedule.value.timeout);
    let timeout = timeout.and_then(|timeout| TimeDelta::from_std(timeout.0).ok());
    Ok(tell(args, judge(&history, &Expected { times, timeout, since: args.since }, Utc::now())))
}

/// Prints the answer; returns the exit code.
fn tell(args: &HealthArgs, health: Health) -> u8 {
    let (code, answer) = match health {
        Ok(answer) => (0, format!("healthy: {answer}")),
        Err(reason) => (1, format!("unhealthy: {reason}")),
    };
    if !args.task.log.quiet {
        say!("{answer}");
    }
    code
}
