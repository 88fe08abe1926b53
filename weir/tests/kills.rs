//! A killed run leaves the output of exactly one complete run, the previous one or its own, and the next
//! start leaves nothing else.
#![allow(clippy::unwrap_used)]

mod support;

#[path = "support/deliveries.rs"]
mod deliveries;

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use deliveries::Deliveries;
use support::{Project, TASK};

/// Random numbers by xorshift, so that a seed reproduces the times.
struct Random(u64);

impl Random {
    fn below_one(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Kills and restarts a task at random times of a run that takes more than a second; returns how often the restart
/// found a dead run.
fn killed_at_random(seed: u64, kills: u32) -> u32 {
    let mut random = Random(seed | 1);
    let (mut deliveries, whole) = Deliveries::slow();
    println!("seed {seed}: a run takes {whole:?}");
    let (mut killed, mut found, mut round) = (0, 0, 0);
    while killed < kills {
        round += 1;
        assert!(round < 3 * kills, "the kills come too late");
        let moment = whole.mul_f64(random.below_one());
        let when = format!("seed {seed}, round {round}, killed after {moment:?}");
        deliveries.deliver();
        let mut child = deliveries.command(&["--quiet"]).spawn().unwrap();
        std::thread::sleep(moment);
        child.kill().unwrap();
        match child.wait().unwrap().signal() {
            Some(_) => killed += 1,
            // Something else had slowed down the run that the times were chosen by.
            None => deliveries.grow(),
        }
        deliveries.is_whole(&when);

        let ran = deliveries.run(&[]);
        assert_eq!(ran.code, Some(0), "{when}: {}", ran.err);
        found += u32::from(ran.err.contains("an earlier run did not end"));
        deliveries.is_complete(&when);
    }
    found
}

#[test]
fn each_row_is_there_once_after_a_hundred_kills_at_random_times() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("WEIR_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("WEIR_SEED={seed} reproduces the times");
    let found: u32 = std::thread::scope(|scope| {
        let workers = [0, 1].map(|i| scope.spawn(move || killed_at_random(seed.wrapping_add(i << 32), 50)));
        workers.map(|worker| worker.join().unwrap()).iter().sum()
    });
    println!("100 killed, {found} of them found dead by the next start");
    assert!(found > 30, "only {found} of 100 kills hit a run that the ledger had");
}

#[test]
fn of_many_simultaneous_starts_one_runs() {
    let (mut deliveries, _) = Deliveries::slow();
    deliveries.deliver();
    let start = |_| deliveries.command(&["--quiet"]).stderr(Stdio::null()).spawn().unwrap();
    let starts: Vec<_> = (0..8).map(start).collect();
    let mut codes: Vec<_> = starts.into_iter().map(|mut start| start.wait().unwrap().code()).collect();
    codes.sort();
    assert_eq!(codes, [vec![Some(0)], vec![Some(4); 7]].concat());
    deliveries.is_complete("after eight starts");
}

/// Puts the ledger and the folders into the state of a run that died after its commit record.
#[test]
fn a_run_that_died_while_publishing_is_rolled_forward() {
    let project = Project::people();
    // One sink was committed already, the other was not.
    died_while_publishing(&project);
    project.file("in/a.csv", "name,age\nAnn,1\n");
    let ran = project.run(&[]);
    ran.ended(3, "gate closed");
    assert!(ran.err.contains("was rolled forward"), "{}", ran.err);
    assert_eq!(project.left("out"), ["bad", "good"]);
    assert_eq!(project.rows("out/good").len(), 3);
    project.weir(&["runs", "--state", ".weir"]).ended(0, "it was rolled forward");
}

/// Puts the ledger into the state of a run that died after its commit record, with one sink not yet committed; returns
/// that sink's staging folder.
fn died_while_publishing(project: &Project) -> std::path::PathBuf {
    project.run(&[]).ended(0, "");
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    let run: String = ledger.query_row("select id from run", [], |row| row.get(0)).unwrap();
    ledger.execute("update run set state = 'publishing', ended = null", []).unwrap();
    let prepared = project.path(&format!("out/.bad.weir-{run}"));
    std::fs::rename(project.path("out/bad"), &prepared).unwrap();
    prepared
}

#[test]
fn a_commit_that_fails_is_reported_and_rolled_forward_once_it_can_be() {
    let project = Project::people();
    died_while_publishing(&project);
    project.file("out/bad/diary.txt", "mine");
    project.run(&[]).ended(1, "has a commit record, but not all of its sinks could be committed");
    assert_eq!(project.left("out/bad"), ["diary.txt"]);
    std::fs::remove_dir_all(project.path("out/bad")).unwrap();
    project.run(&[]).ended(0, "it was rolled forward");
    assert_eq!(project.left("out"), ["bad", "good"]);
}

#[test]
fn a_run_whose_prepared_files_are_lost_is_closed_and_not_reported_as_done() {
    let project = Project::people();
    let prepared = died_while_publishing(&project);
    std::fs::remove_dir_all(prepared).unwrap();
    project.run(&[]).ended(0, "what it had prepared is lost for bad");
    project.weir(&["runs", "--state", ".weir"]).ended(0, "died");
    assert_eq!(project.left("out"), ["bad", "good"]);
}

#[test]
fn a_run_that_died_before_its_commit_record_is_rolled_back() {
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
fn a_ledger_of_a_newer_version_is_left_unchanged() {
    let project = Project::people();
    project.file("task.yaml", TASK);
    project.run(&[]).ended(0, "");
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    ledger.pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    project.run(&[]).ended(1, "has version 99, and this program knows version");
}
