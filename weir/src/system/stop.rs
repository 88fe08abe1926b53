//! How a run is told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::{Error, Result};

/// Somebody wants the run to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Ctrl-C, SIGTERM and a closed terminal stop a run, which then rolls back; a second one ends the process
    /// at once.
    pub(crate) fn on_signal() -> Result<Self> {
        let (sender, receiver) = watch::channel(false);
        on_signals(move |count| {
            let _ = sender.send(true);
            if count > 1 {
                // The next start rolls back what is left.
                std::process::exit(130);
            }
        })?;
        Ok(Self(receiver))
    }

    /// For what a signal ends the usual way: nobody is going to say so.
    pub(crate) fn never() -> Self {
        Self(watch::channel(false).1)
    }

    /// Whether the run is to stop.
    pub(crate) fn is_wanted(&self) -> bool {
        *self.0.borrow()
    }

    /// Comes back when the run is to stop.
    pub(crate) async fn wanted(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await; // nobody is left who could say so
        }
    }
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
