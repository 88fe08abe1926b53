//! The text of a file from beginning to end, compressed or not.

use std::fmt::Debug;
use std::io::{BufRead, Read};

use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;

use super::charset::{Charset, Decoded};
use crate::error::{Error, Result};
use crate::format::compression_of_name;
use crate::place::{FoundFile, RangeReader};
use crate::task::Compression;

/// Bytes per read of a compressed file.
const COMPRESSED_BYTES: u64 = 128 << 10;

/// The compression of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain,
    Gzip,
    Zstd,
}

impl Codec {
    /// By the task, or by the suffix of the file's name.
    pub(crate) fn of(name: &str, declared: Option<Compression>) -> Self {
        match declared.or_else(|| compression_of_name(name)) {
            Some(Compression::Gzip) => Self::Gzip,
            Some(Compression::Zstd) => Self::Zstd,
            Some(Compression::None | Compression::Snappy) | None => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "Zstandard",
        }
    }
}

/// An open file, or the text of another origin. It is read forwards; the last bytes can be read again.
#[derive(Debug)]
pub(crate) enum TextStream {
    Plain(RangeReader),
    Compressed(Box<Forward<Decompressed>>),
    Decoded(Box<Forward<Decoded>>),
    Forward(Box<Forward<Box<dyn Fill>>>),
}

impl TextStream {
    pub(crate) fn open(file: &FoundFile, codec: Codec, charset: Option<Charset>) -> Result<Self> {
        let reader = file.open()?;
        Ok(match (codec, charset) {
            (Codec::Plain, None) => Self::Plain(reader),
            (codec, None) => Self::Compressed(Box::new(Forward::new(Decompressed::new(reader, codec)?))),
            (codec, Some(charset)) => {
                Self::Decoded(Box::new(Forward::new(Decoded::new(Decompressed::new(reader, codec)?, charset))))
            }
        })
    }

    /// A text that is read from beginning to end, once.
    pub(crate) fn forward(text: Box<dyn Fill>) -> Self {
        Self::Forward(Box::new(Forward::new(text)))
    }

    /// The text from `start`, `length` bytes of it or all there is; and whether it certainly ends there.
    pub(crate) fn read(&mut self, start: u64, length: usize) -> Result<(Bytes, bool)> {
        match self {
            Self::Plain(reader) => {
                let bytes = reader.read(start, length as u64)?;
                let is_last = start + bytes.len() as u64 >= reader.size();
                Ok((bytes, is_last))
            }
            Self::Compressed(stream) => stream.read(start, length),
            Self::Decoded(stream) => stream.read(start, length),
            Self::Forward(stream) => stream.read(start, length),
        }
    }

    /// Bytes of the file that were read since the previous call, for `advance` bytes of text.
    pub(crate) fn taken(&mut self, advance: u64) -> u64 {
        match self {
            Self::Plain(_) | Self::Forward(_) => advance,
            Self::Compressed(stream) => stream.source.taken(),
            Self::Decoded(stream) => stream.source.source.taken(),
        }
    }

    /// The estimated length of the whole text, from the part that was read.
    pub(crate) fn estimated_length(&self) -> u64 {
        match self {
            Self::Plain(reader) => reader.size(),
            Self::Compressed(stream) => stream.source.grown(stream.end()),
            Self::Decoded(stream) => stream.source.source.grown(stream.end()),
            Self::Forward(stream) => stream.end(),
        }
    }

    /// Fails if the file is not the version that it was when the run began.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        match self {
            Self::Plain(reader) => reader.check_unchanged(),
            Self::Compressed(stream) => stream.source.file().reader.check_unchanged(),
            Self::Decoded(stream) => stream.source.source.file().reader.check_unchanged(),
            Self::Forward(_) => Ok(()),
        }
    }
}

/// A text that arrives from beginning to end, once.
pub(crate) trait Fill: Debug + Send {
    /// Appends text until there are `length` bytes, or a few more, or the end is reached; returns whether it is.
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool>;
}

/// Opens such a text: the result of a database query, a response over the network.
pub(crate) trait OpenText: Debug + Send + Sync {
    /// Opens it at its beginning.
    fn open(&self) -> Result<Box<dyn Fill>>;
}

impl Fill for Box<dyn Fill> {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        self.as_mut().fill(bytes, length)
    }
}

/// Buffers the last bytes of such a text: the cursor re-reads those that it did not use.
#[derive(Debug)]
pub(crate) struct Forward<S> {
    source: S,
    /// The last bytes, which begin at `start`.
    last: Bytes,
    start: u64,
    is_at_end: bool,
}

impl<S: Fill> Forward<S> {
    fn new(source: S) -> Self {
        Self { source, last: Bytes::new(), start: 0, is_at_end: false }
    }

