//! Metrics for Prometheus: the file of the node exporter and the endpoint of the scheduler, read by Prometheus's own parser.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)]

mod support;

#[path = "support/monitoring.rs"]
mod monitoring;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::Project;

/// The values by name and labels, as Prometheus's parser reads them: `weir_runs_total{outcome="done"}`, without task and environment.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let program = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
values = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.type in ('counter', 'gauge', 'summary') and family.documentation, family
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name not in ('task', 'environment')}
        name = sample.name + ''.join(f'{{{k}=\"{v}\"}}' for k, v in sorted(labels.items()))
        assert name not in values, name
        values[name] = sample.value
print(json.dumps(values))
";
    serde_json::from_str(&monitoring::checked(program, &[], text)).unwrap()
}

fn people() -> Project {
    let project = Project::people();
    project.file("weir.yaml", "metrics: {textfile: metrics/weir.prom}\n");
    std::fs::create_dir(project.path("metrics")).unwrap();
    project
}

/// The values of the file.
fn values(project: &Project) -> BTreeMap<String, f64> {
    assert_eq!(project.left("metrics"), ["weir.prom"]);
    parsed(&project.text("metrics/weir.prom"))
}

#[test]
fn each_run_writes_what_all_runs_have_counted() {
    let project = people();
    project.run(&[]).ended(0, "done");
    let before = values(&project);
    let value = |name: &str| before.get(name).copied();
    assert_eq!(value("weir_runs_total{outcome=\"done\"}"), Some(1.0));
    assert_eq!(value("weir_runs_total{outcome=\"failed\"}"), Some(0.0), "the first failure is an increase");
    assert_eq!(value("weir_rows_total{route=\"accepted\"}{table=\"adult\"}"), Some(2.0));
    assert_eq!(value("weir_rows_total{route=\"rejected\"}{table=\"adult\"}"), Some(1.0));
    assert_eq!(value("weir_reasons_total{effect=\"reject\"}{reason=\"too_young\"}{table=\"adult\"}"), Some(1.0));
    assert_eq!(value("weir_written_rows_total{sink=\"good\"}"), Some(2.0));
    assert!(value("weir_written_bytes_total{sink=\"good\"}") > Some(10.0));
    assert_eq!(value("weir_step_seconds_count{step=\"adult\"}"), Some(1.0));
    assert!(value("weir_peak_memory_bytes") > Some(1e6));
    assert!(value("weir_last_success_timestamp_seconds") > Some(1.7e9));
    assert_eq!(value("weir_running"), Some(0.0));
    assert_eq!(value("weir_schedule_interval_seconds"), None, "it has no schedule");
    assert!(
        project
            .text("metrics/weir.prom")
            .contains("weir_runs_total{task=\"people\",environment=\"default\",outcome=\"done\"} 1\n")
    );

    project.run(&["--param", "least_age=40"]).ended(3, "gate closed");
    project.task("params:", "schedule: {cron: '0 * * * *'}\nparams:");
    std::fs::rename(project.path("in/a.csv"), project.path("a.csv")).unwrap();
    project.run(&[]).ended(1, "in/*.csv");
    let after = values(&project);
    for (name, expected) in [
        ("weir_runs_total{outcome=\"done\"}", 1.0),
        ("weir_runs_total{outcome=\"gate_closed\"}", 1.0),
        ("weir_runs_total{outcome=\"failed\"}", 1.0),
        ("weir_written_rows_total{sink=\"good\"}", 2.0),
        ("weir_written_rows_total{sink=\"bad\"}", 3.0),
        ("weir_schedule_interval_seconds", 3600.0),
        ("weir_last_success_timestamp_seconds", before["weir_last_success_timestamp_seconds"]),
    ] {
        assert_eq!(after.get(name), Some(&expected), "{name}");
    }
    // What counts up never goes down, also when the runs are gone.
    project.age_runs("-10 days");
    project.weir(&["prune", "task.yaml", "--keep", "1d"]).ended(0, "");
    std::fs::rename(project.path("a.csv"), project.path("in/a.csv")).unwrap();
    project.run(&[]).ended(0, "done");
    let last = values(&project);
    for (name, value) in
        after.iter().filter(|(name, _)| name.contains("_total") || name.contains("_sum") || name.contains("_count"))
    {
        assert!(last[name] >= *value, "{name}: {value} -> {}", last[name]);
    }
    assert_eq!(last["weir_runs_total{outcome=\"done\"}"], 2.0);
}

