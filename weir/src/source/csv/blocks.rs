//! Files are handed out as blocks of whole records, to any number of readers.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};

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

/// Reads ranges of one version of a file: a file that changes under the run is an error, not a wrong row.
#[derive(Debug, Clone)]
pub(super) struct RangeReader {
    pub(super) store: Arc<dyn ObjectStore>,
}

impl RangeReader {
    /// At most `length` bytes from `start`.
    pub(super) async fn read(&self, name: &str, meta: &ObjectMeta, start: u64, length: u64) -> Result<Bytes> {
        let end = meta.size.min(start + length);
        if start >= end {
            return Ok(Bytes::new());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..end)),
            if_match: meta.e_tag.clone(),
            ..Default::default()
        };
        let read = async { self.store.get_opts(&meta.location, options).await?.bytes().await };
        let bytes = read.await.map_err(|error| read_error(name, error))?;
        if bytes.len() as u64 == end - start { Ok(bytes) } else { Err(changed(name)) }
    }

    /// Fails if the file is not what it was when the run began.
    async fn check_unchanged(&self, name: &str, meta: &ObjectMeta) -> Result<()> {
        let now = self.store.head(&meta.location).await.map_err(|error| read_error(name, error))?;
        if now.size == meta.size && now.e_tag == meta.e_tag { Ok(()) } else { Err(changed(name)) }
    }
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
    reader: RangeReader,
    files: Arc<[CsvFile]>,
    block_bytes: usize,
    max_record: usize,
    file: usize,
    sequence: usize,
    /// Where the next block begins, in the file.
    offset: u64,
}

impl Cursor {
    pub(super) fn new(reader: RangeReader, files: Arc<[CsvFile]>, block_bytes: usize, max_record: usize) -> Self {
        let offset = files.first().map_or(0, |file| file.data_start);
        Self { reader, files, block_bytes, max_record, file: 0, sequence: 0, offset }
    }

    /// The next block, or none after the last file.
    pub(super) async fn next(&mut self) -> Result<Option<Block>> {
        let files = self.files.clone();
        while let Some(file) = files.get(self.file) {
            if self.offset < file.meta.size {
                return self.cut(file).await.map(Some);
            }
            self.reader.check_unchanged(&file.name, &file.meta).await?;
            self.file += 1;
            self.sequence = 0;
            self.offset = files.get(self.file).map_or(0, |next| next.data_start);
        }
        Ok(None)
    }

    /// Reads from the offset on until there is a whole record, and cuts behind the last one.
    async fn cut(&mut self, file: &CsvFile) -> Result<Block> {
        let mut length = self.block_bytes;
        loop {
            let bytes = self.reader.read(&file.name, &file.meta, self.offset, length as u64).await?;
            let is_last = self.offset + bytes.len() as u64 == file.meta.size;
            let end = if is_last { bytes.len() } else { last_record_end(&bytes, self.max_record) };
            if end > 0 {
                return Ok(self.block(bytes.slice(..end), end as u64, false));
            }
            if length > self.max_record {
                let skipped = self.skip_line(file).await?;
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
    async fn skip_line(&self, file: &CsvFile) -> Result<u64> {
        let mut skipped = 0;
        loop {
            let at = self.offset + skipped;
            let bytes = self.reader.read(&file.name, &file.meta, at, self.block_bytes as u64).await?;
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
