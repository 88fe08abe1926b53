//! Plans of DataFusion's own nodes on a cluster of processes.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use arrow_flight::Empty;
use arrow_flight::flight_service_client::FlightServiceClient;
use ballista_core::serde::protobuf::GetJobStatusParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use common::{TestCluster, certificates, compute, compute_here, rows, weir_cluster};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// Joins and groups: two exchanges in a row.
const JOIN: &str = "select f.text, m.part, count(*) as n, max(m.id) as total, min(m.text) as first
    from many m join few f on m.id % 100 = f.id group by f.text, m.part";

/// A minute or more of work.
const SLOW: &str = "select count(*) as n from many a, many b where (a.id * b.id) % 7 = 3 and a.id % 3 <> b.id % 5";

const ROWS: i64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_computes_what_one_machine_does() {
    let cluster = TestCluster::start(2, &[]);
    cluster.ready().await;
    let client = cluster.connect();
    assert_eq!(client.partitions().await.unwrap(), 16);
    for sql in [
        JOIN,
        "select id, text from many where part = 3",
        "select id, text from many order by id desc limit 100",
        "select count(*) as n, max(id) as total from many",
        "select * from many where id > 1000000",
        "select 1 as one",
        "select part, id from many where id < (select max(id) from few) union all select part, id from few",
        "select m.id, f.id from many m left join few f on m.id = f.id + 10 where m.id < 500",
        "select m.id, f.id from few f full join many m on m.id = f.id + 19950 where m.id is null or m.id > 19900",
        "select f.id, m.id from few f cross join (select id from many where id < 5) m",
        "select part, id, rank() over (partition by part order by id desc) as place from many",
        "select id from few where exists (select 1 from many where many.id = few.id * 7)",
    ] {
        let here = compute_here(sql, ROWS).await;
        match compute(client.as_ref(), sql, ROWS).await {
            Ok(there) => assert_eq!(rows(&there), rows(&here), "{sql}"),
            Err(error) => panic!("{sql}: {}\n{}", error.0, cluster.logs()),
        }
    }
    // What the executors kept of the jobs is removed.
    for number in 0..2 {
        let executor = std::fs::read_dir(cluster.work_dir(number)).unwrap().next().unwrap().unwrap().path();
        let mut left = 0;
        for _ in 0..100 {
            left = std::fs::read_dir(executor.join("shuffles")).unwrap().count();
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(left, 0, "jobs are left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_task_is_told() {
    let cluster = TestCluster::start(1, &[]);
    cluster.ready().await;
    let error = compute(cluster.connect().as_ref(), "select 1 / (id - id) as x from many", ROWS).await.unwrap_err();
    assert!(error.0.contains("Divide by zero"), "{}", error.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_dropped_is_cancelled() {
    let cluster = TestCluster::start(2, &[]);
    cluster.ready().await;
    let client = cluster.connect();
    let job = tokio::spawn({
        let client = client.clone();
        async move { compute(client.as_ref(), SLOW, 200_000).await }
    });
    cluster.until("the job runs", |status| !status["jobs"].as_array().unwrap().is_empty()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    job.abort();
    cluster.until("no job runs", |status| status["jobs"].as_array().unwrap().is_empty()).await;
    // The cores are free again: the next job needs them.
    let sql = "select count(*) as n from many";
    let next = tokio::time::timeout(Duration::from_secs(20), compute(client.as_ref(), sql, ROWS)).await;
    let next = next.unwrap_or_else(|_| panic!("the cores are not free\n{}", cluster.logs()));
    assert_eq!(rows(&next.unwrap()), rows(&compute_here(sql, ROWS).await));
    assert!(cluster.logs().contains("told to cancel a task"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_executors_a_job_ends_with_an_error() {
    let mut cluster = TestCluster::start(1, &[]);
    cluster.ready().await;
    let client = cluster.connect();
    let job = tokio::spawn({
        let client = client.clone();
        async move { compute(client.as_ref(), SLOW, 200_000).await }
    });
    cluster.until("the job runs", |status| !status["jobs"].as_array().unwrap().is_empty()).await;
    cluster.executors[0].kill();
    let ended = tokio::time::timeout(Duration::from_secs(90), job).await.expect("the job ends");
    assert!(ended.unwrap().is_err());
    let error = client.partitions().await.unwrap_err().to_string();
    assert!(error.contains("no executors"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_not_there_is_named() {
    let port = common::free_port();
    let client = weir_cluster::connect([format!("--cluster=http://127.0.0.1:{port}"), "--shared=/tmp".to_owned()]);
    let error = client.unwrap().unwrap().partitions().await.unwrap_err().to_string();
    assert!(error.contains(&port.to_string()) && error.contains("cannot be reached"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_end_cleanly_when_told() {
    let mut cluster = TestCluster::start(1, &[]);
    cluster.ready().await;
    compute(cluster.connect().as_ref(), JOIN, ROWS).await.unwrap();
    assert_eq!(cluster.executors[0].end(), Some(0), "{}", cluster.logs());
    assert_eq!(std::fs::read_dir(cluster.work_dir(0)).unwrap().count(), 0, "the work folder is empty");
    cluster.until("the executor is gone", |status| status["executors"].as_array().unwrap().is_empty()).await;
    assert_eq!(cluster.scheduler.end(), Some(0), "{}", cluster.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_only_those_with_a_certificate_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let tls = certificates(folder.path(), "own");
    let cluster = TestCluster::start(2, &tls);
    cluster.ready().await;
    let there = compute(cluster.connect().as_ref(), JOIN, ROWS).await;
    let there = there.unwrap_or_else(|error| panic!("{}\n{}", error.0, cluster.logs()));
    assert_eq!(rows(&there), rows(&compute_here(JOIN, ROWS).await));
    // Neither without a certificate nor with one of another authority.
    let other = certificates(folder.path(), "other");
    let plain = format!("http://localhost:{}", cluster.port);
    for (url, options) in [(plain, vec![]), (cluster.url(), other)] {
        let output = weir_cluster().args(["status", "--cluster", &url]).args(options).output().unwrap();
        assert!(!output.status.success(), "{url}");
    }
}

/// Whether a port serves whoever connects like this.
async fn serves(port: u16, tls: Option<ClientTlsConfig>) -> bool {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://localhost:{port}")).unwrap();
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls).unwrap();
    }
    let Ok(channel) = endpoint.connect().await else { return false };
    // Each port has one of both services; what counts is whether there is an answer.
    let mut scheduler = SchedulerGrpcClient::new(channel.clone());
    let status = scheduler.get_job_status(GetJobStatusParams { job_id: "none".to_owned() }).await;
    let actions = FlightServiceClient::new(channel).list_actions(Empty {}).await;
    status.is_ok() || actions.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_port_asks_for_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let tls = certificates(folder.path(), "own");
    certificates(folder.path(), "other");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let authority = Certificate::from_pem(read("own-ca.pem"));
    let own = Identity::from_pem(read("own-cert.pem"), read("own-key.pem"));
    let other = Identity::from_pem(read("other-cert.pem"), read("other-key.pem"));
    let port = common::free_port();
    let mut cluster = TestCluster::start(0, &tls);
    cluster.add_executor(&["--port", &port.to_string()]);
    cluster.ready().await;
    for port in [cluster.port, port] {
        let trusting = || ClientTlsConfig::new().ca_certificate(authority.clone());
        assert!(serves(port, Some(trusting().identity(own.clone()))).await);
        assert!(!serves(port, Some(trusting().identity(other.clone()))).await);
        assert!(!serves(port, Some(trusting())).await);
        assert!(!serves(port, None).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_scheduler_is_gone_ends_with_an_error() {
    let mut cluster = TestCluster::start(1, &[]);
    cluster.ready().await;
    let client = cluster.connect();
    let job = tokio::spawn(async move { compute(client.as_ref(), SLOW, 200_000).await });
    cluster.until("the job runs", |status| !status["jobs"].as_array().unwrap().is_empty()).await;
    cluster.scheduler.kill();
    let ended = tokio::time::timeout(Duration::from_secs(60), job).await.expect("the job ends").unwrap();
    let error = ended.unwrap_err().0;
    assert!(error.contains(&cluster.url()) && error.contains("was lost"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_started_again_finds_its_executors() {
    let mut cluster = TestCluster::start(2, &[]);
    cluster.ready().await;
    cluster.restart_scheduler();
    cluster.ready().await;
    let there = compute(cluster.connect().as_ref(), JOIN, ROWS).await;
    assert_eq!(rows(&there.unwrap()), rows(&compute_here(JOIN, ROWS).await));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes more than a minute"]
async fn a_job_whose_client_is_gone_is_cancelled() {
    let cluster = TestCluster::start(1, &[]);
    cluster.ready().await;
    let client = cluster.connect();
    let mut job = Box::pin(compute(client.as_ref(), SLOW, 200_000));
    assert!(tokio::time::timeout(Duration::from_secs(5), &mut job).await.is_err(), "it takes long");
    let jobs = |status: &serde_json::Value| status["jobs"].as_array().unwrap().len();
    cluster.until("the job runs", |status| jobs(status) == 1).await;
    // Nobody asks any more, as if the client had been killed.
    tokio::time::sleep(Duration::from_secs(50)).await;
    cluster.until("the job is cancelled", |status| jobs(status) == 0).await;
    assert!(cluster.logs().contains("nobody asks for this job any more"));
}

#[test]
fn nobody_listens_to_other_machines_without_tls() {
    for arguments in [
        &["scheduler", "--bind", "0.0.0.0:0"] as &[&str],
        &["executor", "--bind", "0.0.0.0", "--work-dir", "/tmp", "--scheduler", "http://localhost:1"],
    ] {
        let output = weir_cluster().args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("--tls-cert") && error.contains("--insecure"), "{error}");
    }
}
