//! Files are handed out as blocks of whole records, to any number of readers.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::parse::Layout;
use super::records::{last_record_end, line_end};
use crate::error::{Error, Result};

/// A file whose header fits the task.
#[derive(Debug, Clone)]
pub(super) struct CsvFile {
    /// The name as the user would write it.
    pub(super) name: String,
    /// Where the store has it, and what it was like when the run began.
    pub(super) meta: ObjectMeta,
    /// Where the first record begins.
    pub(super) data_start: u64,
    /// Lines before the first record.
    pub(super) header_lines: u64,
    /// What its fields mean, before projection: field -> column of the table.
    pub(super) layout: Layout,
    /// Mean length of a line, in bytes.
    pub(super) mean_line: u64,
}

/// Opens files in one version: a file that changes under the run is an error, not a wrong row.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    pub(super) store: Arc<dyn ObjectStore>,
}

/// An open file, read by ranges.
#[derive(Debug)]
pub(super) struct RangeReader {
    store: Arc<dyn ObjectStore>,
    name: String,
    meta: ObjectMeta,
    /// The file itself, where the store is the local file system: a range is one call then.
    local: Option<std::fs::File>,
}

impl Opener {
    /// Opens the version of the file that the metadata speaks of.
    pub(super) fn open(&self, name: &str, meta: &ObjectMeta) -> Result<RangeReader> {
        let options = GetOptions { if_match: meta.e_tag.clone(), ..Default::default() };
        let opened = wait(self.store.get_opts(&meta.location, options)).map_err(|error| read_error(name, error))?;
        let local = match opened.payload {
            GetResultPayload::File(file, _) => Some(file),
            GetResultPayload::Stream(_) => None,
        };
        Ok(RangeReader { store: self.store.clone(), name: name.to_owned(), meta: meta.clone(), local })
    }
}

impl RangeReader {
    /// The bytes from `start` on, `length` of them or up to the file's end.
    pub(super) fn read(&self, start: u64, length: u64) -> Result<Bytes> {
        let end = self.meta.size.min(start + length);
        if start >= end {
            return Ok(Bytes::new());
        }
        let bytes = match &self.local {
            Some(file) => read_local(file, start, end).map_err(|error| self.failed(error))?,
            None => {
                let range = Some(GetRange::Bounded(start..end));
                let options = GetOptions { range, if_match: self.meta.e_tag.clone(), ..Default::default() };
                let read = async { self.store.get_opts(&self.meta.location, options).await?.bytes().await };
                wait(read).map_err(|error| read_error(&self.name, error))?
            }
        };
        if bytes.len() as u64 == end - start { Ok(bytes) } else { Err(changed(&self.name)) }
    }

    /// Fails if the file is not what it was when the run began.
    fn check_unchanged(&self) -> Result<()> {
        let now = wait(self.store.head(&self.meta.location)).map_err(|error| read_error(&self.name, error))?;
        if now.size == self.meta.size && now.e_tag == self.meta.e_tag { Ok(()) } else { Err(changed(&self.name)) }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::input(&self.name, error, "check the disk that the file is on; then start the run again")
    }
}

/// Waits for an object store on this thread; the runtime gets another one meanwhile.
///
/// The readers of a scan take turns at its cursor. Were that turn awaited, the runtime would queue a waking reader
/// behind the one that woke it, on the same thread, and all readers would end up running one after the other.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(answer))
}

/// Reads a range of a local file; less where the file has become shorter.
fn read_local(file: &std::fs::File, start: u64, end: u64) -> std::io::Result<Bytes> {
    let length = (end - start) as usize;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = start + bytes.len() as u64;
        if rustix::io::retry_on_intr(|| rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at))? == 0 {
            break;
        }
    }
    bytes.truncate(length); // the allocator may have given more room than was asked for
    Ok(bytes.into())
}

pub(super) fn read_error(name: &str, error: object_store::Error) -> Error {
    match error {
        object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. } => changed(name),
        error => Error::input(name, error, "check that the file is there and can be read"),
    }
}

fn changed(name: &str) -> Error {
    Error::input(
        name,
        "changed or vanished while it was being read",
        "write a file under another name and rename it when it is complete; then start the run again",
    )
}

/// What a reader gets.
pub(super) struct Block {
    /// Which file it is of.
    pub(super) file: usize,
    /// Which block of that file it is, from 0.
    pub(super) sequence: usize,
    /// Whole records; or the beginning of a single one that is too long to be read.
    pub(super) bytes: Bytes,
    /// The block is the beginning of a record that is too long.
    pub(super) too_long: bool,
}

/// The one place in the files that all readers of a scan share.
#[derive(Debug)]
pub(super) struct Cursor {
    opener: Opener,
    files: Arc<[CsvFile]>,
    block_bytes: usize,
    max_record: usize,
    /// The file at hand, once it is open.
    reader: Option<RangeReader>,
    file: usize,
    sequence: usize,
    /// Where the next block begins, in the file.
    offset: u64,
}

impl Cursor {
    pub(super) fn new(opener: Opener, files: Arc<[CsvFile]>, block_bytes: usize, max_record: usize) -> Self {
        Self { opener, files, block_bytes, max_record, reader: None, file: 0, sequence: 0, offset: 0 }
    }

    /// The next block, or none after the last file.
    pub(super) fn next(&mut self) -> Result<Option<Block>> {
        let files = self.files.clone();
        while let Some(file) = files.get(self.file) {
            let reader = match self.reader.take() {
                Some(reader) => reader,
                None => {
                    (self.sequence, self.offset) = (0, file.data_start);
                    self.opener.open(&file.name, &file.meta)?
                }
            };
            if self.offset < file.meta.size {
                let block = self.cut(&reader, file.meta.size);
                self.reader = Some(reader);
                return block.map(Some);
            }
            reader.check_unchanged()?;
            self.file += 1;
        }
        Ok(None)
    }

    /// Reads from the offset on until there is a whole record, and cuts behind the last one.
    fn cut(&mut self, reader: &RangeReader, size: u64) -> Result<Block> {
        let mut length = self.block_bytes;
        loop {
            let bytes = reader.read(self.offset, length as u64)?;
            let is_last = self.offset + bytes.len() as u64 == size;
            let end = if is_last { bytes.len() } else { last_record_end(&bytes, self.max_record) };
            if end > 0 {
                return Ok(self.block(bytes.slice(..end), end as u64, false));
            }
            if length > self.max_record {
                let skipped = self.skip_line(reader)?;
                return Ok(self.block(bytes, skipped, true));
            }
            length = (length * 2).min(self.max_record + 1);
        }
    }

    fn block(&mut self, bytes: Bytes, advance: u64, too_long: bool) -> Block {
        let block = Block { file: self.file, sequence: self.sequence, bytes, too_long };
        self.sequence += 1;
        self.offset += advance;
        block
    }

    /// How far it is to the end of the line at the offset.
    fn skip_line(&self, reader: &RangeReader) -> Result<u64> {
        let mut skipped = 0;
        loop {
            let bytes = reader.read(self.offset + skipped, self.block_bytes as u64)?;
            match line_end(&bytes, 0) {
                Some(end) => return Ok(skipped + end as u64),
                None if bytes.is_empty() => return Ok(skipped),
                None => skipped += bytes.len() as u64,
            }
        }
    }
}

/// The path by which an object store on the root of the local file system knows a file.
pub(crate) fn local_path(path: &std::path::Path) -> Result<Path> {
    Path::from_filesystem_path(path)
        .map_err(|error| Error::input(path.display(), error, "check that the file is there and can be read"))
}
