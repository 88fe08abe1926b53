//! What verbs write: files as a whole or not at all, and standard output.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Error, Result};

/// Writes to a file if one is named, and prints otherwise.
pub(super) fn write_or_print(path: Option<&Path>, text: &[u8]) -> Result<()> {
    match path {
        Some(path) => write(path, text),
        None => print(text),
    }
}

/// Whoever reads no further than the first lines (`head`) has what he wanted.
pub(super) fn print(text: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether a file can be written there at all: to be asked before work that takes a while.
pub(super) fn expect_folder(path: &Path) -> Result<()> {
    if folder_of(path).is_dir() {
        return Ok(());
    }
    Err(Error::File {
        path: path.display().to_string(),
        message: "its folder is not there".to_owned(),
        help: "make the folder first",
    })
}

/// Puts a whole file in the place of another one, so that nobody sees a part of it.
pub(super) fn write(path: &Path, text: &[u8]) -> Result<()> {
    let replace = || {
        let mut builder = tempfile::Builder::new();
        let mut file = builder.permissions(Permissions::from_mode(0o666)).tempfile_in(folder_of(path))?;
        file.write_all(text)?;
        file.persist(path).map_err(|error| error.error)
    };
    expect_folder(path)?;
    replace().map(|_| ()).map_err(|error| Error::File {
        path: path.display().to_string(),
        message: error.to_string(),
        help: "write to a folder that you may write to",
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
