//! Files, read by ranges in one version each: a file that changes during the run is an error, not a wrong row.
//!
//! Local files are read by the calls of the file system, on any thread; objects of a store by its protocol.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::record::FileRecord;
use crate::error::{Error, Result};
use crate::system::threads;

/// A file that a source reads.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    /// The name as the user would write it.
    pub(crate) name: String,
    /// Its absolute path, the ledger's key for it, independent of the working directory of a run.
    pub(crate) path: String,
    place: Place,
    version: Version,
    /// Up to where it was read before, if only the rest is to be read.
    former_end: Option<FormerEnd>,
    /// The records that are read, if not all are.
    chosen: Option<ChosenRecords>,
}

/// Where a file is.
#[derive(Debug, Clone)]
enum Place {
    Local(Arc<PathBuf>),
    #[cfg_attr(
        not(any(test, feature = "fuzzing", feature = "object-stores")),
        expect(dead_code, reason = "this program has no object stores")
    )]
    Object(Object),
}

/// An object of a store.
#[derive(Debug, Clone)]
struct Object {
    store: Arc<dyn ObjectStore>,
    location: Path,
}

/// One version of a file.
#[derive(Debug, Clone)]
struct Version {
    /// Its size in bytes.
    size: u64,
    modified: DateTime<Utc>,
    tag: Tag,
}

/// What differs between versions of the same size.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tag {
    /// The number of the file, and its modification time.
    File(u64, DateTime<Utc>),
    Object(Option<String>),
}

/// The end that a file had when it was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FormerEnd {
    pub(crate) bytes: u64,
    /// The line feeds before it.
    pub(crate) lines: u64,
    /// Whether the last byte was a line feed.
    pub(crate) ends_line: bool,
}

/// The records of a file that are read, by the numbers of their lines.
#[derive(Debug, Clone)]
pub(crate) struct ChosenRecords {
    /// The file's name. That of a member of an archive is longer.
    pub(crate) file: String,
    /// The lines by what follows the file's name: nothing, or a slash and the name of a member.
    pub(crate) lines: HashMap<String, Arc<BTreeSet<u64>>>,
}

impl ChosenRecords {
    fn of(&self, name: &str) -> Arc<BTreeSet<u64>> {
        name.strip_prefix(&self.file).and_then(|member| self.lines.get(member)).cloned().unwrap_or_default()
    }
}

/// An open file, read by ranges.
#[derive(Debug)]
pub(crate) struct RangeReader {
    name: String,
    version: Version,
    opened: Opened,
}

#[derive(Debug)]
enum Opened {
    Local(File, Arc<PathBuf>),
    /// With its content, once that was read as a whole.
    Object(Object, Mutex<Option<Bytes>>),
}

/// An object of up to so many bytes is read as a whole: one request, which also a server answers that knows no ranges.
const WHOLE_BYTES: u64 = 1 << 20;

impl Version {
    fn of_file(metadata: &Metadata) -> io::Result<Self> {
        let modified = DateTime::from(metadata.modified()?);
        Ok(Self { size: metadata.len(), modified, tag: Tag::File(metadata.ino(), modified) })
    }

    fn of_object(meta: ObjectMeta) -> Self {
        Self { size: meta.size, modified: meta.last_modified, tag: Tag::Object(meta.e_tag) }
    }

    fn is(&self, other: &Self) -> bool {
        let is_same_tag = match (&self.tag, &other.tag) {
            (Tag::Object(Some(one)), Tag::Object(Some(other))) => quoted(one) == quoted(other),
            (one, other) => one == other,
        };
        self.size == other.size && is_same_tag
    }
}

impl Object {
    /// Options of a request for one version.
    fn options(version: &Version) -> GetOptions {
        let if_match = match &version.tag {
            Tag::Object(tag) => tag.clone(),
            Tag::File(..) => None,
        };
        GetOptions { if_match, ..GetOptions::default() }
    }
}

impl FoundFile {
    /// A local file, in the version of its metadata.
    pub(super) fn local(name: String, path: String, location: PathBuf, metadata: &Metadata) -> Result<Self> {
        let version = Version::of_file(metadata).map_err(|error| unreadable(&name, error))?;
        Ok(Self { name, path, place: Place::Local(Arc::new(location)), version, former_end: None, chosen: None })
    }

