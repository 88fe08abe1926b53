//! What happens in a run.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Planned, ScanProgress};
use crate::error::Error;
use crate::report::{Report, RunKey, State};

/// Something that happens. The events of a run come in this order; `StepStarted` and `Step` come once for each step.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run has its lock and its entry in the ledger.
    Started {
        /// The run's id.
        run: &'a str,
        /// What it is a run of.
        key: &'a RunKey,
    },
    /// What the run reads and writes is known.
    Planned {
        /// Its datasets.
        plan: &'a Planned,
    },
    /// The sources are open; from here on they are read.
    Reading {
        /// Bytes of all sources.
        bytes: u64,
        /// How much of them is read.
        progress: Progress,
    },
    /// A step begins.
    StepStarted {
        /// The step, as the report names it.
        name: &'a str,
    },
    /// A step is done.
    Step {
        /// The step, as the report names it.
        name: &'a str,
        /// Its duration in seconds.
        seconds: f64,
    },
    /// The run has ended, with whatever outcome.
    Ended {
        /// What it read, judged and wrote. A failed run has the part that it completed.
        report: &'a Report,
        /// The error that ended it, if one did.
        error: Option<&'a Error>,
    },
    /// A run whose process is gone without an end of the run was found: the next run has rolled it back or forward, or the
    /// scheduler has seen its process end.
    Died {
        /// The run's id; empty if it had none yet.
        run: &'a str,
        /// What it was a run of.
        key: &'a RunKey,
        /// `TimedOut` if it was stopped because it took too long, otherwise `Died`.
        state: State,
        /// What is known of its end.
        message: &'a str,
    },
    /// A run was due and was not started. Only `schedule` reports it.
    Missed {
        /// What would have been run.
        key: &'a RunKey,
        /// When it was due, RFC 3339 in UTC.
        due: &'a str,
        /// Why it was not started.
        reason: &'a str,
    },
    /// Windows are due and have no data for longer than `late_after`. `queue` and `schedule` report it, outside of a run, each
    /// time that other windows are late than before; a scheduler also when none is late any more.
    Late {
        /// The task.
        key: &'a RunKey,
        /// The windows, the oldest last.
        windows: &'a [&'a str],
    },
}

/// How much of the sources of a run is read. It can be asked at any time and from any thread.
#[derive(Debug, Clone)]
pub struct Progress(Vec<Arc<ScanProgress>>);

impl Progress {
    pub(crate) fn of(sources: Vec<Arc<ScanProgress>>) -> Self {
        Self(sources)
    }

    /// Bytes that were read.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|source| source.bytes.load(Ordering::Relaxed)).sum()
    }

    /// Rows that were read, rejected records not among them.
    pub fn rows(&self) -> u64 {
        self.0.iter().map(|source| source.rows.load(Ordering::Relaxed)).sum()
    }
}

/// Observes runs. It is called on the thread of the run, which waits for it; [`Event::Late`], [`Event::Missed`] and what a
/// scheduler tells of [`Event::Died`] on that of the command.
pub trait Observer: Debug + Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Those who observe a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// Adds one.
    pub(crate) fn add(&mut self, observer: impl Observer + 'static) {
        self.share(Arc::new(observer));
    }

    /// Adds one that somebody else has, too.
    pub(crate) fn share(&mut self, observer: Arc<dyn Observer>) {
        self.0.push(observer);
    }

    /// Reports an event to all of them.
    pub(crate) fn event(&self, event: &Event<'_>) {
        self.0.iter().for_each(|observer| observer.event(event));
    }
}
