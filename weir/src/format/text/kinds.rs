//! What a file is that is no text in UTF-8.

use super::charset::{UTF_32, UTF_32_HELP, is_utf_32, utf_16_of};
use crate::error::{Error, Result};

/// Rejects a text that is clearly not UTF-8.
pub(crate) fn check_text(head: &[u8], name: &str) -> Result<()> {
    let packed: [(&[u8], &str, &str); 5] = [
        (b"\x1f\x8b", "gzip", ".gz"),
        (b"\x28\xb5\x2f\xfd", "zstd", ".zst"),
        (b"1AY&SY", "bzip2", ".bz2"),
        (b"\xfd7zXZ\0", "xz", ".xz"),
        (b"PK\x03\x04", "zip", ".zip"),
    ];
    // A file of bzip2 has its level before the mark of its first block.
    let begins = |magic: &[u8]| match head.strip_prefix(b"BZh") {
        Some(rest) => rest.get(1..).is_some_and(|rest| rest.starts_with(magic)),
        None => head.starts_with(magic),
    };
    if is_tar(head) || is_packed_tar(name) {
        return Err(Error::input(
            name,
            "is a tar archive, which is not read",
            "unpack it: tar -xf; and name the files in it",
        ));
    }
    match packed.iter().find(|(magic, ..)| begins(magic)) {
        Some((_, "zip", _)) => Err(Error::input(
            name,
            "is a zip archive, as workbooks of Excel and OpenDocument are",
            "specify `format: excel` next to the path if it is a workbook; `compression: zip`, or the suffix .zip in its name, if it \
             is an archive of text files",
        )),
        Some((_, codec, extension)) => Err(Error::input(
            name,
            format!("is compressed with {codec}"),
            format!("use the suffix {extension} in its name, or specify `compression: {codec}` next to the path"),
        )),
        None => check_kind(head, name).and_then(|()| check_encoding(head, name)),
    }
}

/// Rejects a text in UTF-16 or UTF-32.
fn check_encoding(head: &[u8], name: &str) -> Result<()> {
    if is_utf_32(head) {
        return Err(Error::input(name, UTF_32, UTF_32_HELP));
    }
    if let Some(utf_16) = utf_16_of(head) {
        let help = format!("specify `encoding: {utf_16}` next to its path");
        return Err(Error::input(name, "is UTF-16, not UTF-8", help));
    }
    Ok(())
}

/// Whether a file is a tar archive, which has its mark behind the name of the first file.
fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// Whether a name is that of a compressed tar archive.
fn is_packed_tar(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".tgz", ".tbz2", ".tbz", ".txz", ".tzst"].iter().any(|suffix| name.ends_with(suffix))
}

/// Rejects a file that is no text at all.
fn check_kind(head: &[u8], name: &str) -> Result<()> {
    const UNPACK: &str = "unpack it, or compress it with gzip or Zstandard instead";
    let kinds: [(&[u8], &str, &str); 9] = [
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", UNPACK),
        (b"PAR1", "is a Parquet file", "specify `format: parquet`"),
        (b"Obj\x01", "is an Avro file", "specify `format: avro`"),
        (b"%PDF-", "is a PDF document", "export its table as CSV"),
        (b"\x04\x22\x4d\x18", "is compressed with lz4, which is not read", UNPACK),
        (b"\xff\x06\0\0sNaPpY", "is compressed with snappy, which is not read", UNPACK),
        (b"\x1f\x9d", "is compressed with compress, which is not read", UNPACK),
        (b"SQLite format 3\0", "is a database of SQLite", "export its tables as CSV"),
        (b"\xd0\xcf\x11\xe0", "is a workbook of Excel, or another document of Office", "specify `format: excel`"),
    ];
    match kinds.iter().find(|(magic, ..)| head.starts_with(magic)) {
        Some((_, what, help)) => Err(Error::input(name, what, help)),
        None => Ok(()),
    }
}
