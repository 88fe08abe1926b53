//! Which files a run reads: all that match, or those that no published run has read.

use std::path::Path;

use super::FileSet;
use crate::error::{Error, Result};
use crate::ledger::{Input, Known, Ledger, ReadBefore, Touched};
use crate::place::{FoundFile, former_end, hashes};
use crate::report::RunKey;
use crate::task::{IfChanged, IfMissing, Read};

/// The files of a source, classified.
#[derive(Debug)]
pub(super) struct Choice {
    /// The files to read, with the hash of the content if it is already known.
    pub(super) files: Vec<(FoundFile, Option<String>)>,
    /// The number of other matching files, which were read before.
    pub(super) before: usize,
    /// Those of them whose modification time has changed.
    pub(super) touched: Vec<Touched>,
    /// Further files that are not read because others with their content are.
    pub(super) known: Vec<Known>,
}

impl FileSet {
    /// Selects those of the files that a run would read.
    ///
    /// A file is identified by its path. With an unchanged size and modification time it counts as read; otherwise its
    /// content decides. The content of a file that no run has read is not needed here: `settle_copies` reads it.
    pub(super) async fn choose(
        &self,
        found: Vec<FoundFile>,
        key: &RunKey,
        ledger: Option<&mut Ledger>,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Choice> {
        let before = match ledger.filter(|_| self.read == Read::New) {
            Some(ledger) => ledger.read_before(key, &self.source, &found)?,
            None => vec![None; found.len()],
        };
        let mut choice = Choice { files: vec![], before: 0, touched: vec![], known: vec![] };
        let mut doubtful = Vec::new();
        for (file, before) in found.into_iter().zip(before) {
            match before {
                None => choice.files.push((file, None)),
                Some(before) if is_untouched(&file, &before) => choice.before += 1,
                Some(before) => doubtful.push((file, before)),
            }
        }
        let contents = hashes(&doubtful.iter().map(|(file, _)| file).collect::<Vec<_>>(), is_stopped)?;
        for ((file, before), hash) in doubtful.into_iter().zip(contents) {
            if before.hash == hash {
                choice.before += 1;
                choice.touched.push(Touched { before, modified: file.modified() });
                continue;
            }
            let end = former_end(&file, before.bytes, &before.hash, is_stopped)?;
            let file = match (self.if_changed, end) {
                (IfChanged::NewRows, Some(end)) if end.ends_line && self.form.can_be_continued(&file) => {
                    let (name, run, line) = (&file.name, &before.run, end.lines + 1);
                    tracing::info!(
                        file = name,
                        run,
                        "has grown since that run read it: it is read from line {line} on"
                    );
                    file.continued(end)
                }
                (IfChanged::NewRows, Some(_)) => return Err(not_continued(&file)),
                (IfChanged::NewRows, None) => return Err(replaced(&file, &before)),
                (IfChanged::Fail, end) => return Err(changed(&file, &before, end.is_some())),
                (IfChanged::Read, end) => {
                    if end.is_some() {
                        let (file, run) = (&file.name, &before.run);
                        tracing::warn!(
                            file,
                            run,
                            "has grown since that run read it: its first rows are read again, too"
                        );
                    }
                    file
                }
            };
            choice.files.push((file, Some(hash)));
        }
        choice.files.sort_by(|(one, _), (other, _)| Path::new(&one.name).cmp(Path::new(&other.name)));
        Ok(choice)
    }

    /// The reason why there is nothing to do, if there is nothing to read and the source specifies to skip then.
    pub(super) fn nothing_to_do(&self, choice: &Choice) -> Result<Option<String>> {
        if !choice.files.is_empty() {
            return Ok(None);
        }
        let (source, pattern) = (&self.source, self.file_system.shown(&self.pattern));
        let message = match choice.before + choice.known.len() {
            0 => format!("source `{source}`: no file matches {pattern}"),
            1 => format!("source `{source}`: no new files, the matching one was read before"),
            n => format!("source `{source}`: no new files, all {n} matching ones were read before"),
        };
        match self.if_missing {
            IfMissing::Empty => Ok(None),
            // What is published may have no rows.
            IfMissing::Fail if self.published.is_some() && choice.before + choice.known.len() == 0 => Ok(None),
            IfMissing::Skip => Ok(Some(message)),
            IfMissing::Fail => Err(Error::input(
                pattern,
                message,
                "check that the delivery has arrived, or specify `if_missing: skip` or `empty`",
            )),
        }
    }

    /// The files as the ledger keeps them: with the hash of their content, and their destination in the archive.
    pub(super) fn inputs(&self, choice: &Choice) -> Vec<Input> {
        let input = |(file, hash): &(FoundFile, Option<String>)| Input {
            file: file.clone(),
            hash: hash.clone(),
            archive: self.archive.as_ref().map(|archive| archive.destination(file)),
        };
        choice.files.iter().map(input).collect()
    }
}

fn is_untouched(file: &FoundFile, before: &ReadBefore) -> bool {
    (before.bytes, &before.modified) == (file.size(), &file.modified())
}

fn changed(file: &FoundFile, before: &ReadBefore, has_grown: bool) -> Error {
    let run = &before.run;
    let (message, help) = match has_grown {
        true => (
            format!(
                "it has grown since run {run} read it, and files are read whole: its first rows would be there twice"
            ),
            "specify `if_changed: new_rows` to read only what is new; or write it to a file of its own: rotate a log before it \
             is read, to names that stay, such as app.log-2024-01-31, and match the rotated files only",
        ),
        false => (
            format!("its content has changed since run {run} read it"),
            "write each delivery under a new name, or specify `if_changed: read` to read the whole file again",
        ),
    };
    Error::input(&file.name, message, help)
}

/// A log in place of the one that was read, as a rotation leaves it: what was written to the other one is unknown here.
fn replaced(file: &FoundFile, before: &ReadBefore) -> Error {
    let run = &before.run;
    let message =
        format!("its content has changed since run {run} read it, and does not begin with what that run read");
    let help = format!(
        "if the log was rotated, let it be written to files whose names stay, such as app-2024-01-31.log, and match those. To go \
         on with this file, specify `if_changed: read` for one run, and a `path` that matches no rotated file: what was \
         written to the former file after run {run} is then not read"
    );
    Error::input(&file.name, message, help)
}

fn not_continued(file: &FoundFile) -> Error {
    let help = "let the writer complete its lines, and remove `skip_last`, `line_end`, `encoding` and compression from files \
                that grow; or specify `if_changed: read` to read the whole file again";
    let message = "has grown, and cannot be read from its former end on: that was within a line, or the lines of such a file \
                   cannot be read from the middle";
    Error::input(&file.name, message, help)
}
