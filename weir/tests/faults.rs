//! A run that dies between any two steps of publishing, or of the recovery that follows, leaves each row once.
#![allow(clippy::unwrap_used)]
// Fault points exist in debug builds only.
#![cfg(debug_assertions)]

mod support;

#[path = "support/deliveries.rs"]
mod deliveries;
#[path = "support/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use deliveries::Deliveries;

/// The fault points in the sources, so that none can be forgotten.
fn points() -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    for path in sources::files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let calls = text.split("fault::point(\"").skip(1);
        points.extend(calls.map(|call| call.split('"').next().unwrap().to_owned()));
    }
    assert!(points.contains("committed"), "{points:?}");
    points
}

/// Starts the task so that it dies at a fault; returns whether the fault was reached.
///
/// Where folders cannot be exchanged there is none for a moment: `is_aside` tells that an earlier death has left it so.
fn dies_while(deliveries: &Deliveries, fault: &str, is_aside: bool) -> bool {
    let status = deliveries.command(&["--quiet"]).env("WEIR_FAULT", fault).status().unwrap();
    assert!(status.signal() == Some(9) || status.code() == Some(0), "{fault}: {status}");
    // Without a rename exchange there is no folder for a moment.
    if !is_aside && !fault.contains("stepped_aside") {
        deliveries.is_whole(fault);
    }
    status.signal().is_some()
}

fn dies(deliveries: &Deliveries, fault: &str) -> bool {
    dies_while(deliveries, fault, false)
}

/// The number of times that a run reaches a point can grow with the deliveries.
const MOST: usize = 5;

/// Dies at the first, the second, … pass of a point, as often as a run reaches it; returns the number of passes.
fn walk(deliveries: &mut Deliveries, before: Option<&str>, errors: &str, point: &str) -> usize {
    for time in 1..=MOST {
        let fault = format!("{errors}{point}:{time}");
        let when = format!("{} then {fault}", before.unwrap_or("nothing"));
        deliveries.deliver();
        if let Some(before) = before {
            assert!(dies(deliveries, before), "{before}");
        }
        let died = dies_while(deliveries, &fault, before.is_some_and(|before| before.contains("stepped_aside")));
        if died {
            deliveries.run(&[]).ended(0, "");
        }
        deliveries.is_complete(&when);
        if !died {
            return time - 1;
        }
    }
    MOST
}

#[test]
fn a_run_can_die_at_every_point() {
    let mut deliveries = Deliveries::new();
    let mut missed = points();
    missed.retain(|point| walk(&mut deliveries, None, "", point) == 0);
    // Fallbacks for file systems without rename exchange or hard links, and for an archive on another device.
    let (invalid, other_device) = ("exchange=22,", "archive_rename=18,");
    for (errors, point) in [
        (invalid, "stepped_aside"),
        (invalid, "published"),
        (other_device, "archive_copied"),
        (other_device, "archive_named"),
    ] {
        assert!(walk(&mut deliveries, None, errors, point) > 0, "{errors}{point}");
        missed.remove(point);
    }
    // The tests below die there, and those of `compact` and `replace_folder`.
    ["carried", "file_marked", "merged", "staged_whole"].iter().for_each(|point| _ = missed.remove(*point));
    // Processes of a cluster die there: cluster/tests/runs.rs.
    let of_cluster =
        ["attempt_taken", "job_done", "job_made", "pass_done", "run_told", "split_begun", "split_read", "split_told"];
    of_cluster.iter().for_each(|point| assert!(missed.remove(*point), "{point}"));
    assert!(missed.is_empty(), "no run reached {missed:?}");
}

#[test]
fn the_recovery_of_a_dead_run_can_die_at_every_point_too() {
    let mut deliveries = Deliveries::new();
    for (before, points) in [
        ("committed", ["published", "cleared", "file_archived", "recovered"].as_slice()),
        ("published:2", &["published", "cleared", "recovered"]),
        ("prepared:2", &["cleared", "recovered"]),
        ("exchange=22,stepped_aside", &["published", "cleared"]),
        ("archive_rename=18,archive_named", &["file_archived"]),
    ] {
        for point in points {
            assert!(walk(&mut deliveries, Some(before), "", point) > 0, "{before}, then {point}");
        }
    }
}

