//! Ephemeral clusters: isolated from each other, and removed when the tests end.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use weir_postgres_testing::Cluster;

const CHILD: &str = "WEIR_POSTGRES_TEST_CHILD";

/// Waits until a condition holds; fails after 30 seconds.
#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// In a container, ended processes may stay as zombies because nothing reaps them.
fn is_running(process: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The id of the server's process.
fn server_process(data: &Path) -> String {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    file.lines().next().unwrap().to_owned()
}

#[test]
fn a_cluster_is_gone_when_it_is_dropped() {
    let cluster = Cluster::start();
    assert_eq!(cluster.sql("postgres", "select 1 + 1"), "2");
    let (port, data, process) = (cluster.port(), cluster.data(), server_process(&cluster.data()));
    assert!(is_running(&process));
    drop(cluster);
    assert!(!answers(port));
    assert!(!data.parent().unwrap().exists());
    eventually("the server is gone", || !is_running(&process));
}

#[test]
fn a_cluster_is_gone_when_a_test_panics() {
    let panicked = std::thread::spawn(|| {
        let cluster = Cluster::start();
        std::panic::panic_any((cluster.port(), cluster.data()));
    });
    let (port, data) = *panicked.join().unwrap_err().downcast::<(u16, std::path::PathBuf)>().unwrap();
    assert!(!answers(port));
    assert!(!data.exists());
}

/// The child process that the next test kills; does nothing without the variable.
#[test]
fn child_that_waits_to_be_killed() {
    if std::env::var_os(CHILD).is_some() {
        let cluster = Cluster::start();
        println!("\ncluster {} {}", cluster.port(), cluster.data().display());
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn a_cluster_is_gone_when_the_process_is_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_waits_to_be_killed", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find_map(|line| line.strip_prefix("cluster ").map(str::to_owned)).unwrap();
    let (port, data) = line.split_once(' ').unwrap();
    let (port, data) = (port.parse().unwrap(), Path::new(data));
    let process = server_process(data);
    assert!(answers(port) && is_running(&process));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the server is gone", || !is_running(&process) && !answers(port));
    eventually("the folder is gone", || !data.parent().unwrap().exists());
}

#[test]
fn a_killed_server_starts_again_at_its_port_with_what_was_committed() {
    let cluster = Cluster::start();
    cluster.sql("postgres", "create table t (n int); insert into t values (7)");
    cluster.kill();
    assert!(!answers(cluster.port()));
    cluster.launch();
    assert_eq!(cluster.sql("postgres", "select n from t"), "7");
}

#[test]
fn databases_of_a_shared_cluster_are_isolated() {
    let (one, other) = (Cluster::shared().database(), Cluster::shared().database());
    assert_ne!(one, other);
    let name = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    Cluster::shared().sql(&name(&one), "create table t ()");
    assert_eq!(Cluster::shared().sql(&name(&other), "select to_regclass('t') is null"), "t");
}

#[test]
fn settings_are_the_servers() {
    let cluster = Cluster::with_settings(&["max_connections=17", "ssl=off"]);
    assert_eq!(cluster.sql("postgres", "show max_connections"), "17");
}

#[test]
#[should_panic(expected = "the server does not start")]
fn a_setting_that_does_not_exist_fails_with_the_servers_log() {
    Cluster::with_settings(&["no_such_setting=1"]);
}

#[test]
fn an_occupied_port_is_reported_from_the_log_without_waiting() {
    let cluster = Cluster::start();
    cluster.kill();
    let _taken = TcpListener::bind(("127.0.0.1", cluster.port())).unwrap();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cluster.launch())).unwrap_err();
    assert!(failed.downcast_ref::<String>().unwrap().contains("could not bind"), "{failed:?}");
}
