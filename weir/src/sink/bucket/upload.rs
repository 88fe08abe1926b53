//! An object that is uploaded while it is written: in parts, if it is larger than one of them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt, PutPayload};

use crate::format::write::Output;
use crate::place::{Store, wait};

/// Bytes of a part: with 10,000 of them, as many as a store takes, a file has 80 GB. Some stores want all parts but the last to
/// have the same size.
const PART_BYTES: usize = 8 << 20;

/// The uploads of a sink that are not complete.
#[derive(Debug)]
pub(super) struct Uploads {
    store: Store,
    open: Mutex<Vec<(Path, MultipartId)>>,
    /// Why one has failed.
    failure: Mutex<Option<object_store::Error>>,
}

impl Uploads {
    pub(super) fn of(store: Store) -> Self {
        Self { store, open: Mutex::default(), failure: Mutex::default() }
    }

    /// Why an upload has failed, once.
    pub(super) fn take_failure(&self) -> Option<object_store::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Aborts what is not complete. What cannot be aborted is left to the bucket's lifecycle rule.
    pub(super) async fn abort(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, id) in open {
            if let Err(error) = self.store.parts.abort_multipart(&path, &id).await {
                tracing::warn!(%path, %error, "an upload could not be aborted: the bucket's lifecycle rule removes it");
            }
        }
    }

    /// Waits for an answer on this thread, which may be one of the runtime or not.
    fn ask<T>(&self, answer: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        wait(answer).map_err(|error| {
            let text = error.to_string();
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            io::Error::other(text)
        })
    }

    fn began(&self, path: &Path, id: &MultipartId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), id.clone()));
    }

    fn ended(&self, id: &MultipartId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, open)| open != id);
    }
}

/// An object that is being written. It has one buffer.
#[derive(Debug)]
pub(super) struct Upload {
    uploads: Arc<Uploads>,
    path: Path,
    buffer: Vec<u8>,
    written: u64,
    /// Once the object is larger than a part.
    parts: Option<(MultipartId, Vec<PartId>)>,
}

impl Upload {
    pub(super) fn new(uploads: Arc<Uploads>, path: Path) -> Self {
        Self { uploads, path, buffer: Vec::new(), written: 0, parts: None }
    }

    /// Uploads the first bytes of the buffer as a part.
    fn put_part(&mut self, bytes: usize) -> io::Result<()> {
        if self.parts.is_none() {
            let id = self.uploads.ask(self.uploads.store.parts.create_multipart(&self.path))?;
            self.uploads.began(&self.path, &id);
            self.parts = Some((id, vec![]));
        }
        let rest = self.buffer.split_off(bytes);
        let part = PutPayload::from(std::mem::replace(&mut self.buffer, rest));
        if let Some((id, done)) = &mut self.parts {
            done.push(self.uploads.ask(self.uploads.store.parts.put_part(&self.path, id, done.len(), part))?);
        }
        self.written += bytes as u64;
        Ok(())
    }
}

impl Output for Upload {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn write_full(&mut self) -> io::Result<()> {
        while self.buffer.len() >= PART_BYTES {
            self.put_part(PART_BYTES)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<u64> {
        self.write_full()?;
        if self.parts.is_some() && !self.buffer.is_empty() {
            self.put_part(self.buffer.len())?;
        }
        let store = self.uploads.store.clone();
        match self.parts.take() {
            None => {
                let content = std::mem::take(&mut self.buffer);
                self.written = content.len() as u64;
                self.uploads.ask(store.objects.put(&self.path, PutPayload::from(content)))?;
            }
            Some((id, parts)) => {
                self.uploads.ask(store.parts.complete_multipart(&self.path, &id, parts))?;
                self.uploads.ended(&id);
            }
        }
        Ok(self.written)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.write_full()?;
        Ok(bytes.len())
    }

    /// Does nothing: what an object holds counts when it is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
