//! Opening sessions with a real server, and the errors when it fails.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use miette::Diagnostic;
use weir_postgres::tokio_postgres::Client;
use weir_postgres::{Database, Error, Reason};
use weir_postgres_testing::{Cluster, PASSWORD, USER};

const AT_ONCE: Duration = Duration::ZERO;

fn database(url: &str) -> Database {
    url.parse().unwrap()
}

/// Why a session cannot be opened: the reason, and the message with its help.
async fn refused(database: &Database, wait: Duration) -> (Reason, String) {
    match database.connect(wait).await {
        Err(error @ Error::Connect { reason, .. }) => {
            let help = error.help().unwrap().to_string();
            (reason, format!("{error}\n{help}"))
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("there was a session with {database}"),
    }
}

async fn ask(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[track_caller]
fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!message.contains("horse") && !message.contains("pa55"), "a password is in: {message}");
}

#[tokio::test]
async fn a_session_is_the_users_in_the_database() {
    let url = Cluster::shared().database();
    let client = database(&url).connect(AT_ONCE).await.unwrap();
    assert_eq!(ask(&client, "select current_user::text").await, USER);
    assert_eq!(ask(&client, "select current_database()::text").await, database(&url).name());
}

#[tokio::test]
async fn a_list_of_key_values_is_equivalent_to_a_url() {
    let port = Cluster::shared().port();
    let text = format!("host=127.0.0.1 port={port} user={USER} password='{PASSWORD}' dbname=postgres");
    let client = database(&text).connect(AT_ONCE).await.unwrap();
    assert_eq!(ask(&client, "select current_user::text").await, USER);
}

#[tokio::test]
async fn the_urls_application_name_takes_precedence() {
    let url = Cluster::shared().url("postgres");
    let show = "select current_setting('application_name')";
    let client = database(&url).application_name("nightly").connect(AT_ONCE).await.unwrap();
    assert_eq!(ask(&client, show).await, "nightly");
    let named = database(&format!("{url}?application_name=mine")).application_name("nightly");
    assert_eq!(ask(&named.connect(AT_ONCE).await.unwrap(), show).await, "mine");
}

