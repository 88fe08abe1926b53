//! Paths as text that can be shown and kept, also where a name is not UTF-8.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What stands before a path whose bytes are escaped. A plain path that is kept begins with a slash.
const ESCAPED: &str = "bytes:";

/// The path as it is shown: bytes that are not UTF-8 as `\xe4`.
pub(crate) fn shown(path: &Path) -> String {
    path.to_str().map_or_else(|| escaped(path), str::to_owned)
}

/// The path as a text from which it can be made again.
pub(crate) fn kept(path: &Path) -> String {
    path.to_str().map_or_else(|| format!("{ESCAPED}{}", escaped(path)), str::to_owned)
}

/// The path of a text that was kept.
pub(crate) fn path_of(kept: &str) -> PathBuf {
    let Some(escaped) = kept.strip_prefix(ESCAPED) else { return PathBuf::from(kept) };
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = match after {
            [b'x', high, low, ..] if *first == b'\\' => {
                let digits = [*high, *low];
                let byte = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                byte.map(|byte| (byte, 4))
            }
            [b'\\', ..] if *first == b'\\' => Some((b'\\', 2)),
            _ => None,
        };
        let (byte, length) = byte.unwrap_or((*first, 1));
        bytes.push(byte);
        rest = &rest[length..];
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(bytes: &[u8]) -> PathBuf {
        PathBuf::from(OsString::from_vec(bytes.to_vec()))
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_shown_escaped() {
        assert_eq!(shown(&path(b"in/M\xe4rz.csv")), r"in/M\xe4rz.csv");
        assert_eq!(shown(Path::new(r"in/März\.csv")), r"in/März\.csv");
        assert_eq!(kept(&path(b"/in/M\xe4\\rz.csv")), r"bytes:/in/M\xe4\\rz.csv");
        assert_eq!(kept(Path::new(r"/in/\xe4.csv")), r"/in/\xe4.csv");
    }

    proptest! {
        #[test]
        fn every_absolute_path_comes_back(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x'), Just(b'5')], 0..30)) {
            let path = Path::new("/").join(path(&bytes));
            prop_assert_eq!(path_of(&kept(&path)), path);
        }
    }
}
