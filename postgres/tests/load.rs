//! Loads into a real server: the rows after each mode, and that a run is applied exactly once.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use proptest::prelude::*;
use weir_postgres::load::{self, Column, Counts, Existing, Kind, Load, Mode, Staged, Table, TargetState};
use weir_postgres::tokio_postgres::Client;
use weir_postgres::tokio_postgres::binary_copy::BinaryCopyInWriter;
use weir_postgres::tokio_postgres::types::{ToSql, Type};
use weir_postgres::{Database, DatabaseError, Error, Result};
use weir_postgres_testing::Cluster;

/// A row: key, value, version.
type Row = (i32, Option<&'static str>, Option<i64>);

struct Session {
    database: Database,
    client: Client,
}

impl Session {
    async fn new() -> Self {
        Self::with(&Cluster::shared().database()).await
    }

    async fn with(url: &str) -> Self {
        let database: Database = url.parse().unwrap();
        let client = database.connect(Duration::from_secs(60)).await.unwrap();
        Self { database, client }
    }

    async fn write(&mut self, load: &Load, rows: &[Row]) -> Result<Staged> {
        let sink = load.begin_copy(&self.database, &self.client).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT, Type::INT8]));
        for (key, value, version) in rows {
            let row: [&(dyn ToSql + Sync); 3] = [key, value, version];
            writer.as_mut().write(&row).await.unwrap();
        }
        let rows = writer.finish().await.unwrap();
        load.deduplicate(&self.database, &mut self.client, rows).await
    }

    async fn load(&mut self, load: &Load, rows: &[Row]) -> Result<Counts> {
        let staged = self.write(load, rows).await?;
        self.apply(&[(load, staged)]).await.map(|counts| counts[0])
    }

    /// Applies loads in one transaction.
    async fn apply(&self, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
        let counts = load::begin(&self.database, &self.client, loads).await?;
        load::commit(&self.database, &self.client).await?;
        Ok(counts)
    }

    /// What the target is; it must exist.
    async fn existing(&self, load: &Load) -> Existing {
        match self.inspect(load).await.unwrap() {
            TargetState::Existing(existing) => *existing,
            TargetState::New => panic!("there is no table"),
        }
    }

    async fn inspect(&self, load: &Load) -> Result<TargetState> {
        load.inspect(&self.database, &self.client).await
    }

    async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn text(&self, sql: &str) -> String {
        let sql = format!("select coalesce(string_agg(row::text, ' ' order by row), '') from ({sql}) as row");
        self.client.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// The rows of the target.
    async fn target(&self) -> String {
        self.text("select * from item").await
    }

    /// The physical versions of the target's rows: a rewritten row has a new one.
    async fn versions(&self) -> String {
        self.text("select key, xmin, ctid from item").await
    }
}

