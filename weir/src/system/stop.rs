//! How a run is told to stop.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::{Error, Result};

/// The run is to stop, for this cause.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<Option<Cause>>);

/// Why a run is to stop.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Signal,
    /// It took longer than this.
    Timeout(Duration),
}

/// How long a run that is asked to stop after its timeout has to roll back.
const GRACE: Duration = Duration::from_secs(30);

impl Stop {
    /// Ctrl-C, SIGTERM and a closed terminal stop a run, which then rolls back; a second one ends the process
    /// at once.
    pub(crate) fn on_signal() -> Result<Self> {
        Self::on_signal_or_timeout(None)
    }

    /// The same, or when a time is over: a run that does not stop then ends with its process.
    pub(crate) fn on_signal_or_timeout(timeout: Option<Duration>) -> Result<Self> {
        let (sender, receiver) = watch::channel(None);
        if let Some(timeout) = timeout {
            let sender = sender.clone();
            let wait = move || {
                std::thread::sleep(timeout);
                stop(&sender, Cause::Timeout(timeout));
                std::thread::sleep(GRACE);
                tracing::error!("the run did not stop within 30 s after its timeout: the process ends");
                // The next start rolls back what is left.
                std::process::exit(1);
            };
            let spawned = std::thread::Builder::new().name("timeout".to_owned()).spawn(wait);
            spawned
                .map_err(|error| Error::system("the timeout cannot be watched", error, "start the program again"))?;
        }
        on_signals(move |count| {
            stop(&sender, Cause::Signal);
            if count > 1 {
                // The next start rolls back what is left.
                std::process::exit(130);
            }
        })?;
        Ok(Self(receiver))
    }

    /// For what a signal ends the usual way: nobody is going to say so.
    pub(crate) fn never() -> Self {
        Self(watch::channel(None).1)
    }

    /// Whether the run is to stop.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Comes back when the run is to stop.
    pub(crate) async fn wanted(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await; // nobody is left who could say so
        }
    }

    /// The error of a run that ended with this one: what was interrupted because of its timeout says so.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match (error, *self.0.borrow()) {
            (Error::Interrupted, Some(Cause::Timeout(timeout))) => Error::TimedOut { timeout },
            (error, _) => error,
        }
    }
}

/// Asks for the end of a run. The first cause counts.
fn stop(sender: &watch::Sender<Option<Cause>>, because: Cause) {
    sender.send_if_modified(|cause| {
        let is_first = cause.is_none();
        cause.get_or_insert(because);
        is_first
    });
}

/// How many times the process was told to stop: by Ctrl-C, SIGTERM or a closed terminal.
pub(crate) fn count_signals() -> Result<watch::Receiver<u32>> {
    let (sender, receiver) = watch::channel(0);
    on_signals(move |count| _ = sender.send_replace(count))?;
    Ok(receiver)
}

/// Calls `told` with the number of signals at each of them, on a thread of its own: a run may keep all threads of its
/// runtime busy.
fn on_signals(told: impl Fn(u32) + Send + 'static) -> Result<()> {
    let failed = |error| Error::system("signals cannot be handled", error, "start the program again");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let mut signals = {
        let _runtime = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        kinds.map(signal).into_iter().collect::<std::io::Result<Vec<_>>>().map_err(failed)?
    };
    let watch = move || {
        for count in 1.. {
            let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            runtime.block_on(futures::future::select_all(any));
            told(count);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map(drop).map_err(failed)
}