    /// An object, in the version of its metadata. Its URL is its name, and the ledger's key for it.
    #[cfg(feature = "object-stores")]
    pub(super) fn object(store: Arc<dyn ObjectStore>, url: String, meta: ObjectMeta) -> Self {
        let meta = ObjectMeta { e_tag: meta.e_tag.as_deref().map(quoted), ..meta };
        let place = Place::Object(Object { store, location: meta.location.clone() });
        Self { name: url.clone(), path: url, place, version: Version::of_object(meta), former_end: None, chosen: None }
    }

    /// The current version of an object.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) async fn of(store: Arc<dyn ObjectStore>, name: String, path: String, location: &Path) -> Result<Self> {
        match store.head(location).await {
            Ok(meta) => {
                let place = Place::Object(Object { store, location: location.clone() });
                Ok(Self { name, path, place, version: Version::of_object(meta), former_end: None, chosen: None })
            }
            Err(error) => Err(unreadable(&name, error)),
        }
    }

    /// Whether it is of the local file system, whose calls need no runtime.
    fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
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

    /// The file with no records but these.
    pub(crate) fn with_only(self, chosen: ChosenRecords) -> Self {
        Self { chosen: Some(chosen), ..self }
    }

    /// The numbers of the lines that are read, if not all are.
    pub(crate) fn chosen_lines(&self) -> Option<Arc<BTreeSet<u64>>> {
        self.chosen.as_ref().map(|chosen| chosen.of(&self.name))
    }

    /// Up to where it was read before, if only the rest is to be read.
    pub(crate) fn former_end(&self) -> Option<FormerEnd> {
        self.former_end
    }

    /// The number of bytes to read.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.version.size - self.former_end.map_or(0, |end| end.bytes)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.version.size
    }

    /// Its modification time, as the ledger has it. That of an object has only seconds, and its tag is added.
    pub(crate) fn modified(&self) -> String {
        match &self.version.tag {
            Tag::Object(tag) => tagged(self.version.modified, tag.as_deref()),
            Tag::File(..) => self.version.modified.to_rfc3339(),
        }
    }

    /// Its modification time, in microseconds from 1970 in UTC.
    pub(crate) fn modified_micros(&self) -> i64 {
        self.version.modified.timestamp_micros()
    }

    /// The file for another process, which may be on another machine; none if it is not a file of a folder.
    pub(crate) fn record(&self) -> Option<FileRecord> {
        let Place::Local(location) = &self.place else { return None };
        let chosen = self.chosen.as_ref().map(|chosen| {
            let lines = chosen.lines.iter().map(|(member, lines)| (member.clone(), (**lines).clone())).collect();
            (chosen.file.clone(), lines)
        });
        Some(FileRecord {
            name: self.name.clone(),
            path: self.path.clone(),
            location: location.to_path_buf(),
            size: self.version.size,
            modified: self.version.modified,
            former_end: self.former_end,
            chosen,
        })
    }

    /// The file that another process has told. Fails if it is another version of it here.
    pub(crate) fn of_record(record: &FileRecord) -> Result<Self> {
        let FileRecord { name, path, location, size, modified, former_end, chosen } = record.clone();
        let version = std::fs::metadata(&location).and_then(|metadata| Version::of_file(&metadata));
        let version = version.map_err(|error| local_error(&name, error))?;
        // The number of the file may be another one on each machine.
        if (version.size, version.modified) != (size, modified) {
            return Err(changed(&name));
        }
        let chosen = chosen.map(|(file, lines)| ChosenRecords {
            file,
            lines: lines.into_iter().map(|(member, lines)| (member, Arc::new(lines))).collect(),
        });
        Ok(Self { name, path, place: Place::Local(Arc::new(location)), version, former_end, chosen })
    }

    /// Opens the version that was found.
    pub(crate) fn open(&self) -> Result<RangeReader> {
        let opened = match &self.place {
            Place::Local(path) => {
                let opened =
                    File::open(path.as_path()).and_then(|file| Ok((Version::of_file(&file.metadata()?)?, file)));
                let (now, file) = opened.map_err(|error| local_error(&self.name, error))?;
                if !now.is(&self.version) {
                    return Err(changed(&self.name));
                }
                Opened::Local(file, path.clone())
            }
            Place::Object(object) => {
                // With a tag each read is on condition of the version.
                if matches!(self.version.tag, Tag::Object(None)) {
                    let opened = wait(object.store.head(&object.location));
                    let now = Version::of_object(opened.map_err(|error| read_error(&self.name, error))?);
                    if !now.is(&self.version) {
                        return Err(changed(&self.name));
                    }
                }
                Opened::Object(object.clone(), Mutex::default())
            }
        };
        Ok(RangeReader { name: self.name.clone(), version: self.version.clone(), opened })
    }

    /// The file at a path, in its current version.
    #[cfg(test)]
    pub(crate) fn at(path: &std::path::Path) -> Self {
        super::found(path.display().to_string(), path).unwrap()
    }
}