/// A load with a run id of its own into the table `item`.
fn load(run: &str, mode: Mode) -> Load {
    let column = |name: &str, kind| Column::new(name, kind);
    Load {
        run: run.to_owned(),
        sink: "items".to_owned(),
        staging: format!("stage_{run}_0"),
        table: Table {
            name: "item".to_owned(),
            columns: vec![column("key", Kind::Integer), column("value", Kind::Text), column("version", Kind::BigInt)],
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

fn without_key(run: &str, mode: Mode) -> Load {
    let mut load = load(run, mode);
    load.table.primary_key.clear();
    load
}

fn merge() -> Mode {
    Mode::Merge { update_key: None }
}

fn newest() -> Mode {
    Mode::Merge { update_key: Some("version".to_owned()) }
}

const NOTHING: Counts = Counts { inserted: 0, updated: 0, unchanged: 0, superseded: 0, deleted: 0 };

fn text_of(error: &Error) -> String {
    format!("{error}; {}", miette::Diagnostic::help(error).map(|help| help.to_string()).unwrap_or_default())
}

#[tokio::test]
async fn a_missing_table_is_created_as_described() {
    let mut session = Session::new().await;
    let mut load = load("one", merge());
    load.table.schema = Some("Sa \"les\"".to_owned());
    load.table.name = "the 'items'".to_owned();
    load.table.columns[1] =
        Column { not_null: true, comment: Some("what's \\ it".to_owned()), ..load.table.columns[1].clone() };
    load.table.indexes = vec![vec!["version".to_owned(), "value".to_owned()]];
    load.table.comment = Some("all of them".to_owned());
    session.sql("create schema \"Sa \"\"les\"\"\"").await;
    assert_eq!(session.inspect(&load).await.unwrap(), TargetState::New);
    let counts = session.load(&load, &[(1, Some("a"), None), (2, Some("b"), Some(5))]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 2, ..NOTHING });
    let name = "\"Sa \"\"les\"\"\".\"the 'items'\"";
    assert_eq!(session.text(&format!("select * from {name}")).await, "(1,a,) (2,b,5)");
    let described = format!(
        "select relpersistence, obj_description(oid), col_description(oid, 2),
             (select string_agg(attname, ',') from pg_attribute where attrelid = pg_class.oid and attnum > 0 and attnotnull),
             (select string_agg(pg_get_indexdef(indexrelid, 1, true) || '/' || indisprimary, ',' order by indexrelid)
              from pg_index where indrelid = pg_class.oid)
         from pg_class where oid = to_regclass($${name}$$)"
    );
    assert_eq!(
        session.text(&described).await,
        r#"(p,"all of them","what's \\ it","key,value","key/true,version/false")"#
    );
    let keys = format!("select conname from pg_constraint where contype = 'p' and conrelid = to_regclass($${name}$$)");
    assert_eq!(session.text(&keys).await, "(\"the 'items'_pkey\")", "it is not named after the staging table");
    assert_eq!(session.existing(&load).await.narrower, []);
    assert_eq!(session.text("select tablename from pg_tables where schemaname = 'weir'").await, "(applied)");
}

#[tokio::test]
async fn a_load_that_is_applied_again_changes_nothing() {
    let mut session = Session::new().await;
    session.load(&without_key("one", Mode::Append), &[(1, Some("a"), None)]).await.unwrap();
    let two = without_key("two", Mode::Append);
    assert_eq!(two.applied(&session.database, &session.client).await.unwrap(), None);
    let counts = session.load(&two, &[(1, Some("a"), None), (2, None, None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 2, ..NOTHING });
    assert_eq!(two.applied(&session.database, &session.client).await.unwrap(), Some(counts));
    // As after a crash before the outcome was recorded; once with rows copied again.
    assert_eq!(session.apply(&[(&two, Staged::default())]).await.unwrap(), [counts]);
    assert_eq!(session.load(&two, &[(7, None, None)]).await.unwrap(), counts);
    assert_eq!(session.target().await, "(1,a,) (1,a,) (2,,)");
    assert_eq!(session.text("select tablename from pg_tables where schemaname = 'weir'").await, "(applied)");
}

#[tokio::test]
async fn an_upsert_inserts_or_updates_and_does_not_rewrite_unchanged_rows() {
    let mut session = Session::new().await;
    session
        .load(&load("one", merge()), &[(1, Some("a"), None), (2, None, Some(5)), (3, Some("c"), None)])
        .await
        .unwrap();
    let before = session.versions().await;
    let again = [(1, Some("a"), None), (2, None, Some(5))];
    let counts = session.load(&load("two", merge()), &again).await.unwrap();
    assert_eq!(counts, Counts { unchanged: 2, ..NOTHING });
    assert_eq!(session.versions().await, before);
    let changed = [(1, Some("a"), None), (2, Some("b"), Some(5)), (4, Some("d"), None)];
    let counts = session.load(&load("three", merge()), &changed).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, updated: 1, unchanged: 1, ..NOTHING });
    assert_eq!(session.target().await, "(1,a,) (2,b,5) (3,c,) (4,d,)");
}

#[tokio::test]
async fn an_older_row_never_replaces_a_newer_one() {
    let mut session = Session::new().await;
    session
        .load(&load("one", newest()), &[(1, Some("a"), Some(5)), (2, Some("b"), None), (3, Some("c"), Some(5))])
        .await
        .unwrap();
    let rows = [(1, Some("old"), Some(4)), (2, Some("new"), Some(1)), (3, Some("none"), None)];
    let counts = session.load(&load("two", newest()), &rows).await.unwrap();
    assert_eq!(counts, Counts { updated: 1, superseded: 2, ..NOTHING });
    assert_eq!(session.target().await, "(1,a,5) (2,new,1) (3,c,5)");
}

#[tokio::test]
async fn the_newest_row_of_a_key_wins_and_ambiguity_is_an_error() {
    let mut session = Session::new().await;
    let rows = [(1, Some("a"), Some(1)), (1, Some("b"), Some(3)), (1, Some("c"), Some(2)), (1, Some("d"), None)];
    let counts = session.load(&load("one", newest()), &rows).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, superseded: 3, ..NOTHING });
    let counts = session.load(&load("two", merge()), &[(2, None, None), (2, None, None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, superseded: 1, ..NOTHING });
    let equal = [(1, Some("x"), Some(9)), (1, Some("y"), Some(9))];
    let error = session.load(&load("three", newest()), &equal).await.unwrap_err();
    assert!(text_of(&error).contains("table item: rows of this run differ and have the same (key)"), "{error}");
    let unclear = [(3, Some("x"), Some(9)), (3, Some("x"), Some(8))];
    let error = session.load(&load("four", merge()), &unclear).await.unwrap_err();
    assert!(text_of(&error).contains("set an `update_key`"), "{error}");
    assert_eq!(session.target().await, "(1,b,3) (2,,)");
    assert_eq!(load("four", merge()).applied(&session.database, &session.client).await.unwrap(), None);
}

