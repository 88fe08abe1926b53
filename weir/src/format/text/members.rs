//! The members of a zip archive.

use std::fmt::Display;
use std::io;

use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipLocator};

use crate::error::{Error, Result};
use crate::place::{FoundFile, RangeReader};

/// A member of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Where its data begins in the archive, and how long it is there.
    pub(super) start: u64,
    pub(super) packed_bytes: u64,
    pub(super) packed: Packed,
    /// The length of its text, and its checksum.
    pub(super) bytes: u64,
    pub(super) checksum: u32,
}

/// How a member is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    Stored,
    Deflated,
}

/// The files in an archive, with their names, sorted. Hidden ones and those that macOS adds are none.
pub(super) fn members(file: &FoundFile) -> Result<Vec<(String, Member)>> {
    let damaged = |error: &dyn Display| {
        let message = format!("its zip archive is damaged or truncated: {error}");
        Error::input(&file.name, message, "write the complete archive again")
    };
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let (archive, mut listed) = (InArchive(file.open()?), vec![0; RECOMMENDED_BUFFER_SIZE]);
    let archive = ZipLocator::new().locate_in_reader(archive, &mut buffer, file.size());
    let archive = archive.map_err(|(_, error)| damaged(&error))?;
    let mut entries = archive.entries(&mut listed);
    let mut members = Vec::new();
    while let Some(entry) = entries.next_entry().map_err(|error| damaged(&error))? {
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        if entry.is_dir() || name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX") {
            continue;
        }
        let refused = |message: &str, help: &str| Err(Error::input(format!("{}/{name}", file.name), message, help));
        if entry.flags().is_encrypted() {
            return refused("is encrypted", "unpack the archive with its password, and read the files");
        }
        let packed = match entry.compression_method() {
            CompressionMethod::STORE => Packed::Stored,
            CompressionMethod::DEFLATE => Packed::Deflated,
            _ => {
                let help = "pack the archive with `deflate`, as most programs do; or unpack it, and read the files";
                return refused("is compressed in a way other than `deflate`", help);
            }
        };
        let found = archive.get_entry(entry.wayfinder()).map_err(|error| damaged(&error))?;
        let (start, end) = found.compressed_data_range();
        if end > file.size() {
            return Err(damaged(&"a member is longer than the archive"));
        }
        let (bytes, checksum) = (entry.uncompressed_size_hint(), entry.crc32());
        members.push((name, Member { start, packed_bytes: end - start, packed, bytes, checksum }));
    }
    if members.is_empty() {
        return Err(Error::input(&file.name, "is an archive without files", "remove it, or write it again"));
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(members)
}

/// An archive that is read at any place.
struct InArchive(RangeReader);

impl ReaderAt for InArchive {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let bytes = self.0.read(at, into.len() as u64).map_err(io::Error::other)?;
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}
