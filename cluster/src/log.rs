//! The log of a process that stays, with what Ballista says.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::args::LogArgs;
use crate::task_error::hidden;

/// Hands what Ballista logs on, without values of rows. All of it has one target, so that `WEIR_LOG=info,ballista=debug` shows it.
struct Bridge(Sparse);

/// An executor asks for work many times a second, and complains each time that it has no answer.
const WORK: &str = "ballista_executor::execution_loop";

/// Lets one line through in ten seconds.
struct Sparse(Mutex<Option<Instant>>);

impl Sparse {
    fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= Duration::from_secs(10));
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

static BRIDGE: Bridge = Bridge(Sparse(Mutex::new(None)));

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ballista")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.target().starts_with(WORK) && record.level() == Level::Warn && !self.0.is_due() {
            return;
        }
        let text = record.args().to_string();
        let text = hidden(&text).unwrap_or(text);
        match record.level() {
            Level::Error => tracing::error!(target: "ballista", "{text}"),
            Level::Warn => tracing::warn!(target: "ballista", "{text}"),
            Level::Info => tracing::info!(target: "ballista", "{text}"),
            Level::Debug => tracing::debug!(target: "ballista", "{text}"),
            Level::Trace => tracing::trace!(target: "ballista", "{text}"),
        }
    }

    fn flush(&self) {}
}

/// Starts the log of a process that stays.
pub(crate) fn start(args: LogArgs) {
    weir::log::start_service(args.log_format, args.quiet);
    // A second logger, as in tests, is refused, and the first one stays.
    if log::set_logger(&BRIDGE).is_ok() {
        let wants_all = tracing::enabled!(target: "ballista", tracing::Level::DEBUG);
        log::set_max_level(if wants_all { LevelFilter::Trace } else { LevelFilter::Info });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_often_is_logged_now_and_then() {
        let sparse = Sparse(Mutex::new(None));
        assert!(sparse.is_due());
        assert!(!sparse.is_due());
        *sparse.0.lock().unwrap() = Instant::now().checked_sub(Duration::from_secs(11));
        assert!(sparse.is_due());
    }
}