#[tokio::test]
async fn overwrite_keeps_only_the_rows_of_the_run() {
    let mut session = Session::new().await;
    session
        .load(&load("one", Mode::Overwrite), &[(1, Some("a"), None), (2, None, Some(5)), (3, None, None)])
        .await
        .unwrap();
    let untouched = session.text("select key, xmin, ctid from item where key = 1").await;
    let rows = [(1, Some("a"), None), (2, Some("b"), None), (4, None, None)];
    let counts = session.load(&load("two", Mode::Overwrite), &rows).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, updated: 1, unchanged: 1, deleted: 1, ..NOTHING });
    assert_eq!(session.target().await, "(1,a,) (2,b,) (4,,)");
    assert_eq!(session.text("select key, xmin, ctid from item where key = 1").await, untouched);
    let counts = session.load(&without_key("three", Mode::Overwrite), &[(9, None, None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, deleted: 3, ..NOTHING });
    assert_eq!(session.target().await, "(9,,)");
}

#[tokio::test]
async fn incompatible_columns_are_reported_before_anything_is_copied() {
    let session = Session::new().await;
    let merged = load("one", merge());
    let missing = Load { create: false, ..merged.clone() };
    let error = text_of(&session.inspect(&missing).await.unwrap_err());
    assert!(error.contains("table item: does not exist; create it, or set `create: true` in the sink"), "{error}");
    session.sql("create table item (key text, version uuid, total bigint generated always as (1) stored, \"more\" int not null)").await;
    let mut wrong = merged.clone();
    wrong.table.columns.push(Column::new("total", Kind::BigInt));
    let error = text_of(&session.inspect(&wrong).await.unwrap_err());
    for difference in [
        "it has no column `value`",
        "its column `version` is uuid, but the rows have bigint",
        "its column `total` is generated by the server",
        "its column `more` is `not null` without a default, but the rows do not have it",
        "it has no primary key or unique index on exactly (key)",
    ] {
        assert!(error.contains(difference), "{difference}: {error}");
    }
    session
        .sql(
            "drop table item; create table item (value varchar(3), key int, version int, extra int not null default 7)",
        )
        .await;
    session
        .sql("create unique index part on item (key) where key > 5; create unique index pair on item (key, value)")
        .await;
    assert!(session.inspect(&merged).await.unwrap_err().to_string().contains("unique index on exactly (key)"));
    session.sql("create unique index whole on item (key)").await;
    let limited = vec![("value".to_owned(), Kind::Varchar(3)), ("version".to_owned(), Kind::Integer)];
    assert_eq!(session.existing(&merged).await.narrower, limited);
}

