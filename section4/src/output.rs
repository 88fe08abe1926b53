//! Where results go: standard output, or a file.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Error, Result};

/// Prints. Whoever reads no further than the first lines (`head`) has what he wanted.
pub(crate) fn print(text: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Puts a whole file in the place of another one, so that nobody sees a part of it.
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
            let message = if missing { "its folder is not there".to_owned() } else { error.to_string() };
            let help = if missing { "make the folder first" } else { "write to a folder that you may write to" };
            Err(Error::File { path: path.display().to_string(), message, help })
        }
    }
}
