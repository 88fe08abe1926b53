//! Reads files in blocks of complete records.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use memchr::{memchr_iter, memrchr};

use crate::record::Lines;

/// Bytes per read. A longer record enlarges its block.
const BLOCK: usize = 1 << 20;

/// The blocks of all CSV files below a folder, shared by several threads.
pub(crate) struct Blocks {
    header: &'static str,
    cursor: Mutex<Cursor>,
}

struct Cursor {
    files: Vec<PathBuf>,
    open: Option<(PathBuf, File, u64)>,
}

impl Blocks {
    /// The blocks below `folder`, of files that begin with the line `header`.
    pub(crate) fn below(folder: &Path, header: &'static str) -> io::Result<Self> {
        let mut files = Vec::new();
        find_csv(folder, &mut files)?;
        files.sort();
        Ok(Self {
            header,
            cursor: Mutex::new(Cursor { files, open: None }),
        })
    }

    /// Read the next block into `buffer` and return its records without the header, or `None` after the last block.
    pub(crate) fn next<'a>(&self, buffer: &'a mut Vec<u8>) -> io::Result<Option<&'a [u8]>> {
        let mut cursor = self.cursor.lock().expect("a panic aborts the program");
        let mut size = BLOCK;
        loop {
            if cursor.open.is_none() {
                let Some(path) = cursor.files.pop() else {
                    return Ok(None);
                };
                let file = File::open(&path).map_err(|error| named(&path, error))?;
                cursor.open = Some((path, file, 0));
            }
            let (path, file, offset) = cursor.open.as_mut().expect("opened above");
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let read =
                fill(file, &mut buffer[..size], *offset).map_err(|error| named(path, error))?;
            if read == 0 {
                cursor.open = None;
                size = BLOCK;
                continue;
            }
            let end = if read < size {
                read
            } else {
                last_record_end(&buffer[..read])
            };
            if end == 0 {
                size *= 2;
                continue;
            }
            let mut start = 0;
            if *offset == 0 {
                let mut lines = Lines::of(&buffer[..end]);
                if lines
                    .next()
                    .is_none_or(|line| line.bytes != self.header.as_bytes())
                {
                    let message = format!("{}: the header is not {}", path.display(), self.header);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                start = end - lines.rest().len();
            }
            *offset += end as u64;
            return Ok(Some(&buffer[start..end]));
        }
    }
}

/// Collect `*.csv` below `folder`, without hidden files and those that start with an underscore.
fn find_csv(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| named(folder, error))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            find_csv(&path, files)?;
        } else if name.ends_with(".csv") {
            files.push(path);
        }
    }
    Ok(())
}

/// Read at `offset` until `buffer` is full or the file ends.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The end of the last complete record in a block that starts with a record: after the last line feed outside quotes.
fn last_record_end(block: &[u8]) -> usize {
    let (mut end, mut from, mut quoted) = (0, 0, false);
    for quote in memchr_iter(b'"', block) {
        if !quoted && let Some(feed) = memrchr(b'\n', &block[from..quote]) {
            end = from + feed + 1;
        }
        quoted = !quoted;
        from = quote + 1;
    }
    if !quoted && let Some(feed) = memrchr(b'\n', &block[from..]) {
        end = from + feed + 1;
    }
    end
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::last_record_end;

    #[test]
    fn a_block_ends_after_its_last_line_feed() {
        assert_eq!(last_record_end(b"a,b\nc,d\ne"), 8);
    }

    #[test]
    fn a_quoted_line_feed_ends_no_record() {
        assert_eq!(last_record_end(b"a,b\n\"c\nd\",e\n\"f\n"), 12);
        assert_eq!(last_record_end(b"\"c\nd"), 0);
    }
}
