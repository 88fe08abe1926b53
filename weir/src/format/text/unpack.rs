//! The bytes of a file, decompressed.

use std::fmt::Debug;
use std::io::{self, BufRead, Read, Take};

use bytes::{Buf, Bytes};
use bzip2::bufread::MultiBzDecoder;
use crc32fast::Hasher;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use lzma_rust2::XzReader;

use super::members::{Member, Packed};
use super::stream::Fill;
use crate::error::{Error, Result};
use crate::format::compression_of_name;
use crate::place::RangeReader;
use crate::task::Compression;

/// Bytes per read of a compressed file.
pub(super) const COMPRESSED_BYTES: u64 = 128 << 10;

/// The most memory of a decoder of xz, in KiB: its dictionary is as large as the file says.
const XZ_MEMORY: u32 = 512 << 10;

/// The compression of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    /// A member of a zip archive.
    Member(Member),
}

impl Codec {
    /// By the task, or by the suffix of the file's name. A zip archive has members, which have codecs of their own.
    pub(crate) fn of(name: &str, declared: Option<Compression>) -> Self {
        match declared.or_else(|| compression_of_name(name)) {
            Some(Compression::Gzip) => Self::Gzip,
            Some(Compression::Zstd) => Self::Zstd,
            Some(Compression::Bzip2) => Self::Bzip2,
            Some(Compression::Xz) => Self::Xz,
            Some(Compression::None | Compression::Snappy | Compression::Zip) | None => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "Zstandard",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Member(_) => "zip",
        }
    }
}

/// The bytes of a file, decompressed if it is compressed.
#[derive(Debug)]
pub(crate) struct Decompressed {
    decoder: Box<dyn Unpack>,
    codec: Codec,
    /// Bytes of the file that were reported already.
    reported: u64,
}

/// A decoder over a file.
trait Unpack: Read + Send {
    /// The file.
    fn file(&self) -> &Compressed;
}

impl Decompressed {
    pub(super) fn new(reader: RangeReader, codec: Codec) -> Result<Self> {
        if reader.size() == 0 && codec != Codec::Plain {
            let message = format!("is empty, which is not valid for a {} file", codec.name());
            return Err(Error::input(reader.name(), message, "remove the file, or write it again"));
        }
        let name = reader.name().to_owned();
        let (at, end) = match codec {
            Codec::Member(member) => (member.start, member.start + member.packed_bytes),
            _ => (0, reader.size()),
        };
        let file = Compressed { reader, at, end, begin: at, chunk: Bytes::new() };
        let decoder: Box<dyn Unpack> = match codec {
            Codec::Plain => Box::new(file),
            Codec::Gzip => Box::new(MultiGzDecoder::new(file)),
            Codec::Bzip2 => Box::new(MultiBzDecoder::new(file)),
            Codec::Xz => Box::new(XzReader::new_mem_limit(file, true, XZ_MEMORY)),
            Codec::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(file);
                let help = "free some memory and start the run again";
                Box::new(decoder.map_err(|error| Error::input(name, error, help))?)
            }
            Codec::Member(member) => match member.packed {
                Packed::Stored => Box::new(Checked::new(file, member)),
                Packed::Deflated => Box::new(Checked::new(DeflateDecoder::new(file), member)),
            },
        };
        Ok(Self { decoder, codec, reported: 0 })
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        self.decoder.file().reader.name()
    }

    /// Fails if the file is not the version that it was when the run began.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        self.decoder.file().reader.check_unchanged()
    }

    /// Bytes of the file that were read since the previous call.
    pub(super) fn taken(&mut self) -> u64 {
        let consumed = self.decoder.file().consumed();
        consumed - std::mem::replace(&mut self.reported, consumed)
    }

    /// The estimated length of the whole text, of which this was read.
    pub(super) fn grown(&self, text: u64) -> u64 {
        let file = self.decoder.file();
        let grown = u128::from(file.end - file.begin) * u128::from(text) / u128::from(file.consumed().max(1));
        grown.min(1 << 50) as u64
    }

    /// An error of the decoder; an error of the underlying file is returned unchanged.
    fn failed(&self, error: io::Error) -> Error {
        let message = format!("its {} data is damaged or truncated: {error}", self.codec.name());
        match error.downcast::<Error>() {
            Ok(own) => own,
            Err(_) => Error::input(self.name(), message, "write the complete file again"),
        }
    }
}

impl Fill for Decompressed {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        let missing = length.saturating_sub(bytes.len()) as u64;
        match Read::take(&mut self.decoder, missing).read_to_end(bytes) {
            Ok(read) => Ok((read as u64) < missing),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn file(&mut self) -> Option<&mut Decompressed> {
        Some(self)
    }
}

impl Debug for dyn Unpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpack").field("file", self.file()).finish()
    }
}

/// The bytes of a file, or of a part of it, from beginning to end.
#[derive(Debug)]
struct Compressed {
    reader: RangeReader,
    begin: u64,
    end: u64,
    /// The offset of the next chunk.
    at: u64,
    chunk: Bytes,
}

impl Compressed {
    fn consumed(&self) -> u64 {
        self.at - self.begin - self.chunk.len() as u64
    }
}

impl Unpack for Compressed {
    fn file(&self) -> &Compressed {
        self
    }
}

impl Unpack for MultiGzDecoder<Compressed> {
    fn file(&self) -> &Compressed {
        self.get_ref()
    }
}

impl Unpack for MultiBzDecoder<Compressed> {
    fn file(&self) -> &Compressed {
        self.get_ref()
    }
}

impl Unpack for XzReader<Compressed> {
    fn file(&self) -> &Compressed {
        self.inner()
    }
}

impl Unpack for DeflateDecoder<Compressed> {
    fn file(&self) -> &Compressed {
        self.get_ref()
    }
}

impl Unpack for zstd::stream::read::Decoder<'static, Compressed> {
    fn file(&self) -> &Compressed {
        self.get_ref()
    }
}

impl BufRead for Compressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            let length = COMPRESSED_BYTES.min(self.end - self.at);
            self.chunk = self.reader.read(self.at, length).map_err(io::Error::other)?;
            self.at += self.chunk.len() as u64;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl Read for Compressed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let length = chunk.len().min(into.len());
        into[..length].copy_from_slice(&chunk[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// The text of a member of an archive, which has its length and its checksum.
struct Checked<R> {
    text: Take<R>,
    hasher: Hasher,
    member: Member,
}

impl<R: Read> Checked<R> {
    fn new(text: R, member: Member) -> Self {
        Self { text: text.take(member.bytes), hasher: Hasher::new(), member }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(into)?;
        self.hasher.update(&into[..read]);
        if read == 0 && !into.is_empty() {
            let damaged = |message| Err(io::Error::new(io::ErrorKind::InvalidData, message));
            if self.text.limit() > 0 {
                return damaged("the member ends too early");
            }
            if self.hasher.clone().finalize() != self.member.checksum {
                return damaged("its checksum is wrong");
            }
        }
        Ok(read)
    }
}

impl<R: Unpack> Unpack for Checked<R> {
    fn file(&self) -> &Compressed {
        self.text.get_ref().file()
    }
}
