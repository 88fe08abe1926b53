//! What a folder holds when a run begins, and what of it stays.

use std::collections::HashSet;

use super::folder::{BucketFolder, Found};
use crate::error::{Error, Result};
use crate::report::State;
use crate::sink::History;
use crate::sink::content::Content;
use crate::sink::folder::files::partition_of;
use crate::sink::folder::manifest::Addition;
use crate::task::Mode;

/// What a folder holds already.
#[derive(Debug, Default)]
pub(super) struct Former {
    /// What runs have added that stays.
    pub(super) kept: Vec<Addition>,
    /// All of its files.
    files: Vec<String>,
}

impl Former {
    /// Fails if what the folder holds could not be followed.
    pub(super) fn of(
        folder: &BucketFolder,
        found: &Found,
        mode: Mode,
        content: &Content,
        history: &History<'_>,
    ) -> Result<Self> {
        let Some(manifest) = &found.manifest else { return Ok(Self::default()) };
        let refused = |(message, help): (String, String)| folder.refused(message, help);
        manifest.check_can_be_followed(mode, content).map_err(refused)?;
        let files = manifest.files.clone();
        if mode == Mode::Overwrite {
            return Ok(Self { kept: vec![], files });
        }
        if mode == Mode::Append && history(&manifest.run)?.is_none() {
            return Err(refused(manifest.of_unknown_run()));
        }
        let there: HashSet<&str> = found.names.iter().map(String::as_str).collect();
        if let Some(gone) = files.iter().find(|file| !there.contains(file.as_str())) {
            return Err(refused(manifest.without(gone)));
        }
        let mut kept = manifest.added.clone();
        if mode == Mode::Append {
            // What a run with a closed gate has written is read again, and would be there twice.
            let is_used_up = history(&manifest.run)?.is_none_or(|state| state == State::Done);
            kept.retain(|addition| is_used_up || addition.run != manifest.run);
        }
        Ok(Self { kept, files })
    }

    /// All that the folder holds after this run, whose part is the last, without some partitions of before.
    pub(super) fn with<'a>(&self, own: Vec<Addition>, replaced: impl Iterator<Item = &'a str>) -> Vec<Addition> {
        let replaced: HashSet<&str> = replaced.collect();
        let is_kept = |addition: &&Addition| !addition.files.iter().any(|file| replaced.contains(partition_of(file)));
        let kept = self.kept.iter().filter(is_kept).cloned();
        kept.chain(own.into_iter().filter(|own| !own.files.is_empty())).collect()
    }

    /// The files that are in none of these.
    pub(super) fn no_longer_in(&self, all: &[Addition]) -> Vec<String> {
        let stay: HashSet<&str> = all.iter().flat_map(|addition| &addition.files).map(String::as_str).collect();
        self.files.iter().filter(|file| !stay.contains(file.as_str())).cloned().collect()
    }
}

/// The error of a folder whose manifest has changed since the run began.
pub(super) fn overtaken(sink: &str, url: &str) -> Error {
    Error::Overtaken {
        sink: sink.to_owned(),
        path: url.to_owned(),
        message: "another run has published to it since this one began; nothing of this run is published".to_owned(),
        help: "start the run again; let runs that write one folder not run at the same time: those of several windows, or with \
               several state folders"
            .to_owned(),
    }
}
