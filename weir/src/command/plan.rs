//! `plan`: what a run would do.

use std::sync::Arc;

use datafusion::physical_plan::displayable;

use super::summary::bytes;
use super::{Cli, RunArgs, runtime};
use crate::engine;
use crate::error::Result;
use crate::model;
use crate::run::{Ledger, check_fetchers, choose, declare};
use crate::sink::Narrow;
use crate::source::{FileSet, Origin, Snapshots, Source, SourceTable};
use crate::stage::{Flow, Tables};
use crate::stop::Stop;
use crate::task::Task;

pub(super) fn plan(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let task = args.task.load()?;
    let settings = cli.settings(args);
    runtime(1)?.block_on(async {
        let session = engine::session(settings.resources, &std::env::temp_dir(), &settings.functions)?;
        let sources = declare(&task)?;
        check_fetchers(&sources, &settings.fetchers)?;
        let mut ledger = Ledger::open_existing(&settings.state)?;
        let mut tables = Tables::new();
        say!("task `{}`, environment `{}`", task.name(), task.environment);
        for name in task.params.names() {
            if let Some(param) = task.params.get(name) {
                say!("  ${name} = {}", param.text);
            }
        }
        let mut snapshots = Snapshots::new(&Stop::never());
        for source in &sources {
            let name = source.name();
            let table = match source.origin() {
                Origin::Files(files) => show_files(&task, source, files, ledger.as_mut()).await?,
                Origin::Postgres(table) => {
                    let (opened, bytes_there) =
                        source.open_table(table, snapshots.of(&task, table.connection()).await?).await?;
                    say!("\nsource `{name}`: {}, {} there", table.shown(), bytes(bytes_there));
                    opened
                }
                Origin::Fetch(fetching) => {
                    say!("\nsource `{name}`: is fetched by `{}` when the task runs", fetching.with());
                    continue;
                }
            };
            tables.insert(name.to_owned(), table);
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

async fn show_files(
    task: &Task,
    source: &Source,
    files: &FileSet,
    ledger: Option<&mut Ledger>,
) -> Result<Arc<dyn SourceTable>> {
    let choice = choose(task, source.name(), files, ledger, &|| false).await?;
    let found: Vec<_> = choice.files.into_iter().map(|(file, _)| file).collect();
    let size: u64 = found.iter().map(|file| file.meta.size).sum();
    let before = match choice.before {
        0 => String::new(),
        before => format!(" ({before} more were read by earlier runs)"),
    };
    say!("\nsource `{}`: {} files, {}{before}", source.name(), found.len(), bytes(size));
    for file in &found {
        say!("  {}  {}", file.name, bytes(file.meta.size));
    }
    source.open_files(found, files.form())
}
