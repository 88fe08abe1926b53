//! What an alert says: counts, names and reasons, and no values of rows.

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Summary, number_of};
use crate::ledger::Over;
use crate::report::{Outcome, Report, RunKey, State, TableReport};
use crate::task::AlertEvent;

/// The version of the JSON form. A field that is added does not raise it; a field that changes its meaning does.
const VERSION: u32 = 1;

/// How many late windows are named.
const WINDOWS: usize = 20;

/// What there is to tell.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) event: AlertEvent,
    pub(crate) key: RunKey,
    /// The run that it is about; empty if it is about none.
    pub(crate) run: String,
    /// How many alerts of the event were not sent since the last one.
    suppressed: u64,
    time: String,
    is_test: bool,
    outcome: Option<Outcome>,
    error: Option<Summary>,
    breaches: Vec<String>,
    tables: Vec<TableReport>,
    outputs: Vec<Output>,
    seconds: Option<f64>,
    windows: Vec<String>,
    over: Option<Over>,
    /// Whether it is a success that nobody needs to be told by itself.
    is_plain: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Output {
    sink: String,
    rows: u64,
    bytes: u64,
    published: bool,
}

impl Notice {
    fn new(event: AlertEvent, key: &RunKey, run: &str) -> Self {
        Self {
            event,
            key: key.clone(),
            run: run.to_owned(),
            suppressed: 0,
            time: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            is_test: false,
            outcome: None,
            error: None,
            breaches: vec![],
            tables: vec![],
            outputs: vec![],
            seconds: None,
            windows: vec![],
            over: None,
            is_plain: false,
        }
    }

    /// The end of a run.
    pub(crate) fn ended(report: &Report, error: Option<Summary>) -> Self {
        let key = RunKey { window: report.window.clone(), ..RunKey::new(&report.task, &report.environment) };
        let warns = report.tables.iter().flat_map(|table| &table.reasons).any(|reason| reason.effect == "warn");
        let (event, is_plain) = match report.outcome {
            Outcome::Failed | Outcome::Interrupted | Outcome::TimedOut => (AlertEvent::Failed, false),
            Outcome::GateClosed => (AlertEvent::GateClosed, false),
            Outcome::Done | Outcome::Skipped => (AlertEvent::Warned, !warns),
        };
        let outputs = report.outputs.iter().map(|of| Output {
            sink: of.sink.clone(),
            rows: of.rows,
            bytes: of.bytes,
            published: of.published,
        });
        Self {
            outcome: Some(report.outcome),
            error,
            breaches: report.breaches.clone(),
            tables: report.for_ledger(None).tables, // without samples
            outputs: outputs.collect(),
            seconds: Some(report.seconds),
            is_plain,
            ..Self::new(event, &key, &report.run)
        }
    }

    /// A run that ended before it began.
    pub(crate) fn failed(key: &RunKey, run: &str, error: Summary) -> Self {
        Self { outcome: Some(Outcome::Failed), error: Some(error), ..Self::new(AlertEvent::Failed, key, run) }
    }

    /// A run whose process is gone.
    pub(crate) fn died(key: &RunKey, run: &str, state: State) -> Self {
        let help = "the next run rolls it back, or forward if it has a commit record";
        let summary = match state {
            State::TimedOut => Summary::new("timed_out", "it took longer than its timeout, and was stopped", None),
            _ => Summary::new("died", "its process ended without an end of the run", Some(help)),
        };
        Self { error: Some(summary), ..Self::new(AlertEvent::Failed, key, run) }
    }

    /// A run that was due and not started.
    pub(crate) fn missed(key: &RunKey, due: &str, reason: &str) -> Self {
        let summary = Summary::new("missed", format!("the run that was due at {due} was not started: {reason}"), None);
        Self { error: Some(summary), ..Self::new(AlertEvent::Late, key, "") }
    }

    /// Windows without data.
    pub(crate) fn late(key: &RunKey, windows: &[&str]) -> Self {
        let message = format!("due and without data: {}", number_of(windows.len(), "window"));
        let named = windows.iter().take(WINDOWS).map(|window| (*window).to_owned());
        let error = Some(Summary::new("late", message, None));
        Self { error, windows: named.collect(), ..Self::new(AlertEvent::Late, key, "") }
    }

    /// No window is late any more.
    pub(crate) fn on_time(key: &RunKey) -> Self {
        Self { is_plain: true, ..Self::new(AlertEvent::Recovered, key, "") }
    }