#[tokio::test]
async fn the_password_file_has_the_password() {
    let cluster = Cluster::shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(&file, format!("127.0.0.1:{}:*:{USER}:{PASSWORD}\n", cluster.port())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("postgres://{USER}@127.0.0.1:{}/postgres?passfile={}", cluster.port(), file.display());
    database(&url).connect(AT_ONCE).await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_ignores_sslmode() {
    let sockets = tempfile::tempdir().unwrap();
    std::fs::set_permissions(sockets.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = sockets.path().display();
    let cluster = Cluster::with_settings(&[&format!("unix_socket_directories='{path}'")]);
    let text = format!(
        "host={path} port={} user={USER} password='{PASSWORD}' dbname=postgres sslmode=require",
        cluster.port()
    );
    database(&text).connect(AT_ONCE).await.unwrap();
    cluster.kill();
    let (reason, message) = refused(&database(&text), AT_ONCE).await;
    assert_eq!(reason, Reason::Unreachable);
    assert_says(&message, &[&path.to_string()]);
}

#[tokio::test]
async fn the_next_host_is_tried_if_one_is_down() {
    let cluster = Cluster::shared();
    let down = Cluster::start();
    down.kill();
    let text = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user={USER} password='{PASSWORD}' dbname=postgres",
        down.port(),
        cluster.port()
    );
    let client = database(&text).connect(AT_ONCE).await.unwrap();
    assert_eq!(ask(&client, "select inet_server_port()::text").await, cluster.port().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn read_write_sessions_skip_a_standby_and_wait_for_the_primary() {
    let primary = Cluster::start();
    let standby = Cluster::with_settings(&["default_transaction_read_only=on"]);
    let text = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user={USER} password='{PASSWORD}' dbname=postgres \
         target_session_attrs=read-write",
        primary.port(),
        standby.port()
    );
    primary.kill();
    let database = database(&text);
    assert_eq!(refused(&database, AT_ONCE).await.0, Reason::Unreachable);
    let waiting = tokio::spawn(async move { database.connect(Duration::from_secs(60)).await });
    tokio::task::block_in_place(|| primary.launch());
    let client = waiting.await.unwrap().unwrap();
    assert_eq!(ask(&client, "select inet_server_port()::text").await, primary.port().to_string());
}

#[test]
fn neither_display_nor_debug_shows_the_password() {
    let database = database("postgres://ann:pa55@db.example,[::1]:6000/sales?sslmode=require");
    assert_eq!(database.to_string(), "ann@db.example:5432,[::1]:6000/sales");
    assert_eq!(format!("{database:?}"), "ann@db.example:5432,[::1]:6000/sales");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_fail_at_once() {
    let cluster = Cluster::shared();
    for (user, password) in [(USER, "pa55"), ("nobody_here", "pa55")] {
        let begun = Instant::now();
        let (reason, message) =
            refused(&database(&cluster.url_of(user, password, "postgres")), Duration::from_secs(60)).await;
        assert_eq!(reason, Reason::Password);
        assert_says(&message, &[user, "wrong password", "28P01", "PGPASSWORD"]);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_missing_password_is_reported() {
    let port = Cluster::shared().port();
    let url = format!("postgres://{USER}@127.0.0.1:{port}/postgres?passfile=/nowhere");
    let (reason, message) = refused(&database(&url), Duration::from_secs(60)).await;
    assert_eq!(reason, Reason::Password);
    assert_says(&message, &["none was given", "PGPASSWORD", ".pgpass"]);
}

#[tokio::test]
async fn an_unknown_user_is_reported_where_no_password_is_required() {
    let cluster = Cluster::start();
    cluster.admit(&["host all all all trust"]);
    let url = cluster.url_of("nobody_here", "", "postgres");
    let (reason, message) = refused(&database(&url), Duration::from_secs(60)).await;
    assert_eq!(reason, Reason::User);
    assert_says(&message, &["nobody_here", "create role"]);
}

#[tokio::test]
async fn a_missing_database_is_reported_with_how_to_create_it() {
    let url = Cluster::shared().url("not_there");
    let (reason, message) = refused(&database(&url), Duration::from_secs(60)).await;
    assert_eq!(reason, Reason::Database);
    assert_says(&message, &["`not_there` does not exist", "createdb not_there", "create database"]);
}

#[tokio::test]
async fn a_server_that_is_down_is_reported_with_the_time_of_retries() {
    let cluster = Cluster::start();
    cluster.kill();
    let begun = Instant::now();
    let (reason, message) = refused(&database(&cluster.url("postgres")), Duration::from_millis(700)).await;
    assert_eq!(reason, Reason::Unreachable);
    assert_says(&message, &[&format!("no server answers at 127.0.0.1:{}", cluster.port()), "(tried ", " times in "]);
    assert!(begun.elapsed() >= Duration::from_millis(700));
    let (_, message) = refused(&database(&cluster.url("postgres")), AT_ONCE).await;
    assert!(!message.contains("tried"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_up_is_waited_for() {
    let cluster = Cluster::start();
    cluster.kill();
    let database = database(&cluster.url("postgres"));
    let waiting = tokio::spawn(async move { database.connect(Duration::from_secs(60)).await });
    tokio::task::block_in_place(|| cluster.launch());
    waiting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_connection_slot_is_waited_for() {
    let cluster =
        Cluster::with_settings(&["max_connections=2", "superuser_reserved_connections=0", "max_wal_senders=0"]);
    let database = database(&cluster.url("postgres"));
    let mut taken = vec![
        database.connect(Duration::from_secs(30)).await.unwrap(),
        database.connect(Duration::from_secs(30)).await.unwrap(),
    ];
    let (reason, message) = refused(&database, AT_ONCE).await;
    assert_eq!(reason, Reason::TooManyConnections);
    assert_says(&message, &["53300", "max_connections"]);
    taken.pop();
    database.connect(Duration::from_secs(30)).await.unwrap();
}

/// A server that refuses every session with one error; counts the sessions.
fn refusing_server(code: &'static str) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let mut length = [0; 4];
            connection.read_exact(&mut length).unwrap();
            let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
            connection.read_exact(&mut startup).unwrap();
            let fields = format!("SFATAL\0VFATAL\0C{code}\0Mrefused by the test\0\0");
            connection.write_all(b"E").unwrap();
            connection.write_all(&(fields.len() as u32 + 4).to_be_bytes()).unwrap();
            connection.write_all(fields.as_bytes()).unwrap();
        }
    });
    (port, count)
}

#[tokio::test]
async fn only_transient_errors_are_retried() {
    for (code, expected, tries_again) in [
        ("57P03", Reason::NotReady, true),
        ("57P01", Reason::NotReady, true),
        ("53300", Reason::TooManyConnections, true),
        ("28P01", Reason::Password, false),
        ("28000", Reason::User, false),
        ("3D000", Reason::Database, false),
        ("42501", Reason::Other, false),
    ] {
        let (port, count) = refusing_server(code);
        let url = format!("postgres://u:pa55@127.0.0.1:{port}/d?sslmode=disable");
        let (reason, message) = refused(&database(&url), Duration::from_millis(400)).await;
        assert_eq!((reason, reason.is_transient()), (expected, tries_again), "{code}");
        assert_eq!(count.load(Ordering::SeqCst) > 1, tries_again, "{code}");
        assert_eq!(message.contains("(tried "), tries_again, "{message}");
    }
}

#[tokio::test]
async fn an_unknown_host_is_reported() {
    let (reason, message) = refused(&database("postgres://u:pa55@nowhere.invalid/d"), AT_ONCE).await;
    assert!(matches!(reason, Reason::UnknownHost | Reason::LookupFailed), "{reason:?}");
    assert_says(&message, &["`nowhere.invalid`", "resolved"]);
}

#[tokio::test]
async fn a_silent_server_fails_after_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let begun = Instant::now();
    let silent = database(&format!("postgres://u:pa55@127.0.0.1:{port}/d?connect_timeout=1"));
    let (reason, message) = refused(&silent, AT_ONCE).await;
    assert_eq!(reason, Reason::Unreachable);
    assert_says(&message, &["no answer in 1.0 s"]);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_that_is_not_postgres_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.unwrap().write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    let (_, message) = refused(&database(&format!("postgres://u:pa55@127.0.0.1:{port}/d")), AT_ONCE).await;
    assert_says(&message, &[&format!("127.0.0.1:{port}")]);
}
