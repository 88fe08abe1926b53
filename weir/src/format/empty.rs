//! Files without content.

use super::text::{Codec, HEAD_BYTES, TextStream, byte_order_mark};
use crate::error::{Error, Result};
use crate::place::FoundFile;
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

/// Whether an open file has no text: only a byte order mark and blank lines, if anything.
pub(crate) fn is_empty(file: &FoundFile, codec: Codec, stream: &mut TextStream) -> Result<bool> {
    if codec == Codec::Plain && file.size() > HEAD_BYTES as u64 {
        return Ok(false);
    }
    let (head, is_whole) = stream.read(0, 4)?;
    if is_whole || !is_blank(&head) {
        return Ok(is_whole && is_blank(&head));
    }
    let (head, is_whole) = stream.read(0, HEAD_BYTES)?;
    Ok(is_whole && is_blank(&head))
}

/// Whether a text is blank lines, behind a byte order mark or not.
pub(crate) fn is_blank(text: &[u8]) -> bool {
    text[byte_order_mark(text)..].iter().all(|byte| matches!(byte, b'\n' | b'\r'))
}
