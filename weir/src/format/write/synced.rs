//! A local file that is durable when it is finished.

use std::fs::File;
use std::io::{Error, Result, Write};
use std::path::Path;
use std::thread::JoinHandle;

use super::Output;

/// Bytes per write.
const WRITE_BYTES: usize = 1 << 20;
/// Bytes after which the system starts to write to the disk, while further rows are encoded, so that little remains to
/// be written at the end of the file.
const SYNC_BYTES: u64 = 32 << 20;

/// A new file with a buffer.
#[derive(Debug)]
pub(crate) struct SyncedFile {
    file: File,
    buffer: Vec<u8>,
    written: u64,
    /// Bytes written when the last synchronisation began.
    synced: u64,
    sync: Option<JoinHandle<Result<()>>>,
}

impl SyncedFile {
    /// Creates the file, which must not exist.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path)?;
        let buffer = Vec::with_capacity(WRITE_BYTES + (WRITE_BYTES >> 2));
        Ok(Self { file, buffer, written: 0, synced: 0, sync: None })
    }

    fn write_out(&mut self) -> Result<()> {
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Returns the result of the current synchronisation: the system reports a failed write only once.
    fn join(&mut self) -> Result<()> {
        match self.sync.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Error::other("a synchronisation with the disk was aborted")),
        }
    }
}

impl Output for SyncedFile {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn write_full(&mut self) -> Result<()> {
        if self.buffer.len() < WRITE_BYTES {
            return Ok(());
        }
        self.write_out()?;
        let is_idle = self.sync.as_ref().is_none_or(JoinHandle::is_finished);
        if is_idle && self.written - self.synced >= SYNC_BYTES {
            self.join()?;
            let file = self.file.try_clone()?;
            self.synced = self.written;
            self.sync = Some(std::thread::spawn(move || file.sync_data()));
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        self.write_out()?;
        self.join()?;
        self.file.sync_all()?;
        Ok(self.written)
    }
}

impl Write for SyncedFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.write_full()?;
        Ok(bytes.len())
    }

    /// Does nothing: what a file holds counts when it is finished.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
