//! `recover`: shows or ends the runs that did not end, without starting one.

use std::path::Path;

use super::{RecoverArgs, TaskArgs, runtime};
use crate::database::Connector;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::report::RunKey;
use crate::run::{Recovered, abandon, recover_all, unfinished};
use crate::task::TaskOwner;
use crate::watch::start_log;

pub(super) fn recover(args: &RecoverArgs) -> Result<u8> {
    start_log(args.task.log.log_format, args.task.log.quiet);
    let (key, connector) = owner(&args.task)?;
    let state = args.state.folder(args.task.file.path());
    let keys = keys(&state, &key)?;
    let ended = match &args.abandon {
        Some(run) => {
            let mut of_run = key.clone();
            for key in keys {
                if unfinished(&state, &key)?.iter().any(|(open, _)| open == run) {
                    of_run = key;
                }
            }
            vec![runtime(1)?.block_on(abandon(&state, &of_run, &connector, run))?]
        }
        None if args.retry => {
            let mut ended = vec![];
            for key in keys {
                ended.extend(runtime(1)?.block_on(recover_all(&state, &key, &connector))?);
            }
            ended
        }
        None => return show(&state, &key, &keys),
    };
    for Recovered { run, message, .. } in &ended {
        say!("{run}: {message}");
    }
    if ended.is_empty() {
        say!("all runs of `{key}` have ended");
    }
    Ok(0)
}

/// The key of a task's runs, and what reaches their targets.
fn owner(args: &TaskArgs) -> Result<(RunKey, Connector)> {
    let TaskOwner { name, project, params } = TaskOwner::read(args.file.path(), &args.choice())?;
    Ok((RunKey::new(name, args.environment()), Connector::new(project, params)))
}

/// The keys of a task that have runs without an end: one for each window.
fn keys(state: &Path, key: &RunKey) -> Result<Vec<RunKey>> {
    let ledger = Ledger::read_only(state)?;
    Ok(ledger.map(|ledger| ledger.unfinished_keys(key)).transpose()?.unwrap_or_default())
}

/// Shows what is pending; the exit code is 1 if something is.
fn show(state: &Path, key: &RunKey, keys: &[RunKey]) -> Result<u8> {
    if keys.is_empty() {
        say!("all runs of `{key}` have ended");
        return Ok(0);
    }
    let mut code = 0;
    for key in keys {
        if let Some(holder) = crate::ledger::holder(state, key) {
            say!("{holder}");
            continue;
        }
        for (run, is_committed) in unfinished(state, key)? {
            code = 1;
            match is_committed {
                true => {
                    say!("{run}: died after its commit record; --retry publishes the rest, --abandon {run} leaves it");
                }
                false => say!("{run}: died before its commit record; --retry removes what it has written"),
            }
        }
    }
    Ok(code)
}

/// Recovers the dead runs of a task whose file cannot be read. That it cannot be read is the error to report, not what happens
/// here.
pub(super) fn recover_without_task(args: &TaskArgs, state: &Path) {
    if !args.file.path().exists() {
        return; // nothing tells whose runs they would be
    }
    let recovered = || -> Result<()> {
        let (key, connector) = owner(args)?;
        for key in keys(state, &key)? {
            runtime(1)?.block_on(recover_all(state, &key, &connector))?;
        }
        Ok(())
    };
    if let Err(error) = recovered() {
        tracing::warn!(%error, "earlier runs that did not end could not be recovered");
    }
}
