//! Which files a run reads: all that match, or those that no published run has read.

use std::path::Path;

use super::ledger::{Input, Ledger, ReadBefore, Touched};
use crate::error::{Error, Result};
use crate::source::{FileSet, FoundFile, hashes};
use crate::task::{IfChanged, IfMissing, Read, Task};

/// The files of a source, sorted out.
#[derive(Debug)]
pub(crate) struct Choice {
    /// What is to be read, with the hash of the content where it is known already.
    pub(crate) files: Vec<(FoundFile, Option<String>)>,
    /// How many others match that were read before.
    pub(crate) before: usize,
    /// Those of them that have another time of change now.
    pub(super) touched: Vec<Touched>,
}

/// Finds the files of a source, and chooses those that a run of the task would read.
///
/// A file is known by its path. With the size and the time of change that it had it was read; else its content
/// decides. Of its content nothing is asked where no run has read it: `inputs` does that.
pub(crate) async fn choose(
    task: &Task,
    source: &str,
    files: &FileSet,
    ledger: Option<&mut Ledger>,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Choice> {
    let found = files.find().await?;
    let before = match ledger.filter(|_| files.reads() == Read::New) {
        Some(ledger) => ledger.read_before(task, source, &found)?,
        None => vec![None; found.len()],
    };
    let mut choice = Choice { files: vec![], before: 0, touched: vec![] };
    let mut doubtful = Vec::new();
    for (file, before) in found.into_iter().zip(before) {
        match before {
            None => choice.files.push((file, None)),
            Some(before) if is_untouched(&file, &before) => choice.before += 1,
            Some(before) => doubtful.push((file, before)),
        }
    }
    let contents = hashes(&doubtful.iter().map(|(file, _)| file).collect::<Vec<_>>(), stopped)?;
    for ((file, before), hash) in doubtful.into_iter().zip(contents) {
        if before.hash == hash {
            choice.before += 1;
            choice.touched.push(Touched { before, modified: file.modified() });
        } else if files.if_changed() == IfChanged::Read {
            choice.files.push((file, Some(hash)));
        } else {
            return Err(changed(&file, &before));
        }
    }
    choice.files.sort_by(|(one, _), (other, _)| Path::new(&one.name).cmp(Path::new(&other.name)));
    Ok(choice)
}

fn is_untouched(file: &FoundFile, before: &ReadBefore) -> bool {
    (before.bytes, &before.modified) == (file.meta.size, &file.modified())
}

fn changed(file: &FoundFile, before: &ReadBefore) -> Error {
    Error::input(
        &file.name,
        format!("has another content than when run {} read it", before.run),
        "write each delivery under a name of its own; or say `if_changed: read`, and such a file is read again, whole",
    )
}

impl Choice {
    /// Why there is nothing to do, if there is nothing to read and the source says to skip then.
    pub(super) fn nothing_to_do(&self, source: &str, files: &FileSet) -> Result<Option<String>> {
        if !self.files.is_empty() {
            return Ok(None);
        }
        let message = match self.before {
            0 => format!("source `{source}`: no file matches {}", files.pattern()),
            1 => format!("source `{source}`: no new files, the one that matches was read before"),
            n => format!("source `{source}`: no new files, all {n} that match were read before"),
        };
        match files.if_missing() {
            IfMissing::Empty => Ok(None),
            IfMissing::Skip => Ok(Some(message)),
            IfMissing::Fail => Err(Error::input(
                files.pattern(),
                message,
                "check that the delivery has come; or say `if_missing: skip` or `empty`",
            )),
        }
    }

    /// The files as the ledger keeps them: with the hash of what is in them, and where they go.
    pub(super) fn inputs(&self, files: &FileSet, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Input>> {
        let is_new = files.reads() == Read::New;
        let unknown: Vec<&FoundFile> =
            self.files.iter().filter(|(_, hash)| is_new && hash.is_none()).map(|(file, _)| file).collect();
        let mut contents = hashes(&unknown, stopped)?.into_iter();
        let inputs = self.files.iter().map(|(file, hash)| Input {
            file: file.clone(),
            hash: hash.clone().or_else(|| contents.next()),
            archive: files.archive().map(|archive| archive.destination(file)),
        });
        Ok(inputs.collect())
    }
}
