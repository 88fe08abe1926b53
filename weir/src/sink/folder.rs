//! A folder of files, replaced as a whole.
//!
//! The new content is written beside the folder and switched to by one rename that exchanges the two. The
//! `_SUCCESS` file names the run that wrote the folder and the files that it wrote: any other file there is
//! somebody else's, and then the folder is left alone.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::manifest::{Addition, Column, Manifest};
use super::part::{FileForm, FilePart};
use super::{Part, Written};
use crate::error::{Error, Result};
use crate::task::Mode;
use crate::{disk, fault};

/// The marker of a complete folder.
const MARKER: &str = "_SUCCESS";

/// Where a sink's folder is and where its next content is staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Folder {
    /// The task and its environment.
    pub(crate) task: String,
    pub(crate) sink: String,
    pub(crate) run: String,
    pub(crate) target: PathBuf,
    pub(crate) staging: PathBuf,
    /// The run whose content it is added to.
    #[serde(default)]
    pub(crate) after: Option<String>,
}

/// A sink that is a folder.
#[derive(Debug)]
pub(crate) struct FolderSink {
    pub(super) folder: Folder,
    pub(super) mode: Mode,
    pub(super) form: FileForm,
    /// Of an appended folder, what is there already and stays.
    pub(super) former: Vec<Addition>,
    parts: AtomicUsize,
}

impl FolderSink {
    pub(super) fn new(sink: &str, task: &str, run: &str, target: &Path, mode: Mode, form: FileForm) -> Result<Self> {
        let refused =
            |error| Error::sink(sink, target, error, "name a folder below the working directory or an absolute path");
        // A link is written through, not replaced.
        let target = std::path::absolute(target).map_err(refused)?;
        let target = if target.exists() { target.canonicalize().map_err(refused)? } else { target };
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Error::sink(sink, &target, "is no folder that can be replaced", "name a folder of its own"));
        };
        let staging = parent.join(format!(".{}.weir-{run}", name.to_string_lossy()));
        let (task, sink, run) = (task.to_owned(), sink.to_owned(), run.to_owned());
        let folder = Folder { task, sink, run, target, staging, after: None };
        Ok(Self { folder, mode, form, former: vec![], parts: AtomicUsize::new(0) })
    }

    /// The columns as the manifest has them.
    pub(super) fn columns(&self) -> Vec<Column> {
        self.form.columns.iter().map(Column::of).collect()
    }

    fn create_part(&self) -> Result<FilePart> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        // Beside the files of other runs a name says of which it is.
        let of_run = if self.mode == Mode::Append { format!("{}-", self.folder.run) } else { String::new() };
        FilePart::create(&self.folder, format!("part-{of_run}{number:05}.{}", self.form.extension()), &self.form)
    }
}

impl FolderSink {
    /// Makes the folder to stage in, with what stays of the former content.
    pub(crate) fn begin(&self) -> Result<()> {
        let Folder { staging, .. } = &self.folder;
        disk::make_folder(staging).map_err(|error| self.folder.error(staging, error))?;
        fault::point("staging_made");
        self.carry()
    }

    /// Starts a part: each reader of a route writes parts of its own.
    pub(crate) fn part(&self) -> Result<Box<dyn Part>> {
        Ok(Box::new(self.create_part()?))
    }

    /// Completes what the parts have staged, so that it only has to be switched to.
    pub(crate) fn stage(&self, parts: Vec<Written>) -> Result<Written> {
        let mut parts = parts;
        if parts.is_empty() && self.former.is_empty() {
            // A folder without rows still says what its columns are.
            parts.push(Box::new(self.create_part()?).finish()?);
        }
        let own = Addition {
            run: self.folder.run.clone(),
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            files: parts.into_iter().filter_map(|part| part.file).collect(),
        };
        let written = Written { rows: own.rows, bytes: own.bytes, file: None };
        let all = self.additions(own);
        let manifest = Manifest {
            task: self.folder.task.clone(),
            sink: self.folder.sink.clone(),
            run: self.folder.run.clone(),
            mode: self.mode_word().to_owned(),
            format: self.form.format.extension().to_owned(),
            columns: self.columns(),
            rows: all.iter().map(|addition| addition.rows).sum(),
            bytes: all.iter().map(|addition| addition.bytes).sum(),
            files: all.iter().flat_map(|addition| addition.files.iter().cloned()).collect(),
            added: if self.mode == Mode::Append { all } else { vec![] },
        };
        let marker = self.folder.staging.join(MARKER);
        let mark = || -> std::io::Result<()> {
            let mut text = serde_json::to_vec_pretty(&manifest)?;
            text.push(b'\n');
            let mut file = File::create_new(&marker)?;
            file.write_all(&text)?;
            file.sync_all()?;
            // The names of the files must last too.
            disk::sync_folder(&self.folder.staging)
        };
        mark().map_err(|error| self.folder.error(&marker, error))?;
        fault::point("staged");
        Ok(written)
    }

