//! The progress bar of a terminal.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar as Bar, ProgressDrawTarget, ProgressStyle};

use super::{Event, Observer};

/// Shows on a terminal how much of the sources is read.
#[derive(Debug)]
pub(crate) struct ProgressBar {
    /// Hidden until the sources are read.
    bar: Bar,
    ticker: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl ProgressBar {
    /// A bar, if standard error is a terminal.
    pub(crate) fn on_terminal() -> Option<Self> {
        std::io::stderr().is_terminal().then(|| Self { bar: Bar::hidden(), ticker: Mutex::default() })
    }

    fn clear(&self) {
        if let Some(ticker) = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            ticker.abort();
        }
        self.bar.finish_and_clear();
    }
}

impl Observer for ProgressBar {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Reading { bytes, progress } => {
                self.bar.set_length(*bytes);
                // What is computed, how much of the sources is read, and for how long it goes on.
                let template = "{prefix} {wide_bar} {percent:>3}%  {msg}  {eta} left";
                let style = ProgressStyle::with_template(template);
                self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
                let (bar, progress) = (self.bar.clone(), progress.clone());
                let ticker = tokio::spawn(async move {
                    loop {
                        bar.set_position(progress.bytes());
                        bar.set_message(format!("{} rows", HumanCount(progress.rows())));
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                });
                *self.ticker.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticker);
            }
            Event::Ended { .. } => self.clear(),
            Event::StepStarted { name } => self.bar.set_prefix((*name).to_owned()),
            Event::Started { .. } | Event::Planned { .. } | Event::Step { .. } => {}
            Event::Died { .. } | Event::Missed { .. } | Event::Late { .. } => {}
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.clear();
    }
}
