//! The log: one line for each event, on standard error.

use std::fmt;
use std::io::IsTerminal;
use std::sync::{PoisonError, RwLock};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::{Event, Observer};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
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

/// What the lines of this process are about: of a program that runs one task.
#[derive(Debug, Clone, Default)]
struct Subject {
    task: Option<String>,
    run: Option<String>,
    step: Option<String>,
}

static SUBJECT: RwLock<Subject> = RwLock::new(Subject { task: None, run: None, step: None });

fn set_subject(set: impl FnOnce(&mut Subject)) {
    set(&mut SUBJECT.write().unwrap_or_else(PoisonError::into_inner));
}

/// From here on the lines of this process are about a task.
pub(crate) fn about_task(name: &str) {
    set_subject(|subject| subject.task = Some(name.to_owned()));
}

/// Logs the steps of a run.
#[derive(Debug)]
pub(crate) struct StepLog;

impl Observer for StepLog {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { run, .. } => {
                set_subject(|subject| subject.run = Some((*run).to_owned()));
                tracing::info!(run, "started");
            }
            Event::StepStarted { name } => set_subject(|subject| subject.step = Some((*name).to_owned())),
            Event::Step { name, seconds } => {
                tracing::info!(step = name, seconds = (seconds * 1e3).round() / 1e3, "done");
                set_subject(|subject| subject.step = None);
            }
            Event::Ended { report, .. } => {
                for (table, reason) in
                    report.tables.iter().flat_map(|table| table.reasons.iter().map(|reason| (&table.table, reason)))
                {
                    if let Some(help) = &reason.help {
                        tracing::info!(table, reason = reason.name, "{help}");
                    }
                }
            }
            // Whoever finds a dead, missed or late run logs it.
            Event::Planned { .. }
            | Event::Reading { .. }
            | Event::Died { .. }
            | Event::Missed { .. }
            | Event::Late { .. } => {}
        }
    }
}

/// One JSON object per line: time, level, message, task, run and step, and the fields of the event.
struct JsonLines;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for JsonLines {
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("message".to_owned(), fields.remove("message").unwrap_or_default());
        let Subject { task, run, step } = SUBJECT.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, value) in [("task", task), ("run", run), ("step", step)] {
            if let Some(value) = fields.remove(name).or(value.map(Value::from)) {
                line.insert(name.to_owned(), value);
            }
        }
        line.append(&mut fields);
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The fields of an event as JSON.
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
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
pub fn start_service(format: LogFormat, quiet: bool) {
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
        LogFormat::Json => log.event_format(JsonLines).try_init(),
    };
}
