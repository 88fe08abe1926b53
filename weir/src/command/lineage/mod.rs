//! `lineage`: the columns that each column of a task depends on. Nothing is accessed but the task and its SQL files.
//!
//! `choice` leaves what was asked for; `text`, `mermaid` and `page` show it.

mod choice;
mod mermaid;
mod page;
mod text;

use std::path::PathBuf;

use super::columns::terminal_width;
use super::{Cli, LineageArgs, check_page, runtime, validate, write_page};
use crate::error::{Error, Result};
use crate::lineage::{Dependency, DependencyKind};

pub(super) fn lineage(cli: &Cli, args: &LineageArgs) -> Result<u8> {
    let task = cli.load(&args.task)?;
    let page = args.html.then(|| {
        let named_after = || PathBuf::from(format!("{}.lineage.html", task.name()));
        args.output.clone().unwrap_or_else(named_after)
    });
    page.as_deref().map_or(Ok(()), |path| check_page(path, page::MARK, "of the lineage"))?;
    let lineage = runtime(1)?.block_on(validate::plan(cli, &task))?.lineage(&task);
    let lineage = choice::chosen(lineage, args.table.as_deref(), args.column.as_deref())?;
    if args.json {
        let text = serde_json::to_string_pretty(&lineage).map_err(|error| Error::internal(error.to_string()))?;
        say!("{text}");
    } else if args.mermaid {
        say!("{}", mermaid::chart(&lineage));
    } else if let Some(path) = page {
        write_page(&path, &page::html(&lineage))?;
        if !args.task.log.quiet {
            say!("wrote {}", path.display());
        }
    } else {
        say!("{}", text::text(&lineage, terminal_width()));
    }
    Ok(0)
}

/// A column that is depended on, with how it is, unless it is the value itself.
fn shown(dependency: &Dependency) -> String {
    let kinds: Vec<&str> = dependency
        .kinds
        .iter()
        .filter(|kind| **kind != DependencyKind::Identity || dependency.kinds.len() > 1)
        .map(|kind| kind.shown())
        .collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!("{}.{}{kinds}", dependency.table, dependency.column)
}

fn all_shown(dependencies: &[Dependency]) -> String {
    dependencies.iter().map(shown).collect::<Vec<_>>().join(", ")
}
