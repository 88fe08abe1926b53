//! `validate`: checks everything that can be checked without data.

use super::{Cli, TaskArgs, runtime};
use crate::engine::{self, Resources};
use crate::error::{Result, number_of};
use crate::plan::{BoundStage, Draft, Plan, Tables};
use crate::sink::ColumnLimits;
use crate::source::Fetchers;
use crate::task::Task;

pub(super) fn validate(cli: &Cli, args: &TaskArgs) -> Result<u8> {
    let task = cli.load(args)?;
    let plan = runtime(1)?.block_on(plan(cli, &task))?;
    if args.log.quiet {
        return Ok(0);
    }
    let counts = [
        (plan.sources.len(), "source"),
        (plan.models.len(), "model"),
        (plan.rules(), "rule"),
        (plan.sinks.len(), "sink"),
    ];
    let counts = counts.map(|(count, of)| number_of(count, of)).join(", ");
    say!("{}: `{}` is valid: {counts}", args.file.path().display(), task.name());
    Ok(0)
}

/// Plans a task over sources without rows. No target is accessed, so its limits are unknown.
pub(super) async fn plan(cli: &Cli, task: &Task) -> Result<Plan> {
    let session = engine::session(Resources::default(), &std::env::temp_dir(), &cli.functions, None)?;
    let fetchers: Fetchers = cli.fetchers.clone().into();
    let plan = Draft::of(task, &session, &fetchers).await?.plan(task, &session, &ColumnLimits::new())?;
    for stage in plan.bind(&session, &Tables::new(), true).await?.iter().flat_map(BoundStage::all) {
        stage.physical_plan(&session).await?;
    }
    Ok(plan)
}
