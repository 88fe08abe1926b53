//! What happens in a run.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ScanProgress;
use crate::error::Error;
use crate::report::{Report, RunKey};

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

/// Observes runs. It is called on the thread of the run, which waits for it; [`Event::Late`] on that of the command.
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
        self.0.push(Arc::new(observer));
    }

    /// Reports an event to all of them.
    pub(crate) fn event(&self, event: &Event<'_>) {
        self.0.iter().for_each(|observer| observer.event(event));
    }
}
