//! `plan`: shows what a run would do.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;

use super::summary::bytes;
use super::{Cli, RunArgs, runtime};
use crate::database::{Connector, Sessions};
use crate::engine;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::plan::{Draft, Plan, Tables};
use crate::run::{Settings, key_of};
use crate::source::{Opened, Opening};
use crate::system::stop::Stop;
use crate::task::Task;

pub(super) fn plan(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let task = args.task.load()?;
    let settings = cli.settings(args);
    runtime(1)?.block_on(async {
        let stop = Stop::never();
        let connector = Connector::of(&task);
        let mut sessions = Sessions::new(connector.clone(), &stop);
        let session = engine::session(settings.resources, &std::env::temp_dir(), &settings.functions)?;
        show_task(&task);
        let plan = planned(&task, &settings, &session, &connector).await?;
        let key = key_of(&task);
        let mut ledger = Ledger::read_only(&settings.state)?;
        let mut tables = Tables::new();
        for source in &plan.sources {
            let mut opening = Opening {
                key: &key,
                ledger: ledger.as_mut(),
                run: None,
                fetchers: &settings.fetchers,
                sessions: &mut sessions,
                scratch: Path::new(""),
                stop: &stop,
            };
            let opened = source.open(&mut opening).await?;
            show_source(source.name(), &opened);
            if let Some(table) = opened.table {
                tables.insert(source.name().to_owned(), table);
            }
        }
        show_plan(&plan, &session, &tables).await?;
        sessions.end().await;
        Ok(0)
    })
}

/// The plan of a run that would be started now. The limits of the sinks' targets are part of it.
async fn planned(task: &Task, settings: &Settings, session: &SessionContext, connector: &Connector) -> Result<Plan> {
    let draft = Draft::of(task, session, &settings.fetchers).await?;
    let key = key_of(task);
    let ledger = Mutex::new(Ledger::read_only(&settings.state)?);
    let history = |run: &str| match ledger.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(ledger) => ledger.state_of(run, &key),
        None => Ok(None),
    };
    let sinks = draft.open_sinks(task, &key, "plan", connector, &history).await?;
    draft.plan(task, session, &sinks.limits)
}

fn show_task(task: &Task) {
    say!("task `{}`, environment `{}`", task.name(), task.environment);
    for name in task.params.names() {
        if let Some(param) = task.params.get(name) {
            say!("  ${name} = {}", param.text);
        }
    }
}

fn show_source(name: &str, opened: &Opened) {
    say!("\nsource `{name}`: {}", opened.summary);
    for file in &opened.files {
        say!("  {}  {}", file.name, bytes(file.meta.size));
    }
}

async fn show_plan(plan: &Plan, session: &SessionContext, tables: &Tables) -> Result<()> {
    if !plan.models.is_empty() {
        let names: Vec<&str> = plan.models.iter().map(|model| model.name.as_str()).collect();
        say!("\nmodels in order: {}", names.join(" -> "));
    }
    for (number, bound) in plan.bind(session, tables).await?.iter().enumerate() {
        let stage = &bound.stage;
        let to =
            |sinks: &[usize]| sinks.iter().map(|sink| plan.sinks[*sink].name.as_str()).collect::<Vec<_>>().join(", ");
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
        let physical = bound.physical_plan(session).await?;
        for line in displayable(physical.as_ref()).indent(false).to_string().lines() {
            say!("    {line}");
        }
    }
    for sink in &plan.sinks {
        say!("\nsink `{}` reads `{}`: {}", sink.name, sink.route, sink.target.place());
    }
    Ok(())
}
