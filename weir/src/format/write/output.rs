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
