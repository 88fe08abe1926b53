//! Splits files into blocks of whole records, for any number of readers.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use memchr::{memchr, memchr_iter};

use super::charset::Charset;
use super::stream::{OpenText, TextStream};
use super::unpack::Codec;
use crate::error::Result;
use crate::place::FoundFile;

/// A text: a file with a checked header, or the result of another origin.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// The name as the user would write it.
    pub(crate) name: String,
    pub(crate) place: TextPlace,
    /// The offset of the first record.
    pub(crate) data_start: u64,
    /// That of the first one that is not read, if it is not read to its end.
    pub(crate) end: Option<u64>,
    /// Lines before the first record.
    pub(crate) header_lines: u64,
    /// The estimated number of records.
    pub(crate) estimated_rows: usize,
}

/// The location of a text.
#[derive(Debug, Clone)]
pub(crate) enum TextPlace {
    /// A file, its compression and its encoding. All offsets are in the text in UTF-8.
    File { file: Box<FoundFile>, codec: Codec, charset: Option<Charset> },
    /// Another origin, which returns the text from beginning to end.
    Stream(Arc<dyn OpenText>),
}

impl Text {
    /// The text of another origin, without a header.
    pub(crate) fn of_stream(name: String, text: Arc<dyn OpenText>) -> Self {
        Self { name, place: TextPlace::Stream(text), data_start: 0, end: None, header_lines: 0, estimated_rows: 0 }
    }

    pub(super) fn open(&self, ends: &dyn RecordEnds) -> Result<TextStream> {
        match &self.place {
            TextPlace::File { file, codec, charset } => {
                ends.records_of(TextStream::open(file, *codec, *charset)?, &self.name)
            }
            TextPlace::Stream(text) => Ok(TextStream::forward(text.open()?)),
        }
    }
}

/// A block that is handed out to a reader.
#[derive(Debug)]
pub(crate) struct Block {
    /// The index of its file.
    pub(crate) file: usize,
    /// The index of the block in its file, from 0.
    pub(crate) sequence: usize,
    /// Whole records, or the beginning of a single one that is too long.
    pub(crate) bytes: Bytes,
    /// Lines of the file before it, if they are counted.
    pub(crate) lines_before: u64,
    /// Whether the block is the beginning of a record that is too long.
    pub(crate) too_long: bool,
    /// Whether it certainly is the last one of its file.
    pub(crate) is_last: bool,
    /// Bytes of the file on disk that were read for it.
    pub(crate) taken: u64,
}

/// Where the records of a format end.
pub(crate) trait RecordEnds: Debug + Send + Sync {
    /// The text that has the records of a file, if it is not the text of the file itself.
    fn records_of(&self, text: TextStream, _name: &str) -> Result<TextStream> {
        Ok(text)
    }

    /// The end of the last complete record in `data`, which starts at a record's start; 0 if there is none.
    fn last_record_end(&self, data: &[u8], max_record: usize) -> usize;

    /// Where the rows end in `data`, the end of a text.
    fn last_row_end(&self, data: &[u8], _max_record: usize) -> usize {
        data.len()
    }

    /// The number of records that are kept back until it is known whether they are the last ones.
    fn kept_records(&self) -> usize {
        0
    }

    /// Whether the text is that of the file itself, and a part of it can be read alone.
    fn can_be_cut(&self) -> bool {
        self.kept_records() == 0
    }

    /// The byte with which lines end.
    fn line_end(&self) -> u8 {
        b'\n'
    }
}

/// The position in the files, shared by all readers of a scan.
#[derive(Debug)]
pub(crate) struct Cursor {
    files: Arc<[Text]>,
    ends: Arc<dyn RecordEnds>,
    block_bytes: usize,
    max_record: usize,
    /// The current file, once it is open.
    stream: Option<TextStream>,
    file: usize,
    sequence: usize,
    /// The start of the next block in the file's text.
    offset: u64,
    /// Lines before it, if a column has them.
    lines: Option<u64>,
}

impl Cursor {
    pub(crate) fn new(files: Arc<[Text]>, ends: Arc<dyn RecordEnds>, block_bytes: usize, max_record: usize) -> Self {
        Self { files, ends, block_bytes, max_record, stream: None, file: 0, sequence: 0, offset: 0, lines: None }
    }

    /// Counts the lines before each block.
    pub(crate) fn counting_lines(self, counts: bool) -> Self {
        Self { lines: counts.then_some(0), ..self }
    }

    /// The next block; `None` after the last file.
    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        let files = self.files.clone();
        while let Some(file) = files.get(self.file) {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => {
                    (self.sequence, self.offset) = (0, file.data_start);
                    self.lines = self.lines.map(|_| file.header_lines);
                    file.open(self.ends.as_ref())?
                }
            };
            let block = self.cut(&mut stream, file.end)?;
            if block.is_some() {
                self.stream = Some(stream);
                return Ok(block);
            }
            stream.check_unchanged()?;
            self.file += 1;
        }
        Ok(None)
    }

    /// Reads from the offset until there is a whole record, and cuts after the last one.
    fn cut(&mut self, stream: &mut TextStream, text_end: Option<u64>) -> Result<Option<Block>> {
        let mut length = self.block_bytes;
        let left = text_end.map_or(u64::MAX, |end| end.saturating_sub(self.offset)).try_into().unwrap_or(usize::MAX);
        let most = self.max_record.saturating_mul(self.ends.kept_records() + 1);
        loop {
            let (bytes, is_last) = stream.read(self.offset, length.min(left))?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if bytes.len() == left {
                // A part ends where a record does.
                let all = left as u64;
                return Ok(Some(self.block(stream, bytes, all, false)));
            }
            let end = match is_last {
                true => self.ends.last_row_end(&bytes, self.max_record),
                false => self.ends.last_record_end(&bytes, self.max_record),
            };
            if end > 0 {
                let block = self.block(stream, bytes.slice(..end), end as u64, false);
                return Ok(Some(Block { is_last, ..block }));
            }
            if is_last {
                return Ok(None);
            }
            if length > most {
                let skipped = self.skip_line(stream)?;
                return Ok(Some(self.block(stream, bytes, skipped, true)));
            }
            length = (length * 2).min(most + 1);
        }
    }

    fn block(&mut self, stream: &mut TextStream, bytes: Bytes, advance: u64, too_long: bool) -> Block {
        let taken = stream.taken(advance);
        let lines_before = self.lines.unwrap_or_default();
        self.lines = self.lines.map(|lines| match too_long {
            true => lines + 1,
            false => lines + memchr_iter(self.ends.line_end(), &bytes).count() as u64,
        });
        let (file, sequence) = (self.file, self.sequence);
        let block = Block { file, sequence, bytes, lines_before, too_long, is_last: false, taken };
        self.sequence += 1;
        self.offset += advance;
        block
    }

    /// The number of bytes to the end of the line at the offset.
    fn skip_line(&self, stream: &mut TextStream) -> Result<u64> {
        let mut skipped = 0;
        loop {
            let (bytes, _) = stream.read(self.offset + skipped, self.block_bytes)?;
            match memchr(self.ends.line_end(), &bytes) {
                Some(end) => return Ok(skipped + end as u64 + 1),
                None if bytes.is_empty() => return Ok(skipped),
                None => skipped += bytes.len() as u64,
            }
        }
    }
}