#[tokio::test]
async fn a_value_that_does_not_fit_leaves_the_table_as_it_was() {
    let mut session = Session::new().await;
    session
        .sql("create table item (value varchar(3), key int primary key, version int, extra int not null default 7)")
        .await;
    session.load(&load("one", merge()), &[(1, Some("abc"), None)]).await.unwrap();
    let error =
        session.load(&load("two", merge()), &[(2, Some("ok"), None), (3, Some("secret"), None)]).await.unwrap_err();
    assert!(text_of(&error).contains("22001") && !text_of(&error).contains("secret"), "{}", text_of(&error));
    assert_eq!(session.target().await, "(abc,1,,7)");
}

#[tokio::test]
async fn concurrent_first_loads_do_not_conflict() {
    let url = Cluster::shared().database();
    let loads = (0..8).map(|number| {
        let url = url.clone();
        async move {
            let mut session = Session::with(&url).await;
            let mut load = load(&format!("run{number}"), merge());
            load.table.name = format!("item_{number}");
            session.load(&load, &[(1, None, None)]).await.unwrap()
        }
    });
    let counts = futures::future::join_all(loads).await;
    assert_eq!(counts, [Counts { inserted: 1, ..NOTHING }; 8]);
}

#[tokio::test]
async fn concurrent_applies_of_one_load_apply_it_once() {
    let url = Cluster::shared().database();
    let mut session = Session::with(&url).await;
    session.load(&without_key("one", Mode::Append), &[(1, None, None)]).await.unwrap();
    let two = without_key("two", Mode::Append);
    let staged = session.write(&two, &[(2, None, None)]).await.unwrap();
    let applied = (0..4).map(|_| async {
        let session = Session::with(&url).await;
        session.apply(&[(&two, staged)]).await.unwrap()[0]
    });
    assert_eq!(futures::future::join_all(applied).await, [Counts { inserted: 1, ..NOTHING }; 4]);
    assert_eq!(session.target().await, "(1,,) (2,,)");
}

#[tokio::test]
async fn columns_may_have_any_name() {
    let mut session = Session::new().await;
    let named = |run: &str, [key, value, version]: [&str; 3]| {
        let mut load = load(run, merge());
        for (column, name) in load.table.columns.iter_mut().zip([key, value, version]) {
            column.name = name.to_owned();
        }
        Load { table: Table { primary_key: vec![key.to_owned()], ..load.table }, ..load }
    };
    for names in
        [["row_exists", "staged", "target"], ["a \"b\"", "row_exists", "row_exists_"], ["count", "changed", "updated"]]
    {
        let loads = ["one", "two"].map(|run| named(&format!("{run} {}", names[0]), names));
        session.sql("drop table if exists item").await;
        let counts = session.load(&loads[0], &[(1, Some("a"), None), (2, None, None)]).await.unwrap();
        assert_eq!(counts, Counts { inserted: 2, ..NOTHING }, "{names:?}");
        // The target may have columns that the load does not.
        session
            .sql("alter table item add column if not exists row_exists text, add column if not exists staged int")
            .await;
        let counts = session.load(&loads[1], &[(1, Some("b"), None), (2, None, None), (3, None, None)]).await.unwrap();
        assert_eq!(counts, Counts { inserted: 1, updated: 1, unchanged: 1, ..NOTHING }, "{names:?}");
    }
}

#[tokio::test]
async fn a_staging_table_emptied_by_a_crash_is_detected_and_a_durable_one_is_applied() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let (first, second) = (load("one", merge()), load("two", merge()));
    let staged = Session::with(&url).await.write(&first, &[(1, Some("a"), None)]).await.unwrap();
    cluster.kill();
    cluster.launch();
    let mut session = Session::with(&url).await;
    let counts = session.apply(&[(&first, staged)]).await.unwrap();
    assert_eq!(counts, [Counts { inserted: 1, ..NOTHING }]);

    let staged = session.write(&second, &[(1, Some("b"), None)]).await.unwrap();
    cluster.kill();
    cluster.launch();
    let mut session = Session::with(&url).await;
    let error = session.apply(&[(&second, staged)]).await.unwrap_err();
    assert!(text_of(&error).contains("its staging table has 0 of 1 rows"), "{error}");
    assert_eq!(session.target().await, "(1,a,)");
    assert_eq!(session.load(&second, &[(1, Some("b"), None)]).await.unwrap(), Counts { updated: 1, ..NOTHING });

    let third = Load { durable: true, ..load("three", merge()) };
    let staged = session.write(&third, &[(1, Some("c"), None)]).await.unwrap();
    cluster.kill();
    cluster.launch();
    let session = Session::with(&url).await;
    assert_eq!(session.apply(&[(&third, staged)]).await.unwrap(), [Counts { updated: 1, ..NOTHING }]);
}

