//! `validate`: check all that can be checked without data.

use super::summary::count;
use super::{Cli, TaskArgs, runtime};
use crate::engine::{self, Resources};
use crate::error::Result;
use crate::model;
use crate::run::{check_fetchers, declare};
use crate::sink::Narrow;
use crate::source::Source;
use crate::stage::{Flow, empty_tables};
use crate::task::Task;

pub(super) fn validate(cli: &Cli, args: &TaskArgs) -> Result<u8> {
    let task = args.load()?;
    let (sources, flow) = runtime(1)?.block_on(plan(cli, &task))?;
    let rules =
        flow.stages.iter().filter_map(|stage| stage.judge.as_ref()).map(|judge| judge.rules.len() + judge.unique.len());
    if args.log.quiet {
        return Ok(0);
    }
    say!(
        "{}: `{}` is valid: {} sources, {} models, {} rules, {} sinks",
        args.task_config.display(),
        task.name(),
        count(sources.len() as u64),
        count(flow.models.len() as u64),
        count(rules.sum::<usize>() as u64),
        count(flow.sinks.len() as u64),
    );
    Ok(0)
}

/// Plans a task over sources without rows.
pub(super) async fn plan(cli: &Cli, task: &Task) -> Result<(Vec<Source>, Flow)> {
    let sources = declare(task)?;
    check_fetchers(&sources, &cli.fetchers.clone().into())?;
    let session = engine::session(Resources::default(), &std::env::temp_dir(), &cli.functions)?;
    let tables = empty_tables(&sources);
    let flow = Flow::plan(task, &session, &sources, &model::load(task)?, tables, &Narrow::default()).await?;
    for stage in &flow.stages {
        stage.physical_plan(&session).await?;
    }
    Ok((sources, flow))
}