    fn read(&mut self, start: u64, length: usize) -> Result<(Bytes, bool)> {
        // The header was read when the file was checked, and is skipped when its records are read.
        while self.end() < start && !self.is_at_end {
            let length = (start - self.end()).min(COMPRESSED_BYTES) as usize;
            let mut passed = Vec::with_capacity(length);
            self.is_at_end = self.source.fill(&mut passed, length)?;
            (self.start, self.last) = (self.end(), passed.into());
        }
        let start = start.min(self.end());
        let mut rest = self.last.slice((start - self.start) as usize..);
        if rest.len() < length && !self.is_at_end {
            let mut bytes = Vec::with_capacity(length);
            bytes.extend_from_slice(&rest);
            self.is_at_end = self.source.fill(&mut bytes, length)?;
            rest = bytes.into();
            (self.last, self.start) = (rest.clone(), start);
        }
        let is_last = self.is_at_end && rest.len() <= length;
        rest.truncate(length);
        Ok((rest, is_last))
    }

    /// The end of the buffered text.
    fn end(&self) -> u64 {
        self.start + self.last.len() as u64
    }
}

/// The bytes of a file, decompressed if it is compressed.
#[derive(Debug)]
pub(crate) struct Decompressed {
    decoder: Decoder,
    codec: Codec,
    /// Bytes of the file that were reported already.
    reported: u64,
}

enum Decoder {
    Plain(Box<Compressed>),
    Gzip(Box<MultiGzDecoder<Compressed>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Compressed>>),
}

impl Decompressed {
    fn new(reader: RangeReader, codec: Codec) -> Result<Self> {
        if reader.size() == 0 && codec != Codec::Plain {
            let message = format!("is empty, which is not valid for a {} file", codec.name());
            return Err(Error::input(reader.name(), message, "remove the file, or write it again"));
        }
        let name = reader.name().to_owned();
        let file = Compressed { reader, at: 0, chunk: Bytes::new() };
        let decoder = match codec {
            Codec::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(file);
                let help = "free some memory and start the run again";
                Decoder::Zstd(Box::new(decoder.map_err(|error| Error::input(name, error, help))?))
            }
            Codec::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(file))),
            Codec::Plain => Decoder::Plain(Box::new(file)),
        };
        Ok(Self { decoder, codec, reported: 0 })
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        self.file().reader.name()
    }

    /// Bytes of the file that were read since the previous call.
    fn taken(&mut self) -> u64 {
        let consumed = self.file().consumed();
        consumed - std::mem::replace(&mut self.reported, consumed)
    }

    /// The estimated length of the whole text, of which this was read.
    fn grown(&self, text: u64) -> u64 {
        let file = self.file();
        let grown = u128::from(file.reader.size()) * u128::from(text) / file.consumed().max(1) as u128;
        grown.min(1 << 50) as u64
    }

    fn file(&self) -> &Compressed {
        match &self.decoder {
            Decoder::Plain(file) => file,
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
        }
    }

    /// An error of the decoder; an error of the underlying file is returned unchanged.
    fn failed(&self, error: std::io::Error) -> Error {
        let message = format!("its {} data is damaged or truncated: {error}", self.codec.name());
        match error.downcast::<Error>() {
            Ok(own) => own,
            Err(_) => Error::input(self.file().reader.name(), message, "write the complete file again"),
        }
    }
}

impl Fill for Decompressed {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        let missing = (length - bytes.len()) as u64;
        let read = match &mut self.decoder {
            Decoder::Plain(file) => file.take(missing).read_to_end(bytes),
            Decoder::Gzip(decoder) => decoder.take(missing).read_to_end(bytes),
            Decoder::Zstd(decoder) => decoder.take(missing).read_to_end(bytes),
        };
        match read {
            Ok(read) => Ok((read as u64) < missing),
            Err(error) => Err(self.failed(error)),
        }
    }
}

impl Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        })
    }
}

/// A compressed file from beginning to end.
#[derive(Debug)]
struct Compressed {
    reader: RangeReader,
    /// The offset of the next chunk.
    at: u64,
    chunk: Bytes,
}

impl Compressed {
    fn consumed(&self) -> u64 {
        self.at - self.chunk.len() as u64
    }
}

impl BufRead for Compressed {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.reader.read(self.at, COMPRESSED_BYTES).map_err(std::io::Error::other)?;
            self.at += self.chunk.len() as u64;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl Read for Compressed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let chunk = self.fill_buf()?;
        let length = chunk.len().min(into.len());
        into[..length].copy_from_slice(&chunk[..length]);
        self.consume(length);
        Ok(length)
    }
}
