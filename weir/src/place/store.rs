//! Files, read by ranges in one version each: a file that changes during the run is an error, not a wrong row.

use std::borrow::Borrow;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::error::{Error, Result};
use crate::system::threads;

/// A file that a source reads.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    /// The name as the user would write it.
    pub(crate) name: String,
    /// Its absolute path, the ledger's key for it, independent of the working directory of a run.
    pub(crate) path: String,
    store: Arc<dyn ObjectStore>,
    /// Open as long as it is needed, where the location names it by this.
    held: Option<Arc<File>>,
    /// Whether its store is the local file system, whose calls need no runtime.
    is_local: bool,
    /// Its location in the store, its size in bytes and its version.
    meta: ObjectMeta,
    /// Up to where it was read before, if only the rest is to be read.
    former_end: Option<FormerEnd>,
}

/// The end that a file had when it was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormerEnd {
    pub(crate) bytes: u64,
    /// The line feeds before it.
    pub(crate) lines: u64,
    /// Whether the last byte was a line feed.
    pub(crate) ends_line: bool,
}

/// An open file, read by ranges.
#[derive(Debug)]
pub(crate) struct RangeReader {
    store: Arc<dyn ObjectStore>,
    _held: Option<Arc<File>>,
    name: String,
    meta: ObjectMeta,
    /// The file itself, if the store is the local file system: a range is one call then.
    local: Option<File>,
}

impl FoundFile {
    /// The current version of a file.
    pub(crate) async fn of(store: Arc<dyn ObjectStore>, name: String, path: String, location: &Path) -> Result<Self> {
        match store.head(location).await {
            Ok(meta) => Ok(Self { name, path, store, held: None, is_local: false, meta, former_end: None }),
            Err(error) => Err(unreadable(&name, error)),
        }
    }

    /// A file of the local file system; it is kept open if the location names it by its number.
    pub(crate) fn local(self, held: Option<File>) -> Self {
        Self { held: held.map(Arc::new), is_local: true, ..self }
    }

    /// The same file, by another key of the ledger.
    pub(super) fn known_as(self, path: String) -> Self {
        Self { path, ..self }
    }

    /// The file under another name, for messages and rows.
    pub(crate) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// The file without what is before its former end.
    pub(crate) fn continued(self, end: FormerEnd) -> Self {
        Self { former_end: Some(end), ..self }
    }

    /// Up to where it was read before, if only the rest is to be read.
    pub(crate) fn former_end(&self) -> Option<FormerEnd> {
        self.former_end
    }

    /// The number of bytes to read.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.meta.size - self.former_end.map_or(0, |end| end.bytes)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.meta.size
    }

    /// Its modification time, as the ledger has it.
    pub(crate) fn modified(&self) -> String {
        self.meta.last_modified.to_rfc3339()
    }

    /// Its modification time, in microseconds from 1970 in UTC.
    pub(crate) fn modified_micros(&self) -> i64 {
        self.meta.last_modified.timestamp_micros()
    }

    /// Opens the version that was found.
    pub(crate) fn open(&self) -> Result<RangeReader> {
        let options = GetOptions { if_match: self.meta.e_tag.clone(), ..Default::default() };
        let opened = wait(self.store.get_opts(&self.meta.location, options));
        let opened = opened.map_err(|error| read_error(&self.name, error))?;
        let local = match opened.payload {
            GetResultPayload::File(file, _) => Some(file),
            GetResultPayload::Stream(_) => None,
        };
        let (store, held, name, meta) = (self.store.clone(), self.held.clone(), self.name.clone(), self.meta.clone());
        Ok(RangeReader { store, _held: held, name, meta, local })
    }

    /// The file at a path, in its current version.
    #[cfg(test)]
    pub(crate) fn at(path: &std::path::Path) -> Self {
        let found = super::found(path.display().to_string(), path);
        futures::executor::block_on(found).unwrap()
    }
}

impl RangeReader {
    /// The file's name, as the user would write it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file's length.
    pub(crate) fn size(&self) -> u64 {
        self.meta.size
    }

    /// The bytes from `start`, `length` of them or up to the file's end.
    pub(crate) fn read(&self, start: u64, length: u64) -> Result<Bytes> {
        let end = self.meta.size.min(start.saturating_add(length));
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

    /// Fails if the file is not the version that it was when the run began.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let now = wait(self.store.head(&self.meta.location)).map_err(|error| read_error(&self.name, error))?;
        if now.size == self.meta.size && now.e_tag == self.meta.e_tag { Ok(()) } else { Err(changed(&self.name)) }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::input(&self.name, &error, "check the disk that the file is on; then start the run again").because(error)
    }
}

/// Waits for an object store on this thread; the runtime uses another thread meanwhile.
///
/// The readers of a scan take turns at its cursor. If that turn were awaited, the runtime would queue a waking reader
/// behind the one that woke it, on the same thread, and all readers would run one after the other.
///
/// On a thread that is not the runtime's, only for local files: there their store calls the file system itself, while on the
/// runtime's it would hand over each call to another thread.
pub(crate) fn wait<T>(answer: impl Future<Output = T>) -> T {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => tokio::task::block_in_place(|| runtime.block_on(answer)),
        Err(_) => futures::executor::block_on(answer),
    }
}

/// Maps files, or what is in them, on several threads at a time, on which they can be read.
pub(crate) fn map<F: Borrow<FoundFile> + Sync, R: Send>(
    files: &[F],
    work: impl Fn(&F) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let is_local = files.iter().all(|file| file.borrow().is_local);
    let runtime = (!is_local).then(tokio::runtime::Handle::current);
    threads::map(files, |file| {
        let _runtime = runtime.as_ref().map(tokio::runtime::Handle::enter);
        work(file)
    })
}

/// Reads a range of a local file; fewer bytes if the file has become shorter.
fn read_local(file: &File, start: u64, end: u64) -> std::io::Result<Bytes> {
    let length = (end - start) as usize;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = start + bytes.len() as u64;
        if rustix::io::retry_on_intr(|| rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at))? == 0 {
            break;
        }
    }
    bytes.truncate(length); // the allocator may have returned more capacity than requested
    Ok(bytes.into())
}

fn read_error(name: &str, error: object_store::Error) -> Error {
    match error {
        object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. } => changed(name),
        error => unreadable(name, error),
    }
}

fn unreadable(name: &str, error: object_store::Error) -> Error {
    Error::input(name, &error, "check that the file exists and can be read").because(error)
}

fn changed(name: &str) -> Error {
    Error::input(
        name,
        "changed or vanished while it was being read",
        "write a file under another name and rename it when it is complete; then start the run again",
    )
}
