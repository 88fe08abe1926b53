//! The members of a zip archive.

use std::io::{self, Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

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
    const PACK: &str = "write the archive again";
    let damaged = |error: &dyn std::fmt::Display| {
        Error::input(&file.name, format!("its zip archive is damaged or truncated: {error}"), PACK)
    };
    let reader = file.open()?;
    let mut archive = ZipArchive::new(Seekable { reader, at: 0 }).map_err(|error| damaged(&error))?;
    let mut members = Vec::with_capacity(archive.len());
    for at in 0..archive.len() {
        let member = archive.by_index_raw(at).map_err(|error| damaged(&error))?;
        let name = member.name().map_err(|error| damaged(&error))?.into_owned();
        if member.is_dir() || name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX") {
            continue;
        }
        let refused = |message: &str, help: &str| Err(Error::input(format!("{}/{name}", file.name), message, help));
        if member.encrypted() {
            return refused("is encrypted", "unpack the archive with its password, and read the files");
        }
        let packed = match member.compression() {
            CompressionMethod::Stored => Packed::Stored,
            CompressionMethod::Deflated => Packed::Deflated,
            _ => return refused("is compressed in a way that only few programs know", "pack the archive with `deflate`, as most do"),
        };
        let start = member.data_start().ok_or_else(|| damaged(&"a member has no data"))?;
        let (packed_bytes, bytes, checksum) = (member.compressed_size(), member.size(), member.crc32());
        if start.checked_add(packed_bytes).is_none_or(|end| end > file.size()) {
            return Err(damaged(&"a member is longer than the archive"));
        }
        members.push((name, Member { start, packed_bytes, packed, bytes, checksum }));
    }
    if members.is_empty() {
        return Err(Error::input(&file.name, "is an archive without files", "remove it, or write it again"));
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(members)
}

/// A file that can be read at any place.
pub(in crate::format) struct Seekable {
    pub(in crate::format) reader: RangeReader,
    pub(in crate::format) at: u64,
}

impl Read for Seekable {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(self.at, into.len() as u64).map_err(io::Error::other)?;
        into[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Seekable {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.reader.size().checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
