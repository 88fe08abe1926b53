//! Files with pages that commands write.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::system::disk::write_whole;

/// Fails if a file is there that is no page of the command, by its mark: it is not overwritten. `of` says what such a page is.
pub(super) fn check_page(path: &Path, mark: &str, of: &str) -> Result<()> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let head = File::open(path).and_then(|file| {
        let mut head = Vec::new();
        file.take(4096).read_to_end(&mut head).map(|_| head)
    });
    let is_page = head.is_ok_and(|head| memchr::memmem::find(&head, mark.as_bytes()).is_some());
    match is_page {
        true => Ok(()),
        false => {
            let message = format!("{} exists, and is no page {of}: it is not overwritten", path.display());
            Err(Error::usage(message, "name another file with --output, or remove this one"))
        }
    }
}

/// Writes a page: it is complete, or as it was.
pub(super) fn write_page(path: &Path, html: &str) -> Result<()> {
    write_whole(path, html.as_bytes()).map_err(|error| {
        Error::usage(format!("{}: {error}", path.display()), "name a file in a writable folder with --output")
    })
}
