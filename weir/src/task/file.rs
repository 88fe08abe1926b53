//! Files written by users: task files and SQL. They are small, and text.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A larger file is rejected: task files are reviewed by people.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a whole file; the error describes the problem. Pipes and devices are not opened: they may have no end.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let io = |error: std::io::Error| error.to_string();
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        format!("is not UTF-8 at line {line}: save it in UTF-8")
    })
}
