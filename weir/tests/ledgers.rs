//! A ledger that cannot be used ends a run with a clear error, before anything is read.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{File, read, write};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use support::Project;

fn ended_with(project: &Project, said: &str, help: &str) {
    let before = project.rows("out/good");
    let ran = project.run(&[]);
    ran.ended(1, said);
    ran.ended(1, help);
    assert_eq!(project.rows("out/good"), before);
    assert_eq!(project.left("out"), ["bad", "good"]);
    assert_eq!(project.left(".weir/scratch"), [""; 0]);
}

#[test]
fn a_damaged_ledger_is_an_error_and_is_left_unchanged() {
    let project = Project::people();
    project.run(&[]).ended(0, "");
    let path = project.path(".weir/ledger.sqlite");
    let whole = read(&path).unwrap();
    for damaged in [&whole[..whole.len() / 2], &whole[..1000], b"name,age\nAnn,30\n".repeat(100).as_slice()] {
        write(&path, damaged).unwrap();
        ended_with(&project, "state folder: .weir/ledger.sqlite: ", "it is damaged: put back a copy, or move it away");
        assert_eq!(read(&path).unwrap(), damaged);
    }
    write(&path, whole).unwrap();
    project.run(&[]).ended(0, "done");
}

#[test]
fn a_run_waits_for_another_process_that_writes_to_the_ledger() {
    let project = Project::people();
    project.run(&[]).ended(0, "");
    let mut ledger = Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    let held = ledger.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    let started = Instant::now();
    let mut run = project.command(&["run", "--task-config", "task.yaml", "--quiet"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    drop(held);
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() > Duration::from_millis(700));
}

#[test]
fn a_lock_file_of_another_format_does_not_prevent_a_run() {
    let project = Project::people();
    project.file(".weir/locks/people.default.lock", "not JSON");
    let lock = File::open(project.path(".weir/locks/people.default.lock")).unwrap();
    lock.lock().unwrap();
    project.run(&[]).ended(4, "`people.default` is being run by another process");
    drop(lock);
    project.run(&[]).ended(0, "done");
}
