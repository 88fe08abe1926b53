//! A real server's errors about statements, without the values of rows.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use weir_postgres::tokio_postgres::Client;
use weir_postgres::tokio_postgres::error::SqlState;
use weir_postgres::{Database, DatabaseError, Error, ServerError};
use weir_postgres_testing::Cluster;

async fn session() -> (Database, Client) {
    session_with(&Cluster::shared().database()).await
}

async fn session_with(url: &str) -> (Database, Client) {
    let database: Database = url.parse().unwrap();
    let client = database.connect(Duration::from_secs(30)).await.unwrap();
    (database, client)
}

async fn refused(database: &Database, client: &Client, sql: &str) -> Error {
    database.statement_error(&client.batch_execute(sql).await.unwrap_err())
}

/// All text of an error that a program could print.
fn everything(error: &Error) -> String {
    format!("{error} {error:?} {:?}", miette::Diagnostic::help(error).unwrap().to_string())
}

const MEMBERS: &str = "create table members (email text constraint one_email unique not null, \
                       age int constraint grown_up check (age >= 18)); \
                       insert into members values ('ann@private.example', 44)";

#[tokio::test]
async fn violations_name_the_constraint_and_no_values() {
    let (database, client) = session().await;
    client.batch_execute(MEMBERS).await.unwrap();
    for (sql, code, constraint) in [
        ("insert into members values ('ann@private.example', 20)", SqlState::UNIQUE_VIOLATION, Some("one_email")),
        ("insert into members values ('bob@private.example', 17)", SqlState::CHECK_VIOLATION, Some("grown_up")),
        ("insert into members values (null, 177)", SqlState::NOT_NULL_VIOLATION, None),
    ] {
        let error = refused(&database, &client, sql).await;
        assert_eq!(error.server().map(ServerError::code), Some(&code));
        assert_eq!(error.server().unwrap().constraint(), constraint);
        assert_eq!(error.server().unwrap().table(), Some("members"));
        assert!(error.to_string().contains(code.code()), "{error}");
        assert!(!everything(&error).contains("private.example"), "{error:?}");
        assert!(!format!("{:?}", error.server()).contains("17"), "{error:?}");
        assert!(!error.is_transient() && !error.is_connection_lost());
    }
}

#[tokio::test]
async fn errors_about_data_do_not_quote_it() {
    let (database, client) = session().await;
    for sql in
        ["select 'secret'::int", "select 'secret'::date", "select '{\"secret'::json", "select '99secret99'::bool"]
    {
        let error = refused(&database, &client, sql).await;
        assert!(error.server().map(ServerError::code).unwrap().code().starts_with("22"), "{error}");
        assert!(error.to_string().contains("invalid input syntax for type"), "{error}");
        assert!(!everything(&error).contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn errors_in_a_copy_name_line_and_column() {
    let (database, client) = session().await;
    client.batch_execute("create table numbers (name text, number int)").await.unwrap();
    let sink = client.copy_in::<_, &[u8]>("copy numbers from stdin").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    futures::SinkExt::send(&mut sink, b"a\t1\nb\tsecret\n".as_slice()).await.unwrap();
    let error = database.statement_error(&sink.finish().await.unwrap_err());
    assert_eq!(error.server().unwrap().place(), Some("COPY numbers, line 2, column number"));
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(!everything(&error).contains("secret"), "{error:?}");
}

#[tokio::test]
async fn errors_about_names_keep_hint_and_detail() {
    let (database, client) = session().await;
    client.batch_execute("create table t (first_name text); create view v as select * from t").await.unwrap();
    let error = refused(&database, &client, "select firstname from t").await;
    assert!(everything(&error).contains("first_name"), "{error:?}");
    let error = refused(&database, &client, "drop table t").await;
    assert!(error.to_string().contains("view v depends on table t"), "{error}");
}

#[tokio::test]
async fn deadlocks_and_conflicts_are_transient() {
    let (database, client) = session().await;
    for (code, transient) in [("40001", true), ("40P01", true), ("23505", false), ("57014", false)] {
        let error = refused(&database, &client, &format!("do $$ begin raise sqlstate '{code}'; end $$")).await;
        assert_eq!(error.is_transient(), transient, "{code}");
    }
}

#[tokio::test]
async fn a_session_that_an_administrator_ends_is_lost() {
    let (database, client) = session().await;
    let (_, other) = session_with(&Cluster::shared().url("postgres")).await;
    let id: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let sleeping = client.batch_execute("select pg_sleep(60)");
    let ending = async {
        let active = "select 1 from pg_stat_activity where pid = $1 and query like '%pg_sleep%' and state = 'active'";
        while other.query_opt(active, &[&id]).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        other.execute("select pg_terminate_backend($1)", &[&id]).await.unwrap();
    };
    let (slept, ()) = tokio::join!(sleeping, ending);
    let error = database.statement_error(&slept.unwrap_err());
    assert!(error.is_connection_lost() && error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("57P01"), "{error}");
    let afterwards = database.statement_error(&client.batch_execute("select 1").await.unwrap_err());
    assert!(afterwards.is_connection_lost(), "{afterwards:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_a_server_that_died_is_lost() {
    let cluster = Cluster::start();
    let (database, client) = session_with(&cluster.url("postgres")).await;
    cluster.kill();
    let error = refused(&database, &client, "select 1").await;
    assert!(error.is_connection_lost() && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_statement_that_cannot_be_sent_is_not_a_lost_connection() {
    let (database, client) = session().await;
    let error = refused(&database, &client, "select '\0'").await;
    assert!(!error.is_connection_lost() && !error.is_transient(), "{error:?}");
    client.batch_execute("select 1").await.unwrap();
}

#[tokio::test]
async fn a_column_of_another_type_is_not_the_servers_error() {
    let (database, client) = session().await;
    let row = client.query_one("select 1", &[]).await.unwrap();
    let error = database.statement_error(&row.try_get::<_, String>(0).unwrap_err());
    assert!(error.server().is_none() && !error.is_connection_lost());
    assert!(error.to_string().contains("column 0"), "{error}");
}
