//! What a task must specify so that a window never touches the rows of another one.

use serde_saphyr::Spanned;

use super::upstream;
use crate::error::Result;
use crate::model::Model;
use crate::task::{Mode, Read, SinkSpec, SourceSpec, Task, WindowOrder};

/// Fails if a run could read or replace what belongs to another window, or to files that it does not read.
pub(super) fn check(task: &Task, models: &[Model]) -> Result<()> {
    let Some(windows) = task.windows()? else { return Ok(()) };
    for (name, source) in &task.spec.sources {
        check_source(task, name, &source.value)?;
    }
    let lookback = task.spec.window.as_ref().filter(|window| window.value.lookback.is_some());
    if let Some(window) = lookback.filter(|_| task.spec.sources.values().all(|source| source.value.files.is_none())) {
        let error = task.error(window, "`lookback` looks for files that came later, and no source has files");
        return Err(Box::new(error.with_help("remove it")).into());
    }
    for (name, sink) in &task.spec.sinks {
        check_sink(task, name, sink, windows.order)?;
        check_rerun(task, name, sink, models)?;
    }
    Ok(())
}

fn check_source(task: &Task, name: &str, source: &SourceSpec) -> Result<()> {
    if let Some(cursor) = source.cursor() {
        let message =
            format!("source `{name}`: a `cursor` is for tasks without windows: a window has a beginning and an end");
        let help = "select the rows of the window: where changed_at >= $window_start and changed_at < $window_end";
        return Err(Box::new(task.error(&cursor.column, message).with_help(help)).into());
    }
    match &source.files {
        Some(files) if source.read == Read::New && !has_window(&files.path) => {
            let message = format!("source `{name}`: every window would read the same files, each of them as new ones");
            let help = "write parts of the window into `path`, such as %Y/%m/%d/%H or ${window}; or specify `read: all`, and \
                        select the rows of the window by $window_start and $window_end";
            Err(Box::new(task.error(&files.path, message).with_help(help)).into())
        }
        _ => Ok(()),
    }
}

fn check_sink(task: &Task, name: &str, sink: &Spanned<SinkSpec>, order: WindowOrder) -> Result<()> {
    let spec = &sink.value;
    let wrong = |message: String, help: &str| Err(Box::new(task.error(sink, message).with_help(help)).into());
    match spec.mode {
        Mode::Overwrite if !place(spec).is_some_and(has_window) => wrong(
            format!("sink `{name}`: `mode: overwrite` would replace the rows of other windows"),
            "write parts of the window into the path or the name of the table, such as %Y-%m-%d or ${window}; or specify \
             `mode: merge` for a table, or `mode: replace` with `partition_by` a column of the window",
        ),
        Mode::Merge | Mode::Scd2 if spec.update_key.is_none() && order == WindowOrder::Newest => wrong(
            format!("sink `{name}`: an older window that is run after a newer one would replace newer rows"),
            "name the column that is greater in newer rows with `update_key`; a model can select `$window_start as loaded_for`; \
             or specify `order: oldest` under `window`",
        ),
        _ => Ok(()),
    }
}

/// A window that is run again for files that came later must not replace the rows of those that came in time.
fn check_rerun(task: &Task, name: &str, sink: &Spanned<SinkSpec>, models: &[Model]) -> Result<()> {
    let replaces = matches!(sink.value.mode, Mode::Overwrite | Mode::Replace);
    let is_new = |name: &&str| task.spec.sources.get(*name).is_some_and(|source| source.value.read == Read::New);
    match upstream(&sink.value.from.value.table, models).iter().find(|name| is_new(name)) {
        Some(source) if replaces => {
            let mode = sink.value.mode.name();
            let message = format!(
                "sink `{name}`: a window that is run again would read only the new files of source `{source}`, and `mode: \
                 {mode}` would replace the rows of the others"
            );
            let help = "specify `read: all` for the source: its path has the files of one window only; or another mode";
            Err(Box::new(task.error(sink, message).with_help(help)).into())
        }
        _ => Ok(()),
    }
}

/// Where a sink writes, as the task has it.
fn place(sink: &SinkSpec) -> Option<&Spanned<String>> {
    let file = || sink.files.as_ref().and_then(|files| files.file.as_ref());
    let of_table = || sink.postgres.as_ref().or(sink.mysql.as_ref()).map(|table| &table.table);
    sink.folder().or_else(file).or_else(of_table)
}

/// Whether a text differs from window to window.
pub(super) fn has_window(text: &Spanned<String>) -> bool {
    text.value.contains("${window") || text.value.replace("%%", "").contains('%')
}