    /// One that tells nothing but that alerts arrive.
    pub(crate) fn test(key: &RunKey) -> Self {
        Self { is_test: true, ..Self::new(AlertEvent::Failed, key, "") }
    }

    /// That a trouble is over.
    pub(crate) fn recovered(&self, over: Over) -> Self {
        Self { event: AlertEvent::Recovered, over: Some(over), is_plain: false, ..self.clone() }
    }

    /// The same, after so many that were not sent.
    pub(crate) fn after(&self, suppressed: u64) -> Self {
        Self { suppressed, ..self.clone() }
    }

    /// Whether it is told by itself.
    pub(crate) fn is_told(&self) -> bool {
        !self.is_plain
    }

    /// The event, `test` of a test.
    pub(crate) fn event_name(&self) -> &'static str {
        if self.is_test { "test" } else { self.event.as_str() }
    }

    /// What it is about, in a line.
    pub(crate) fn title(&self) -> String {
        let RunKey { task, environment, window } = &self.key;
        let window = window.as_ref().map_or(String::new(), |window| format!(", window {window}"));
        let what = match (self.is_test, self.event) {
            (true, _) => "a test of the alerts",
            (_, AlertEvent::Failed) => "failed",
            (_, AlertEvent::GateClosed) => "the gate closed",
            (_, AlertEvent::Warned) => "published with warnings",
            (_, AlertEvent::Late) => "late",
            (_, AlertEvent::Recovered) => "recovered",
        };
        format!("{task} ({environment}{window}): {what}")
    }

    /// What there is to say, by what it is about.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(Summary { code, message, help }) = &self.error {
            facts.push(("reason", format!("{message} ({code})")));
            facts.extend(help.map(|help| ("note", help.to_owned())));
        }
        facts.extend(self.breaches.iter().map(|breach| ("gate", breach.clone())));
        if let Some(over) = &self.over {
            let runs = match over.runs {
                0 => String::new(),
                runs => format!("{} without success, ", number_of(runs as usize, "run")),
            };
            facts.push(("before", format!("{runs}since {}", over.since)));
        }
        if !self.windows.is_empty() {
            facts.push(("windows", self.windows.join(", ")));
        }
        for table in &self.tables {
            let reasons = table.reasons.iter().map(|of| format!("; {} ({}): {}", of.name, of.effect, of.rows));
            let TableReport { table, rows, rejected, .. } = table;
            let reasons: String = reasons.collect();
            facts
                .push(("rows", format!("{table}: {}, {rejected} rejected{reasons}", number_of(*rows as usize, "row"))));
        }
        if let Some(seconds) = self.seconds {
            facts.push(("duration", format!("{seconds:.1} s")));
        }
        if !self.run.is_empty() {
            facts.push(("run", format!("{}; `weir runs` shows it", self.run)));
        }
        if self.suppressed > 0 {
            facts.push(("not sent before", number_of(self.suppressed as usize, "alert")));
        }
        facts.push(("time", self.time.clone()));
        facts
    }

    /// The whole alert as text: the title, and a line for each fact.
    pub(crate) fn text(&self) -> String {
        let facts = self.facts().into_iter().map(|(what, is)| format!("\n{what}: {is}"));
        self.title() + &facts.collect::<String>()
    }

    /// The whole alert as JSON.
    pub(crate) fn json(&self) -> Value {
        let tables = self.tables.iter().map(|of| {
            let reasons = of.reasons.iter();
            let reasons = reasons.map(|of| json!({"name": of.name, "effect": of.effect, "rows": of.rows}));
            json!({"table": of.table, "is_source": of.is_source, "rows": of.rows, "accepted": of.accepted,
                   "rejected": of.rejected, "reasons": reasons.collect::<Vec<_>>()})
        });
        json!({
            "version": VERSION,
            "event": self.event_name(),
            "title": self.title(),
            "text": self.text(),
            "time": self.time,
            "task": self.key.task,
            "environment": self.key.environment,
            "window": self.key.window,
            "run": (!self.run.is_empty()).then_some(&self.run),
            "outcome": self.outcome,
            "error": self.error,
            "breaches": self.breaches,
            "tables": tables.collect::<Vec<_>>(),
            "outputs": self.outputs,
            "seconds": self.seconds,
            "late_windows": self.windows,
            "recovered_from": self.over.as_ref().map(|over| json!({"runs": over.runs, "since": over.since})),
            "suppressed": self.suppressed,
        })
    }
}
