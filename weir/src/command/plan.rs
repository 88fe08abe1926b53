//! `plan`: what a run would do.

use datafusion::physical_plan::displayable;

use super::summary::bytes;
use super::{Cli, RunArgs, runtime};
use crate::engine;
use crate::error::Result;
use crate::model;
use crate::run::{Ledger, choose, declare};
use crate::sink::Narrow;
use crate::stage::{Flow, Tables};

pub(super) fn plan(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let task = args.task.load()?;
    let settings = cli.settings(args);
    runtime(1)?.block_on(async {
        let session = engine::session(settings.resources, &std::env::temp_dir(), &settings.functions)?;
        let sources = declare(&task)?;
        let mut ledger = Ledger::open_existing(&settings.state)?;
        let mut tables = Tables::new();
        say!("task `{}`, environment `{}`", task.name(), task.environment);
        for name in task.params.names() {
            if let Some(param) = task.params.get(name) {
                say!("  ${name} = {}", param.text);
            }
        }
        for source in &sources {
            let choice = choose(&task, source, ledger.as_mut(), &|| false).await?;
            let files: Vec<_> = choice.files.into_iter().map(|(file, _)| file).collect();
            let size: u64 = files.iter().map(|file| file.meta.size).sum();
            let before = match choice.before {
                0 => String::new(),
                before => format!(" ({before} more were read by earlier runs)"),
            };
            say!("\nsource `{}`: {} files, {}{before}", source.name(), files.len(), bytes(size));
            for file in &files {
                say!("  {}  {}", file.name, bytes(file.meta.size));
            }
            tables.insert(source.name().to_owned(), source.open(files)?);
        }
        let flow = Flow::plan(&task, &session, &sources, &model::load(&task)?, tables, &Narrow::default()).await?;
        if !flow.models.is_empty() {
            say!("\nmodels in order: {}", flow.models.join(" -> "));
        }
        for (number, stage) in flow.stages.iter().enumerate() {
            let to = |sinks: &[usize]| {
                sinks.iter().map(|sink| flow.sinks[*sink].name.as_str()).collect::<Vec<_>>().join(", ")
            };
            say!("\nstage {} computes `{}`", number + 1, stage.table);
            if let Some(judge) = &stage.judge {
                let unique = judge.unique.iter().map(|rule| rule.name.as_str());
                let rules: Vec<_> = judge.rules.iter().map(|rule| rule.name.as_str()).chain(unique).collect();
                say!("  judged by: {}", rules.join(", "));
            }
            say!("  accepted -> {}", to(&stage.accepted));
            if !stage.rejected.is_empty() {
                say!("  rejected -> {}", to(&stage.rejected));
            }
            if stage.scratch.is_some() {
                say!("  kept for the models that read it");
            }
            let physical = stage.physical_plan(&session).await?;
            for line in displayable(physical.as_ref()).indent(false).to_string().lines() {
                say!("    {line}");
            }
        }
        for sink in &flow.sinks {
            say!("\nsink `{}` takes `{}`: {}", sink.name, sink.route, sink.place());
        }
        Ok(0)
    })
}
