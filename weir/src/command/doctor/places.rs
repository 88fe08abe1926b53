//! Folders that a run writes to: whether they are writable, and whether there is enough space.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, CWD, RenameFlags, access, renameat_with};

use super::{Findings, bytes};
use crate::error::{Error, Result};
use crate::system::disk::free_bytes;

/// The help where a sink's target cannot be made.
pub(super) const GIVE_ACCESS: &str = "give the user that runs weir write access: the staging folder is created in it";

/// Files that are removed when this is dropped.
struct Probe(Vec<PathBuf>);

impl Probe {
    /// Writes test files into a folder; they are removed on drop.
    fn write(folder: &Path, number: usize) -> std::io::Result<Self> {
        let mut probe = Self(vec![]);
        for part in 0..number {
            let path = folder.join(format!(".weir-doctor-{}-{part}", std::process::id()));
            File::create_new(&path)?;
            probe.0.push(path);
        }
        Ok(probe)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "a test file could not be removed");
            }
        }
    }
}

/// The folder itself, or its nearest existing ancestor, in which missing folders are created.
pub(super) fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// Fails if a file cannot be written to the folder, or to where it would be created.
pub(super) fn check_writable(folder: &Path) -> std::io::Result<()> {
    Probe::write(&existing(folder), 1).map(drop)
}

pub(super) fn check_archive(source: &str, folder: &Path, findings: &mut Findings) {
    let about = format!("source {source}");
    match check_writable(folder) {
        Ok(()) => findings.ok(about, format!("its archive {} is writable", folder.display())),
        Err(error) => {
            let help = "give the user that runs weir write access, or specify another folder under `archive`";
            findings.problem(about, &Error::input(folder.display(), error, help));
        }
    }
}

/// Checks for a sink's folder what `FolderSink::check` does not: writing.
pub(super) fn check_sink(sink: &str, path: &Path, target: &Path, findings: &mut Findings) {
    let about = format!("sink {sink}");
    match try_sink(sink, path, target) {
        Ok(how) => findings.ok(about, format!("{}: {how}", target.display())),
        Err(Trouble::Problem(error)) => findings.problem(about, &error),
        Err(Trouble::Warning(message, help)) => findings.warn(about, message, help),
    }
}

enum Trouble {
    Problem(Error),
    Warning(String, &'static str),
}

fn try_sink(sink: &str, path: &Path, target: &Path) -> Result<&'static str, Trouble> {
    let problem = |path: &Path, message: &dyn std::fmt::Display, help: &str| {
        Trouble::Problem(Error::sink(sink, path, message, help))
    };
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let parent = existing(target.parent().unwrap_or(target));
    let probe = Probe::write(&parent, 2).map_err(|error| problem(&parent, &error, GIVE_ACCESS))?;
    if target.exists() && access(target, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let help = "give the user that runs weir write access, or the previous content cannot be removed";
        return Err(problem(target, &"its content cannot be removed", help));
    }
    if let [one, other] = probe.0.as_slice()
        && renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_err()
    {
        let message = format!("{}: its file system cannot exchange two folders in one step", parent.display());
        return Err(Trouble::Warning(message, "readers may find no folder for an instant while a run is published"));
    }
    Ok(if is_link { "can be written, through a link" } else { "can be written" })
}

/// The disk space that a run needs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Bytes of input.
    pub(super) input: u64,
    /// By device: a folder on it, and whether it holds outputs and scratch space.
    devices: BTreeMap<u64, (PathBuf, bool, bool)>,
}

impl Needs {
    /// A sink's folder.
    pub(super) fn output(&mut self, target: &Path) {
        if let Some((_, output, _)) = self.device(target) {
            *output = true;
        }
    }

    /// The scratch folder.
    pub(super) fn scratch(&mut self, state: &Path) {
        if let Some((_, _, scratch)) = self.device(state) {
            *scratch = true;
        }
    }

    fn device(&mut self, folder: &Path) -> Option<&mut (PathBuf, bool, bool)> {
        let folder = existing(folder);
        let device = fs::metadata(&folder).ok()?.dev();
        Some(self.devices.entry(device).or_insert((folder, false, false)))
    }

    /// The outputs together are about as large as the input, and so may be the scratch space. Previous outputs
    /// are kept until the new ones are complete.
    pub(super) fn check(&self, findings: &mut Findings) {
        for (folder, output, scratch) in self.devices.values() {
            let need = self.input * (u64::from(*output) + u64::from(*scratch));
            let Some(free) = free_bytes(folder) else { continue };
            let what = match (output, scratch) {
                (true, true) => "outputs and scratch space",
                (true, false) => "outputs",
                _ => "scratch space",
            };
            let message = format!("{} free at {}; {what} may need {}", bytes(free), folder.display(), bytes(need));
            if free < need {
                findings.warn("disk", message, "free some space, or put the outputs or --state on another disk");
            } else {
                findings.ok("disk", message);
            }
        }
    }
}
