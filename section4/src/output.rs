//! Writes results to standard output or to a file.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Error, Result};

/// Prints to standard output. A closed pipe (`head`) is not an error.
pub(crate) fn print(text: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether the environment asks for text without escape sequences (<https://no-color.org>).
pub(crate) fn is_plain() -> bool {
    let is_set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    is_set("NO_COLOR").is_some() || is_set("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// Prints a line to standard error. Unlike `eprintln`, it does not panic if that is a closed pipe (`2>&1 | head`).
pub(crate) fn complain(line: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Replaces a file atomically, so that readers never see a partial one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let replace = || {
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        file.write_all(content)?;
        file.persist(path).map_err(|error| error.error)
    };
    match replace() {
        Ok(_) => Ok(()),
        Err(error) => {
            let missing = !folder.is_dir();
            let message = if missing { "its folder does not exist".to_owned() } else { error.to_string() };
            let help = if missing { "create the folder first" } else { "choose a writable folder" };
            Err(Error::File { path: path.display().to_string(), message, help })
        }
    }
}
