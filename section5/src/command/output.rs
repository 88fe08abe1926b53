//! Output of the commands: files, written atomically, and standard output.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Error, Result};

/// Writes to a file if one is given, otherwise to standard output.
pub(super) fn write_or_print(path: Option<&Path>, text: &[u8]) -> Result<()> {
    match path {
        Some(path) => write(path, text),
        None => print(text),
    }
}

/// Prints to standard output. A closed pipe (`head`) is not an error.
pub(super) fn print(text: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a line to standard error. Unlike `eprintln`, it does not panic if that is a closed pipe (`2>&1 | head`).
pub(super) fn complain(line: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Checks that the folder of a file exists, before work that takes long.
pub(super) fn expect_folder(path: &Path) -> Result<()> {
    if folder_of(path).is_dir() {
        return Ok(());
    }
    Err(Error::File {
        path: path.display().to_string(),
        message: "its folder does not exist".to_owned(),
        help: "create the folder first",
    })
}

/// Replaces a file atomically, so that readers never see a partial one.
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
        help: "choose a writable folder",
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
