//! Loads into a real server: the rows after each mode, and that a run is applied exactly once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc::channel;
use weir_mysql::load::{
    self, Bound, Column, Counts, Deletion, Existing, HistoryColumns, Kind, Load, Mark, Mode, Piece, Staged, Table,
    TargetState,
};
use weir_mysql::mysql_async::{Row as ServerRow, Value};
use weir_mysql::{Database, DatabaseError, Error, Result};
use weir_mysql_testing::{PASSWORD, Server};

/// A row: key, value, version.
type Row = (i32, Option<&'static str>, Option<i64>);

struct Session {
    session: weir_mysql::Session,
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or("\\N".to_owned(), |value| value.to_string())
}

impl Session {
    async fn new() -> Self {
        Self::with(&Server::shared().database()).await
    }

    async fn with(url: &str) -> Self {
        let database: Database = url.parse().unwrap();
        Self { session: database.connect(Duration::from_secs(60)).await.unwrap() }
    }

    async fn write(&mut self, load: &Load, rows: &[Row]) -> Result<Staged> {
        let lines = rows.iter().map(|(key, value, version)| format!("{key}\t{}\t{}\n", text(*value), text(*version)));
        self.write_lines(load, lines.collect()).await
    }

    async fn write_lines(&mut self, load: &Load, lines: String) -> Result<Staged> {
        load.create_staging(&mut self.session).await?;
        let (sender, receiver) = channel(2);
        sender.send(Piece::Rows(lines.into(), 0)).await.unwrap();
        sender.send(Piece::End).await.unwrap();
        let rows = load.load_rows(&mut self.session, receiver).await?;
        load.deduplicate(&mut self.session, rows).await
    }

    async fn load(&mut self, load: &Load, rows: &[Row]) -> Result<Counts> {
        let load = self.fitted(load).await?;
        let staged = self.write(&load, rows).await?;
        self.apply(&[(&load, staged)]).await.map(|counts| counts[0])
    }

    /// Applies loads in one transaction.
    async fn apply(&mut self, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
        let counts = load::begin(&mut self.session, loads).await?;
        let loads: Vec<_> = loads.iter().map(|(load, _)| *load).collect();
        load::commit(&mut self.session).await?;
        load::release(&mut self.session, &loads).await?;
        Ok(counts)
    }

    /// The load in the types of the target, if that exists.
    async fn fitted(&mut self, load: &Load) -> Result<Load> {
        let mut load = load.clone();
        if let TargetState::Existing(existing) = load.inspect(&mut self.session).await? {
            load.fit(&existing);
        }
        Ok(load)
    }

    /// What the target is; it must exist.
    async fn existing(&mut self, load: &Load) -> Existing {
        match load.inspect(&mut self.session).await.unwrap() {
            TargetState::Existing(existing) => *existing,
            TargetState::New(_) => panic!("there is no table"),
        }
    }

    async fn sql(&mut self, sql: &str) {
        self.session.execute(sql).await.unwrap();
    }

    /// The rows of a query, sorted.
    async fn text(&mut self, sql: &str) -> String {
        let rows: Vec<ServerRow> = self.session.query(sql).await.unwrap();
        let shown = |value: Value| match value {
            Value::NULL => String::new(),
            Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            other => other.as_sql(true),
        };
        let row = |row: ServerRow| format!("({})", row.unwrap().into_iter().map(shown).collect::<Vec<_>>().join(","));
        let mut rows: Vec<_> = rows.into_iter().map(row).collect();
        rows.sort();
        rows.join(" ")
    }

    /// The rows of the target.
    async fn target(&mut self) -> String {
        self.text("select * from item").await
    }

    async fn tables(&mut self) -> String {
        self.text("select table_name from information_schema.tables where table_schema = database()").await
    }
}

/// A load with a run id of its own into the table `item`.
fn load(run: &str, mode: Mode) -> Load {
    let column = |name: &str, kind| Column::new(name, kind);
    Load {
        run: run.to_owned(),
        sink: "items".to_owned(),
        staging: format!("weir_stage_{run}_0"),
        table: Table {
            name: "item".to_owned(),
            columns: vec![column("key", Kind::Int), column("value", Kind::Text), column("version", Kind::BigInt)],
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
    load.table.name = "the `items`".to_owned();
    load.table.columns[1].comment = Some("what's \\ it".to_owned());
    load.table.indexes = vec![vec!["version".to_owned(), "value".to_owned()]];
    load.table.comment = Some("all of them".to_owned());
    let state = load.inspect(&mut session.session).await.unwrap();
    let TargetState::New(new) = state else { panic!("it is not there") };
    assert_eq!(new.bounds, [("value".to_owned(), vec![Bound::Characters(255)], "varchar(255)".to_owned())]);
    let counts = session.load(&load, &[(1, Some("a"), None), (2, Some("b\\\tc\\\\"), Some(5))]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 2, ..NOTHING });
    assert_eq!(session.text("select * from `the ``items```").await, "(1,a,) (2,b\tc\\,5)");
    let described = "select column_name, column_type, is_nullable, column_comment from information_schema.columns
                     where table_schema = database() and table_name = 'the `items`'";
    assert_eq!(
        session.text(described).await,
        "(key,int(11),NO,) (value,varchar(255),YES,what's \\ it) (version,bigint(20),YES,)"
    );
    let about = "select engine, table_comment from information_schema.tables
                 where table_schema = database() and table_name = 'the `items`'";
    assert_eq!(session.text(about).await, "(InnoDB,all of them)");
    let keys = "select index_name, group_concat(column_name order by seq_in_index) from information_schema.statistics
                where table_schema = database() and table_name = 'the `items`' group by index_name";
    assert_eq!(session.text(keys).await, "(PRIMARY,key) (version,version,value)");
    assert_eq!(session.tables().await, "(the `items`) (weir_applied)");
    let existing = session.existing(&load).await;
    assert_eq!(existing.bounds, new.bounds, "the table that was created takes the same rows again");
}

#[tokio::test]
async fn a_load_that_is_applied_again_changes_nothing() {
    let mut session = Session::new().await;
    session.load(&without_key("one", Mode::Append), &[(1, Some("a"), None)]).await.unwrap();
    let two = without_key("two", Mode::Append);
    assert_eq!(two.applied(&mut session.session).await.unwrap(), None);
    let counts = session.load(&two, &[(1, Some("a"), None), (2, None, None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 2, ..NOTHING });
    assert_eq!(two.applied(&mut session.session).await.unwrap(), Some(counts));
    // As after a crash before the outcome was recorded; once with rows loaded again.
    assert_eq!(session.apply(&[(&two, Staged::default())]).await.unwrap(), [counts]);
    assert_eq!(session.load(&two, &[(7, None, None)]).await.unwrap(), counts);
    assert_eq!(session.target().await, "(1,a,) (1,a,) (2,,)");
    assert_eq!(session.tables().await, "(item) (weir_applied)");
}

#[tokio::test]
async fn an_upsert_inserts_or_updates_and_does_not_rewrite_unchanged_rows() {
    let mut session = Session::new().await;
    session
        .load(&load("one", merge()), &[(1, Some("a"), None), (2, None, Some(5)), (3, Some("c"), None)])
        .await
        .unwrap();
    // A trigger sees each row that is written.
    session.sql("create table written (k int)").await;
    session
        .sql("create trigger on_update before update on item for each row insert into written values (new.`key`)")
        .await;
    let again = [(1, Some("a"), None), (2, None, Some(5))];
    let counts = session.load(&load("two", merge()), &again).await.unwrap();
    assert_eq!(counts, Counts { unchanged: 2, ..NOTHING });
    assert_eq!(session.text("select * from written").await, "");
    let changed = [(1, Some("a"), None), (2, Some("b"), Some(5)), (4, Some("d"), None)];
    let counts = session.load(&load("three", merge()), &changed).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, updated: 1, unchanged: 1, ..NOTHING });
    assert_eq!(session.text("select * from written").await, "(2)");
    assert_eq!(session.target().await, "(1,a,) (2,b,5) (3,c,) (4,d,)");
}

#[tokio::test]
async fn an_insert_adds_only_new_keys() {
    let mut session = Session::new().await;
    session.load(&load("one", Mode::Insert), &[(1, Some("a"), None)]).await.unwrap();
    let counts = session.load(&load("two", Mode::Insert), &[(1, Some("b"), None), (2, None, None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, unchanged: 1, ..NOTHING });
    assert_eq!(session.target().await, "(1,a,) (2,,)");
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
    assert_eq!(load("four", merge()).applied(&mut session.session).await.unwrap(), None);
}

#[tokio::test]
async fn several_rows_of_a_key_are_one_row_however_many_keys_that_is() {
    // One key of two hundred has several rows, then every one: rows are deleted, or the others copied.
    for (keys, repeated) in [(200_i32, 1_i32), (200, 200)] {
        let rows: Vec<Row> = (0..keys).map(|key| (key, Some("new"), Some(2))).collect();
        let with = |more: &dyn Fn(i32) -> Vec<Row>| {
            let mut all = rows.clone();
            (0..repeated).for_each(|key| all.extend(more(key)));
            all
        };
        let expected = "(200,200)";
        let of_new = "select count(*), sum(value = 'new' and version = 2) from item";
        let cases: [(&str, Mode, Vec<Row>, u64); 4] = [
            ("older", newest(), with(&|key| vec![(key, Some("old"), Some(1)), (key, Some("none"), None)]), 2),
            ("identical", merge(), with(&|key| vec![(key, Some("new"), Some(2)); 2]), 2),
            ("older and identical", newest(), with(&|key| vec![(key, Some("new"), Some(2)), (key, None, Some(1))]), 2),
            ("overwritten", Mode::Overwrite, with(&|key| vec![(key, Some("new"), Some(2))]), 1),
        ];
        for (what, mode, rows, each) in cases {
            let mut session = Session::new().await;
            let counts = session.load(&load("one", mode), &rows).await.unwrap();
            let superseded = each * repeated as u64;
            assert_eq!(counts, Counts { inserted: 200, superseded, ..NOTHING }, "{what} of {repeated}");
            assert_eq!(session.text(of_new).await, expected, "{what} of {repeated}");
            assert_eq!(session.tables().await, "(item) (weir_applied)", "{what} of {repeated}");
        }
        for (what, mode, more) in [
            ("a tie", newest(), [(0, Some("other"), Some(2)), (0, Some("old"), Some(1))]),
            ("a tie of older rows", newest(), [(0, Some("a"), Some(1)), (0, Some("b"), Some(1))]),
            ("a tie without a version", newest(), [(0, Some("a"), None), (0, Some("b"), None)]),
            ("other bytes", newest(), [(0, Some("NEW"), Some(2)), (0, None, Some(1))]),
            ("no order", merge(), [(0, Some("new"), Some(1)), (0, Some("new"), Some(2))]),
        ] {
            let mut session = Session::new().await;
            let error = session.load(&load("one", mode), &with(&|_| more.to_vec())).await.unwrap_err();
            assert!(text_of(&error).contains("rows of this run differ and have the same (key)"), "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn several_rows_of_a_key_that_a_collation_folds_are_one_row() {
    let mut session = Session::new().await;
    session
        .sql("create table item (`key` varchar(9) collate utf8mb4_general_ci primary key, value varchar(9), version bigint)")
        .await;
    let by_text = |run: &str| {
        let mut load = load(run, newest());
        load.table.columns[0].kind = Kind::Text;
        load
    };
    let one = session.fitted(&by_text("one")).await.unwrap();
    let lines =
        "a\told\t1\nA\tnew\t2\nb\tb\t\\N\nB\tB\t0\nc\tc\t1\nd\td\t1\ne\te\t1\nf\tf\t1\ng\tg\t1\nh\th\t1\ni\ti\t1\n";
    let staged = session.write_lines(&one, lines.to_owned()).await.unwrap();
    assert_eq!(staged, Staged { rows: 9, superseded: 2 });
    session.apply(&[(&one, staged)]).await.unwrap();
    let rows = session.target().await;
    assert!(rows.starts_with("(A,new,2) (B,B,0) (c,c,1)"), "{rows}");
    let two = session.fitted(&by_text("two")).await.unwrap();
    let error = session.write_lines(&two, "c\ta\t1\nC\ta\t1\n".to_owned()).await.unwrap_err();
    assert!(text_of(&error).contains("as the column's collation compares them"), "{error}");
}

#[tokio::test]
async fn the_newest_row_by_a_text_or_by_two_columns_wins() {
    let mut session = Session::new().await;
    let by_text = |run: &str| {
        let mut load = load(run, newest());
        load.table.columns[2].kind = Kind::Text;
        load.table.primary_key.push("value".to_owned());
        load
    };
    let load = session.fitted(&by_text("one")).await.unwrap();
    let lines = "1\ta\t2026-01-02\n1\ta\t2026-01-10\n1\tb\t2026-01-01\n2\ta\t\\N\n2\ta\t\n";
    let staged = session.write_lines(&load, lines.to_owned()).await.unwrap();
    assert_eq!(staged, Staged { rows: 3, superseded: 2 });
    session.apply(&[(&load, staged)]).await.unwrap();
    assert_eq!(session.target().await, "(1,a,2026-01-10) (1,b,2026-01-01) (2,a,)");
}

#[tokio::test]
async fn a_user_who_may_not_delete_rows_loads_several_rows_of_a_key() {
    let server = Server::shared();
    let name = server.new_database();
    let user = format!("keeper_{name}");
    server.sql(
        &name,
        &format!(
            "create user '{user}'@'%' identified by '{PASSWORD}';
             grant select, insert, update, create, drop, alter on {name}.* to '{user}'@'%'"
        ),
    );
    let rows = || (0..50).map(|key| (key, Some("new"), Some(2)));
    for (run, mode, more) in [("one", newest(), (7, Some("old"), Some(1))), ("two", merge(), (7, Some("new"), Some(2)))]
    {
        let mut session = Session::with(&server.url_of(&user, PASSWORD, &name)).await;
        let rows: Vec<Row> = rows().chain([more]).collect();
        let counts = session.load(&load(run, mode), &rows).await.unwrap();
        assert_eq!((counts.superseded, counts.inserted + counts.unchanged), (1, 50), "{run}");
        assert_eq!(session.text("select count(*), sum(value = 'new') from item").await, "(50,50)", "{run}");
    }
}

#[tokio::test]
async fn a_row_without_a_key_is_an_error() {
    let mut session = Session::new().await;
    session.sql("create table item (`key` int unique, value text, version bigint)").await;
    for mode in [merge(), newest(), Mode::Insert, Mode::Overwrite] {
        let load = session.fitted(&load("one", mode)).await.unwrap();
        let lines = "1\ta\t1\n\\N\tb\t1\n\\N\tc\t2\n";
        let error = session.write_lines(&load, lines.to_owned()).await.unwrap_err();
        assert!(text_of(&error).contains("the table is unchanged"), "{error}");
    }
    assert_eq!(session.target().await, "");
}

#[tokio::test]
async fn overwrite_keeps_only_the_rows_of_the_run() {
    let mut session = Session::new().await;
    session
        .load(&load("one", Mode::Overwrite), &[(1, Some("a"), None), (2, None, Some(5)), (3, None, None)])
        .await
        .unwrap();
    let rows = [(1, Some("a"), None), (2, Some("b"), None), (4, None, None)];
    let counts = session.load(&load("two", Mode::Overwrite), &rows).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, updated: 1, unchanged: 1, deleted: 1, ..NOTHING });
    assert_eq!(session.target().await, "(1,a,) (2,b,) (4,,)");
    let counts = session.load(&without_key("three", Mode::Overwrite), &[(9, None, None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, deleted: 3, ..NOTHING });
    assert_eq!(session.target().await, "(9,,)");
}

#[tokio::test]
async fn replace_keeps_the_partitions_that_the_run_does_not_have() {
    let mut session = Session::new().await;
    let mode = || Mode::Replace { partition_by: vec!["version".to_owned()] };
    let rows =
        [(1, Some("a"), Some(1)), (2, Some("b"), Some(1)), (3, Some("c"), Some(2)), (4, None, None), (5, None, None)];
    session.load(&load("one", mode()), &rows).await.unwrap();
    let counts = session.load(&load("two", mode()), &[(1, Some("a"), Some(1)), (6, None, None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, unchanged: 1, deleted: 3, ..NOTHING });
    assert_eq!(session.target().await, "(1,a,1) (3,c,2) (6,,)");
    let counts = session.load(&without_key("three", mode()), &[(7, None, Some(2))]).await.unwrap();
    assert_eq!((counts.inserted, counts.deleted), (1, 1));
    assert_eq!(session.target().await, "(1,a,1) (6,,) (7,,2)");
}

#[tokio::test]
async fn rows_that_say_that_a_row_is_gone_delete_or_mark_it() {
    for mark in [None, Some(false), Some(true)] {
        let mut session = Session::new().await;
        let deleting = |run: &str| {
            let mark = mark.map(|is_boolean| Mark { column: "gone".to_owned(), is_boolean });
            Load { deletion: Some(Deletion { marker: "is_deleted".to_owned(), mark }), ..load(run, newest()) }
        };
        if mark == Some(true) {
            session
                .sql("create table item (`key` int primary key, value text, version bigint, gone tinyint(1) not null default 0)")
                .await;
        }
        let one = session.fitted(&deleting("one")).await.unwrap();
        let staged = session.write_lines(&one, "1\ta\t1\t0\n2\tb\t5\t\\N\n3\tc\t1\t0\n".to_owned()).await.unwrap();
        assert_eq!(session.apply(&[(&one, staged)]).await.unwrap(), [Counts { inserted: 3, ..NOTHING }]);
        // One is gone, one is newer than what says that it is gone, one is unknown.
        let two = session.fitted(&deleting("two")).await.unwrap();
        let lines = "1\t\\N\t2\t1\n2\t\\N\t4\t1\n9\t\\N\t1\t1\n";
        let staged = session.write_lines(&two, lines.to_owned()).await.unwrap();
        let counts = session.apply(&[(&two, staged)]).await.unwrap()[0];
        assert_eq!((counts.deleted, counts.superseded, counts.inserted), (1, 1, 0), "{mark:?}");
        let left = match mark {
            None => "select `key` from item",
            Some(_) => "select `key` from item where not coalesce(gone, 0)",
        };
        assert_eq!(session.text(left).await, "(2) (3)", "{mark:?}");
        // It comes back.
        let three = session.fitted(&deleting("three")).await.unwrap();
        let staged = session.write_lines(&three, "1\tagain\t3\t0\n".to_owned()).await.unwrap();
        session.apply(&[(&three, staged)]).await.unwrap();
        assert_eq!(session.text(left).await, "(1) (2) (3)", "{mark:?}");
    }
}

#[tokio::test]
async fn a_history_keeps_every_version() {
    let mut session = Session::new().await;
    let history = |run: &str, at: &str| {
        let columns = HistoryColumns {
            valid_from: "valid_from".to_owned(),
            valid_to: "valid_to".to_owned(),
            at: format!("2026-01-{at}T00:00:00+00:00"),
        };
        load(run, Mode::History { update_key: None, columns })
    };
    let versions = "select `key`, value, date(valid_from), date(valid_to) from item";
    let counts = session.load(&history("one", "01"), &[(1, Some("a"), None), (2, Some("b"), None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 2, ..NOTHING });
    let counts = session.load(&history("two", "02"), &[(1, Some("a"), None), (2, Some("c"), None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, updated: 1, unchanged: 1, ..NOTHING });
    assert_eq!(session.text(versions).await, "(1,a,2026-01-01,) (2,b,2026-01-01,2026-01-02) (2,c,2026-01-02,)");
    // A clock that runs behind ends no version before it began.
    let counts = session.load(&history("three", "01"), &[(2, Some("d"), None)]).await.unwrap();
    assert_eq!(counts, Counts { inserted: 1, updated: 1, ..NOTHING });
    assert_eq!(session.text("select count(*) from item where valid_to <= valid_from").await, "(0)");
}

#[tokio::test]
async fn a_history_by_an_update_key_takes_several_versions_at_once() {
    let mut session = Session::new().await;
    let history = |run: &str| {
        let columns =
            HistoryColumns { valid_from: "valid_from".to_owned(), valid_to: "valid_to".to_owned(), at: String::new() };
        let mut load = load(run, Mode::History { update_key: Some("version".to_owned()), columns });
        load.table.columns[2].kind = Kind::DateTime;
        load.deletion = Some(Deletion { marker: "is_deleted".to_owned(), mark: None });
        load
    };
    let versions = "select `key`, value, day(valid_from), day(valid_to) from item";
    for (run, lines, expected) in [
        ("one", "1\ta\t2026-01-01\t0\n1\tb\t2026-01-03\t0\n2\tx\t2026-01-01\t0\n", "(1,a,1,3) (1,b,3,) (2,x,1,)"),
        // Late, a correction, and the end of a row.
        ("two", "1\tz\t2026-01-02\t0\n1\tB\t2026-01-03\t0\n2\t\\N\t2026-01-05\t1\n", "(1,B,3,) (1,a,1,3) (2,x,1,5)"),
        ("three", "2\ty\t2026-01-07\t0\n", "(1,B,3,) (1,a,1,3) (2,x,1,5) (2,y,7,)"),
    ] {
        let load = session.fitted(&history(run)).await.unwrap();
        let staged = session.write_lines(&load, lines.to_owned()).await.unwrap();
        session.apply(&[(&load, staged)]).await.unwrap();
        assert_eq!(session.text(versions).await, expected, "{run}");
    }
}

#[tokio::test]
async fn incompatible_columns_are_reported_before_anything_is_loaded() {
    let mut session = Session::new().await;
    let merged = load("one", merge());
    let missing = Load { create: false, ..merged.clone() };
    let error = text_of(&missing.inspect(&mut session.session).await.unwrap_err());
    assert!(error.contains("table item: does not exist; create it, or set `create: true` in the sink"), "{error}");
    session
        .sql(
            "create table item (`key` text, version uuid, total bigint as (1) stored, `more` int not null, VALUE text)",
        )
        .await;
    let mut wrong = merged.clone();
    wrong.table.columns.push(Column::new("total", Kind::BigInt));
    let error = text_of(&wrong.inspect(&mut session.session).await.unwrap_err());
    for difference in [
        "its column `key` is text, but the rows have int",
        "it has no column `value`, but `VALUE`",
        "its column `version` is uuid, but the rows have bigint",
        "its column `total` is generated by the server",
        "its column `more` is `not null` without a default, but the rows do not have it",
        "it has no primary key or unique index on exactly (key)",
    ] {
        assert!(error.contains(difference), "{difference}: {error}");
    }
    session.sql("drop table item").await;
    session.sql("create table item (value varchar(3), `key` int, version int, extra int not null default 7)").await;
    session.sql("create unique index pair on item (`key`, value)").await;
    let error = merged.inspect(&mut session.session).await.unwrap_err();
    assert!(error.to_string().contains("unique index on exactly (key)"), "{error}");
    session.sql("create unique index whole on item (`key`)").await;
    let bounds = session.existing(&merged).await.bounds;
    assert_eq!(bounds.len(), 2, "{bounds:?}");
    session.sql("alter table item engine = MyISAM").await;
    let error = text_of(&merged.inspect(&mut session.session).await.unwrap_err());
    assert!(error.contains("engine MyISAM, which has no transactions") && error.contains("engine = InnoDB"), "{error}");
    session.sql("rename table item to items").await;
    session.sql("create view item as select * from items").await;
    let error = text_of(&merged.inspect(&mut session.session).await.unwrap_err());
    assert!(error.contains("is a view, which cannot be loaded"), "{error}");
}

#[tokio::test]
async fn a_value_that_does_not_fit_leaves_the_table_as_it_was_also_where_strict_mode_is_off() {
    let server = Server::with_settings(&["sql-mode="]);
    let mut session = Session::with(&server.database()).await;
    session
        .sql("create table item (value varchar(3), `key` int primary key, version int, extra int not null default 7)")
        .await;
    session.load(&load("one", merge()), &[(1, Some("abc"), None)]).await.unwrap();
    for row in [(3, Some("secret"), None), (4, None, Some(1 << 40))] {
        let error = session.load(&load("two", merge()), &[(2, Some("ok"), None), row]).await.unwrap_err();
        let text = text_of(&error);
        assert!(text.contains("changed a value") && !text.contains("secret"), "{text}");
    }
    assert_eq!(session.target().await, "(abc,1,,7)");
}

#[tokio::test]
async fn keys_are_compared_as_the_target_compares_them() {
    let mut session = Session::new().await;
    session
        .sql("create table item (`key` varchar(9) character set latin1 primary key, value varchar(9), version bigint)")
        .await;
    let by_text = |run: &str, mode| {
        let mut load = load(run, mode);
        load.table.columns[0].kind = Kind::Text;
        load
    };
    let one = session.fitted(&by_text("one", merge())).await.unwrap();
    let staged = session.write_lines(&one, "é\ta\t1\nb\tb\t1\n".to_owned()).await.unwrap();
    session.apply(&[(&one, staged)]).await.unwrap();
    // The same key for the table, in other letters: it is updated, and not there twice.
    let two = session.fitted(&by_text("two", merge())).await.unwrap();
    let staged = session.write_lines(&two, "É\ta\t1\nb\tB\t1\n".to_owned()).await.unwrap();
    let counts = session.apply(&[(&two, staged)]).await.unwrap();
    assert_eq!(counts, [Counts { updated: 2, ..NOTHING }]);
    assert_eq!(session.target().await, "(b,B,1) (É,a,1)");
    let three = session.fitted(&by_text("three", merge())).await.unwrap();
    let error = session.write_lines(&three, "c\ta\t1\nC\ta\t1\n".to_owned()).await.unwrap_err();
    assert!(text_of(&error).contains("as the column's collation compares them"), "{error}");
    let bounds = &session.existing(&by_text("four", merge())).await.bounds;
    assert_eq!(bounds[0].1, [Bound::Characters(9), Bound::CharacterSet("latin1".to_owned())]);
    let unfit = load::unfit(&mut session.session, &bounds[0].1[1], &["a", "ł", "é", "日"]).await.unwrap();
    assert_eq!(unfit, [1, 3]);
    let unfit = load::unfit(&mut session.session, &Bound::Json, &["{}", "{", "[1]"]).await.unwrap();
    assert_eq!(unfit, [1]);
}

#[tokio::test]
async fn texts_of_a_created_table_are_exact() {
    let mut session = Session::new().await;
    let by_text = |run: &str| {
        let mut load = load(run, merge());
        load.table.columns[0].kind = Kind::Text;
        load
    };
    let lines = "a\ta\t1\nA\ta\t1\na \ta\t1\n\u{e9}\ta\t1\n";
    for (run, expected) in [("one", Counts { inserted: 4, ..NOTHING }), ("two", Counts { unchanged: 4, ..NOTHING })] {
        let load = session.fitted(&by_text(run)).await.unwrap();
        let staged = session.write_lines(&load, lines.to_owned()).await.unwrap();
        assert_eq!(session.apply(&[(&load, staged)]).await.unwrap(), [expected], "{run}");
    }
}

#[tokio::test]
async fn every_type_arrives_exactly() {
    let mut session = Session::new().await;
    let columns = [
        ("a", Kind::Boolean, "1"),
        ("b", Kind::SmallInt, "-32768"),
        ("c", Kind::BigInt, "-9223372036854775808"),
        ("d", Kind::UnsignedBigInt, "18446744073709551615"),
        ("e", Kind::Double, "0.1"),
        ("f", Kind::Double, "1.7976931348623157e308"),
        ("g", Kind::Decimal(38, 10), "1234567890123456789012345678.0123456789"),
        ("h", Kind::Text, "💶 ünï"),
        ("i", Kind::Date, "0001-01-01"),
        ("j", Kind::DateTime, "9999-12-31 23:59:59.999999"),
        ("k", Kind::Instant, "1970-01-01 00:00:00.000001"),
        ("l", Kind::Bytes, "\\\\x00ff0a09"),
        ("m", Kind::Text, ""),
        ("n", Kind::Text, "\\N"),
        ("o", Kind::Float, "16777216"),
    ];
    let mut load = without_key("one", Mode::Append);
    load.table.columns = columns.iter().map(|(name, kind, _)| Column::new(*name, kind.clone())).collect();
    let line = columns.iter().map(|(_, _, text)| *text).collect::<Vec<_>>().join("\t") + "\n";
    let staged = session.write_lines(&load, line).await.unwrap();
    session.apply(&[(&load, staged)]).await.unwrap();
    let read = "select a, b, c, d, e, f, g, h, i, j, k, hex(l), m, n, o = 16777216 from item";
    assert_eq!(
        session.text(read).await,
        "(1,-32768,-9223372036854775808,18446744073709551615,0.1,1.7976931348623157e308,\
         1234567890123456789012345678.0123456789,💶 ünï,0001-01-01,9999-12-31 23:59:59.999999,\
         1970-01-01 00:00:00.000001,00FF0A09,,,1)"
    );
    assert_eq!(session.text("select m is null, n is null from item").await, "(0,1)");
    assert_eq!(session.existing(&load).await.bounds, []);
}

#[tokio::test]
async fn numbers_and_times_without_texts_arrive_exactly() {
    let mut session = Session::new().await;
    let columns = [
        ("a", Kind::Boolean, "1"),
        ("b", Kind::BigInt, "-9223372036854775808"),
        ("c", Kind::UnsignedBigInt, "18446744073709551615"),
        ("d", Kind::Double, "-1.7976931348623157e308"),
        ("e", Kind::Decimal(38, 10), "-1234567890123456789012345678.0123456789"),
        ("f", Kind::Date, "0001-01-01"),
        ("g", Kind::DateTime, "9999-12-31T23:59:59.999999"),
        ("h", Kind::Instant, "1970-01-01T00:00:00.000001"),
        ("i", Kind::Int, "\\N"),
    ];
    let mut load = without_key("one", Mode::Append);
    load.table.columns = columns.iter().map(|(name, kind, _)| Column::new(*name, kind.clone())).collect();
    let line = columns.iter().map(|(_, _, text)| *text).collect::<Vec<_>>().join("\t") + "\n";
    let staged = session.write_lines(&load, line).await.unwrap();
    session.apply(&[(&load, staged)]).await.unwrap();
    assert_eq!(
        session.target().await,
        "(1,-9223372036854775808,18446744073709551615,-1.7976931348623157e308,\
         -1234567890123456789012345678.0123456789,0001-01-01,9999-12-31 23:59:59.999999,1970-01-01 00:00:00.000001,)"
    );
    load.run = "two".to_owned();
    for wrong in ["x", "99999999999", "\u{661}"] {
        let line = columns[..8].iter().map(|(_, _, text)| *text).collect::<Vec<_>>().join("\t");
        let error = session.write_lines(&load, format!("{line}\t{wrong}\n")).await.unwrap_err();
        assert!(text_of(&error).contains("changed a value"), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn columns_are_added_where_that_is_asked_for() {
    let mut session = Session::new().await;
    session.load(&load("one", merge()), &[(1, Some("a"), None)]).await.unwrap();
    let wider = |run: &str, adds_columns| {
        let mut load = Load { adds_columns, ..load(run, merge()) };
        load.table.columns.push(Column::new("more", Kind::Decimal(9, 2)));
        load
    };
    let error = text_of(&wider("two", false).inspect(&mut session.session).await.unwrap_err());
    assert!(error.contains("it has no column `more`") && error.contains("`schema_changes: add`"), "{error}");
    let two = session.fitted(&wider("two", true)).await.unwrap();
    let staged = session.write_lines(&two, "2\tb\t\\N\t1.50\n".to_owned()).await.unwrap();
    session.apply(&[(&two, staged)]).await.unwrap();
    assert_eq!(session.target().await, "(1,a,,) (2,b,,1.50)");
}

#[tokio::test]
async fn concurrent_first_loads_do_not_conflict() {
    let url = Server::shared().database();
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
async fn a_table_that_several_loads_would_make_has_the_rows_of_all_of_them() {
    for _ in 0..5 {
        for mode in [merge(), newest(), Mode::Append] {
            let url = Server::shared().database();
            let loads = (0..6).map(|number| {
                let (url, mode) = (url.clone(), mode.clone());
                async move {
                    let mut session = Session::with(&url).await;
                    let name = format!("run{number}");
                    let load = if mode == Mode::Append { without_key(&name, mode) } else { load(&name, mode) };
                    session.load(&load, &[(number, None, None)]).await.unwrap()
                }
            });
            let counts = futures::future::join_all(loads).await;
            assert_eq!(counts, [Counts { inserted: 1, ..NOTHING }; 6]);
            let rows = Session::with(&url).await.target().await;
            assert_eq!(rows, "(0,,) (1,,) (2,,) (3,,) (4,,) (5,,)");
        }
    }
}

#[tokio::test]
async fn concurrent_applies_of_one_load_apply_it_once() {
    let url = Server::shared().database();
    let mut session = Session::with(&url).await;
    session.load(&without_key("one", Mode::Append), &[(1, None, None)]).await.unwrap();
    let two = session.fitted(&without_key("two", Mode::Append)).await.unwrap();
    let staged = session.write(&two, &[(2, None, None)]).await.unwrap();
    let applied = (0..4).map(|_| async {
        let mut session = Session::with(&url).await;
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
    for (number, names) in [["select", "staged", "target"], ["a `b`", "place", "PLACE_"], ["count", "key_0", "kept"]]
        .into_iter()
        .enumerate()
    {
        let loads = ["one", "two"].map(|run| named(&format!("{run}{number}"), names));
        session.sql("drop table if exists item").await;
        let rows = [(1, Some("a"), None), (2, None, None), (2, None, None)];
        let counts = session.load(&loads[0], &rows).await.unwrap();
        assert_eq!(counts, Counts { inserted: 2, superseded: 1, ..NOTHING }, "{names:?}");
        let counts = session.load(&loads[1], &[(1, Some("b"), None), (2, None, None), (3, None, None)]).await.unwrap();
        assert_eq!(counts, Counts { inserted: 1, updated: 1, unchanged: 1, ..NOTHING }, "{names:?}");
    }
}

#[tokio::test]
async fn a_durable_staging_table_survives_a_crash_and_a_lost_one_is_detected() {
    let server = Server::start();
    let url = server.database();
    let first = Load { durable: true, ..load("one", merge()) };
    let staged = Session::with(&url).await.write(&first, &[(1, Some("a"), None)]).await.unwrap();
    server.kill();
    server.launch();
    let mut session = Session::with(&url).await;
    assert_eq!(session.apply(&[(&first, staged)]).await.unwrap(), [Counts { inserted: 1, ..NOTHING }]);
    let second = session.fitted(&load("two", merge())).await.unwrap();
    let staged = session.write(&second, &[(1, Some("b"), None)]).await.unwrap();
    session.sql("truncate table weir_stage_two_0").await;
    let error = session.apply(&[(&second, staged)]).await.unwrap_err();
    assert!(text_of(&error).contains("its staging table has 0 of 1 rows"), "{error}");
    session.sql("drop table weir_stage_two_0").await;
    assert!(!second.is_complete(&mut session.session, staged).await.unwrap());
    assert_eq!(session.target().await, "(1,a,)");
    assert_eq!(session.load(&second, &[(1, Some("b"), None)]).await.unwrap(), Counts { updated: 1, ..NOTHING });
}

#[tokio::test]
async fn rows_that_end_early_are_no_load() {
    let mut session = Session::new().await;
    let one = load("one", merge());
    one.create_staging(&mut session.session).await.unwrap();
    let (sender, receiver) = channel(2);
    sender.send(Piece::Rows("1\ta\t1\n".into(), 1)).await.unwrap();
    drop(sender);
    one.load_rows(&mut session.session, receiver).await.unwrap_err();
    let mut other = Session { session: session.session.database().connect(Duration::ZERO).await.unwrap() };
    one.discard(&mut other.session).await.unwrap();
    assert_eq!(other.tables().await, "(weir_applied)");
}

/// A load into another table with the columns of `item`.
fn into(table: &str, run: &str, mode: Mode) -> Load {
    let mut load = load(run, mode);
    (load.sink, load.staging) = (table.to_owned(), format!("stage_{run}_{table}"));
    load.table.name = table.to_owned();
    load
}

async fn with_orders() -> Session {
    let mut session = Session::new().await;
    session.sql("create table customer (`key` int primary key, value text, version bigint)").await;
    session
        .sql(
            "create table purchase (`key` int primary key, value varchar(20), version int,
             foreign key (version) references customer (`key`))",
        )
        .await;
    session
}

#[tokio::test]
async fn foreign_keys_between_the_targets_hold_whatever_the_order_of_the_loads_is() {
    let mut session = with_orders().await;
    for (number, order) in ["parent", "child"].into_iter().enumerate() {
        let (customer, purchase) = (
            into("customer", &format!("a{number}"), Mode::Overwrite),
            into("purchase", &format!("a{number}"), Mode::Overwrite),
        );
        let (customer, purchase) = (session.fitted(&customer).await.unwrap(), session.fitted(&purchase).await.unwrap());
        // Each run has another customer, whose predecessor is deleted together with the purchase of it.
        let key = number as i32;
        let parent = session.write(&customer, &[(key, None, None)]).await.unwrap();
        let child = session.write(&purchase, &[(key, None, Some(key.into()))]).await.unwrap();
        let mut loads = [(&customer, parent), (&purchase, child)];
        if order == "child" {
            loads.reverse();
        }
        session.apply(&loads).await.unwrap();
        assert_eq!(session.text("select `key` from customer").await, format!("({key})"), "{order} first");
        assert_eq!(session.text("select version from purchase").await, format!("({key})"), "{order} first");
    }
}

#[tokio::test]
async fn one_table_that_refuses_a_row_leaves_all_tables_as_they_were() {
    let mut session = with_orders().await;
    session.sql("alter table purchase add constraint not_free check (value <> 'free'), add unique (value)").await;
    for (rows, named) in [
        ([(1, Some("a"), Some(1)), (2, Some("b"), Some(7))], None),
        ([(1, Some("a"), Some(1)), (2, Some("free"), Some(1))], Some("key = 2")),
        ([(1, Some("a"), Some(1)), (2, Some("a"), Some(1))], Some("a")),
    ] {
        let customer = session.fitted(&into("customer", "one", merge())).await.unwrap();
        let purchase = session.fitted(&into("purchase", "one", merge())).await.unwrap();
        let parent = session.write(&customer, &[(1, None, None)]).await.unwrap();
        let child = session.write(&purchase, &rows).await.unwrap();
        let error = session.apply(&[(&customer, parent), (&purchase, child)]).await.unwrap_err();
        let Error::Refused(refusal) = &error else { panic!("{error:?}") };
        assert_eq!((refusal.table.as_str(), refusal.rows.first().map(String::as_str)), ("purchase", named));
        assert!(!error.to_string().contains("'a'") && !error.to_string().contains("key = 2"), "{error}");
        assert_eq!(session.text("select * from customer").await, "");
        assert_eq!(session.text("select * from purchase").await, "");
        assert_eq!(session.text("select run from weir_applied").await, "");
        for load in [customer, purchase] {
            load.discard(&mut session.session).await.unwrap();
        }
    }
}

#[tokio::test]
async fn nothing_is_visible_before_the_commit() {
    let mut session = with_orders().await;
    let customer = session.fitted(&into("customer", "one", merge())).await.unwrap();
    let staged = session.write(&customer, &[(7, None, None)]).await.unwrap();
    load::begin(&mut session.session, &[(&customer, staged)]).await.unwrap();
    let count = "select count(*) from customer";
    let mut other = Session { session: session.session.database().connect(Duration::ZERO).await.unwrap() };
    assert_eq!(other.text(count).await, "(0)");
    load::commit(&mut session.session).await.unwrap();
    load::release(&mut session.session, &[&customer]).await.unwrap();
    assert_eq!(other.text(count).await, "(1)");
    let two = session.fitted(&into("customer", "two", Mode::Overwrite)).await.unwrap();
    let staged = session.write(&two, &[(8, None, None)]).await.unwrap();
    load::begin(&mut session.session, &[(&two, staged)]).await.unwrap();
    load::roll_back(&mut session.session).await;
    assert_eq!(other.text("select `key` from customer").await, "(7)");
}

#[tokio::test]
async fn a_lock_that_is_not_free_is_told_with_the_session_that_holds_it() {
    let mut session = Session::new().await;
    session.load(&load("one", merge()), &[(1, Some("a"), None)]).await.unwrap();
    let mut other = Session { session: session.session.database().connect(Duration::ZERO).await.unwrap() };
    let two = session.fitted(&load("two", merge())).await.unwrap();
    let staged = session.write(&two, &[(1, Some("b"), None)]).await.unwrap();
    other.sql("begin").await;
    other.sql("update item set value = 'x'").await;
    let error = session.apply(&[(&two, staged)]).await.unwrap_err();
    let holder = format!("session {} of user", other.session.id());
    assert!(error.is_transient() && text_of(&error).contains(&holder), "{}", text_of(&error));
    other.sql("rollback").await;
    // Another run that has begun.
    load::begin(&mut session.session, &[(&two, staged)]).await.unwrap();
    let three = other.fitted(&load("three", merge())).await.unwrap();
    let of_three = other.write(&three, &[(1, Some("c"), None)]).await.unwrap();
    let error = other.apply(&[(&three, of_three)]).await.unwrap_err();
    assert!(text_of(&error).contains("another run is writing to it"), "{}", text_of(&error));
    load::commit(&mut session.session).await.unwrap();
    load::release(&mut session.session, &[&two]).await.unwrap();
    other.apply(&[(&three, of_three)]).await.unwrap();
    assert_eq!(other.target().await, "(1,c,)");
}

#[tokio::test]
async fn a_table_that_is_dropped_while_a_load_waits_is_not_made_anew_unless_asked_for() {
    let mut session = Session::new().await;
    session.load(&load("one", merge()), &[(1, Some("a"), None)]).await.unwrap();
    let two = session.fitted(&load("two", merge())).await.unwrap();
    let staged = session.write(&two, &[(1, Some("b"), None)]).await.unwrap();
    session.sql("drop table item").await;
    let error = session.apply(&[(&two, staged)]).await.unwrap_err();
    assert!(text_of(&error).contains("does not exist any more; nothing was changed"), "{error}");
}

#[tokio::test]
async fn the_inspection_names_who_has_written_the_table() {
    let mut session = Session::new().await;
    session.load(&load("one", merge()), &[(1, Some("a"), None)]).await.unwrap();
    let found = session.existing(&load("two", merge())).await;
    assert!(!found.is_empty);
    assert_eq!(found.own.map(|own| own.run).as_deref(), Some("one"));
    let mut other = load("three", merge());
    other.task = Some("stock.prod".to_owned());
    other.table.schema = Some(session.session.database().name().to_owned());
    let of_other = session.existing(&other).await;
    assert_eq!((of_other.identity, of_other.own), (found.identity, None), "the same table under another name");
    assert_eq!(of_other.last.and_then(|last| last.task).as_deref(), Some("stock.default"));
}

#[tokio::test]
async fn a_server_that_dies_while_a_load_is_applied_leaves_the_table_as_it_was() {
    let server = Server::start();
    let url = server.database();
    let mut session = Session::with(&url).await;
    session.load(&load("one", merge()), &[(1, Some("a"), None)]).await.unwrap();
    let two = session.fitted(&load("two", merge())).await.unwrap();
    let staged = session.write(&two, &[(1, Some("b"), None), (2, None, None)]).await.unwrap();
    load::begin(&mut session.session, &[(&two, staged)]).await.unwrap();
    server.kill();
    let error = load::commit(&mut session.session).await.unwrap_err();
    assert!(error.is_connection_lost() && error.is_transient(), "{error}");
    server.launch();
    let mut session = Session::with(&url).await;
    assert_eq!(session.target().await, "(1,a,)");
    assert_eq!(two.applied(&mut session.session).await.unwrap(), None);
}

#[tokio::test]
async fn missing_rights_are_named_with_the_statements_that_grant_them() {
    let server = Server::shared();
    let name = server.new_database();
    server.sql(&name, "create table item (`key` int primary key, value text, version bigint)");
    let user = format!("loader_{name}");
    server.sql(
        &name,
        &format!("create user '{user}'@'%' identified by '{PASSWORD}'; grant select on {name}.item to '{user}'@'%'"),
    );
    let url = server.url_of(&user, PASSWORD, &name);
    let mut session = Session::with(&url).await;
    let text = text_of(&load("one", Mode::Overwrite).inspect(&mut session.session).await.unwrap_err());
    for expected in [
        format!("may not select, insert, update, create, drop, alter in database `{name}`"),
        "insert, update, delete in the table".to_owned(),
        format!("grant insert, update, delete on `{name}`.`item` to `{user}`@`%`"),
    ] {
        assert!(text.contains(&expected), "`{expected}` is not in: {text}");
    }
    // What the help says is enough.
    let statements = text.split("let an administrator run: ").nth(1).unwrap().to_owned();
    server.sql(&name, &statements);
    let mut session = Session::with(&url).await;
    session.load(&load("one", Mode::Overwrite), &[(1, Some("a"), None)]).await.unwrap();
    session.load(&load("two", Mode::Overwrite), &[(2, Some("b"), None)]).await.unwrap();
    assert_eq!(session.target().await, "(2,b,)");
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
    #![proptest_config(ProptestConfig::with_cases(25))]

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
                let rows = expected.iter().map(|(key, (value, version))| {
                    format!("({key},{},{})", value.unwrap_or_default(), version.map(|v| v.to_string()).unwrap_or_default())
                });
                assert_eq!(session.target().await, rows.collect::<Vec<_>>().join(" "));
            }
        });
    }
}