    /// How to publish or discard what is staged, in a form that outlives this process.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

impl Folder {
    /// Fails if the folder cannot be switched, or holds anything that no run has written.
    pub(crate) fn check(&self) -> Result<()> {
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
        let parent = self.target.parent().and_then(device);
        if let (Some(own), Some(parent)) = (device(&self.target), parent)
            && own != parent
        {
            let help =
                "name a folder below it: the folder is switched by a rename, and a mount point cannot be renamed";
            return Err(Error::sink(&self.sink, &self.target, "is a mount point", help));
        }
        // What is made beside the folder, and what is removed of it.
        let beside = self.target.parent().into_iter();
        for folder in beside.chain(self.target.exists().then_some(self.target.as_path())) {
            disk::check_writable(folder).map_err(|(folder, error)| self.error(&folder, error))?;
        }
        self.check_own()
    }

    fn check_own(&self) -> Result<()> {
        let entries = match fs::read_dir(&self.target) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.error(&self.target, error)),
        };
        let manifest = self.manifest()?;
        if let Some(other) = manifest.as_ref().filter(|m| (&m.task, &m.sink) != (&self.task, &self.sink)) {
            let message = format!("was written by sink `{}` of task `{}`", other.sink, other.task);
            let help = "give the sink a folder of its own, or remove that folder if its content is not needed";
            return Err(Error::sink(&self.sink, &self.target, message, help));
        }
        if let (Some(after), Some(Manifest { run, .. })) = (&self.after, &manifest)
            && after != run
        {
            let message = format!("was to follow run {after}, and run {run} has written it meanwhile");
            let help = "let all runs of the task use one state folder, whose lock keeps them apart";
            return Err(Error::sink(&self.sink, &self.target, message, help));
        }
        let own = manifest.map(|manifest| manifest.files).unwrap_or_default();
        for entry in entries {
            let name = entry.map_err(|error| self.error(&self.target, error))?.file_name();
            let name = name.to_string_lossy();
            if name != MARKER && !own.iter().any(|file| *file == name) {
                let path = self.target.join(&*name);
                let help = "move it away, or give the sink a folder of its own: overwrite replaces the whole folder";
                return Err(Error::sink(&self.sink, &path, "was not written by a run of this task", help));
            }
        }
        Ok(())
    }

    /// Switches to what is staged. Safe to repeat after a crash at any point.
    pub(crate) fn publish(&self) -> Result<()> {
        if self.is_published()? {
            return self.discard(); // what is left in the staging folder is the former content
        }
        self.check_own()?;
        self.switch()
            .and_then(|()| self.target.parent().map_or(Ok(()), disk::sync_folder))
            .map_err(|error| self.error(&self.target, error))?;
        fault::point("switched");
        self.discard()
    }

    fn switch(&self) -> std::io::Result<()> {
        let exchange = || Ok(renameat_with(CWD, &self.staging, CWD, &self.target, RenameFlags::EXCHANGE)?);
        match fault::call("exchange").and_then(|()| exchange()) {
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(&self.staging, &self.target),
            // File systems that cannot exchange: the former content steps aside first. Between the two steps there
            // is no folder; a crash there is mended by the next start, which comes by here again.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                match fs::rename(&self.target, self.aside()) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                    _ => {
                        fault::point("stepped_aside");
                        fs::rename(&self.staging, &self.target)
                    }
                }
            }
            switched => switched,
        }
    }

    /// Whether what was to be published is gone: neither staged nor in its place.
    pub(crate) fn is_lost(&self) -> Result<bool> {
        Ok(!self.staging.exists() && !self.is_published()?)
    }

    /// Where the former content goes on file systems that cannot exchange two folders.
    fn aside(&self) -> PathBuf {
        self.staging.with_extension(format!("weir-{}-former", self.run))
    }

    /// Removes what is staged.
    pub(crate) fn discard(&self) -> Result<()> {
        [&self.staging, &self.aside()].into_iter().try_for_each(|folder| match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.error(folder, error)),
            _ => Ok(()),
        })?;
        fault::point("cleared");
        Ok(())
    }

    /// Whether the folder is what this run has made of it.
    pub(crate) fn is_published(&self) -> Result<bool> {
        Ok(self.manifest()?.is_some_and(|manifest| manifest.run == self.run))
    }

    /// What the folder's marker says, if there is one.
    pub(super) fn manifest(&self) -> Result<Option<Manifest>> {
        let marker = self.target.join(MARKER);
        let text = match fs::read_to_string(&marker) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(&marker, error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|_| {
            let help = "move the folder's content away, or give the sink a folder of its own";
            Error::sink(&self.sink, &marker, "was not written by a run of this task", help)
        })
    }

    pub(super) fn error(&self, path: &Path, error: impl std::fmt::Display) -> Error {
        Error::sink(
            &self.sink,
            path,
            error,
            "check that the folder is writable and has free space; then start the run again",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::part::FileColumn;
    use crate::task::{Compression, Format};
    use datafusion::arrow::datatypes::DataType;

    fn sink(target: &Path, run: &str) -> FolderSink {
        let column = FileColumn { name: "name".into(), of_route: "name".into(), index: 0, kind: DataType::Utf8View };
        let form = FileForm { format: Format::Csv, compression: Compression::None, columns: vec![column] };
        FolderSink::new("members", "applications", run, target, Mode::Overwrite, form).unwrap()
    }

    fn staged(target: &Path, run: &str) -> Folder {
        let sink = sink(target, run);
        sink.begin().unwrap();
        sink.stage(vec![]).unwrap();
        sink.folder
    }

    fn run_of(target: &Path) -> String {
        let marker = fs::read_to_string(target.join(MARKER)).unwrap();
        serde_json::from_str::<Manifest>(&marker).unwrap().run
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out/members");
        staged(&target, "1").publish().unwrap();
        staged(&target, "2").publish().unwrap();
        assert_eq!(run_of(&target), "2");
        assert_eq!(fs::read_to_string(target.join("part-00000.csv")).unwrap(), "name\n");
        assert_eq!(fs::read_dir(root.path().join("out")).unwrap().count(), 1);
    }

    #[test]
    fn publishing_can_be_repeated_after_a_crash_before_and_after_the_switch() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("members");
        staged(&target, "1").publish().unwrap();
        let second = staged(&target, "2");
        second.publish().unwrap();
        // As if the process had died between the exchange and the clean-up.
        fs::create_dir(&second.staging).unwrap();
        second.publish().unwrap();
        assert_eq!(run_of(&target), "2");
        assert!(!second.staging.exists());
    }

    #[test]
    fn a_foreign_file_stops_the_sink_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("members");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("diary.txt"), "mine").unwrap();
        let error = sink(&target, "1").folder.check().unwrap_err().to_string();
        assert!(error.contains("diary.txt: was not written by a run of this task"), "{error}");
        let staged = staged(&target, "1");
        assert!(staged.publish().is_err());
        assert_eq!(fs::read_to_string(target.join("diary.txt")).unwrap(), "mine");
    }

    #[test]
    fn the_folder_of_another_task_stops_the_sink() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("members");
        let other = Folder { task: "billing".into(), ..staged(&target, "1") };
        staged(&target, "2").publish().unwrap();
        let error = other.check_own().unwrap_err().to_string();
        assert!(error.contains("was written by sink `members` of task `applications`"), "{error}");
    }

    #[test]
    fn a_foreign_marker_stops_the_sink() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(MARKER), "").unwrap();
        assert!(sink(root.path(), "1").folder.check().is_err());
    }
}
