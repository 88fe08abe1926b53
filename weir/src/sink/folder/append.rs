//! `mode: append`: what a folder holds already.

use super::manifest::{Addition, list};
use super::pending::Folder;
use super::{OpenFolder, manifest_columns, mode_name};
use crate::error::{Error, Result};
use crate::format::write::FileLayout;
use crate::report::State;
use crate::sink::History;
use crate::system::{disk, fault};
use crate::task::Mode;

const ANOTHER: &str = "give the sink another folder, or move the content of this one away";

/// What an appended folder holds already, and keeps.
#[derive(Debug, Default)]
pub(super) struct Former {
    additions: Vec<Addition>,
    /// Whether the folder is replaced, and these files have to be linked into the staging folder.
    is_carried: bool,
}

impl Former {
    pub(super) fn is_empty(&self) -> bool {
        self.additions.is_empty()
    }

    /// All that the folder holds after this run, whose part is the last.
    pub(super) fn with(self, own: Addition) -> Vec<Addition> {
        let own = (!own.files.is_empty()).then_some(own);
        self.additions.into_iter().chain(own).collect()
    }

    /// Links the former files into the staging folder, if it replaces the target.
    pub(super) fn carry(&self, folder: &Folder) -> Result<()> {
        for file in self.additions.iter().filter(|_| self.is_carried).flat_map(|addition| &addition.files) {
            let (from, to) = (folder.target.join(file), folder.staging.join(file));
            disk::link_or_copy(&from, &to).map_err(|error| folder.error(&to, error))?;
            fault::point("carried");
        }
        Ok(())
    }
}

impl OpenFolder {
    /// Fails if the folder could not be committed as things are. Nothing is changed.
    pub(super) fn new(mut folder: Folder, mode: Mode, layout: FileLayout, history: &History<'_>) -> Result<Self> {
        let manifest = folder.check()?;
        let mut former = Former::default();
        let Some(manifest) = manifest else { return Ok(Self { folder, mode, layout, former }) };
        let refused = |message: String, help: &str| Err(Error::sink(&folder.sink, &folder.target, message, help));
        if manifest.mode != mode_name(mode) {
            let message = format!("was written with `mode: {}`, and the task has `{}`", manifest.mode, mode_name(mode));
            return refused(message, &format!("specify `mode: {}` as before; or {ANOTHER}", manifest.mode));
        }
        if mode == Mode::Overwrite {
            return Ok(Self { folder, mode, layout, former });
        }
        let (format, columns) = (layout.format.extension(), manifest_columns(&layout));
        if manifest.format != format {
            return refused(
                format!("its files are {}, and what is added would be {format}", manifest.format),
                &format!("specify `format: {}` as before; or {ANOTHER}", manifest.format),
            );
        }
        if manifest.columns != columns {
            return refused(
                format!("its files have the columns ({}), and the sink has ({})", manifest.columns(), list(&columns)),
                &format!("let `columns` of the sink return the same as before; or {ANOTHER}"),
            );
        }
        if history(&manifest.run)?.is_none() {
            return refused(
                format!("was written by run {}, which the ledger does not have", manifest.run),
                &format!(
                    "that ledger has what the sources have read, and without it rows would be added twice: use its \
                     state folder (--state); or {ANOTHER}"
                ),
            );
        }
        if let Some(gone) = manifest.gone(&folder.target).next() {
            return refused(
                format!("`{gone}` is gone, which a run had written"),
                &format!("put the file back; or {ANOTHER}, and the next run begins a new one"),
            );
        }
        // A file stays if the run that added it has used up its input. What a run with a closed gate has written is read
        // again, and would be there twice: then the folder is replaced by one without it.
        // That run has asked the same of all runs before it.
        let added = manifest.added.len();
        let is_used_up = history(&manifest.run)?.is_none_or(|state| state == State::Done);
        former.additions = manifest.added;
        former.additions.retain(|addition| is_used_up || addition.run != manifest.run);
        folder.in_place = former.additions.len() == added && !former.is_empty();
        former.is_carried = !folder.in_place;
        folder.after = Some(manifest.run);
        Ok(Self { folder, mode, layout, former })
    }
}
