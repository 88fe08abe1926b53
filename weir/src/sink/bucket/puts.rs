//! Small objects that are stored while others are being made: several at a time, as far as memory is there for them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::place::{Failure, Store, wait};

/// Objects that are on their way at a time: as many as a bucket is asked for at once.
const MOST: u32 = 32;

/// KiB of those that are on their way.
const MOST_KIB: u32 = 64 << 10;

/// The puts of a sink.
#[derive(Debug)]
pub(super) struct Puts {
    store: Store,
    /// Readers may be on threads that are not the runtime's.
    runtime: Handle,
    free: Arc<Semaphore>,
    free_kib: Arc<Semaphore>,
    begun: AtomicU64,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    stored: AtomicU64,
    is_over: AtomicBool,
    /// Why one has failed, the first of them.
    failure: Mutex<Option<Failure>>,
}

/// Why not all objects are stored.
#[derive(Debug)]
pub(super) enum NotStored {
    /// One has failed.
    Failed(Failure),
    /// The store was given up, or a put ended without a result.
    Lost,
}

impl State {
    fn fail(&self, error: &object_store::Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| Failure::of(error));
        self.is_over.store(true, Ordering::Release);
    }
}

impl Puts {
    pub(super) fn to(store: Store) -> Self {
        Self {
            store,
            runtime: Handle::current(),
            free: Arc::new(Semaphore::new(MOST as usize)),
            free_kib: Arc::new(Semaphore::new(MOST_KIB as usize)),
            begun: AtomicU64::new(0),
            state: Arc::default(),
        }
    }

    /// Begins to store an object; waits while too many are on their way. Fails if an earlier one has failed.
    pub(super) fn begin(&self, path: Path, content: &str) -> Result<(), NotStored> {
        let kib = u32::try_from(content.len() >> 10).unwrap_or(MOST_KIB).clamp(1, MOST_KIB);
        let (one, memory) = (self.take(&self.free, 1)?, self.take(&self.free_kib, kib)?);
        if self.state.is_over.load(Ordering::Acquire) {
            return Err(self.failure());
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        let content = PutPayload::from(Bytes::copy_from_slice(content.as_bytes()));
        let (objects, state) = (self.store.objects.clone(), self.state.clone());
        self.runtime.spawn(async move {
            if !state.is_over.load(Ordering::Acquire) {
                match objects.put(&path, content).await {
                    Ok(_) => _ = state.stored.fetch_add(1, Ordering::Relaxed),
                    Err(error) => state.fail(&error),
                }
            }
            drop((one, memory));
        });
        Ok(())
    }

    /// Waits until all are stored.
    pub(super) async fn finish(&self) -> Result<(), NotStored> {
        // All that are on their way have ended then.
        let _all = self.free.acquire_many(MOST).await;
        let is_stored = self.state.stored.load(Ordering::Acquire) == self.begun.load(Ordering::Acquire);
        if is_stored { Ok(()) } else { Err(self.failure()) }
    }

    /// Begins none any more, and waits for those that are on their way.
    pub(super) async fn cancel(&self) {
        self.state.is_over.store(true, Ordering::Release);
        let _all = self.free.acquire_many(MOST).await;
    }

    fn take(&self, of: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, NotStored> {
        match of.clone().try_acquire_many_owned(count) {
            Ok(taken) => Ok(taken),
            Err(_) => wait(of.clone().acquire_many_owned(count)).map_err(|_| NotStored::Lost),
        }
    }

    fn failure(&self) -> NotStored {
        let failure = self.state.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.map_or(NotStored::Lost, NotStored::Failed)
    }
}
