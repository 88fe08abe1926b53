//! A killed run leaves the output of exactly one complete run, the one before or the one after, and the next
//! start leaves nothing else.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Instant;

use support::{Project, TASK, rows};

/// Enough rows that a run takes a while in a debug build, and different ones in each round.
fn input(round: usize) -> String {
    let rows: String = (0..60_000).map(|i| format!("n{round}-{i},{}\n", i % 40)).collect();
    format!("name,age\n{rows}")
}

#[test]
fn a_killed_run_is_finished_or_taken_back_by_the_next_start() {
    let project = Project::people();
    project.file("in/a.csv", input(0));
    let time = || {
        let started = Instant::now();
        project.run(&["--quiet"]).ended(0, "");
        started.elapsed()
    };
    // The first run is slower than those that follow: kills spread over it would come too late for them.
    let whole = time().min(time()).min(time());
    let (mut killed, mut recovered) = (0, 0);
    for round in 1..=20 {
        let before = rows(&project.path("out/good"));
        project.file("in/a.csv", input(round));
        let mut child = project.command(&["run", "--task-config", "task.yaml", "--quiet"]).spawn().unwrap();
        std::thread::sleep(whole * round as u32 / 20);
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());

        let after_kill = rows(&project.path("out/good"));
        let is_new = after_kill.iter().skip(1).all(|row| row.starts_with(&format!("n{round}-")));
        assert!(
            after_kill == before || (is_new && after_kill.len() == before.len()),
            "round {round}: half a run is published"
        );

        let ran = project.run(&[]);
        ran.ended(0, "done");
        recovered += u32::from(ran.err.contains("an earlier run did not end"));
        for (sink, count) in [("out/good", 33_000), ("out/bad", 27_000)] {
            let rows = rows(&project.path(sink));
            assert_eq!(rows.len(), 1 + count, "round {round}: {sink}");
            assert!(rows[1..].iter().all(|row| row.starts_with(&format!("n{round}-"))), "round {round}: {sink}");
        }
        assert_eq!(project.left("out"), ["bad", "good"], "round {round}");
        assert_eq!(project.left(".weir/scratch"), [""; 0], "round {round}");
    }
    println!("{killed} of 20 killed, {recovered} recovered, a run takes {whole:?}");
    assert!(killed > 5 && recovered > 2, "{killed} killed and {recovered} recovered: the kills come too late");
}

/// Puts the ledger and the folders into the state of a run that died behind its commit record.
#[test]
fn a_run_that_died_while_publishing_is_rolled_forward() {
    let project = Project::people();
    // One sink was switched already, the other was not.
    died_while_publishing(&project);
    project.file("in/a.csv", "name,age\nAnn,1\n");
    let ran = project.run(&[]);
    ran.ended(3, "gate closed");
    assert!(ran.err.contains("finished publishing"), "{}", ran.err);
    assert_eq!(project.left("out"), ["bad", "good"]);
    assert_eq!(project.rows("out/good").len(), 3);
    project.weir(&["runs", "--state", ".weir"]).ended(0, "the next start finished publishing");
}

/// Puts the ledger into the state of a run that died behind its commit record, one sink not yet switched; gives
/// that sink's staging folder.
fn died_while_publishing(project: &Project) -> std::path::PathBuf {
    project.run(&[]).ended(0, "");
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    let run: String = ledger.query_row("select id from run", [], |row| row.get(0)).unwrap();
    ledger.execute("update run set state = 'publishing', ended = null", []).unwrap();
    let staged = project.path(&format!("out/.bad.weir-{run}"));
    std::fs::rename(project.path("out/bad"), &staged).unwrap();
    staged
}

#[test]
fn a_run_that_cannot_be_finished_says_so_and_is_finished_when_it_can() {
    let project = Project::people();
    died_while_publishing(&project);
    project.file("out/bad/diary.txt", "mine");
    project.run(&[]).ended(1, "is to be published and could not be finished");
    assert_eq!(project.left("out/bad"), ["diary.txt"]);
    std::fs::remove_dir_all(project.path("out/bad")).unwrap();
    project.run(&[]).ended(0, "the next start finished publishing");
    assert_eq!(project.left("out"), ["bad", "good"]);
}

#[test]
fn a_run_whose_staged_files_are_gone_is_closed_and_is_not_called_done() {
    let project = Project::people();
    let staged = died_while_publishing(&project);
    std::fs::remove_dir_all(staged).unwrap();
    project.run(&[]).ended(0, "what it had staged is gone for bad");
    project.weir(&["runs", "--state", ".weir"]).ended(0, "died");
    assert_eq!(project.left("out"), ["bad", "good"]);
}

#[test]
fn what_a_run_staged_that_died_before_its_commit_record_is_removed() {
    let project = Project::people();
    project.run(&[]).ended(0, "");
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    let run: String = ledger.query_row("select id from run", [], |row| row.get(0)).unwrap();
    ledger.execute("update run set state = 'running', ended = null, report = null", []).unwrap();
    drop(ledger);
    project.file(&format!("out/.good.weir-{run}/part-00000.csv"), "name,age\nhalf");
    project.file(".weir/scratch/people.default/keys", "x");
    project.weir(&["runs", "--state", ".weir"]).ended(0, "it did not end while running");
    project.run(&[]).ended(0, "");
    assert_eq!(project.left("out"), ["bad", "good"]);
    assert_eq!(project.left(".weir/scratch"), [""; 0]);
    project.weir(&["runs", "--state", ".weir"]).ended(0, "died");
}

#[test]
fn a_ledger_of_a_newer_version_is_left_alone() {
    let project = Project::people();
    project.file("task.yaml", TASK);
    project.run(&[]).ended(0, "");
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    ledger.pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    project.run(&[]).ended(1, "is of version 99, and this program knows version 1");
}
