//! The text of a file from beginning to end, compressed or not.

#[cfg(feature = "excel")]
use std::any::Any;
use std::fmt::Debug;
#[cfg(feature = "excel")]
use std::sync::Arc;

use bytes::Bytes;

use super::charset::{Charset, Decoded};
use super::unpack::{COMPRESSED_BYTES, Codec, Decompressed};
use crate::error::Result;
use crate::place::{FoundFile, RangeReader};

/// An open file, or the text of another origin. It is read forwards; the last bytes can be read again.
#[derive(Debug)]
pub(crate) enum TextStream {
    /// A file that is the text.
    Plain(RangeReader),
    /// A text that is made of a file's bytes, or of another origin.
    Forward(Box<Forward>),
}

impl TextStream {
    pub(crate) fn open(file: &FoundFile, codec: Codec, charset: Option<Charset>) -> Result<Self> {
        let reader = file.open()?;
        if codec == Codec::Plain && charset.is_none() {
            return Ok(Self::Plain(reader));
        }
        let bytes = Decompressed::new(reader, codec)?;
        Ok(match charset {
            None => Self::forward(Box::new(bytes)),
            Some(charset) => Self::forward(Box::new(Decoded::new(bytes, charset))),
        })
    }

    /// A text that is read from beginning to end, once.
    pub(crate) fn forward(text: Box<dyn Fill>) -> Self {
        Self::Forward(Box::new(Forward::new(text)))
    }

    /// The text from its beginning, of which no more was read than one call returns.
    pub(crate) fn into_text(self) -> Result<Box<dyn Fill>> {
        match self {
            Self::Plain(reader) => Ok(Box::new(Decompressed::new(reader, Codec::Plain)?)),
            Self::Forward(stream) => Ok(stream),
        }
    }

    /// The text from `start`, `length` bytes of it or all there is; and whether it certainly ends there.
    pub(crate) fn read(&mut self, start: u64, length: usize) -> Result<(Bytes, bool)> {
        match self {
            Self::Plain(reader) => {
                let bytes = reader.read(start, length as u64)?;
                let is_last = start + bytes.len() as u64 >= reader.size();
                Ok((bytes, is_last))
            }
            Self::Forward(stream) => stream.read(start, length),
        }
    }

    /// Bytes of the file that were read since the previous call, for `advance` bytes of text.
    pub(crate) fn taken(&mut self, advance: u64) -> u64 {
        match self {
            Self::Plain(_) => advance,
            Self::Forward(stream) => stream.source.file().map_or(advance, Decompressed::taken),
        }
    }

    /// The estimated length of the whole text, from the part that was read.
    pub(crate) fn estimated_length(&mut self) -> u64 {
        match self {
            Self::Plain(reader) => reader.size(),
            Self::Forward(stream) => {
                let end = stream.end();
                if let Some(length) = stream.source.length() {
                    return length;
                }
                stream.source.file().map_or(end, |file| file.grown(end))
            }
        }
    }

    /// What the text was made of, if its origin keeps it.
    #[cfg(feature = "excel")]
    pub(crate) fn origin(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        match self {
            Self::Plain(_) => None,
            Self::Forward(stream) => stream.source.origin(),
        }
    }

    /// Fails if the file is not the version that it was when the run began.
    pub(crate) fn check_unchanged(&mut self) -> Result<()> {
        match self {
            Self::Plain(reader) => reader.check_unchanged(),
            Self::Forward(stream) => stream.source.file().map_or(Ok(()), |file| file.check_unchanged()),
        }
    }
}

/// A text that arrives from beginning to end, once.
pub(crate) trait Fill: Debug + Send {
    /// Appends text until there are `length` bytes, or a few more, or the end is reached; returns whether it is.
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool>;

    /// The file that it is made of, if there is one.
    fn file(&mut self) -> Option<&mut Decompressed> {
        None
    }

    /// The length of the whole text, if it is known.
    fn length(&self) -> Option<u64> {
        None
    }

    /// What it was made of, if its reader has to know more than the text.
    #[cfg(feature = "excel")]
    fn origin(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}

/// Opens such a text: the result of a database query, a response over the network.
pub(crate) trait OpenText: Debug + Send + Sync {
    /// Opens it at its beginning.
    fn open(&self) -> Result<Box<dyn Fill>>;
}

/// Buffers the last bytes of such a text: the cursor re-reads those that it did not use.
#[derive(Debug)]
pub(crate) struct Forward {
    source: Box<dyn Fill>,
    /// The last bytes, which begin at `start`.
    last: Bytes,
    start: u64,
    is_at_end: bool,
}

impl Forward {
    fn new(source: Box<dyn Fill>) -> Self {
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

/// The text from the first byte that is buffered.
impl Fill for Forward {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        bytes.extend_from_slice(&std::mem::take(&mut self.last));
        if self.is_at_end { Ok(true) } else { self.source.fill(bytes, length) }
    }

    fn file(&mut self) -> Option<&mut Decompressed> {
        self.source.file()
    }
}