/// A load into another table with the columns of `item`.
fn into(table: &str, run: &str, mode: Mode) -> Load {
    let mut load = load(run, mode);
    (load.sink, load.staging) = (table.to_owned(), format!("stage_{run}_{table}"));
    load.table.name = table.to_owned();
    load
}

const ORDERS: &str = "
    create table customer (key int primary key, value text, version bigint);
    create table purchase (key int primary key, value text, version bigint references customer (key))";

#[tokio::test]
async fn foreign_keys_between_the_targets_hold_whatever_the_order_of_the_loads_is() {
    let mut session = Session::new().await;
    session.sql(ORDERS).await;
    for (number, order) in ["parent", "child"].into_iter().enumerate() {
        let (customer, purchase) = (
            into("customer", &format!("a{number}"), Mode::Overwrite),
            into("purchase", &format!("a{number}"), Mode::Overwrite),
        );
        // Each run has another customer, whose predecessor is deleted together with the purchase of it.
        let key = number as i32;
        let parent = session.write(&customer, &[(key, None, None)]).await.unwrap();
        let child = session.write(&purchase, &[(key, None, Some(key.into()))]).await.unwrap();
        let mut loads = [(&customer, parent), (&purchase, child)];
        if order == "child" {
            loads.reverse();
        }
        session.apply(&loads).await.unwrap();
        assert_eq!(session.text("select key from customer").await, format!("({key})"), "{order} first");
        assert_eq!(session.text("select version from purchase").await, format!("({key})"), "{order} first");
    }
}

#[tokio::test]
async fn one_table_that_refuses_a_row_leaves_all_tables_as_they_were() {
    let mut session = Session::new().await;
    session.sql(ORDERS).await;
    session.sql("alter table purchase add check (value <> 'free'), add unique (value)").await;
    for (rows, named) in [
        ([(1, Some("a"), Some(1)), (2, Some("b"), Some(7))], "(version)=(7)"),
        ([(1, Some("a"), Some(1)), (2, Some("free"), Some(1))], "key = 2"),
        ([(1, Some("a"), Some(1)), (2, Some("a"), Some(1))], "(value)=(a)"),
    ] {
        let (customer, purchase) = (into("customer", "one", merge()), into("purchase", "one", merge()));
        let parent = session.write(&customer, &[(1, None, None)]).await.unwrap();
        let child = session.write(&purchase, &rows).await.unwrap();
        let error = session.apply(&[(&customer, parent), (&purchase, child)]).await.unwrap_err();
        assert!(!error.to_string().contains(named), "values are in no message: {error}");
        let Error::Refused(refusal) = &error else { panic!("{error:?}") };
        assert_eq!((refusal.table.as_str(), refusal.rows.as_slice()), ("purchase", [named.to_owned()].as_slice()));
        assert_eq!(session.text("select * from customer").await, "");
        assert_eq!(session.text("select * from purchase").await, "");
        assert_eq!(session.text("select run from weir.applied").await, "");
        for load in [customer, purchase] {
            load.discard(&session.database, &session.client).await.unwrap();
        }
    }
}

#[tokio::test]
async fn nothing_is_visible_before_the_commit_and_deferred_constraints_are_checked_before_it() {
    let mut session = Session::new().await;
    session.sql(ORDERS).await;
    session.sql("alter table purchase alter constraint purchase_version_fkey deferrable").await;
    let purchase = into("purchase", "one", merge());
    let staged = session.write(&purchase, &[(1, None, Some(7))]).await.unwrap();
    let error = load::begin(&session.database, &session.client, &[(&purchase, staged)]).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");

    let customer = into("customer", "one", merge());
    let parent = session.write(&customer, &[(7, None, None)]).await.unwrap();
    let loads = [(&purchase, staged), (&customer, parent)];
    load::begin(&session.database, &session.client, &loads).await.unwrap();
    let count = "select count(*) from customer";
    let other =
        Session { client: session.database.connect(Duration::ZERO).await.unwrap(), database: session.database.clone() };
    assert_eq!(other.text(count).await, "(0)");
    load::commit(&session.database, &session.client).await.unwrap();
    assert_eq!(other.text(count).await, "(1)");
}

