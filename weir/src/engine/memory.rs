//! The memory limit of a run: a limit on the resident memory of the process.
//!
//! Operators account for the rows that they buffer, not for rows in flight, I/O buffers or what the allocator keeps.
//! So the process itself is watched: near the limit the pool refuses to grow, which makes operators
//! spill, and freed memory is returned to the system at once; above the limit, after a short grace, the run is stopped.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result as QueryResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::prelude::{SessionConfig, SessionContext};
use indicatif::HumanBytes;
use tokio::sync::Notify;

use crate::system::allocator;
use crate::system::memory::Resident;

/// The smallest limit with which a run can be expected to succeed, in bytes: the program's own memory, and a thread's
/// rows in flight.
pub(super) fn least_limit(threads: usize) -> u64 {
    PROGRAM + threads as u64 * (16 << 20)
}

/// Resident bytes of the program itself and its buffers.
const PROGRAM: u64 = 96 << 20;

/// Bytes per thread with which operators can have their default buffers; with less, all buffers are kept small.
const AMPLE: u64 = 512 << 20;

/// The bytes that the operators of a run share. While it spills, an aggregate has four times what it accounts for, a
/// sort twice; a fifth of the available memory leaves enough for that.
fn pool_size(limit: u64) -> usize {
    (limit.saturating_sub(PROGRAM) / 5) as usize
}

fn is_ample(limit: u64, threads: usize) -> bool {
    limit / threads as u64 >= AMPLE
}

/// Settings for a limit that is not ample.
pub(super) fn frugal(config: SessionConfig, limit: u64, threads: usize) -> SessionConfig {
    let threads = threads.max(1);
    if is_ample(limit, threads) {
        return config;
    }
    // What a sort reserves for merging is taken before the first row; merging holds batches of every run.
    let rows = (limit / threads as u64 / (64 << 10)).max(256) as usize;
    config.with_sort_spill_reservation_bytes(pool_size(limit) / threads / 4).with_batch_size(rows)
}

/// The interval at which the resident memory is sampled.
const INTERVAL: Duration = Duration::from_millis(4);

/// How long the process may be above the limit before the run is stopped, and how long a request for memory may wait.
const GRACE: Duration = Duration::from_millis(200);

/// How long a run may have too much memory after it was asked to stop.
const LAST_RESORT: Duration = Duration::from_secs(10);

/// A pool for operators that takes the memory of the whole process into account.
///
/// Operators that can spill have equal shares of it. A refusal would end an operator that cannot spill: it gets what
/// the process has left.
pub(crate) struct ResidentPool {
    size: usize,
    threads: usize,
    spilling: AtomicUsize,
    reserved: AtomicUsize,
    process: Arc<Process>,
}

/// The resident memory of the process, and its limit.
struct Process {
    limit: u64,
    resident: AtomicU64,
    is_over: AtomicBool,
    over: Notify,
}

impl ResidentPool {
    pub(super) fn new(limit: u64, threads: usize) -> Self {
        let process =
            Process { limit, resident: AtomicU64::new(0), is_over: AtomicBool::new(false), over: Notify::new() };
        Self {
            size: pool_size(limit),
            threads: threads.max(1),
            spilling: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            process: Arc::new(process),
        }
    }

    /// The pool of a session.
    fn of(context: &SessionContext) -> Option<Arc<Process>> {
        let pool = &context.runtime_env().memory_pool;
        pool.downcast_ref::<Self>().map(|pool| pool.process.clone())
    }
}

/// The reaction of an operator to a refusal of more memory.
#[derive(PartialEq, Eq)]
enum Refused {
    Spills,
    /// The merge of a sort: reads fewer spilled runs at a time.
    MergesFewer,
    /// An exchange between threads: it spills, and deadlocks when two of its inputs do so at the same time
    /// (apache/datafusion#24883, fixed after 55.2). It holds little, and only rows in flight.
    Hangs,
    Fails,
}

impl Refused {
    fn of(consumer: &MemoryConsumer) -> Self {
        match consumer.name() {
            name if name.starts_with("RepartitionExec") => Self::Hangs,
            name if name.starts_with("ExternalSorterMerge") => Self::MergesFewer,
            _ if consumer.can_spill() => Self::Spills,
            _ => Self::Fails,
        }
    }
}

impl MemoryPool for ResidentPool {
    fn name(&self) -> &str {
        "resident"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if Refused::of(consumer) == Refused::Spills {
            self.spilling.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if Refused::of(consumer) == Refused::Spills {
            self.spilling.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.reserved.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.reserved.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> QueryResult<()> {
        let held = reservation.size();
        let wanted = held + additional;
        let fits = match Refused::of(reservation.consumer()) {
            Refused::Spills => {
                let share = self.size / self.spilling.load(Ordering::Relaxed).max(1);
                // An operator that holds little would gain little by spilling.
                wanted <= share && !(held > share / 2 && self.process.is_near())
            }
            Refused::MergesFewer => wanted <= self.size / self.threads,
            Refused::Hangs => true,
            Refused::Fails => self.process.gets_room_for(additional as u64),
        };
        if !fits {
            let name = reservation.consumer().name();
            let [held, additional] = [held, additional].map(|bytes| HumanBytes(bytes as u64));
            return Err(resources_datafusion_err!("{name} has {held} and cannot get {additional} more"));
        }
        self.grow(reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.size)
    }
}

impl fmt::Debug for ResidentPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for ResidentPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resident(limit: {})", HumanBytes(self.process.limit))
    }
}

impl Process {
    /// Whether operators should spill: three quarters of the limit are resident.
    fn is_near(&self) -> bool {
        self.resident.load(Ordering::Relaxed) > self.limit / 4 * 3
    }

