//! Files with the content of others: copies of files, and files that have another name now.

use std::collections::HashMap;
use std::fmt;

use super::FileSet;
use super::choice::Choice;
use crate::error::{Error, Result};
use crate::ledger::{Known, Ledger, SameContent};
use crate::place::{FoundFile, hashes};
use crate::report::RunKey;
use crate::system::path_text::{path_of, shown};
use crate::task::{IfCopied, Read};

/// The other file with the content of one.
enum Original {
    /// A published run has read it.
    Read(SameContent),
    /// The run reads it, too.
    Found(String),
}

impl FileSet {
    /// Takes those of the files out that are not read because their content was read before, or is read from another one:
    /// the task decides about copies; a file that was renamed is none, and one without rows may have any copies. From here on
    /// the contents are known.
    pub(super) fn settle_copies(
        &self,
        choice: &mut Choice,
        key: &RunKey,
        ledger: &Ledger,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        if self.read != Read::New {
            return Ok(());
        }
        let files = self.with_contents(std::mem::take(&mut choice.files), is_stopped)?;
        let before = ledger.contents_of(key, &self.source, &files)?;
        let mut found: HashMap<String, String> = HashMap::new();
        let (mut copies, mut renamed) = (Vec::new(), Vec::new());
        for ((file, hash), before) in files.into_iter().zip(before) {
            let of_this_run = found.entry(hash.clone()).or_insert_with(|| file.name.clone());
            let original = match before {
                // Where files are moved away, a name that is gone tells nothing.
                Some(same) => Original::Read(SameContent { is_there: same.is_there || self.archive.is_some(), ..same }),
                None if *of_this_run != file.name => Original::Found(of_this_run.clone()),
                None => {
                    choice.files.push((file, Some(hash)));
                    continue;
                }
            };
            if !original.is_gone() && self.form.has_no_rows(&file)? {
                choice.files.push((file, Some(hash)));
                continue;
            }
            let notes = if original.is_gone() { &mut renamed } else { &mut copies };
            notes.push((file.name.clone(), original.to_string()));
            match self.if_copied {
                IfCopied::Read => choice.files.push((file, Some(hash))),
                IfCopied::Fail if !original.is_gone() => return Err(copied(&file, &original)),
                IfCopied::Fail | IfCopied::Skip => choice.known.push(Known { file, hash, run: original.run() }),
            }
        }
        match self.if_copied {
            IfCopied::Read => {
                renamed.append(&mut copies);
                warn(&renamed, "if it is a copy, its rows are there twice");
            }
            IfCopied::Fail | IfCopied::Skip => {
                warn(&renamed, "it was renamed, and is not read again");
                warn(&copies, "it is a copy, and is not read");
            }
        }
        Ok(())
    }

    /// The files with the hashes of their contents.
    fn with_contents(
        &self,
        files: Vec<(FoundFile, Option<String>)>,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<(FoundFile, String)>> {
        let unknown: Vec<&FoundFile> = files.iter().filter(|(_, hash)| hash.is_none()).map(|(file, _)| file).collect();
        let mut contents = hashes(&unknown, is_stopped)?.into_iter();
        let known = files.into_iter().map(|(file, hash)| Some((file, hash.or_else(|| contents.next())?)));
        known.collect::<Option<_>>().ok_or_else(|| Error::internal("a file has no hash"))
    }
}

impl Original {
    /// Whether it is there no longer, so that the other one is the same file under another name.
    fn is_gone(&self) -> bool {
        matches!(self, Self::Read(same) if !same.is_there)
    }

    /// The run that has read it, if it was an earlier one.
    fn run(self) -> Option<String> {
        match self {
            Self::Read(same) => Some(same.run),
            Self::Found(_) => None,
        }
    }
}

impl fmt::Display for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(SameContent { run, path, is_there }) => {
                let gone = if *is_there { "" } else { " and which is gone" };
                write!(f, "{}, which run {run} has read{gone}", shown(&path_of(path)))
            }
            Self::Found(name) => f.write_str(name),
        }
    }
}

fn copied(file: &FoundFile, original: &Original) -> Error {
    let message = format!("has the content of {original}: if it is a copy, its rows would be there twice");
    let help = "remove the copy; or specify `if_copied: skip` to leave copies out, or `if_copied: read` if deliveries may be equal";
    Error::input(&file.name, message, help)
}

/// Warns of files with the content of others.
fn warn(files: &[(String, String)], what: &str) {
    if let Some((file, other)) = files.first() {
        let more = if files.len() > 1 { format!(", and {} more", files.len() - 1) } else { String::new() };
        tracing::warn!("{file} has the content of {other}{more}: {what}");
    }
}
