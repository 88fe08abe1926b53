//! `plan`: what a run would do.

use datafusion::physical_plan::displayable;

use super::{Cli, RunArgs, runtime};
use crate::engine;
use crate::error::{Error, Result};
use crate::run::declare;
use crate::stage::{Flow, Tables};
use crate::watch::bytes;

pub(super) fn plan(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let task = args.task.load()?;
    let settings = cli.settings(args);
    runtime(1)?.block_on(async {
        let session = engine::session(settings.resources, &std::env::temp_dir(), &settings.functions)?;
        let sources = declare(&task)?;
        let mut tables = Tables::new();
        println!("task `{}`, environment `{}`", task.name(), task.environment);
        for name in task.params.names() {
            if let Some(param) = task.params.get(name) {
                println!("  ${name} = {}", param.text);
            }
        }
        for source in &sources {
            let files = source.find().await?;
            let size: u64 = files.iter().map(|file| file.meta.size).sum();
            println!("\nsource `{}`: {} files, {}", source.name(), files.len(), bytes(size));
            for file in &files {
                println!("  {}  {}", file.name, bytes(file.meta.size));
            }
            tables.insert(source.name().to_owned(), source.open(files)?);
        }
        let flow = Flow::plan(&task, &session, &sources, tables).await?;
        if !flow.models.is_empty() {
            println!("\nmodels in order: {}", flow.models.join(" -> "));
        }
        for (number, stage) in flow.stages.iter().enumerate() {
            let to = |sinks: &[usize]| {
                sinks.iter().map(|sink| flow.sinks[*sink].name.as_str()).collect::<Vec<_>>().join(", ")
            };
            println!("\nstage {} computes `{}`", number + 1, stage.table);
            if let Some(judge) = &stage.judge {
                let rules: Vec<_> = judge.rules.iter().map(|rule| rule.name.as_str()).collect();
                println!("  judged by: {}", rules.join(", "));
            }
            println!("  accepted -> {}", to(&stage.accepted));
            println!("  rejected -> {}", to(&stage.rejected));
            if stage.scratch.is_some() {
                println!("  kept for the models that read it");
            }
            let physical = session.state().create_physical_plan(&stage.plan).await;
            let physical = physical.map_err(|error| Error::query(&stage.table, error))?;
            for line in displayable(physical.as_ref()).indent(false).to_string().lines() {
                println!("    {line}");
            }
        }
        for sink in &flow.sinks {
            println!("\nsink `{}` takes `{}`: {}", sink.name, sink.route, sink.path);
        }
        Ok(0)
    })
}
