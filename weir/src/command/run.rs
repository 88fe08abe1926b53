//! `run`: run the task.

use tokio::signal::unix::{SignalKind, signal};

use super::summary;
use super::{Cli, RunArgs, runtime};
use crate::error::{Error, Result};
use crate::run;
use crate::stage::Stop;
use crate::watch::Watch;

pub(super) fn run(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let task = args.task.load()?;
    let settings = cli.settings(args);
    let quiet = args.task.log.quiet;
    let report = runtime(settings.resources.threads)?.block_on(async {
        let watch = Watch::new(quiet);
        run::run(&task, &settings, &watch, stop_on_signal()?).await
    })?;
    if !quiet {
        // Nobody reads the summary if the pipe is closed; the run is done all the same.
        let _ = summary::print(&report);
    }
    for breach in report.breaches.iter().filter(|_| quiet) {
        complain!("gate closed: {breach}");
    }
    Ok(report.exit_code())
}

/// Ctrl-C, SIGTERM and a closed terminal stop a run, which takes back what it has staged; a second one ends the process at once.
pub(super) fn stop_on_signal() -> Result<Stop> {
    let failed = |error| Error::usage(format!("signals cannot be handled: {error}"), "start the program again");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let (sender, receiver) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        signalled().await;
        let _ = sender.send(true);
        signalled().await;
        // Somebody is in a hurry. What is left behind is taken back by the next start.
        std::process::exit(130);
    });
    Ok(Stop(receiver))
}
