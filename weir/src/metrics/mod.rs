//! Metrics for Prometheus: what the ledger of a state folder has counted, in the text format, as a file for the node exporter or
//! as the answer to a scrape.

#[cfg(feature = "http")]
mod serve;
mod text;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, Result};
use crate::ledger::{Counter, Ledger, OpenWindows, names};
use crate::report::RunKey;
use crate::system::disk::write_whole;
use crate::task::{Task, Times};
#[cfg(feature = "http")]
pub(crate) use serve::Endpoint;
use text::{Family, Kind, Sample};

/// How long the writer of a file waits for another one.
const WAIT: Duration = Duration::from_secs(1);

/// How many due times are looked at to find the longest time between two.
const DUE_TIMES: usize = 400;

/// A metric of a counter of the ledger: its name, what it is, and the names of its labels besides task and environment.
struct Metric {
    counter: &'static str,
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [&'static str],
}

const fn metric(
    counter: &'static str,
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { counter, name, kind, help, labels }
}

const METRICS: [Metric; 11] = [
    metric(names::RUNS, "weir_runs_total", Kind::Counter, &["outcome"], "Runs that ended, by outcome."),
    metric(
        names::ROWS,
        "weir_rows_total",
        Kind::Counter,
        &["table", "route"],
        "Rows of a source that were read, or of a table that was judged, by route.",
    ),
    metric(
        names::REASONS,
        "weir_reasons_total",
        Kind::Counter,
        &["table", "reason", "effect"],
        "Rows that missed a rule or could not be read, by reason. A row can have several.",
    ),
    metric(names::WRITTEN_ROWS, "weir_written_rows_total", Kind::Counter, &["sink"], "Rows that were published."),
    metric(names::WRITTEN_BYTES, "weir_written_bytes_total", Kind::Counter, &["sink"], "Bytes that were published."),
    metric(names::RUN_SECONDS, "weir_run_seconds_total", Kind::Counter, &[], "Duration of all runs."),
    metric(names::LAST_RUN, "weir_last_run_timestamp_seconds", Kind::Gauge, &[], "When the newest run ended."),
    metric(
        names::LAST_SUCCESS,
        "weir_last_success_timestamp_seconds",
        Kind::Gauge,
        &[],
        "When the newest run ended that was published, or had nothing to do.",
    ),
    metric(names::LAST_SECONDS, "weir_last_run_seconds", Kind::Gauge, &[], "Duration of the newest run."),
    metric(
        names::PEAK_MEMORY,
        "weir_peak_memory_bytes",
        Kind::Gauge,
        &[],
        "The largest resident memory of the newest run.",
    ),
    metric(
        names::INTERVAL,
        "weir_schedule_interval_seconds",
        Kind::Gauge,
        &[],
        "The longest time between two due times of the schedule, or the length of a window.",
    ),
];

/// The metrics of a state folder.
#[derive(Debug, Default)]
struct Collected {
    counters: Vec<Counter>,
    windows: Vec<OpenWindows>,
    running: Vec<(RunKey, u64)>,
}

fn collect(states: &[PathBuf]) -> Result<Collected> {
    let mut all = Collected::default();
    for state in states {
        let Some(ledger) = Ledger::read_only(state)? else { continue };
        all.counters.extend(ledger.counters()?);
        all.windows.extend(ledger.open_windows()?);
        all.running.extend(ledger.open_runs()?);
    }
    Ok(all)
}

/// The metrics of state folders in the text format.
pub(crate) fn exposition(states: &[PathBuf], now: DateTime<Utc>) -> Result<String> {
    let Collected { counters, windows, running } = collect(states)?;
    let mut families = vec![];
    for metric in &METRICS {
        let of = counters.iter().filter(|counter| counter.name == metric.counter);
        let samples = of.map(|counter| {
            let own = metric.labels.iter().copied().zip(counter.labels.iter().map(String::as_str));
            Sample::new("", &counter.task, &counter.environment, own, counter.value)
        });
        families.push(Family { name: metric.name, kind: metric.kind, help: metric.help, samples: samples.collect() });
    }
    let steps = |name: &'static str, suffix: &'static str| {
        let of = counters.iter().filter(move |counter| counter.name == name);
        of.map(move |counter| {
            let step = counter.labels.first().map_or("", String::as_str);
            Sample::new(suffix, &counter.task, &counter.environment, [("step", step)], counter.value)
        })
    };
    families.push(Family {
        name: "weir_step_seconds",
        kind: Kind::Summary,
        help: "Duration of the steps of runs, and how many there were.",
        samples: steps(names::STEP_SECONDS, "_sum").chain(steps(names::STEPS, "_count")).collect(),
    });
    families.extend(of_windows(&windows, now));
    families.push(Family {
        name: "weir_running",
        kind: Kind::Gauge,
        help: "Runs that have begun and not ended; those that died among them, until the next one recovers them.",
        samples: running
            .iter()
            .map(|(key, runs)| Sample::new("", &key.task, &key.environment, [], *runs as f64))
            .collect(),
    });
    families.push(Family {
        name: "weir_build_info",
        kind: Kind::Gauge,
        help: "The version of the program.",
        samples: vec![Sample::of([("version", env!("CARGO_PKG_VERSION"))], 1.0)],
    });
    Ok(text::written(&families))
}

fn of_windows(windows: &[OpenWindows], now: DateTime<Utc>) -> [Family; 2] {
    let states = windows.iter().flat_map(|of| {
        let OpenWindows { task, environment, states, .. } = of;
        states
            .iter()
            .map(|(state, count)| Sample::new("", task, environment, [("state", state.as_str())], *count as f64))
    });
    let lag = |oldest: &str| oldest.parse::<DateTime<Utc>>().map_or(0.0, |due| (now - due).as_seconds_f64().max(0.0));
    let lags = windows.iter().map(|of| {
        let lag = of.oldest.as_deref().map_or(0.0, lag);
        Sample::new("", &of.task, &of.environment, [], lag)
    });
    [
        Family {
            name: "weir_windows",
            kind: Kind::Gauge,
            help: "Windows in the queue, by state.",
            samples: states.collect(),
        },
        Family {
            name: "weir_lag_seconds",
            kind: Kind::Gauge,
            help: "For how long the oldest window has been due that is not done; 0 if there is none.",
            samples: lags.collect(),
        },
    ]
}

/// Writes the metrics of a state folder to the file that `metrics` in `weir.yaml` names, if it does. What fails is a warning: it
/// changes no run.
pub(crate) fn write(task: &Task, key: &RunKey, state: &Path) {
    let Some(path) = task.project.textfile() else { return };
    if let Err(error) = enter_interval(task, key, state).and_then(|()| write_to(&path, state)) {
        tracing::warn!(%error, "the metrics could not be written");
    }
}

fn write_to(path: &Path, state: &Path) -> Result<()> {
    let wrong = |error: std::io::Error| {
        let help =
            "`metrics: {textfile: …}` in weir.yaml: name a file in a folder that the user of the run can write to";
        Error::system(format!("{} cannot be written", path.display()), error, help)
    };
    // Of two writers the later one has read the ledger later: what counts up never goes down.
    let _lock = locked(&state.join("metrics.lock")).map_err(wrong)?;
    let text = exposition(&[state.to_owned()], Utc::now())?;
    write_whole(path, text.as_bytes()).map_err(wrong)
}

fn locked(path: &Path) -> std::io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
            Err(std::fs::TryLockError::WouldBlock) if began.elapsed() > WAIT => {
                return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "another process is writing it"));
            }
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Enters how often the task is due, by which alert rules know when a success is missing.
pub(crate) fn enter_interval(task: &Task, key: &RunKey, state: &Path) -> Result<()> {
    let key = RunKey { window: None, ..key.clone() };
    Ledger::open(state)?.set_interval(&key, interval(task)?)
}

