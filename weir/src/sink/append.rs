//! Adding to a folder: what is there already, and how it comes along into the staged one.
//!
//! The staged folder holds the former files under a second name each, and this run's beside them. So the folder is
//! switched as any other, together with all sinks of the run.

use super::folder::FolderSink;
use super::manifest::{Addition, list};
use crate::error::{Error, Result};
use crate::task::Mode;
use crate::{disk, fault};

/// How the run of an id ended, if it is known.
pub(crate) type StateOf<'a> = dyn Fn(&str) -> Result<Option<String>> + 'a;

const ANOTHER: &str = "give the sink another folder, or move this one's content away";

impl FolderSink {
    /// Fails if the sink could not be published as things are. Nothing is changed. Of an appended folder, remembers
    /// what stays.
    pub(crate) fn look(&mut self, state_of: &StateOf<'_>) -> Result<()> {
        self.folder.check()?;
        let Some(manifest) = self.folder.manifest()? else { return Ok(()) };
        let refused =
            |message: String, help: &str| Err(Error::sink(&self.folder.sink, &self.folder.target, message, help));
        if manifest.mode != self.mode_word() {
            let message = format!("was written with `mode: {}`, and the task says {}", manifest.mode, self.mode_word());
            return refused(message, &format!("say `mode: {}` as before; or {ANOTHER}", manifest.mode));
        }
        if self.mode == Mode::Overwrite {
            return Ok(());
        }
        let (format, columns) = (self.form.format.extension(), self.columns());
        if manifest.format != format {
            return refused(
                format!("its files are {}, and what is added would be {format}", manifest.format),
                &format!("say `format: {}` as before; or {ANOTHER}", manifest.format),
            );
        }
        if manifest.columns != columns {
            return refused(
                format!("its files have the columns ({}), and the sink has ({})", manifest.columns(), list(&columns)),
                &format!("let `columns` of the sink give the same as before; or {ANOTHER}"),
            );
        }
        if state_of(&manifest.run)?.is_none() {
            return refused(
                format!("was written by run {}, which the ledger does not know", manifest.run),
                &format!(
                    "what the sources have read is in that ledger, and without it rows would be added twice: use its \
                     state folder (--state); or {ANOTHER}"
                ),
            );
        }
        if let Some(gone) = manifest.gone(&self.folder.target).next() {
            return refused(
                format!("`{gone}` is gone, which a run had written"),
                &format!("put the file back; or {ANOTHER}, and the next run begins a new one"),
            );
        }
        // A file stays if the run that added it has done with its input. What came out of a closed gate is read
        // again, and would be there twice.
        for addition in manifest.added {
            if state_of(&addition.run)?.is_none_or(|state| state == "done") {
                self.former.push(addition);
            }
        }
        self.folder.after = Some(manifest.run);
        Ok(())
    }

    /// Brings the former files along.
    pub(super) fn carry(&self) -> Result<()> {
        for file in self.former.iter().flat_map(|addition| &addition.files) {
            let (from, to) = (self.folder.target.join(file), self.folder.staging.join(file));
            disk::link_or_copy(&from, &to).map_err(|error| self.folder.error(&to, error))?;
            fault::point("carried");
        }
        Ok(())
    }

    /// What the folder has in all, this run's part the last.
    pub(super) fn additions(&self, own: Addition) -> Vec<Addition> {
        let own = (!own.files.is_empty()).then_some(own);
        self.former.iter().cloned().chain(own).collect()
    }

    pub(super) fn mode_word(&self) -> &'static str {
        match self.mode {
            Mode::Overwrite => "overwrite",
            Mode::Append => "append",
            Mode::Merge => "merge",
        }
    }
}
