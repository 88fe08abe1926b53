//! One run at a time: a lock of the operating system, which goes when its process goes.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, state_io};
use crate::report::RunKey;

/// A held lock; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    /// The file, if it is removed with the lock: of windows there are many.
    removed: Option<PathBuf>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.removed {
            let _ = std::fs::remove_file(path); // the next one takes it over
        }
    }
}

/// Who holds a lock, as its file says.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    run: String,
    since: String,
}

impl Lock {
    /// Takes the lock of a key in a state folder for the run of that id, or reports its holder.
    pub(crate) fn take(state: &Path, key: &RunKey, run: &str) -> Result<Self> {
        let path = path_of(state, key);
        let io = || state_io(&path);
        let mut file = match locked(&path).map_err(io())? {
            Ok(file) => file,
            Err(mut file) => return Err(held(&mut file, key)),
        };
        let holder = Holder { pid: std::process::id(), run: run.to_owned(), since: super::now() };
        let mut write = || {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&serde_json::to_vec(&holder)?)
        };
        write().map_err(io())?;
        Ok(Self { _file: file, removed: key.window.is_some().then_some(path) })
    }

    /// Takes the lock of the job of a key, which a worker holds around its runs; none if another one has it.
    pub(crate) fn try_job(state: &Path, key: &RunKey) -> Result<Option<Self>> {
        let path = locks(state).join(format!("{key}.job"));
        let file = locked(&path).map_err(state_io(&path))?.ok();
        Ok(file.map(|file| Self { _file: file, removed: Some(path) }))
    }
}

/// Locks a file; the file without a lock if another process has it.
fn locked(path: &Path) -> io::Result<std::result::Result<File, File>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(file)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its last holder may have removed it since it was opened.
        let is_there =
            std::fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|of| of.ino() == there.ino()));
        if is_there {
            return Ok(Ok(file));
        }
    }
}

fn path_of(state: &Path, key: &RunKey) -> PathBuf {
    locks(state).join(format!("{key}.lock"))
}

/// The folder of the locks in a state folder.
pub(crate) fn locks(state: &Path) -> PathBuf {
    state.join("locks")
}

/// Whether a run holds the lock of a key.
pub(crate) fn is_held(state: &Path, key: &RunKey) -> bool {
    holder(state, key).is_some()
}

/// The holder of a key's lock, if there is one.
pub(crate) fn holder(state: &Path, key: &RunKey) -> Option<String> {
    let mut file = File::open(path_of(state, key)).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Some(held(&mut file, key).to_string()),
        _ => None,
    }
}

fn held(file: &mut File, key: &RunKey) -> Error {
    let mut text = String::new();
    let holder = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok());
    let message = match holder {
        Some(Holder { pid, run, since }) => {
            format!("`{key}` is being run by process {pid} since {since} (run {run})")
        }
        // Its holder has just taken it and has not written yet who it is.
        None => format!("`{key}` is being run by another process"),
    };
    Error::Locked { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_lock_and_the_lock_goes_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), &RunKey::new("applications", "default"), "7").unwrap();
        let error = Lock::take(folder.path(), &RunKey::new("applications", "default"), "8").unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(&format!("process {} since ", std::process::id())), "{error}");
        assert!(error.to_string().contains("(run 7)"), "{error}");
        Lock::take(folder.path(), &RunKey::new("applications", "prod"), "9").unwrap();
        drop(lock);
        Lock::take(folder.path(), &RunKey::new("applications", "default"), "8").unwrap();
    }
}
