//! Events of OpenLineage: read by the classes that its project generates from the published schemas.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)]

mod support;

#[path = "support/monitoring.rs"]
mod monitoring;
#[path = "support/receiver.rs"]
mod receiver;

use std::process::Command;
use std::time::{Duration, Instant};

use receiver::{Answer, Receiver};
use serde_json::{Value, json};
use support::{Project, Ran};
use weir_postgres_testing::Cluster;

/// A value of a row, which nobody must be told.
const PRIVATE: &str = "S1234567D";

fn people(url: &str) -> Project {
    let project = Project::people();
    project.file("in/a.csv", format!("name,age\nAnn,30\n{PRIVATE},17\n\"Lee, Cid\",44\n"));
    project.file("key", "s3cret-key\n");
    project.file(
        "weir.yaml",
        format!("openlineage: {{url: '{url}', namespace: sales, api_key: '${{file:key}}', timeout: 2s}}\n"),
    );
    project
}

fn command(project: &Project, more: &[&str]) -> Command {
    let mut command = project.command(&[&["run", "task.yaml"], more].concat());
    command.env("WEIR_LOG", "trace").env("WEIR_SHOW_VALUES", "false");
    for name in ["OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"] {
        command.env_remove(name);
    }
    command
}

fn run(project: &Project, more: &[&str]) -> Ran {
    Ran::of(command(project, more).output().unwrap())
}

