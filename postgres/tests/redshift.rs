//! Loads with the SQL of Amazon Redshift, into PostgreSQL: the same rows and counts as with that of PostgreSQL, and each
//! run once though nothing enforces it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use weir_postgres::load::{self, Column, Counts, Kind, Load, Mode, Staged, Staging, Table};
use weir_postgres::tokio_postgres::Client;
use weir_postgres::{Database, DatabaseError, Dialect, Result};
use weir_postgres_testing::Cluster;

/// A row: key, version, value.
type Row = (i32, Option<i64>, Option<&'static str>);

struct Session {
    database: Database,
    client: Client,
}

impl Session {
    async fn new() -> Self {
        Self::with(&Cluster::shared().database()).await
    }

    async fn with(url: &str) -> Self {
        let database = url.parse::<Database>().unwrap().speaking(Dialect::Redshift);
        let client = database.connect(Duration::from_secs(60)).await.unwrap();
        Self { database, client }
    }

    async fn stage(&mut self, load: &Load, rows: &[Row]) -> Result<Staged> {
        let Staging::Insert(insert) = load.begin_staging(&self.database, &self.client).await? else {
            panic!("there is no COPY");
        };
        let text =
            |value: Option<String>, kind: &str| value.map_or(format!("null::{kind}"), |value| format!("'{value}'"));
        let values = rows.iter().map(|(key, version, value)| {
            let version = version.map_or("null::bigint".to_owned(), |version| version.to_string());
            format!("({key}, {version}, {})", text(value.map(str::to_owned), "varchar"))
        });
        let values = values.collect::<Vec<_>>().join(", ");
        if !rows.is_empty() {
            insert.send(&self.client, &values).await.unwrap();
        }
        insert.finish(&self.client).await.unwrap();
        load.deduplicate(&self.database, &mut self.client, rows.len() as u64).await
    }

    async fn apply(&self, load: &Load, staged: Staged) -> Result<Counts> {
        let counts = load::begin(&self.database, &self.client, &[(load, staged)]).await?;
        load::commit(&self.database, &self.client).await?;
        Ok(counts[0])
    }

    async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn target(&self) -> BTreeMap<i32, (Option<i64>, Option<String>)> {
        let rows = self.client.query("select key, version, value from item", &[]).await.unwrap();
        let found: BTreeMap<_, _> = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        assert_eq!(found.len(), rows.len(), "a key is there twice");
        found
    }
}

/// A load with a run id of its own into the table `item`.
fn load(run: &str, mode: Mode) -> Load {
    Load {
        run: run.to_owned(),
        sink: "items".to_owned(),
        staging: format!("stage_{run}_0"),
        table: Table {
            name: "item".to_owned(),
            columns: vec![
                Column::new("key", Kind::Integer),
                Column::new("version", Kind::BigInt),
                Column::new("value", Kind::Text),
            ],
            primary_key: vec!["key".to_owned()],
            ..Table::default()
        },
        mode,
        create: true,
        adds_columns: false,
        deletion: None,
        task: Some("stock.default".to_owned()),
        durable: false,
    }
}

fn merge() -> Mode {
    Mode::Merge { update_key: None }
}

#[tokio::test]
async fn concurrent_applies_of_one_load_apply_it_once() {
    let url = Cluster::shared().database();
    let mut one = Session::with(&url).await;
    let two = Session::with(&url).await;
    one.sql("create table item (key integer not null, version bigint, value varchar(65535))").await;
    let append = load("one", Mode::Append);
    let staged = one.stage(&append, &[(1, None, Some("a")), (2, None, None)]).await.unwrap();
    let (first, second) = tokio::join!(one.apply(&append, staged), two.apply(&append, staged));
    assert_eq!((first.unwrap().inserted, second.unwrap().inserted), (2, 2));
    assert_eq!(one.number("select count(*) from item").await, 2);
    assert_eq!(one.number("select count(*) from weir.applied").await, 1);
    assert_eq!(two.apply(&append, staged).await.unwrap().inserted, 2);
    assert_eq!(one.number("select count(*) from item").await, 2);
    assert_eq!(append.applied(&one.database, &one.client).await.unwrap().unwrap().inserted, 2);
}

#[tokio::test]
async fn concurrent_merges_of_a_key_insert_it_once() {
    let url = Cluster::shared().database();
    let mut sessions = vec![];
    for number in 0..4 {
        let mut session = Session::with(&url).await;
        if number == 0 {
            session.sql("create table item (key integer not null, version bigint, value varchar(65535))").await;
        }
        let load = load(&format!("run{number}"), merge());
        let staged = session.stage(&load, &[(1, None, Some("a")), (2, None, Some("b"))]).await.unwrap();
        sessions.push((session, load, staged));
    }
    let applied = sessions.iter().map(|(session, load, staged)| session.apply(load, *staged));
    let counts = futures::future::join_all(applied).await;
    let counts: Vec<Counts> = counts.into_iter().map(Result::unwrap).collect();
    assert_eq!(counts.iter().map(|counts| counts.inserted).sum::<u64>(), 2);
    assert_eq!(counts.iter().map(|counts| counts.unchanged).sum::<u64>(), 6);
    let (session, ..) = &sessions[0];
    assert_eq!(session.target().await.len(), 2);
    assert_eq!(session.number("select count(distinct number) from weir.applied").await, 4);
}

#[tokio::test]
async fn a_writer_waits_and_a_reader_sees_the_rows_of_before_or_after() {
    let url = Cluster::shared().database();
    let mut one = Session::with(&url).await;
    let two = Session::with(&url).await;
    one.sql(
        "create table item (key integer not null, version bigint, value varchar(65535)); insert into item values (1)",
    )
    .await;
    let overwrite = load("one", Mode::Overwrite);
    let staged = one.stage(&overwrite, &[(2, None, None), (3, None, None)]).await.unwrap();
    load::begin(&one.database, &one.client, &[(&overwrite, staged)]).await.unwrap();
    two.sql("set lock_timeout = '200ms'").await;
    assert!(two.client.batch_execute("insert into item values (9)").await.is_err());
    one.sql("rollback").await;
    assert_eq!(two.target().await.into_keys().collect::<Vec<_>>(), [1]);
    assert!(overwrite.is_complete(&one.database, &one.client, staged).await.unwrap());
    one.apply(&overwrite, staged).await.unwrap();
    assert_eq!(two.target().await.into_keys().collect::<Vec<_>>(), [2, 3]);
    assert!(!overwrite.is_complete(&one.database, &one.client, staged).await.unwrap());
}

#[tokio::test]
async fn rows_that_are_missing_from_the_staging_table_fail_the_load() {
    let mut session = Session::new().await;
    let load = load("one", merge());
    let staged = session.stage(&load, &[(1, None, None), (2, None, None)]).await.unwrap();
    session.sql("delete from weir.stage_one_0 where key = 1").await;
    let error = session.apply(&load, staged).await.unwrap_err().to_string();
    assert!(error.contains("its staging table has 1 of 2 rows"), "{error}");
    load.discard(&session.database, &session.client).await.unwrap();
    let error = session.apply(&load, staged).await.unwrap_err().to_string();
    assert!(error.contains("its staging table does not exist any more"), "{error}");
    assert_eq!(session.number("select count(*) from weir.applied").await, 0);
}

#[tokio::test]
async fn tables_may_have_the_names_that_statements_use() {
    for table in ["staged", "rows_of_run", "newest", "kept", "ranked", "versions", "select"] {
        let mut session = Session::new().await;
        for (number, mode) in
            [merge(), Mode::Insert, Mode::Overwrite, Mode::Replace { partition_by: vec!["value".to_owned()] }]
                .into_iter()
                .enumerate()
        {
            let mut load = load(&format!("run{number}"), mode);
            load.table.name = table.to_owned();
            let staged = session.stage(&load, &[(1, None, Some("a")), (2, None, None)]).await.unwrap();
            session.apply(&load, staged).await.unwrap();
        }
        assert_eq!(session.number(&format!("select count(*) from \"{table}\"")).await, 2);
    }
}

#[tokio::test]
async fn a_conflict_of_serializable_transactions_can_be_retried() {
    let session = Session::new().await;
    for (code, message, is_transient) in [
        ("XX000", "1023", true),
        ("XX000", "Serializable isolation violation on table - 12, transactions forming the cycle are: 1, 2", true),
        ("XX000", "out of memory", false),
    ] {
        let raise = format!("do $$ begin raise exception using errcode = '{code}', message = '{message}'; end $$");
        let error = session.client.batch_execute(&raise).await.unwrap_err();
        assert_eq!(session.database.statement_error(&error).is_transient(), is_transient, "{message}");
    }
}

/// The expected result of a merge, computed row by row.
fn merged(table: &mut BTreeMap<i32, (Option<i64>, Option<String>)>, rows: &[Row]) {
    for (key, version, value) in rows {
        let is_older = table.get(key).is_some_and(|(newest, _)| newest.is_some() && version < newest);
        if !is_older {
            table.insert(*key, (*version, value.map(str::to_owned)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn merging_by_an_update_key_equals_merging_row_by_row(
        runs in prop::collection::vec(prop::collection::btree_map(
            (0_i32..6, prop::option::of(0_i64..4)),
            prop::option::of(prop::sample::select(vec!["a", "a ", "b", ""])),
            0..8,
        ), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut session = Session::new().await;
            let mut expected = BTreeMap::new();
            for (number, rows) in runs.into_iter().enumerate() {
                // Ordered by key and version, no version first: the last of each key is the newest.
                let rows: Vec<Row> = rows.into_iter().map(|((key, version), value)| (key, version, value)).collect();
                let before = expected.clone();
                merged(&mut expected, &rows);
                let load = load(&format!("run{number}"), Mode::Merge { update_key: Some("version".to_owned()) });
                let staged = session.stage(&load, &rows).await.unwrap();
                let counts = session.apply(&load, staged).await.unwrap();
                let updated = before.iter().filter(|(key, row)| expected[key] != **row).count();
                assert_eq!((counts.inserted, counts.updated), ((expected.len() - before.len()) as u64, updated as u64));
                let all = counts.inserted + counts.updated + counts.unchanged + counts.superseded;
                assert_eq!(all, rows.len() as u64);
                assert_eq!(session.target().await, expected);
            }
        });
    }
}
