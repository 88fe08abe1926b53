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

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::synced::SyncedFile;
use super::{Part, Written, csv};
use crate::error::{Error, Result};
use crate::task::Format;

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
}

/// What `_SUCCESS` says.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    task: String,
    sink: String,
    run: String,
    rows: u64,
    bytes: u64,
    files: Vec<String>,
}

/// A sink that is a folder.
#[derive(Debug)]
pub(crate) struct FolderSink {
    folder: Folder,
    format: Format,
    names: Vec<String>,
    columns: Vec<usize>,
    parts: AtomicUsize,
}

impl FolderSink {
    pub(super) fn new(
        sink: &str,
        task: &str,
        run: &str,
        target: &Path,
        format: Format,
        columns: Vec<(String, usize)>,
    ) -> Result<Self> {
        let refused =
            |error| Error::sink(sink, target, error, "name a folder below the working directory or an absolute path");
        // A link is written through, not replaced.
        let target = std::path::absolute(target).map_err(refused)?;
        let target = if target.exists() { target.canonicalize().map_err(refused)? } else { target };
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Error::sink(sink, &target, "is no folder that can be replaced", "name a folder of its own"));
        };
        let staging = parent.join(format!(".{}.weir-{run}", name.to_string_lossy()));
        let (names, columns) = columns.into_iter().unzip();
        let folder = Folder { task: task.to_owned(), sink: sink.to_owned(), run: run.to_owned(), target, staging };
        Ok(Self { folder, format, names, columns, parts: AtomicUsize::new(0) })
    }

    fn create_part(&self) -> Result<FilePart> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let name = format!("part-{number:05}.{}", self.format.extension());
        let path = self.folder.staging.join(&name);
        let mut out = SyncedFile::create(&path).map_err(|error| self.folder.error(&path, error))?;
        csv::header(self.names.iter().map(String::as_str), out.buffer());
        Ok(FilePart { folder: self.folder.clone(), path, name, columns: self.columns.clone(), out, rows: 0 })
    }
}

impl FolderSink {
    /// Fails if the sink could not be published as things are. Nothing is changed.
    pub(crate) fn check(&self) -> Result<()> {
        self.folder.check()
    }

    /// Makes the folder to stage in.
    pub(crate) fn begin(&self) -> Result<()> {
        let Folder { staging, .. } = &self.folder;
        fs::create_dir_all(staging).map_err(|error| self.folder.error(staging, error))
    }

    /// Starts a part: each reader of a route writes parts of its own.
    pub(crate) fn part(&self) -> Result<Box<dyn Part>> {
        Ok(Box::new(self.create_part()?))
    }

    /// Completes what the parts have staged, so that it only has to be switched to.
    pub(crate) fn stage(&self, parts: Vec<Written>) -> Result<Written> {
        let mut parts = parts;
        if parts.is_empty() {
            // A folder without rows still says what its columns are.
            parts.push(Box::new(self.create_part()?).finish()?);
        }
        let manifest = Manifest {
            task: self.folder.task.clone(),
            sink: self.folder.sink.clone(),
            run: self.folder.run.clone(),
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            files: parts.iter().filter_map(|part| part.file.clone()).collect(),
        };
        let marker = self.folder.staging.join(MARKER);
        let written = || -> std::io::Result<()> {
            let mut file = File::create_new(&marker)?;
            serde_json::to_writer_pretty(&mut file, &manifest)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            // The folder itself must last too, and what was made to hold it.
            self.folder.staging.ancestors().take_while(|folder| folder.parent().is_some()).try_for_each(sync_folder)
        };
        written().map_err(|error| self.folder.error(&marker, error))?;
        Ok(Written { rows: manifest.rows, bytes: manifest.bytes, file: None })
    }

    /// How to publish or discard what is staged, in a form that outlives this process.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// A file that is being written.
struct FilePart {
    folder: Folder,
    path: PathBuf,
    name: String,
    columns: Vec<usize>,
    out: SyncedFile,
    rows: u64,
}

impl Part for FilePart {
    fn write(&mut self, batch: &RecordBatch, chosen: Option<&BooleanBuffer>) -> Result<()> {
        let rows = csv::rows(batch, &self.columns, chosen, self.out.buffer());
        self.rows += rows.map_err(|error| self.folder.error(&self.path, error))?;
        self.out.settle().map_err(|error| self.folder.error(&self.path, error))
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { folder, path, name, out, rows, .. } = *self;
        let finish = || {
            let bytes = out.finish()?;
            Ok(Written { rows, bytes, file: Some(name) })
        };
        finish().map_err(|error: std::io::Error| folder.error(&path, error))
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
        match renameat_with(CWD, &self.staging, CWD, &self.target, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::NOENT) => fs::rename(&self.staging, &self.target),
            // File systems that cannot exchange: the former content steps aside first. Between the two steps there
            // is no folder; a crash there is mended by the next start, which comes by here again.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match fs::rename(&self.target, self.aside()) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => fs::rename(&self.staging, &self.target),
            },
            Err(error) => Err(error.into()),
        }
        .and_then(|()| self.target.parent().map_or(Ok(()), sync_folder))
        .map_err(|error| self.error(&self.target, error))?;
        self.discard()
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
        })
    }

    fn is_published(&self) -> Result<bool> {
        Ok(self.manifest()?.is_some_and(|manifest| manifest.run == self.run))
    }

    /// What the folder's marker says, if there is one.
    fn manifest(&self) -> Result<Option<Manifest>> {
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

    fn error(&self, path: &Path, error: impl std::fmt::Display) -> Error {
        Error::sink(
            &self.sink,
            path,
            error,
            "check that the folder is writable and has free space; then start the run again",
        )
    }
}

/// Makes a rename or a new file last.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(target: &Path, run: &str) -> FolderSink {
        FolderSink::new("members", "applications", run, target, Format::Csv, vec![("name".into(), 0)]).unwrap()
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
        let error = sink(&target, "1").check().unwrap_err().to_string();
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
        assert!(sink(root.path(), "1").check().is_err());
    }
}
