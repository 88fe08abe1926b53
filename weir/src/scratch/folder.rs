//! The scratch folder of a run.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result, state_io};
use crate::report::RunKey;
use crate::system::{disk, unique};

/// The variable with the folder for what a task with private columns does not hold in memory.
const PRIVATE_SCRATCH: &str = "WEIR_PRIVATE_SCRATCH";

/// The file systems that are in memory, as `statfs` numbers them: tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// A folder for what does not fit into memory, or is fetched; it is removed when the run ends.
#[derive(Debug)]
pub(crate) struct ScratchFolder {
    path: PathBuf,
    /// The file with its path, if it is in a folder that other machines have, too.
    pointer: Option<PathBuf>,
}

impl ScratchFolder {
    /// Creates the folder, empty. The caller holds the lock of the key: what exists there is from a dead run. That of a task
    /// with private columns is in a file system in memory: what is written there is never on a disk.
    pub(crate) fn create(state: &Path, key: &RunKey, is_private: bool) -> Result<Self> {
        Self::clear(state, key)?;
        let path = match is_private {
            false => on_disk(state, key),
            true => {
                let root = private_root()?;
                make_private(&root)?;
                in_root(&root, state, key)?
            }
        };
        std::fs::create_dir_all(&path).map_err(state_io(&path))?;
        Ok(Self { path, pointer: None })
    }

    /// The same in a folder that several machines have under the same path.
    pub(crate) fn create_shared(shared: &Path, state: &Path, key: &RunKey) -> Result<Self> {
        Self::clear(state, key)?;
        let path = disk::absolute(shared).join(format!("weir-{}", unique()));
        let pointer = pointer(state, key);
        let text = path.to_str().ok_or_else(|| {
            Error::state(&path, "the path of the shared folder is not UTF-8", "choose another folder")
        })?;
        std::fs::create_dir_all(pointer.parent().unwrap_or(state)).map_err(state_io(state))?;
        // First, so that it is found if the process dies right after it has made the folder.
        disk::write_whole(&pointer, text.as_bytes()).map_err(state_io(&pointer))?;
        std::fs::create_dir(&path).map_err(|error| {
            let help =
                "name a folder that exists, that all machines have under this path, and in which this user may write";
            Error::state(&path, &error, help).because(error)
        })?;
        Ok(Self { path, pointer: Some(pointer) })
    }

    /// Removes what a dead run has left, wherever it was. The caller holds the lock of the key.
    pub(crate) fn clear(state: &Path, key: &RunKey) -> Result<()> {
        // Without a place for private scratch folders there is none.
        let private = private_root().and_then(|root| in_root(&root, state, key)).ok();
        let pointer = pointer(state, key);
        let shared = std::fs::read_to_string(&pointer).ok().map(PathBuf::from);
        for path in private.into_iter().chain(shared).chain([on_disk(state, key)]) {
            match remove_all(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(state_io(&path)(error)),
                _ => {}
            }
        }
        match std::fs::remove_file(&pointer) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(state_io(&pointer)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        match (remove_all(&self.path), &self.pointer) {
            (Err(error), _) => {
                tracing::warn!(folder = %self.path.display(), %error, "the scratch folder could not be removed");
            }
            // Without the folder, nobody needs to find it.
            (Ok(()), Some(pointer)) => drop(std::fs::remove_file(pointer)),
            (Ok(()), None) => {}
        }
    }
}

/// Removes a folder. A late writer of another machine may make a file in it meanwhile.
fn remove_all(folder: &Path) -> std::io::Result<()> {
    let mut pauses = (0..6).map(|doubled| Duration::from_millis(50 << doubled));
    loop {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => match pauses.next() {
                Some(pause) => std::thread::sleep(pause),
                None => return Err(error),
            },
            removed => return removed,
        }
    }
}

/// The file with the path of a shared scratch folder of a key.
fn pointer(state: &Path, key: &RunKey) -> PathBuf {
    state.join("shared-scratch").join(key.to_string())
}

fn on_disk(state: &Path, key: &RunKey) -> PathBuf {
    state.join("scratch").join(key.to_string())
}

/// The private scratch folder of a key: several state folders share the root.
fn in_root(root: &Path, state: &Path, key: &RunKey) -> Result<PathBuf> {
    let state = std::path::absolute(state).map_err(state_io(state))?;
    let state = blake3::hash(state.as_os_str().as_encoded_bytes()).to_hex();
    Ok(root.join(format!("{}-{key}", &state[..16])))
}

/// The folder of this user for the scratch folders of tasks with private columns. It may not exist yet.
pub(crate) fn private_root() -> Result<PathBuf> {
    let folder = match std::env::var_os(PRIVATE_SCRATCH) {
        Some(folder) => PathBuf::from(folder),
        None => in_memory()?,
    };
    Ok(folder.join(format!("weir-{}", rustix::process::getuid().as_raw())))
}

/// Creates a folder that only this user can read.
fn make_private(folder: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(state_io(folder))?;
    // Somebody else may have made it, to read what is written there.
    let owner = std::fs::symlink_metadata(folder).map_err(state_io(folder))?;
    if !owner.is_dir() || owner.uid() != rustix::process::getuid().as_raw() || owner.mode() & 0o077 != 0 {
        let help = format!("remove it, or name another folder in {PRIVATE_SCRATCH}");
        return Err(Error::state(folder, "belongs to another user, or others can read it", help));
    }
    Ok(())
}

/// The folder in memory that Linux has.
fn in_memory() -> Result<PathBuf> {
    let folder = PathBuf::from("/dev/shm");
    match rustix::fs::statfs(&folder) {
        Ok(of) if IN_MEMORY.contains(&(of.f_type as u64)) => Ok(folder),
        _ => {
            let message =
                "is not in memory, and a task with private columns writes nothing to a disk that it does not protect";
            let help = format!(
                "mount a tmpfs there, or name a folder in {PRIVATE_SCRATCH}: another tmpfs, or one of an encrypted disk"
            );
            Err(Error::state(&folder, message, help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_run_has_left_is_removed_wherever_it_was() {
        let state = tempfile::tempdir().unwrap();
        let key = RunKey::new("patients", "default");
        for is_private in [false, true] {
            let folder = ScratchFolder::create(state.path(), &key, is_private).unwrap();
            let path = folder.path().to_owned();
            std::fs::write(path.join("rows"), "Ann").unwrap();
            std::mem::forget(folder); // it dies
            assert_eq!(path.starts_with(state.path()), !is_private);
            ScratchFolder::clear(state.path(), &key).unwrap();
            assert!(!path.exists(), "{}", path.display());
        }
        let shared = tempfile::tempdir().unwrap();
        let folder = ScratchFolder::create_shared(shared.path(), state.path(), &key).unwrap();
        let path = folder.path().to_owned();
        std::mem::forget(folder);
        assert!(path.starts_with(shared.path()) && path.exists());
        drop(ScratchFolder::create_shared(shared.path(), state.path(), &key).unwrap());
        assert_eq!(std::fs::read_dir(shared.path()).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(state.path().join("shared-scratch")).unwrap().count(), 0);
        let error = ScratchFolder::create_shared(&shared.path().join("no"), state.path(), &key).unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