impl RangeReader {
    /// The file's name, as the user would write it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file's length.
    pub(crate) fn size(&self) -> u64 {
        self.version.size
    }

    /// The bytes from `start`, `length` of them or up to the file's end.
    pub(crate) fn read(&self, start: u64, length: u64) -> Result<Bytes> {
        let end = self.version.size.min(start.saturating_add(length));
        if start >= end {
            return Ok(Bytes::new());
        }
        let bytes = match &self.opened {
            Opened::Local(file, _) => read_local(file, start, end).map_err(|error| self.failed(error))?,
            Opened::Object(object, whole) if self.version.size <= WHOLE_BYTES => {
                let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = match &*whole {
                    Some(bytes) => bytes,
                    None => whole.insert(self.read_object(object, None)?),
                };
                if bytes.len() as u64 != self.version.size {
                    return Err(changed(&self.name));
                }
                bytes.slice(start as usize..end as usize)
            }
            Opened::Object(object, _) => self.read_object(object, Some(GetRange::Bounded(start..end)))?,
        };
        if bytes.len() as u64 == end - start { Ok(bytes) } else { Err(changed(&self.name)) }
    }

    /// A range of an object, or all of it.
    fn read_object(&self, object: &Object, range: Option<GetRange>) -> Result<Bytes> {
        let options = GetOptions { range, ..Object::options(&self.version) };
        let read = async { object.store.get_opts(&object.location, options).await?.bytes().await };
        wait(read).map_err(|error| read_error(&self.name, error))
    }

    /// Fails if the file is not the version that it was when the run began.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let now = match &self.opened {
            Opened::Local(_, path) => {
                let now = std::fs::metadata(path.as_path()).and_then(|metadata| Version::of_file(&metadata));
                now.map_err(|error| local_error(&self.name, error))?
            }
            Opened::Object(Object { store, location }, _) => {
                Version::of_object(wait(store.head(location)).map_err(|error| read_error(&self.name, error))?)
            }
        };
        if now.is(&self.version) { Ok(()) } else { Err(changed(&self.name)) }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::input(&self.name, &error, "check the disk that the file is on; then start the run again").because(error)
    }
}

/// The version of an object, as the ledger has it.
#[cfg(feature = "object-stores")]
pub(super) fn ledger_version(meta: &ObjectMeta) -> String {
    tagged(meta.last_modified, meta.e_tag.as_deref().map(quoted).as_deref())
}

/// A tag as requests have it. The lists of some stores have it without quotes.
pub(super) fn quoted(tag: &str) -> String {
    if tag.ends_with('"') { tag.to_owned() } else { format!("\"{tag}\"") }
}

fn tagged(modified: DateTime<Utc>, tag: Option<&str>) -> String {
    let modified = modified.to_rfc3339();
    tag.map_or_else(|| modified.clone(), |tag| format!("{modified} {tag}"))
}

/// Waits for an object store on this thread; the runtime uses another thread meanwhile.
///
/// The readers of a scan take turns at its cursor. If that turn were awaited, the runtime would queue a waking reader
/// behind the one that woke it, on the same thread, and all readers would run one after the other.
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
    let is_local = files.iter().all(|file| file.borrow().is_local());
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
        #[cfg(feature = "object-stores")]
        error => super::object::unreadable(name, &error),
        #[cfg(not(feature = "object-stores"))]
        error => unreadable(name, error),
    }
}

fn local_error(name: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound { changed(name) } else { unreadable(name, error) }
}

fn unreadable(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::input(name, &error, "check that the file exists and can be read").because(error)
}

fn changed(name: &str) -> Error {
    Error::input(
        name,
        "changed or vanished while it was being read",
        "write a file under another name and rename it when it is complete; then start the run again",
    )
}