fn interval(task: &Task) -> Result<Option<f64>> {
    let now = Utc::now();
    if let Some(windows) = task.windows()? {
        let next = windows.due_after(now);
        let after = next.and_then(|next| windows.due_after(next));
        return Ok(next.zip(after).map(|(next, after)| (after - next).as_seconds_f64()));
    }
    let Some(schedule) = &task.spec.schedule else { return Ok(None) };
    let times = schedule.value.times(&task.source).map_err(Box::new)?;
    Ok(longest(&times, now).map(TimeDelta::as_seconds_f64))
}

/// The longest time between two due times from now on.
fn longest(times: &Times, now: DateTime<Utc>) -> Option<TimeDelta> {
    let due: Vec<_> = std::iter::successors(times.after(now), |due| times.after(*due)).take(DUE_TIMES).collect();
    due.windows(2).map(|pair| pair[1] - pair[0]).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{parse_cron, parse_zone};

    #[test]
    fn a_weekend_is_the_longest_time_between_workdays() {
        let times = |cron: &str| Times::new(parse_cron(cron).unwrap(), cron, parse_zone("UTC").unwrap());
        let now = "2026-05-01T00:00:00Z".parse().unwrap();
        assert_eq!(longest(&times("30 6 * * mon-fri"), now), Some(TimeDelta::days(3)));
        assert_eq!(longest(&times("*/15 * * * *"), now), Some(TimeDelta::minutes(15)));
    }

    #[test]
    fn the_lag_is_that_of_the_oldest_window_that_is_due() {
        let of = |oldest: Option<&str>| OpenWindows {
            task: "loans".into(),
            environment: "prod".into(),
            states: vec![("done".into(), 3)],
            oldest: oldest.map(str::to_owned),
        };
        let now = "2026-05-01T01:00:00Z".parse().unwrap();
        let lag = |oldest| of_windows(&[of(oldest)], now)[1].samples[0].value;
        assert_eq!(lag(Some("2026-05-01T00:30:00Z")), 1800.0);
        assert_eq!(lag(None), 0.0);
    }
}
