//! The log: one line for each event, on standard error.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::{Event, Observer};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Human-readable.
    Text,
    /// One JSON object per line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Logs the steps of a run.
#[derive(Debug)]
pub(crate) struct StepLog;

impl Observer for StepLog {
    fn event(&self, event: &Event<'_>) {
        if let Event::Step { name, seconds } = event {
            tracing::info!(step = name, seconds = (seconds * 1e3).round() / 1e3, "done");
        }
    }
}

/// Starts the log of this process. A terminal that shows a progress bar gets warnings only.
pub(crate) fn start(format: LogFormat, quiet: bool) {
    let shows_bar = std::io::stderr().is_terminal() && format == LogFormat::Text;
    start_at(
        format,
        if quiet {
            ERRORS
        } else if shows_bar {
            "warn"
        } else {
            STEPS
        },
    );
}

/// The same for a process that stays: its steps are what there is to see, also on a terminal.
pub(crate) fn start_service(format: LogFormat, quiet: bool) {
    start_at(format, if quiet { ERRORS } else { STEPS });
}

const ERRORS: &str = "error";
const STEPS: &str = "warn,weir=info";

fn start_at(format: LogFormat, level: &str) {
    let is_terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A log that cannot be written, on a full disk or a closed pipe, is no reason to end a run.
    let log = log.log_internal_errors(false);
    // A second start in one process, as in tests, keeps the first log.
    let _ = match format {
        LogFormat::Text => log.with_ansi(is_terminal).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
