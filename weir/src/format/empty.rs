//! Files without content.

use crate::error::{Error, Result};
use crate::task::IfEmpty;

/// Fails about a file without content, unless it has to be skipped.
pub(crate) fn no_content(name: &str, default: IfEmpty, chosen: Option<IfEmpty>) -> Result<()> {
    match chosen.unwrap_or(default) {
        IfEmpty::Skip => Ok(()),
        IfEmpty::Fail => Err(Error::input(
            name,
            "is empty",
            "write it again or remove it, or specify `if_empty: skip` in the source to read no rows from such a file",
        )),
    }
}
