//! Sessions with a real server: users, databases, TLS, and servers that come and go.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use miette::Diagnostic;
use weir_mysql::{Database, DatabaseError, Error, Product, Reason};
use weir_mysql_testing::{Authority, PASSWORD, Server, USER};

const NO_WAIT: Duration = Duration::ZERO;

async fn failure(url: &str) -> (Reason, String) {
    let database: Database = url.parse().unwrap();
    match database.connect(NO_WAIT).await.unwrap_err() {
        error @ Error::Connect { reason, .. } => {
            let text = format!("{error}; {}", error.help().unwrap());
            assert!(!text.contains("s3cret") && !text.contains(PASSWORD), "{text}");
            (reason, text)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_answers() {
    let url = Server::shared().database();
    let database: Database = url.parse().unwrap();
    let mut session = database.application_name("testing").connect(Duration::from_secs(5)).await.unwrap();
    assert_eq!(session.product(), Product::MariaDb);
    assert!(session.version().starts_with("1"), "{}", session.version());
    session.execute("create table t (k int primary key, v text)").await.unwrap();
    assert_eq!(session.execute("insert into t values (1, 'ä'), (2, '💶')").await.unwrap(), 2);
    assert_eq!(session.execute_with("delete from t where k = ?", (1,)).await.unwrap(), 1);
    let rows: Vec<(i64, String)> = session.query("select k, v from t").await.unwrap();
    assert_eq!(rows, [(2, "💶".to_owned())]);
    let zone: Option<String> = session.query_first("select @@session.time_zone").await.unwrap();
    assert_eq!(zone.as_deref(), Some("+00:00"));
    let error = session.execute("insert into t values (2, 'again')").await.unwrap_err();
    assert_eq!(error.server().unwrap().code(), 1062);
    assert_eq!(error.server().unwrap().value(), Some("2"));
    session.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_to_do() {
    let server = Server::shared();
    let name = server.new_database();
    server.sql(&name, "create or replace user 'small'@'%' identified by 's3cret'");
    for (url, expected, says) in [
        (server.url_of(USER, "s3cret", &name), Reason::Password, "check the password"),
        (server.url_of("nobody", "s3cret", &name), Reason::Password, "user `nobody` cannot log in"),
        (server.url("missing"), Reason::Database, "database `missing` does not exist"),
        (server.url_of("small", "s3cret", &name), Reason::Database, "grant select"),
        (format!("{}?ssl-mode=REQUIRED", server.url(&name)), Reason::NoTls, "does not offer TLS"),
        (format!("{}?ssl-mode=VERIFY_IDENTITY&ssl-ca=/none", server.url(&name)), Reason::File, "/none"),
        ("mysql://ann:s3cret@no.such.host.invalid/shop".to_owned(), Reason::UnknownHost, "cannot be resolved"),
        ("mysql://ann:s3cret@127.0.0.1:1/shop".to_owned(), Reason::Unreachable, "127.0.0.1:1"),
    ] {
        let (reason, text) = failure(&url).await;
        let as_expected = reason == expected || (expected == Reason::UnknownHost && reason == Reason::LookupFailed);
        assert!(as_expected && text.contains(says), "{url}: {reason:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_where_it_can_be_and_checked_where_asked() {
    let mut server = Server::start();
    let authority = Authority::new("authority");
    server.serve_tls(&authority, &["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let ca = authority.write_to(folder.path());
    let url = server.url("mysql");
    let named = url.replace("127.0.0.1", "localhost");
    let verified = format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={}", ca.display());
    for (url, is_encrypted) in [
        (format!("{url}?ssl-mode=DISABLED"), false),
        (url.clone(), true),
        (format!("{url}?ssl-mode=REQUIRED"), true),
        (format!("{named}?{verified}"), true),
    ] {
        let mut session = url.parse::<Database>().unwrap().connect(NO_WAIT).await.unwrap();
        let cipher: Option<(String, String)> = session.query_first("show status like 'Ssl_cipher'").await.unwrap();
        assert_eq!(!cipher.unwrap().1.is_empty(), is_encrypted, "{url}");
    }
    let (reason, text) = failure(&format!("{url}?{verified}")).await;
    assert_eq!(reason, Reason::HostName, "{text}");
    let (reason, text) = failure(&format!("{named}?ssl-mode=VERIFY_IDENTITY")).await;
    assert_eq!(reason, Reason::Certificate, "{text}");
    server.sql("mysql", &format!("alter user '{USER}'@'%' require ssl"));
    let (reason, text) = failure(&format!("{url}?ssl-mode=DISABLED")).await;
    assert_eq!(reason, Reason::Password, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_asked_for_it_once_until_it_needs_it() {
    let mut server = Server::start();
    let database: Database = server.url("mysql").parse().unwrap();
    let connections = async || {
        let mut session = database.connect(NO_WAIT).await.unwrap();
        let row: Option<(String, u64)> = session.query_first("show global status like 'Connections'").await.unwrap();
        row.unwrap().1
    };
    let first = connections().await;
    assert_eq!((connections().await, connections().await), (first + 1, first + 2));
    server.serve_tls(&Authority::new("authority"), &["localhost"]);
    server.sql("mysql", &format!("alter user '{USER}'@'%' require ssl"));
    let database: Database = server.url("mysql").parse().unwrap();
    let mut session = database.connect(NO_WAIT).await.unwrap();
    let cipher: Option<(String, String)> = session.query_first("show status like 'Ssl_cipher'").await.unwrap();
    assert!(!cipher.unwrap().1.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_is_waited_for_and_one_that_dies_is_noticed() {
    let server = Server::start();
    let database: Database = server.url("mysql").parse().unwrap();
    let mut session = database.connect(NO_WAIT).await.unwrap();
    server.kill();
    let error = session.execute("select 1").await.unwrap_err();
    assert!(error.is_connection_lost() && error.is_transient(), "{error:?}");
    let waiting = tokio::spawn(async move { database.connect(Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    tokio::task::block_in_place(|| server.launch());
    waiting.await.unwrap().unwrap().execute("select 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_another_one_ends_is_lost() {
    let database: Database = Server::shared().database().parse().unwrap();
    let mut session = database.connect(NO_WAIT).await.unwrap();
    let mut other = database.connect(NO_WAIT).await.unwrap();
    other.execute(&format!("kill {}", session.id())).await.unwrap();
    let error = session.execute("select 1").await.unwrap_err();
    assert!(error.is_connection_lost(), "{error:?}");
}
