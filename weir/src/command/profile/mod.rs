//! `profile`: statistics of the columns of files, of a table or of a source.
//!
//! `source` finds the rows and their columns, `report` is what comes out, as JSON too; `page` shows it in a browser,
//! `terminal` in short.

mod page;
mod report;
mod source;
mod terminal;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::error::Result as QueryResult;

use super::init::Reader;
use super::{Cli, ProfileArgs, check_page, runtime, write_page};
use crate::engine::{Resources, fold};
use crate::error::{Error, Result, nearest};
use crate::profile::{Profiler, ShownValues};
use crate::system::stop::Stop;
use crate::watch::start_log;
use report::{Report, Unreadable};
use source::Profiled;

pub(super) fn profile(cli: &Cli, args: &ProfileArgs) -> Result<u8> {
    start_log(args.log.log_format, args.log.quiet);
    let threads = args.threads.map_or_else(|| Resources::default().threads, usize::from);
    let stop = Stop::on_signal()?;
    let report = runtime(threads)?.block_on(report(cli, args, threads, &stop))?;
    let page = page_of(args, &report.name);
    if let Some(path) = &page {
        write_page(path, &page::html(&report))?;
    }
    if args.json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Error::internal(error.to_string()))?;
        say!("{text}");
    } else if !args.log.quiet {
        terminal::print(&report, args.log.show_values);
        page.iter().for_each(|path| say!("wrote {}", path.display()));
    }
    Ok(0)
}

/// The page that is written. With `--json` it is written only if it is named.
fn page_of(args: &ProfileArgs, name: &str) -> Option<PathBuf> {
    let named_after = || (!args.json).then(|| PathBuf::from(format!("{name}.profile.html")));
    args.output.clone().or_else(named_after)
}

/// Reads the rows, and measures their columns.
async fn report(cli: &Cli, args: &ProfileArgs, threads: usize, stop: &Stop) -> Result<Report> {
    let mut reader = Reader::new(threads, &cli.functions)?;
    reader.stop = stop.clone();
    reader.null_values.clone_from(&args.null_values);
    reader.draws = args.target.is_some();
    reader.takes_any_number = true;
    reader.shows_progress = !args.log.quiet;
    let check_page = |path: &Path| check_page(path, page::MARK, "of a profile");
    args.output.as_deref().map_or(Ok(()), check_page)?;
    let mut profiled = Profiled::open(args, &reader, &cli.functions).await?;
    page_of(args, &profiled.name).as_deref().map_or(Ok(()), check_page)?;
    let target = args.target.as_deref().map(|target| place_of(target, &profiled)).transpose()?;
    let groups = match target {
        Some(target) => Some(Arc::new(profiled.groups(&reader, target).await?)),
        None => None,
    };
    let rows = profiled.rows(&reader).await?;
    let columns = &profiled.columns;
    let failed = |error| Error::query(&profiled.name, error);
    let new = |_| Profiler::new(columns, groups.as_ref());
    let mut profilers = fold(rows.frame, stop, new, Profiler::update).await.map_err(failed)?.into_iter();
    let mut all = profilers.next().ok_or_else(|| Error::internal("no thread has read"))?;
    profilers.for_each(|profiler| all.merge(profiler));
    let end: QueryResult<()> = rows.table.drain(&|| stop.is_wanted());
    end.map_err(failed)?;
    if stop.is_wanted() {
        return Err(Error::Interrupted);
    }
    let shown = ShownValues::all(!args.no_values).without(profiled.private_columns());
    let profile = all.finish(columns, &shown);
    let unreadable = Unreadable::of(rows.source.rejected().rejected());
    if profile.rows == 0 {
        return Err(profiled.without_rows(&unreadable));
    }
    Ok(Report::of(profiled, unreadable, profile))
}

/// The place of the target among the columns.
fn place_of(target: &str, profiled: &Profiled) -> Result<usize> {
    let names: Vec<&str> = profiled.columns.iter().map(|column| column.name.as_str()).collect();
    names.iter().position(|name| *name == target).ok_or_else(|| {
        let help = match nearest(target, &names) {
            Some(near) => format!("did you mean `{near}`? Its columns: {}", names.join(", ")),
            None => format!("its columns: {}", names.join(", ")),
        };
        Error::usage(format!("--target: {} has no column `{target}`", profiled.shown), help)
    })
}
