//! Executors that are killed while they compute.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Process, TestCluster, compute_here, compute_with_exchanges, rows};
use rustix::process::{Pid, Signal};

/// Two scans; a join, which takes long; and a group by: the join's stage has an exchange on both sides.
const LONG: &str = "select a.part, b.id % 100 as place, count(*) as n, max(a.id) as total, min(a.text) as first
    from many a join many b on a.id % 1000 = b.id % 1000 group by a.part, b.id % 100";

const ROWS: i64 = 100_000;

/// The stages of the two scans.
const SCANS: u64 = 2;

/// An executor is killed or stopped at a moment. Returns the number of jobs that it took until there were rows, and whether they
/// are right.
async fn lose_one(
    options: &[&str],
    is_now: impl Fn(&serde_json::Value) -> bool,
    lose: impl FnOnce(&mut Process),
) -> (usize, bool) {
    let mut cluster = TestCluster::start_with(2, &[], options);
    cluster.ready().await;
    let client = cluster.connect();
    let run = || {
        let client = client.clone();
        async move {
            let job = compute_with_exchanges(client.as_ref(), LONG, ROWS);
            tokio::time::timeout(Duration::from_secs(200), job).await.expect("the job ends")
        }
    };
    let job = tokio::spawn(run());
    let is_now = |status: &serde_json::Value| status["jobs"].as_array().unwrap().iter().any(&is_now);
    cluster.until("it is the moment", is_now).await;
    lose(&mut cluster.executors[0]);
    let mut done = job.await.unwrap();
    let mut submitted = 1;
    while let Err(error) = &done
        && submitted < 4
    {
        println!("job {submitted}: {}", error.0);
        submitted += 1;
        done = run().await;
    }
    let there = done.unwrap_or_else(|error| panic!("{}\n{}", error.0, cluster.logs()));
    (submitted, rows(&there) == rows(&compute_here(LONG, ROWS).await))
}

fn number(job: &serde_json::Value, name: &str) -> u64 {
    job[name].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_lost_in_the_first_stage_changes_no_row() {
    let (_, is_right) = lose_one(&[], |job| number(job, "tasks_running") > 0, Process::kill).await;
    assert!(is_right);
}

/// Some tasks of the join have ended, on both executors; others run.
fn is_half_joined(job: &serde_json::Value) -> bool {
    number(job, "stages_done") == SCANS && number(job, "tasks_running") > 0 && number(job, "tasks_waiting") == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_lost_in_a_later_stage_changes_no_row() {
    let (submitted, is_right) = lose_one(&[], is_half_joined, Process::kill).await;
    assert!(is_right);
    assert!(submitted > 1, "the job is submitted again");
}

/// It is taken for lost, and goes on with its tasks when others have computed them again.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_comes_back_changes_no_row() {
    let stop_for_a_while = |executor: &mut Process| {
        executor.signal(Signal::STOP);
        let pid = Pid::from_child(&executor.0);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(25));
            rustix::process::kill_process(pid, Signal::CONT).unwrap();
        });
    };
    let (_, is_right) = lose_one(&[], is_half_joined, stop_for_a_while).await;
    assert!(is_right);
}

/// Ballista's own recovery from the same loss. Once this fails the executors need not be strict any more.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "shows what Ballista 55 does wrong"]
async fn lenient_executors_make_wrong_rows() {
    let (submitted, is_right) = lose_one(&["--lenient"], is_half_joined, Process::kill).await;
    assert_eq!((submitted, is_right), (1, false));
}