#[tokio::test]
async fn a_change_of_case_is_an_update_under_a_collation_that_ignores_case() {
    let mut session = Session::new().await;
    session
        .sql(
            "create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create table item (key int primary key, value text collate caseless, version bigint)",
        )
        .await;
    session.load(&load("one", merge()), &[(1, Some("ann"), None)]).await.unwrap();
    let counts = session.load(&load("two", merge()), &[(1, Some("Ann"), None)]).await.unwrap();
    assert_eq!((counts.updated, session.target().await), (1, "(1,Ann,)".to_owned()));
    let counts = session.load(&load("three", merge()), &[(1, Some("Ann"), None)]).await.unwrap();
    assert_eq!(counts.unchanged, 1);
}

#[tokio::test]
async fn rows_that_a_trigger_keeps_out_fail_the_load() {
    let mut session = Session::new().await;
    session.load(&load("one", merge()), &[(1, Some("a"), None), (2, Some("b"), None)]).await.unwrap();
    session
        .sql(
            "create function keep_out() returns trigger language plpgsql as
                 'begin if new.key > 1 then return null; end if; return new; end';
             create trigger keep_out before insert or update on item for each row execute function keep_out()",
        )
        .await;
    for (mode, rows) in
        [(merge(), [(2, Some("c"), None)]), (merge(), [(3, None, None)]), (Mode::Append, [(4, None, None)])]
    {
        let error = session.load(&load("two", mode), &rows).await.unwrap_err();
        assert!(text_of(&error).contains("a trigger or a rule keeps rows out"), "{error}");
    }
    assert_eq!(session.target().await, "(1,a,) (2,b,)");
}

#[tokio::test]
async fn a_table_that_is_dropped_while_a_load_waits_is_not_made_anew_unless_asked_for() {
    let mut session = Session::new().await;
    session.load(&load("one", merge()), &[(1, Some("a"), None)]).await.unwrap();
    let two = Load { create: false, ..load("two", merge()) };
    let staged = session.write(&two, &[(1, Some("b"), None)]).await.unwrap();
    session.sql("drop table item").await;
    let error = session.apply(&[(&two, staged)]).await.unwrap_err();
    assert!(text_of(&error).contains("does not exist any more; nothing was changed"), "{error}");
}

#[tokio::test]
async fn the_inspection_names_who_has_written_the_table() {
    let mut session = Session::new().await;
    let one = load("one", merge());
    session.load(&one, &[(1, Some("a"), None)]).await.unwrap();
    let found = session.existing(&load("two", merge())).await;
    assert!(!found.is_empty);
    assert_eq!(found.own.map(|own| own.run).as_deref(), Some("one"));
    let mut other = load("three", merge());
    other.task = Some("stock.prod".to_owned());
    other.table.schema = Some("public".to_owned());
    let of_other = session.existing(&other).await;
    assert_eq!((of_other.identity, of_other.own), (found.identity, None), "the same table under another name");
    assert_eq!(of_other.last.and_then(|last| last.task).as_deref(), Some("stock.default"));
}

#[tokio::test]
async fn a_server_that_dies_while_a_load_is_applied_leaves_the_table_as_it_was() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let mut session = Session::with(&url).await;
    session.load(&load("one", merge()), &[(1, Some("a"), None)]).await.unwrap();
    let two = load("two", merge());
    let staged = session.write(&two, &[(1, Some("b"), None), (2, None, None)]).await.unwrap();
    // It has begun, and waits for the table, which another session has locked.
    let other = Session::with(&url).await;
    other.sql("begin; lock table item in share mode").await;
    let pending = tokio::spawn(async move { session.apply(&[(&two, staged)]).await });
    // A transaction would see the same snapshot of pg_stat_activity forever.
    let watcher = Session::with(&url).await;
    let waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'lock table%'";
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while watcher.text(waits).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("it waits for the table");
    cluster.kill();
    let error = pending.await.unwrap().unwrap_err();
    assert!(error.is_connection_lost() && error.is_transient(), "{error}");
    cluster.launch();
    let session = Session::with(&url).await;
    assert_eq!(session.target().await, "(1,a,)");
    assert_eq!(load("two", merge()).applied(&session.database, &session.client).await.unwrap(), None);
}

