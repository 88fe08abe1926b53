//! The destination of a file's bytes.

use std::fmt::Debug;
use std::io::{Result, Write};

/// A file that is being written, on a disk or in another storage of a sink. It has a buffer.
pub(crate) trait Output: Write + Send + Debug {
    /// The buffer, to append to.
    fn buffer(&mut self) -> &mut Vec<u8>;

    /// Writes the buffer if it is full.
    fn write_full(&mut self) -> Result<()>;

    /// Writes the rest and waits until all of it is durable; returns the bytes of the file.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// A file that is not kept.
#[derive(Debug, Default)]
pub(super) struct Discarded(Vec<u8>);

impl Write for Discarded {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Output for Discarded {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    fn write_full(&mut self) -> Result<()> {
        self.0.clear();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        Ok(0)
    }
}
