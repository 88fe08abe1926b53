//! Whether standard output could be written.

use std::io::{Error, ErrorKind, Result};
use std::sync::OnceLock;

static FAILURE: OnceLock<Error> = OnceLock::new();

/// Keeps the first failure. A reader that has read enough (`| head`) is none.
pub(super) fn written(result: Result<()>) {
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = FAILURE.set(error); // the first one is there
    }
}

/// Why not all of the output was written, if so.
pub(super) fn failure() -> Option<&'static Error> {
    FAILURE.get()
}
