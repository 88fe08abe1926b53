//! Events of a run, and those who observe them: the progress bar, the log, and whatever a program adds.

mod bar;
mod dataset;
mod event;
mod log;
mod progress;

pub(crate) use bar::ProgressBar;
pub use dataset::{Dataset, InputColumn, Planned};
pub(crate) use event::Observers;
pub use event::{Event, Observer, Progress};
pub use log::{LogFormat, start_service as start_service_log};
pub(crate) use log::{StepLog, about_task, start as start_log};
pub(crate) use progress::ScanProgress;