#[test]
fn a_run_that_dies_while_files_are_renamed_leaves_each_whole_and_is_rolled_forward() {
    let project = support::Project::empty();
    project.file(
        "task.yaml",
        "
        name: stock
        sources: {a: {files: {path: in.csv, format: csv}, columns: {item: string}}}
        sinks:
          one: {from: a, mode: overwrite, files: {file: out/one.csv, format: csv}}
          two: {from: a, mode: overwrite, files: {file: out/two.csv, format: csv}}
    ",
    );
    let content = |name: &str| std::fs::read_to_string(project.path(&format!("out/{name}.csv"))).unwrap();
    let deliver = |item: &str| project.file("in.csv", format!("item\n{item}\n"));
    deliver("bolt");
    project.run(&[]).ended(0, "done");
    for (number, point) in ["file_marked", "published", "published:2"].into_iter().enumerate() {
        let (before, item) = (content("one"), format!("nut{number}"));
        let after = format!("item\n{item}\n");
        deliver(&item);
        let status = project.command(&["run", "--task-config", "task.yaml"]).env("WEIR_FAULT", point).output().unwrap();
        assert_eq!(status.status.signal(), Some(9), "{point}");
        for name in ["one", "two"] {
            assert!([&before, &after].contains(&&content(name)), "{point}: {name}");
        }
        project.weir(&["recover", "--task-config", "task.yaml", "--retry"]).ended(0, "");
        assert_eq!((content("one"), content("two")), (after.clone(), after), "{point}");
    }
}

#[test]
fn a_commit_that_fails_after_the_commit_record_is_reported_and_rolled_forward_by_the_next_start() {
    let mut deliveries = Deliveries::new();
    deliveries.deliver();
    let ran = deliveries.command(&[]).env("WEIR_FAULT", "exchange=5").output().unwrap();
    let ran = support::Ran::of(ran);
    ran.ended(1, "has a commit record, but not all of its sinks could be committed: sink `latest`:");
    ran.ended(1, "Input/output error");
    deliveries.is_whole("after a commit that failed");
    deliveries.run(&[]).ended(0, "it was rolled forward");
    deliveries.is_complete("after the next start");
}

#[test]
fn prepared_files_lost_after_a_crash_are_read_again_and_added_once() {
    let mut deliveries = Deliveries::new();
    for (fault, said) in [
        ("committed", "what it had prepared is lost for young; nothing of it is published"),
        ("published", "what it had prepared is lost for young; the other sinks are published"),
    ] {
        deliveries.deliver();
        assert!(dies(&deliveries, fault));
        let prepared =
            deliveries.project.left("out").into_iter().find(|name| name.starts_with(".young.weir-")).unwrap();
        std::fs::remove_dir_all(deliveries.project.path(&format!("out/{prepared}"))).unwrap();
        deliveries.run(&[]).ended(0, said);
        deliveries.is_complete(fault);
    }
}

#[test]
fn an_appended_folder_that_loses_the_rows_of_a_closed_gate_is_replaced_whole() {
    for link in ["", "link=1,"] {
        let mut deliveries = Deliveries::new();
        let project = &deliveries.project;
        project.task(
            "sql/chosen.sql\nquality:\n  chosen:\n",
            "sql/chosen.sql\nquality:\n  chosen:\n    gate: {max_rejected: 60%}\n",
        );
        project.task(
            "from: chosen.rejected\n    mode: append",
            "from: chosen.rejected\n    mode: append\n    publish: always",
        );
        deliveries.deliver();
        deliveries.run(&[]).ended(0, "done");
        // A gate that this delivery does not pass: its rows are in `young`, and its files are read again.
        deliveries.deliver();
        deliveries.project.task("max_rejected: 60%", "max_rejected: 10%");
        deliveries.run(&[]).ended(3, "gate closed");
        deliveries.project.task("max_rejected: 10%", "max_rejected: 60%");
        for time in [1, 2] {
            assert!(dies(&deliveries, &format!("{link}carried:{time}")), "{link}carried:{time}");
        }
        deliveries.run(&[]).ended(0, "done");
        deliveries.is_complete(link);
    }
}
