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
        let mut signals = count_signals()?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            if signals.wait_for(|count| *count > 0).await.is_ok() {
                let _ = sender.send(true);
            }
            if signals.wait_for(|count| *count > 1).await.is_ok() {
                // The next start rolls back what is left.
                std::process::exit(130);
            }
        });
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
    let failed = |error| Error::system("signals cannot be handled", error, "start the program again");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            sender.send_modify(|count| *count += 1);
        }
    });
    Ok(receiver)
}
