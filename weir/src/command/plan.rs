//! `plan`: shows what a run would do.

use super::summary::bytes;
use super::{Cli, RunArgs, runtime};
use crate::error::Result;
use crate::plan::PlanDescription;
use crate::run::describe;

pub(super) fn plan(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let task = args.task.load()?;
    show(&runtime(1)?.block_on(describe(&task, &cli.settings(args)))?);
    Ok(0)
}

fn show(plan: &PlanDescription) {
    say!("task `{}`, environment `{}`", plan.task, plan.environment);
    for (name, value) in &plan.params {
        say!("  ${name} = {value}");
    }
    for source in &plan.sources {
        say!("\nsource `{}`: {}", source.name, source.summary);
        for (file, size) in &source.files {
            say!("  {file}  {}", bytes(*size));
        }
    }
    if let Some(why) = &plan.nothing_to_do {
        say!("\na run would be skipped now: {why}");
    }
    if !plan.models.is_empty() {
        say!("\nmodels in order: {}", plan.models.join(" -> "));
    }
    for (number, stage) in plan.stages.iter().enumerate() {
        say!("\nstage {} computes `{}`", number + 1, stage.table);
        if !stage.rules.is_empty() {
            say!("  judged by: {}", stage.rules.join(", "));
        }
        if let Some(table) = plan.lineage.table(&stage.table) {
            say!("  columns:");
            for column in &table.from_sources.columns {
                let of = column.values.iter().map(|of| format!("{}.{}", of.table, of.column)).collect::<Vec<_>>();
                say!("    {} <- {}", column.column, if of.is_empty() { "no column".to_owned() } else { of.join(", ") });
            }
        }
        say!("  accepted -> {}", stage.accepted.join(", "));
        if !stage.rejected.is_empty() {
            say!("  rejected -> {}", stage.rejected.join(", "));
        }
        if stage.is_kept {
            say!("  kept for the models that read it");
        }
        if let Some(reader) = &stage.streams_to {
            say!("  streamed into `{reader}`");
        }
        if let Some(computed) = &stage.computed {
            say!("  computed {computed}");
        }
        for line in stage.physical_plan.lines() {
            say!("    {line}");
        }
    }
    for sink in &plan.sinks {
        say!("\nsink `{}` reads `{}`: {}", sink.name, sink.route, sink.target);
    }
}
