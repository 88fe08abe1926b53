//! What a person sees of a run that is going on: a progress bar, or log lines.

mod log;

use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use log::{LogFormat, start as start_log, start_service as start_service_log};

use crate::source::ScanProgress;

/// Shows how far a run is: a bar on a terminal, else a log line a step.
#[derive(Debug)]
pub(crate) struct Watch {
    bar: Option<ProgressBar>,
    ticker: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Watch {
    /// Shows a bar if standard error is a terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(ProgressBar::hidden);
        Self { bar, ticker: Mutex::default() }
    }

    /// The sources have so many bytes; from here on the bar moves.
    pub(crate) fn reading(&self, bytes: u64, progress: Vec<Arc<ScanProgress>>) {
        let Some(bar) = &self.bar else { return };
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        bar.set_length(bytes);
        let template = "{wide_bar} {percent:>3}%  {bytes_per_sec}  {eta} left";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let bar = bar.clone();
        let ticker = tokio::spawn(async move {
            loop {
                bar.set_position(progress.iter().map(|p| p.bytes.load(Ordering::Relaxed)).sum());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        *self.ticker.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticker);
    }

    /// A step is done; gives the seconds that it took.
    pub(crate) fn step(&self, name: &str, started: Instant) -> f64 {
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(step = name, seconds = (seconds * 1e3).round() / 1e3, "done");
        seconds
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(ticker) = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            ticker.abort();
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
