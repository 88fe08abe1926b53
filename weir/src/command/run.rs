//! `run`: run the task.

use super::summary;
use super::{Cli, RunArgs, runtime};
use crate::error::Result;
use crate::run;
use crate::stop::Stop;
use crate::watch::Watch;

pub(super) fn run(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let task = args.task.load()?;
    let settings = cli.settings(args);
    let quiet = args.task.log.quiet;
    let report = runtime(settings.resources.threads)?.block_on(async {
        let watch = Watch::new(quiet);
        run::run(&task, &settings, &watch, Stop::on_signal()?).await
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
