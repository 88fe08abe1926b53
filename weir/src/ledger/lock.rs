//! One run at a time: a lock of the operating system, which goes when its process goes.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, state_io};
use crate::report::RunKey;

/// A held lock; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
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
        let folder = &locks(state);
        let path = folder.join(format!("{key}.lock"));
        let io = || state_io(&path);
        std::fs::create_dir_all(folder).map_err(io())?;
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut file, key)),
            Err(TryLockError::Error(error)) => return Err(io()(error)),
        }
        let holder = Holder { pid: std::process::id(), run: run.to_owned(), since: super::now() };
        let mut write = || {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&serde_json::to_vec(&holder)?)
        };
        write().map_err(io())?;
        Ok(Self { _file: file })
    }
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
    let mut file = File::open(locks(state).join(format!("{key}.lock"))).ok()?;
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