#[test]
fn runs_that_did_not_begin_or_died_are_counted() {
    let project = people();
    project.run(&[]).ended(0, "done");
    // It fails before the ledger has an entry of it.
    project.task("name: string, age: integer", "name: string, age: integer, more: string");
    project.file("sql/adult.sql", "select name, age from nowhere");
    project.run(&[]).ended(2, "nowhere");
    project.file("sql/adult.sql", "select name, age from person");
    project.task(", more: string", "");
    assert_eq!(values(&project)["weir_runs_total{outcome=\"failed\"}"], 1.0);
    for fault in ["begun", "committed"] {
        let mut killed = project.command(&["run", "task.yaml", "--quiet"]);
        killed.env("WEIR_FAULT", fault).status().unwrap();
        project.run(&[]).ended(0, "done");
    }
    let values = values(&project);
    assert_eq!(values["weir_runs_total{outcome=\"died\"}"], 1.0);
    assert_eq!(values["weir_runs_total{outcome=\"done\"}"], 4.0, "one was rolled forward");
    assert_eq!(values["weir_rows_total{route=\"accepted\"}{table=\"adult\"}"], 8.0);
}

#[test]
fn windows_have_a_lag() {
    let project = people();
    project.task("params:", "window: {every: 1h, start: 2026-01-01}\nparams:");
    project.weir(&["queue", "task.yaml", "--due", "2026-01-01T03:30:00Z"]).ended(0, "entered: 3");
    let values = values(&project);
    assert_eq!(values["weir_windows{state=\"waiting\"}"], 3.0);
    assert!(values["weir_lag_seconds"] > 86_400.0);
    assert_eq!(values["weir_schedule_interval_seconds"], 3600.0);
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning() {
    let project = Project::people();
    project.file("weir.yaml", "metrics: {textfile: nowhere/weir.prom}\n");
    let ran = project.run(&[]);
    ran.ended(0, "the metrics could not be written");
    assert!(ran.err.contains("nowhere/weir.prom cannot be written"), "{}", ran.err);
    project.file("weir.yaml", "metrics: {textfile: weir.txt}\n");
    project.run(&[]).ended(2, "`textfile` is not the name of a file *.prom");
}

/// A scheduler with an endpoint, which is stopped on drop.
struct Scheduler {
    process: Child,
    address: String,
}

impl Scheduler {
    fn start(project: &Project, tasks: &[&str]) -> Self {
        let arguments = [&["schedule"], tasks, &["--metrics", "127.0.0.1:0", "--log-format", "json"]].concat();
        let mut command = project.command(&arguments);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the scheduler ended");
            let fields: Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = fields["address"].as_str() {
                break address.to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { process, address }
    }

    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

#[test]
fn a_scheduler_serves_the_metrics_of_its_tasks_to_many_clients() {
    let project = Project::people();
    project.task("params:", "schedule: {cron: '@yearly'}\nparams:");
    project.run(&[]).ended(0, "done");
    let scheduler = Scheduler::start(&project, &["task.yaml"]);
    let (head, body) = scheduler.ask("GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
    let values = parsed(&body);
    assert_eq!(values["weir_runs_total{outcome=\"done\"}"], 1.0);
    assert!(values["weir_schedule_interval_seconds"] >= 365.0 * 86_400.0);
    project.run(&[]).ended(0, "done");
    assert_eq!(parsed(&scheduler.ask("GET /metrics?x=1").1)["weir_runs_total{outcome=\"done\"}"], 2.0);

    let (head, body) = scheduler.ask("HEAD /metrics");
    assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{head}{body}");
    assert!(scheduler.ask("GET /").0.starts_with("HTTP/1.1 404"));
    let (head, _) = scheduler.ask("DELETE /metrics");
    assert!(head.starts_with("HTTP/1.1 405") && head.to_ascii_lowercase().contains("allow: get, head"), "{head}");

    // Clients that say nothing, more than are served at once.
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(&scheduler.address).unwrap()).collect();
    let began = Instant::now();
    assert!(scheduler.ask("GET /metrics").0.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    drop(silent);

    let taken = project.weir(&["schedule", "task.yaml", "--metrics", &scheduler.address]);
    taken.ended(2, &format!("--metrics {}", scheduler.address));
}
