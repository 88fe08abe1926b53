//! Executors that are killed while they compute.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{TestCluster, compute, compute_here, rows};

/// Three exchanges in a row, and some seconds of work in each part.
const LONG: &str = "select f.text, x.part, count(*) as n, sum(x.total) as total, min(x.first) as first
    from (select a.part, a.id % 100 as id, sum(a.id * b.id) as total, min(a.text) as first
          from many a join few b on (a.id * b.id) % 3 = 1 group by a.part, a.id % 100) x
    join few f on f.id = x.id group by f.text, x.part";

const ROWS: i64 = 60_000;

/// An executor is killed when so many stages are done. The job then gives the right rows or fails, in which case it is
/// submitted again.
async fn lose_one(stages: u64) {
    let mut cluster = TestCluster::start(2, &[]);
    cluster.ready().await;
    let client = cluster.connect();
    let job = tokio::spawn({
        let client = client.clone();
        async move { compute(client.as_ref(), LONG, ROWS).await }
    });
    cluster
        .until("the stages are done", |status| {
            let jobs = status["jobs"].as_array().unwrap();
            jobs.iter()
                .any(|job| job["stages_done"].as_u64() >= Some(stages) && job["tasks_running"].as_u64() > Some(0))
        })
        .await;
    cluster.executors[0].kill();
    let mut done = tokio::time::timeout(Duration::from_secs(120), job).await.expect("the job ends").unwrap();
    let mut submitted = 1;
    while let Err(error) = &done
        && submitted < 4
    {
        println!("attempt {submitted}: {}", error.0);
        submitted += 1;
        done = tokio::time::timeout(Duration::from_secs(120), compute(client.as_ref(), LONG, ROWS))
            .await
            .expect("it ends");
    }
    let there = done.unwrap_or_else(|error| panic!("{}\n{}", error.0, cluster.logs()));
    assert_eq!(rows(&there), rows(&compute_here(LONG, ROWS).await), "after {submitted} submissions");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_lost_in_the_first_stage_changes_no_row() {
    lose_one(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_lost_in_a_later_stage_changes_no_row() {
    lose_one(2).await;
}
