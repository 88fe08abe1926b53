//! What a task must specify so that its runs are idempotent.

use super::upstream;
use crate::error::Result;
use crate::model::Model;
use crate::sink::{BoundSink, Claim};
use crate::source::Source;
use crate::task::{Mode, Read, Task};

/// Fails if a run could add rows that an earlier one has added.
pub(super) fn check(task: &Task, models: &[Model], sources: &[Source], sinks: &[BoundSink]) -> Result<()> {
    for (name, sink) in task.spec.sinks.iter().filter(|(_, sink)| sink.value.mode == Mode::Append) {
        let read = upstream(&sink.value.from.value.table, models);
        let is_new = |name: &&str| {
            task.spec.sources.get(*name).is_some_and(|source| {
                let cursor = source.value.cursor();
                source.value.read == Read::New || cursor.is_some_and(|cursor| cursor.lag.is_none())
            })
        };
        if !read.iter().any(is_new) {
            let message = format!(
                "sink `{name}`: `mode: append` needs a source with `read: new` or a `cursor` without `lag`: each run would add the same rows"
            );
            let error = task.error(sink, message);
            let help = "specify `read: new` for the source whose files arrive one after the other, or `cursor: {column: …}` for a table, or \
                 `mode: overwrite`";
            return Err(Box::new(error.with_help(help)).into());
        }
    }
    for source in sources {
        let Some((archive, at)) = source.archive().zip(task.spec.sources[source.name()].value.archive.as_ref()) else {
            continue;
        };
        let claim = Claim::Folder(archive.folder().to_path_buf());
        if let Some(sink) = sinks.iter().find(|sink| sink.target.claim().overlaps(&claim)) {
            let message =
                format!("the archive of source `{}` shares the folder of sink `{}`", source.name(), sink.name);
            return Err(Box::new(task.error(at, message).with_help("give the archive a folder of its own")).into());
        }
    }
    Ok(())
}