#[tokio::test]
async fn a_discarded_load_leaves_nothing() {
    let mut session = Session::new().await;
    let load = load("one", merge());
    session.write(&load, &[(1, None, None)]).await.unwrap();
    load.discard(&session.database, &session.client).await.unwrap();
    load.discard(&session.database, &session.client).await.unwrap();
    assert_eq!(
        session.text("select tablename from pg_tables where schemaname in ('weir', 'public')").await,
        "(applied)"
    );
}

/// The expected result of a merge, computed row by row.
fn merged(
    there: &BTreeMap<i32, (Option<&'static str>, Option<i64>)>,
    rows: &[Row],
) -> BTreeMap<i32, (Option<&'static str>, Option<i64>)> {
    let mut table = there.clone();
    for (key, value, version) in rows {
        let is_older = table.get(key).is_some_and(|(_, newest)| newest.is_some() && version < newest);
        if !is_older {
            table.insert(*key, (*value, *version));
        }
    }
    table
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn merging_by_an_update_key_equals_merging_row_by_row(
        runs in prop::collection::vec(prop::collection::btree_map(
            (0_i32..6, prop::option::of(0_i64..4)),
            prop::option::of(prop::sample::select(vec!["a", "b", "c"])),
            0..8,
        ), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut session = Session::new().await;
            let mut expected = BTreeMap::new();
            for (number, rows) in runs.into_iter().enumerate() {
                // Ordered by key and version, no version first: the last of each key is the newest.
                let rows: Vec<Row> = rows.into_iter().map(|((key, version), value)| (key, value, version)).collect();
                let before = expected.clone();
                expected = merged(&expected, &rows);
                let counts = session.load(&load(&format!("run{number}"), newest()), &rows).await.unwrap();
                let inserted = expected.len() - before.len();
                let updated = before.iter().filter(|(key, row)| expected[key] != **row).count();
                assert_eq!((counts.inserted, counts.updated), (inserted as u64, updated as u64));
                let all = counts.inserted + counts.updated + counts.unchanged + counts.superseded;
                assert_eq!(all, rows.len() as u64);
                let shown = |value: &Option<String>| value.clone().unwrap_or_default();
                let rows = expected.iter().map(|(key, (value, version))| {
                    format!("({key},{},{})", shown(&value.map(str::to_owned)), shown(&version.map(|v| v.to_string())))
                });
                assert_eq!(session.target().await, rows.collect::<Vec<_>>().join(" "));
            }
        });
    }
}

#[tokio::test]
async fn missing_rights_are_named_with_the_statements_that_grant_them() {
    let mut session = Session::new().await;
    session.sql("create table item (key int primary key, value text, version bigint)").await;
    // A database's owner has all rights in it; another role begins with none.
    session.sql("drop role if exists loader_without_rights; create role loader_without_rights").await;
    session.sql("set role loader_without_rights").await;
    let error = session.inspect(&load("one", Mode::Overwrite)).await.unwrap_err();
    let text = text_of(&error);
    for expected in [
        "may not create the schema `weir`",
        "select, insert, update, delete in the table",
        "create schema weir authorization \"loader_without_rights\"",
        "grant select, insert, update, delete on \"item\" to \"loader_without_rights\"",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in: {text}");
    }
    // What the help says is enough.
    let statements = text.split("let an owner run: ").nth(1).unwrap().to_owned();
    session.sql("reset role").await;
    session.sql(&statements).await;
    session.sql("set role loader_without_rights").await;
    session.inspect(&load("one", Mode::Overwrite)).await.unwrap();
    session.load(&load("one", Mode::Overwrite), &[(1, Some("a"), None)]).await.unwrap();
    session.load(&load("two", Mode::Overwrite), &[(2, Some("b"), None)]).await.unwrap();
    let mut new = load("two", merge());
    new.table.schema = Some("Sales".to_owned());
    let text = text_of(&session.inspect(&new).await.unwrap_err());
    assert!(text.contains("create schema \"Sales\" authorization \"loader_without_rights\""), "{text}");
    session.sql("reset role; drop owned by loader_without_rights cascade; drop role loader_without_rights").await;
}