/// What was received, which is as the schemas say, and has neither secrets nor values of rows.
#[track_caller]
fn events(receiver: &Receiver, ran: &Ran) -> Vec<Value> {
    let received = receiver.received();
    let lines: Vec<&str> = received.iter().map(|one| one.body.as_str()).collect();
    let count = monitoring::checked(include_str!("support/lineage_events.py"), &[], &lines.join("\n"));
    assert_eq!(count.trim(), received.len().to_string());
    for text in lines.into_iter().chain([ran.out.as_str(), ran.err.as_str()]) {
        for secret in ["s3cret", PRIVATE, "Lee, Cid"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    received.iter().map(receiver::Received::json).collect()
}

#[test]
fn a_run_has_a_start_and_an_end_with_its_datasets() {
    let receiver = Receiver::new();
    let project = people(&receiver.url);
    project.task("params:", "description: Adults.\nparams:");
    project.task("    gate:", "    warn_unless:\n      old: age > 40\n    gate:");
    let ran = run(&project, &[]);
    ran.ended(0, "done");
    let all = events(&receiver, &ran);
    let [start, complete] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&start["eventType"], &complete["eventType"]), (&json!("START"), &json!("COMPLETE")));
    assert_eq!(start["run"]["runId"], complete["run"]["runId"]);
    assert_eq!((&start["job"]["namespace"], &start["job"]["name"]), (&json!("sales"), &json!("people.default")));
    assert_eq!(start["job"]["facets"]["documentation"]["description"], "Adults.");
    assert_eq!(start["run"]["facets"].get("parent"), None);
    assert!(receiver.received()[0].head.contains("uthorization: Bearer s3cret-key"), "{}", receiver.received()[0].head);

    let input = &complete["inputs"][0];
    let folder = project.path("in").canonicalize().unwrap();
    assert_eq!((&input["namespace"], &input["name"]), (&json!("file"), &json!(folder)));
    let fields = &input["facets"]["schema"]["fields"];
    assert_eq!(
        (&fields[0]["name"], &fields[0]["type"], &fields[1]["type"]),
        (&json!("name"), &json!("string"), &json!("integer"))
    );
    assert_eq!(input["inputFacets"]["inputStatistics"]["rowCount"], 3);
    assert_eq!(input["inputFacets"]["dataQualityMetrics"]["rowCount"], 3);
    let outputs = complete["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs[0]["outputFacets"]["outputStatistics"]["rowCount"], 2);
    let assertions = outputs[0]["facets"]["dataQualityAssertions"]["assertions"].as_array().unwrap();
    let shown: Vec<_> = assertions
        .iter()
        .map(|one| {
            (one["assertion"].as_str().unwrap(), one["success"].as_bool().unwrap(), one["actual"].as_str().unwrap())
        })
        .collect();
    assert_eq!(shown, [("missing_name", true, "0"), ("too_young", false, "1"), ("old", false, "1")]);
    assert_eq!(assertions[2]["severity"], "warn");
    let lineage = &outputs[1]["facets"]["columnLineage"];
    let from = &lineage["fields"]["years"]["inputFields"][0];
    assert_eq!((&from["namespace"], &from["name"], &from["field"]), (&json!("file"), &json!(folder), &json!("age")));
    assert_eq!(
        (&from["transformations"][0]["subtype"], &from["transformations"][0]["masking"]),
        (&json!("IDENTITY"), &json!(false))
    );
    assert!(
        lineage["dataset"].as_array().unwrap().iter().any(|of| of["field"] == "name"),
        "a rule reads it: {lineage}"
    );
    let years = &outputs[1]["facets"]["schema"]["fields"][1];
    assert_eq!((&years["name"], &years["type"]), (&json!("years"), &json!("integer")));
}

#[test]
fn a_run_that_fails_says_why_without_values() {
    let receiver = Receiver::new();
    let project = people(&receiver.url);
    project.task("gate: {max_rejected: 60%", "gate: {max_rejected: 10%");
    let ran = run(&project, &[]);
    ran.ended(3, "gate closed");
    let all = events(&receiver, &ran);
    let fail = all.last().unwrap();
    assert_eq!(fail["eventType"], "FAIL");
    let message = fail["run"]["facets"]["errorMessage"]["message"].as_str().unwrap();
    assert_eq!(message, "the gate closed: adult: rejected: 1 of 3 rows (33.3%), more than 10%");
    let outputs = fail["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 1, "only the quarantine is published: {outputs:?}");

    project.task(
        "too_young: age >= $least_age",
        "too_young: age >= $least_age\n    fail_unless:\n      known: name not like 'S%'",
    );
    let ran = run(&project, &[]);
    ran.ended(1, "rule `known`");
    let all = events(&receiver, &ran);
    let fail = all.last().unwrap();
    let message = fail["run"]["facets"]["errorMessage"]["message"].as_str().unwrap();
    assert_eq!(message, "table `adult`: rule `known` (fail_unless) failed for at least 1 row (rule_failed)");
    assert_eq!(fail["outputs"], json!([]));

    // Not even planned.
    project.file("sql/adult.sql", "select name, age from nowhere");
    let ran = run(&project, &[]);
    ran.ended(2, "nowhere");
    let all = events(&receiver, &ran);
    let kinds: Vec<_> = all.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["START", "FAIL", "START", "FAIL", "FAIL"]);
}

#[test]
fn a_dead_endpoint_costs_a_warning_and_its_timeout_at_most() {
    for answer in [Answer::Silence, Answer::Status(503), Answer::Close, Answer::Status(401)] {
        let receiver = Receiver::answering(&[answer]);
        let project = people(&receiver.url);
        let began = Instant::now();
        let ran = run(&project, &[]);
        let took = began.elapsed();
        ran.ended(0, "events of OpenLineage could not be sent: ");
        let seconds = ran.out.split(" in ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
        assert!(took < Duration::from_secs_f64(seconds + 2.0 + 2.0), "{answer:?}: {took:?}");
        assert_eq!(project.rows("out/good").len(), 3);
        events(&receiver, &ran);
    }
    let project = people("http://127.0.0.1:9");
    run(&project, &[]).ended(0, "could not be sent");
    project.file("weir.yaml", "openlineage: {url: 'http://127.0.0.1:9', api_key: '${env:NO_SUCH_KEY}'}\n");
    run(&project, &[]).ended(0, "the environment variable `NO_SUCH_KEY` is not set");
    project.weir(&["doctor", "task.yaml"]).ended(1, "the environment variable `NO_SUCH_KEY` is not set");
    project.file("weir.yaml", "openlineage: {url: 'http://127.0.0.1:9', api_key: s3cret}\n");
    let refused = run(&project, &[]);
    refused.ended(2, "the key is written here");
    assert!(!refused.err.contains("s3cret"), "{}", refused.err);
}

#[test]
fn windows_and_parents_are_facets_and_tables_have_the_names_of_their_servers() {
    let receiver = Receiver::new();
    let project = people(&receiver.url);
    let url = Cluster::shared().database();
    let yaml = project.text("weir.yaml");
    project.file("weir.yaml", format!("{yaml}connections: {{warehouse: {{postgres: '{url}'}}}}\n"));
    project.task("params:", "window: {every: 1d, start: 2026-01-01, order: oldest}\nparams:");
    let files = "    mode: overwrite\n    files: {path: out/good, format: csv}";
    let table =
        "    mode: merge\n    primary_key: [name]\n    postgres: {connection: warehouse, table: adult, create: true}";
    project.task(files, table);
    project.task("path: out/bad", "path: 'out/${window}/bad'");
    let run_id = "0192f0e2-7c3a-7bd2-8a4e-5d4f0c2b1a00";
    let mut command = command(&project, &["--window", "2026-01-05"]);
    command.env("OPENLINEAGE_PARENT_ID", format!("airflow/people.load/{run_id}"));
    let ran = Ran::of(command.output().unwrap());
    ran.ended(0, "done");
    let all = events(&receiver, &ran);
    let run = &all[1]["run"]["facets"];
    assert_eq!(run["nominalTime"]["nominalStartTime"], "2026-01-05T00:00:00Z");
    assert_eq!(run["nominalTime"]["nominalEndTime"], "2026-01-06T00:00:00Z");
    assert_eq!(run["parent"]["job"], json!({"namespace": "airflow", "name": "people.load"}));
    assert_eq!(run["parent"]["run"]["runId"], run_id);
    assert_eq!(run["weir_run"]["window"], "2026-01-05");
    let table = &all[1]["outputs"][0];
    let (namespace, name) = (table["namespace"].as_str().unwrap(), table["name"].as_str().unwrap());
    assert!(namespace.starts_with("postgres://") && !namespace.contains('@'), "{namespace}");
    assert!(name.ends_with(".public.adult"), "{name}");
}