    fn has_room_for(&self, additional: u64) -> bool {
        self.resident.load(Ordering::Relaxed) + additional <= self.limit
    }

    /// Whether there is room, or will be within the grace: peaks pass, and freed memory returns to the system late.
    /// Waiting blocks this thread, which costs little compared with the end of the run.
    fn gets_room_for(&self, additional: u64) -> bool {
        let since = Instant::now();
        while !self.has_room_for(additional) {
            if additional > self.limit || since.elapsed() >= GRACE {
                return false;
            }
            allocator::collect();
            std::thread::sleep(INTERVAL);
        }
        true
    }
}

/// Watches the memory of the process until it is dropped.
pub(crate) struct MemoryWatch {
    stop: Arc<AtomicBool>,
    sampler: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Watches for a session. Where the system does not report the resident memory, nothing is watched.
    pub(crate) fn start(context: &SessionContext) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let sampler = ResidentPool::of(context).zip(Resident::open()).and_then(|(process, resident)| {
            allocator::use_huge_pages(is_ample(process.limit, context.copied_config().target_partitions()));
            let sample = move || watch(&process, &resident, &stopped);
            std::thread::Builder::new().name("memory".to_owned()).spawn(sample).ok()
        });
        Self { stop, sampler }
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            // It cannot panic, and a run does not fail for lack of its watcher.
            let _ = sampler.join();
        }
        allocator::keep_freed();
        allocator::use_huge_pages(true);
    }
}

fn watch(process: &Process, resident: &Resident, stop: &AtomicBool) {
    let mut over_since: Option<Instant> = None;
    let mut was_near = false;
    while !stop.load(Ordering::Relaxed) {
        let bytes = resident.bytes();
        process.resident.store(bytes, Ordering::Relaxed);
        let is_near = process.is_near();
        if is_near != was_near {
            if is_near {
                allocator::return_freed();
            } else {
                allocator::keep_freed();
            }
            was_near = is_near;
        }
        if bytes <= process.limit {
            over_since = None;
        } else {
            allocator::collect();
            let since = *over_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= GRACE || bytes > process.limit / 4 * 5 {
                process.is_over.store(true, Ordering::Relaxed);
                process.over.notify_waiters();
            }
            // What computes one batch without an end, such as a join of all rows with all, does not stop when it is asked to.
            if since.elapsed() >= LAST_RESORT || bytes > process.limit.saturating_mul(3) {
                end_process(process.limit, bytes);
            }
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Ends the process: the next start rolls the run back.
fn end_process(limit: u64, bytes: u64) -> ! {
    let (limit, bytes) = (HumanBytes(limit), HumanBytes(bytes));
    tracing::error!(
        "the run has {bytes} of memory, its limit is {limit}, and it did not stop when it was asked to: the process ends, \
         nothing was published, and the next start rolls it back"
    );
    std::process::exit(1)
}

/// Returns the limit and the resident bytes when a session's run has to be stopped for its memory.
pub(crate) async fn exceeded(context: &SessionContext) -> (u64, u64) {
    let Some(process) = ResidentPool::of(context) else { return std::future::pending().await };
    let over = process.over.notified();
    if !process.is_over.load(Ordering::Relaxed) {
        over.await;
    }
    (process.limit, process.resident.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_limit_operators_that_buffer_rows_are_refused_more() {
        let pool = Arc::new(ResidentPool::new(1 << 30, 2));
        let process = pool.process.clone();
        let pool: Arc<dyn MemoryPool> = pool;
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        let other = MemoryConsumer::new("aggregate").with_can_spill(true).register(&pool);
        let exchange = MemoryConsumer::new("RepartitionExec[0]").with_can_spill(true).register(&pool);
        sort.try_grow(80 << 20).unwrap();
        assert!(sort.try_grow(20 << 20).is_err(), "half of the pool is its share");
        process.resident.store((1 << 30) / 10 * 9, Ordering::Relaxed);
        let refused = sort.try_grow(1).unwrap_err().to_string();
        assert!(refused.contains("sort has 80.00 MiB and cannot get 1 B more"), "{refused}");
        exchange.try_grow(1 << 30).unwrap();
        other.try_grow(1 << 20).unwrap();
    }

    #[test]
    fn an_operator_that_cannot_spill_gets_what_the_process_has_left() {
        let pool = Arc::new(ResidentPool::new(1 << 30, 2));
        let process = pool.process.clone();
        let pool: Arc<dyn MemoryPool> = pool;
        let join = MemoryConsumer::new("join").register(&pool);
        process.resident.store(800 << 20, Ordering::Relaxed);
        join.try_grow(200 << 20).unwrap();
        assert!(join.try_grow(300 << 20).is_err());
        let merge = MemoryConsumer::new("ExternalSorterMerge[0]").register(&pool);
        assert!(merge.try_grow(200 << 20).is_err(), "it can do with less");
    }
}
