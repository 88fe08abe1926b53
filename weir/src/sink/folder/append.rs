//! `mode: append` and `replace`: what a folder holds already.

use std::collections::HashSet;
use std::path::PathBuf;

use super::OpenFolder;
use super::access;
use super::files::partition_of;
use super::manifest::Addition;
use super::pending::{Folder, part_prefix};
use crate::error::{Error, Result};
use crate::format::write::{FileLayout, SyncedFile, merge};
use crate::report::State;
use crate::sink::History;
use crate::sink::content::Content;
use crate::system::{disk, fault};
use crate::task::Mode;

/// What a folder holds already, and keeps.
#[derive(Debug, Default)]
pub(super) struct Former {
    additions: Vec<Addition>,
    /// Whether the folder is replaced, and these files have to be linked into the staging folder.
    is_carried: bool,
    /// Those whose files become one.
    small: Vec<Addition>,
}

/// A smaller file is merged with others.
const SMALL: u64 = 16 << 20;

/// Of about this size are the files into which small ones are merged.
const MERGED: u64 = 8 * SMALL;

impl Former {
    pub(super) fn is_empty(&self) -> bool {
        self.additions.is_empty() && self.small.is_empty()
    }

    /// All that the folder holds after this run, whose part is the last.
    pub(super) fn with(self, own: Vec<Addition>) -> Vec<Addition> {
        self.additions.into_iter().chain(own.into_iter().filter(|own| !own.files.is_empty())).collect()
    }

    /// Does not keep these partitions.
    pub(super) fn leave_out<'a>(&mut self, partitions: impl Iterator<Item = &'a str>) {
        let partitions: HashSet<&str> = partitions.collect();
        let is_replaced = |file: &String| partitions.contains(partition_of(file));
        self.additions.retain(|addition| !addition.files.iter().any(is_replaced));
    }

    /// Links the former files into the staging folder.
    pub(super) fn link(&self, folder: &Folder) -> Result<()> {
        for file in self.additions.iter().flat_map(|addition| &addition.files) {
            let (from, to) = (folder.target.join(file), folder.staging.join(file));
            let made = access::make_below(&folder.staging, partition_of(file), &folder.target);
            made.and_then(|()| disk::link_or_copy(&from, &to)).map_err(|error| folder.error(&to, error))?;
            fault::point("carried");
        }
        Ok(())
    }

    /// Brings the former files into the staging folder, if it replaces the target.
    pub(super) fn carry(&mut self, folder: &Folder, content: &Content) -> Result<()> {
        if self.is_carried {
            self.link(folder)?;
        }
        match content {
            Content::Rows(rows) => self.merge_small(folder, &rows.layout),
            Content::Documents(_) => Ok(()),
        }
    }

    /// Merges the small files. What they become counts as added by the last of the runs that have written them.
    fn merge_small(&mut self, folder: &Folder, layout: &FileLayout) -> Result<()> {
        let small = std::mem::take(&mut self.small);
        let Some(last) = small.last() else { return Ok(()) };
        let mut merged = Addition {
            run: last.run.clone(),
            rows: small.iter().map(|addition| addition.rows).sum(),
            bytes: 0,
            files: vec![],
        };
        let files: Vec<PathBuf> =
            small.iter().flat_map(|addition| &addition.files).map(|file| folder.target.join(file)).collect();
        let size = |file: &PathBuf| file.metadata().map_or(0, |metadata| metadata.len());
        let mut rest = &files[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let count = rest.iter().take_while(|file| (bytes == 0 || bytes < MERGED, bytes += size(file)).0).count();
            let (these, others) = rest.split_at(count);
            let name = format!("{}merged-{:05}.{}", part_prefix(&folder.run), merged.files.len(), layout.extension());
            let path = folder.staging.join(&name);
            let write = || merge(Box::new(SyncedFile::create(&path)?), layout, these.iter().map(PathBuf::as_path));
            merged.bytes += write().map_err(|error| folder.error(&path, error))?;
            merged.files.push(name);
            rest = others;
            fault::point("merged");
        }
        tracing::info!(sink = folder.sink, files = files.len(), into = merged.files.len(), "small files are merged");
        self.additions.insert(0, merged);
        Ok(())
    }
}

impl OpenFolder {
    /// Has small files merged, if there are more of them than that.
    pub(super) fn compact(&mut self, most: usize) {
        let former = &mut self.former;
        let is_small = |addition: &Addition| addition.bytes < SMALL * addition.files.len() as u64;
        let small = former.additions.iter().filter(|addition| is_small(addition));
        if small.map(|addition| addition.files.len()).sum::<usize>() > most {
            former.small = former.additions.extract_if(.., |addition| is_small(addition)).collect();
            former.is_carried = true;
            self.folder.in_place = false;
        }
    }

    /// Fails if the folder could not be committed as things are. Nothing is changed.
    pub(super) fn new(mut folder: Folder, mode: Mode, content: Content, history: &History<'_>) -> Result<Self> {
        let manifest = folder.check()?;
        let mut former = Former::default();
        let Some(manifest) = manifest else { return Ok(Self { folder, mode, content, former }) };
        let refused = |(message, help)| Error::sink(&folder.sink, &folder.target, message, help);
        manifest.check_can_be_followed(mode, &content).map_err(refused)?;
        if mode == Mode::Overwrite {
            return Ok(Self { folder, mode, content, former });
        }
        if mode == Mode::Append && history(&manifest.run)?.is_none() {
            return Err(refused(manifest.of_unknown_run()));
        }
        if let Some(gone) = manifest.gone(&folder.target).next() {
            return Err(refused(manifest.without(gone)));
        }
        if mode == Mode::Replace {
            former.additions = manifest.added;
            folder.after = Some(manifest.run);
            return Ok(Self { folder, mode, content, former });
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
        Ok(Self { folder, mode, content, former })
    }
}
