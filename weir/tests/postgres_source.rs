//! Sources that read tables of a real PostgreSQL server.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Project, Ran};
use weir_postgres_testing::Cluster;

/// A database of its own, and a project that reads it.
struct Shop {
    project: Project,
    url: String,
}

const TASK: &str = r#"
name: items
sources:
  item:
    postgres: {connection: shop, table: item}
    columns: {id: bigint, name: string, price: "decimal(12,2)", made: date}
models:
  cheap: cheap.sql
sinks:
  cheap: {from: cheap, mode: overwrite, files: {path: out/cheap, format: csv}}
  unreadable: {from: item.rejected, mode: overwrite, publish: always, files: {path: out/unreadable, format: csv}}
"#;

const ITEMS: &str = "
    create table item (name varchar(20), id integer primary key, price numeric(10,2) not null, made date, secret text);
    insert into item values ('bolt', 1, 0.50, '2024-01-01', 's'), ('nut', 2, 0.25, null, 's'), ('saw', 3, 19.99, '2023-05-05', 's')";

impl Shop {
    fn new(tables: &str) -> Self {
        let shop = Self { project: Project::empty(), url: Cluster::shared().database() };
        shop.project.file("task.yaml", TASK);
        shop.project.file("cheap.sql", "select id, name, price, made from item where price < 10");
        shop.project.file("weir.yaml", "connections: {shop: {postgres: '${env:SHOP}'}}");
        shop.sql(tables);
        shop
    }

    /// A shop whose task selects all columns of a table.
    fn all_of(tables: &str, table: &str, columns: &str) -> Self {
        let shop = Self::new(tables);
        shop.project.file(
            "task.yaml",
            format!(
                "name: all\nsources:\n  row:\n    postgres: {{connection: shop, table: {table}}}\n    columns: {{{columns}}}\n\
                 sinks:\n  all: {{from: row, mode: overwrite, files: {{path: out/all, format: csv}}}}\n  \
                 unreadable: {{from: row.rejected, mode: overwrite, publish: always, files: {{path: out/unreadable, format: csv}}}}\n"
            ),
        );
        shop
    }

    fn sql(&self, sql: &str) -> String {
        Cluster::shared().sql(self.url.rsplit('/').next().unwrap(), sql)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = self.project.command(&[verb, "--task-config", "task.yaml"]);
        command.env("SHOP", &self.url);
        if verb != "validate" {
            command.args(["--state", ".weir"]);
        }
        command
    }

    fn weir(&self, verb: &str) -> Ran {
        Ran::of(self.command(verb).output().unwrap())
    }

    fn rows(&self, sink: &str) -> Vec<String> {
        self.project.rows(&format!("out/{sink}"))[1..].to_vec()
    }
}

#[test]
fn columns_of_a_table_are_matched_by_name() {
    let shop = Shop::new(ITEMS);
    shop.weir("run").ended(0, "cheap");
    assert_eq!(shop.rows("cheap"), ["1,bolt,0.50,2024-01-01", "2,nut,0.25,"]);
    shop.project.task("name: string,", "article: {type: string, header: name},");
    shop.project.file("cheap.sql", "select article from item");
    shop.weir("run").ended(0, "3");
    assert_eq!(shop.rows("cheap"), ["bolt", "nut", "saw"]);
}

#[test]
fn values_of_every_type_are_read_without_loss() {
    let tables = "
        create type mood as enum ('sad', 'it''s, \"fine\"');
        create domain short as varchar(9);
        create domain shorter as short check (length(value) < 5);
        create table row (
            id int primary key, flag boolean, small smallint, big bigint, real real, double double precision,
            money numeric(38,10), any_size numeric, day date, at timestamp, moment timestamptz,
            text text, short shorter, fixed char(3), uuid uuid, mood mood, json json);
        set timezone = 'Asia/Singapore';
        insert into row values
            (1, true, 32767, 9223372036854775807, 0.1, 0.1, 1234567890123456789012345678.0123456789, 12.5, '9999-12-31',
             '9999-12-31 23:59:59.999999', '2020-01-01 07:00:00.5', E'a \"quoted\", line\\nand \\\\N', 'abcd', 'a',
             'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'it''s, \"fine\"', '{\"a\": 1}'),
            (2, false, -32768, -9223372036854775808, '-1e-30', 1e300, -0.0000000001, -99999999.99, '0001-01-01',
             '0001-01-01', '1969-12-31 23:59:59.999999+00', '', 'ü字', 'abc', null, 'sad', null);
        insert into row (id, text) values (3, null), (4, E'\\\\.'), (5, '\\N'), (6, E'cr\\r end'), (7, ' blanks ')";
    let columns = "id: integer, flag: boolean, small: integer, big: bigint, real: double, double: double, \
                   money: 'decimal(38,10)', any_size: 'decimal(10,2)', day: date, at: timestamp, moment: timestamp, \
                   text: string, short: string, fixed: string, uuid: string, mood: string, json: string";
    let shop = Shop::all_of(tables, "row", columns);
    shop.weir("run").ended(0, "7");
    let mut rows: Vec<Vec<String>> = csv::Reader::from_path(shop.project.path("out/all/part-00000.csv"))
        .unwrap()
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect();
    rows.sort();
    assert_eq!(
        rows[0].join("|"),
        "1|true|32767|9223372036854775807|0.10000000149011612|0.1|1234567890123456789012345678.0123456789|12.50|\
         9999-12-31|9999-12-31T23:59:59.999999|2019-12-31T23:00:00.500|a \"quoted\", line\nand \\N|abcd|a  |\
         a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|it's, \"fine\"|{\"a\": 1}"
    );
    assert_eq!(
        rows[1].join("|"),
        "2|false|-32768|-9223372036854775808|-1.0000000031710769e-30|1e300|-0.0000000001|-99999999.99|\
         0001-01-01|0001-01-01T00:00:00|1969-12-31T23:59:59.999999||ü字|abc||sad|"
    );
    let texts: Vec<_> = rows[2..].iter().map(|row| row[11].as_str()).collect();
    assert_eq!(texts, ["", "\\.", "\\N", "cr\r end", " blanks "]);
    let written = std::fs::read_to_string(shop.project.path("out/all/part-00000.csv")).unwrap();
    assert!(written.contains(",\"\",ü字"), "the empty text is not null: {written}");
}

#[test]
fn a_type_that_cannot_be_read_without_loss_is_refused_by_its_name() {
    let shop = Shop::new("create table item (id bytea, name interval, price numeric(12,4), made timestamp)");
    shop.weir("run").ended(1, "column `id` is bytea, which cannot be read as bigint without loss");
    shop.sql("alter table item drop id, add id int");
    shop.sql("alter table item drop name, add name text");
    let ran = shop.weir("run");
    ran.ended(1, "shop: item in ");
    ran.ended(1, "column `price` is numeric(12,4), which cannot be read as decimal(12,2) without loss");
    ran.ended(1, "declare it as `decimal(12,4)` or `string`, or cast it in a `query`");
    shop.sql("alter table item alter price type numeric(12,2)");
    shop.weir("run").ended(1, "column `made` is timestamp without time zone, which cannot be read as date");
    assert_eq!(shop.project.left("out"), [""; 0]);
}

#[test]
fn an_invalid_value_rejects_its_row() {
    let tables = "create table row (id bigint, price numeric, day date, ratio float8, name text);
        insert into row values
            (1, 1.00, '2024-01-01', 1, 'a'), (2, 1.005, null, null, null), (3, 'NaN', null, null, null),
            (4, null, 'infinity', null, null), (5, null, '0044-03-15 BC', null, null), (6, null, null, 'Infinity', null),
            (7, null, null, null, 'b'), (3000000000, null, null, null, 'a')";
    let columns = "id: integer, price: 'decimal(12,2)', day: date, ratio: double, \
                   name: {type: string, accepted_values: [a]}";
    let shop = Shop::all_of(tables, "row", columns);
    shop.weir("run").ended(0, "invalid_price");
    assert_eq!(shop.rows("all"), ["1,1.00,2024-01-01,1.0,a"]);
    assert_eq!(
        shop.rows("unreadable"),
        [
            "shop: row,2,\"2,1.005,,,\",invalid_price",
            "shop: row,3,\"3,NaN,,,\",invalid_price",
            "shop: row,4,\"4,,infinity,,\",invalid_day",
            "shop: row,5,\"5,,0044-03-15 BC,,\",invalid_day",
            "shop: row,6,\"6,,,Infinity,\",invalid_ratio",
            "shop: row,7,\"7,,,,b\",unaccepted_name",
            "shop: row,8,\"3000000000,,,,a\",invalid_id",
        ]
    );
    shop.project.task("  unreadable: {from: row.rejected, mode: overwrite, publish: always, files: {path: out/unreadable, format: csv}}\n", "");
    shop.weir("run").ended(1, "a record cannot be read: invalid_price");
}

#[test]
fn projections_filters_and_limits_are_pushed_to_the_server() {
    let shop = Shop::new(ITEMS);
    let planned = |sql: &str| {
        shop.project.file("cheap.sql", sql);
        let plan = shop.weir("plan");
        plan.ended(0, "PostgresScanExec: select ");
        let line = plan.out.lines().find(|line| line.contains("PostgresScanExec")).unwrap().to_owned();
        line.split_once("PostgresScanExec: ").unwrap().1.to_owned()
    };
    let of = "from \"public\".\"item\"";
    shop.project.task(", price: \"decimal(12,2)\", made: date", "");
    assert_eq!(planned("select name from item"), format!("select \"name\", 1 {of}"));
    assert_eq!(planned("select count(*) as n from item"), format!("select 1, 1 {of}"));
    assert_eq!(planned("select id, name from item limit 2"), format!("select \"id\", \"name\" {of} limit 2"));
    assert_eq!(
        planned("select name from item where id > 1 and name = 'nut' and name < 'z'"),
        format!("select \"id\", \"name\" {of} where \"id\" > 1 and \"name\" = E'nut'")
    );
    // Rows that may be rejected must not count towards the limit.
    shop.project.task("name: string", "name: {type: string, not_null: true}");
    assert_eq!(planned("select id from item limit 2"), format!("select \"id\", \"name\" {of}"));
    // A value that becomes null only here is not null on the server.
    shop.project.task("not_null: true", "accepted_values: [saw], on_invalid: set_null");
    assert_eq!(planned("select id from item where name is null"), format!("select \"id\", \"name\" {of}"));
    shop.weir("run").ended(0, "2");
    assert_eq!(shop.rows("cheap"), ["1", "2"]);
}

/// Conditions over the tables of the next test.
const CONDITIONS: [&str; 26] = [
    "n = 3",
    "n <> 3",
    "n > 0 and n <= 5",
    "n in (1, 2, 7)",
    "n not in (1, 2)",
    "n is null",
    "n is not null and d is null",
    "n between -2 and 2",
    "3 < n",
    "n = 3 or t = 'a'",
    "n = 3 or t < 'a'",
    "not (n = 3)",
    "t = 'a'",
    "t = 'A'",
    "t <> 'a'",
    "t < 'b'",
    "t >= 'Z'",
    "t in ('a', 'ü', '')",
    "t like 'a%'",
    "c = 'a'",
    "d = date '2020-02-29'",
    "d < date '2020-02-29'",
    "m > 1.5 and m < 100.25",
    "f >= 0.1",
    "b and n > 0",
    "at >= timestamp '2020-01-01 00:00:00' and at < timestamp '2020-01-02 00:00:00.000001'",
];

#[test]
fn a_condition_has_the_same_result_on_the_server_and_in_the_engine() {
    let shop = Shop::new(
        "create collation odd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table t (n int, t text collate odd, c char(2), d date, m numeric(10,3), f float8, b bool, at timestamptz);
         select setseed(0.5);
         insert into t select
             case when random() < 0.9 then (random() * 12)::int - 3 end,
             (array['a', 'A', 'b', 'Z', 'ü', 'Ü', '', 'ab', null, 'a b'])[1 + (random() * 9)::int],
             (array['a', 'b', 'ab', null])[1 + (random() * 3)::int],
             case when random() < 0.8 then '2020-02-25'::date + (random() * 9)::int end,
             case when random() < 0.9 then (random() * 120)::numeric(10,3) end,
             case when random() < 0.9 then random() end,
             case when random() < 0.9 then random() < 0.5 end,
             '2020-01-01 00:00:00+00'::timestamptz + (random() * 3 - 1) * interval '1 day'
         from generate_series(1, 500)",
    );
    let columns = "n: integer, t: string, c: string, d: date, m: 'decimal(10,3)', f: double, b: boolean, at: timestamp";
    let mut task = format!(
        "name: conditions\nsources:\n  all_rows:\n    postgres: {{connection: shop, table: t}}\n    columns: {{{columns}}}\n"
    );
    let (mut models, mut sinks) = (String::new(), String::new());
    for (number, condition) in CONDITIONS.iter().enumerate() {
        task += &format!("  t{number}:\n    postgres: {{connection: shop, table: t}}\n    columns: {{{columns}}}\n");
        for (kind, source) in [("there", format!("t{number}")), ("here", "all_rows".to_owned())] {
            shop.project.file(
                &format!("{kind}{number}.sql"),
                format!("select n, t, c, d, m, f, b, at from {source} where {condition}"),
            );
            models += &format!("  {kind}{number}: {kind}{number}.sql\n");
            sinks += &format!(
                "  {kind}{number}: {{from: {kind}{number}, mode: overwrite, publish: always, files: {{path: out/{kind}{number}, format: csv}}}}\n"
            );
        }
    }
    shop.project.file("task.yaml", format!("{task}models:\n{models}sinks:\n{sinks}"));
    shop.weir("run").ended(0, "there0");
    let plan = shop.weir("plan");
    assert!(plan.out.matches(" where ").count() > 15, "the conditions are not pushed: {}", plan.out);
    let mut some = 0;
    for (number, condition) in CONDITIONS.iter().enumerate() {
        let (there, here) = (shop.rows(&format!("there{number}")), shop.rows(&format!("here{number}")));
        assert_eq!(there, here, "{condition}");
        some += usize::from(!here.is_empty() && here.len() < 500);
    }
    assert!(some > 20, "only {some} conditions tell rows apart");
}

#[test]
fn a_run_reads_a_consistent_snapshot() {
    let shop = Shop::new(
        "create table paid (id int); create table sent (id int);
         insert into paid values (1); insert into sent values (1);
         create function wait() returns int language sql as 'select pg_advisory_lock_shared(1); select 0';
         create view slow as select id + wait() as id from paid",
    );
    shop.project.file(
        "task.yaml",
        "name: moment\nsources:\n  slow: {postgres: {connection: shop, table: slow}, columns: {id: integer}}\n  \
         sent: {postgres: {connection: shop, table: sent}, columns: {id: integer}}\n\
         sinks:\n  paid: {from: slow, mode: overwrite, files: {path: out/paid, format: csv}}\n  \
         sent: {from: sent, mode: overwrite, files: {path: out/sent, format: csv}}\n",
    );
    let held = hold_lock(&shop);
    let run = shop.command("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while shop.sql("select count(*) from pg_locks where locktype = 'advisory' and not granted") == "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
    shop.sql("insert into paid values (2); insert into sent values (2)");
    drop(held);
    Ran::of(run.wait_with_output().unwrap()).ended(0, "moment");
    assert_eq!((shop.rows("paid"), shop.rows("sent")), (vec!["1".to_owned()], vec!["1".to_owned()]));
    shop.weir("run").ended(0, "moment");
    assert_eq!(shop.rows("sent"), ["1", "2"]);
}

/// A session that holds the lock that the view waits for, until dropped.
struct Holder(std::process::Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn hold_lock(shop: &Shop) -> Holder {
    use std::io::Write;
    let psql = weir_postgres_testing::program("psql");
    let mut child = Command::new(psql).arg(&shop.url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"select pg_advisory_lock(1);\n").unwrap();
    let is_held = "select count(*) from pg_locks where locktype = 'advisory' and granted";
    while shop.sql(is_held) == "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
    Holder(child)
}

#[test]
fn a_run_that_waits_for_the_server_can_be_stopped() {
    let shop = Shop::new(ITEMS);
    shop.sql(
        "create function wait() returns int language sql as 'select pg_advisory_lock_shared(1); select 0';
         alter table item rename to stock; create view item as select name, id + wait() as id, price, made from stock",
    );
    let _held = hold_lock(&shop);
    let run = shop.command("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    while shop.sql(waits) == "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
    let asked = Instant::now();
    let interrupted = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    Ran::of(run.wait_with_output().unwrap()).ended(1, "interrupted");
    assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?}", asked.elapsed());
    assert_eq!(shop.project.left("out"), [""; 0]);
}

#[test]
fn a_run_that_waits_for_an_unreachable_server_can_be_stopped() {
    use std::io::BufRead;
    let shop = Shop::new("");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shop = Shop { url: format!("postgres://ann@127.0.0.1:{port}/x"), ..shop };
    for (verb, code) in [("run", Some(1)), ("plan", None), ("doctor", None)] {
        let mut waiting = shop.command(verb).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = std::io::BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(said.any(|line| line.contains("retrying for up to")), "{verb}");
        let interrupted = Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().unwrap();
        assert!(interrupted.success());
        assert_eq!(waiting.wait().unwrap().code(), code, "{verb}");
        assert_eq!(said.any(|line| line == "error: interrupted"), code.is_some(), "{verb}");
    }
}

#[test]
fn a_server_that_dies_in_the_middle_publishes_nothing() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let database = url.rsplit('/').next().unwrap();
    let shop = Shop { project: Project::empty(), url: url.clone() };
    shop.project.file("task.yaml", TASK.replace("from: cheap", "from: item"));
    shop.project.task("models:\n  cheap: cheap.sql\n", "");
    shop.project.file("weir.yaml", "connections: {shop: {postgres: '${env:SHOP}'}}");
    // Slow enough to be killed in the middle, and large enough not to be sent at once.
    cluster.sql(
        database,
        "create table stock as select i as id, repeat('x', 1000) as name from generate_series(1, 20000) i;
         create view item as select id, name, 1.00::numeric(10,2) as price, null::date as made
             from stock where case when id % 1000 = 0 then pg_sleep(0.05) is not null else true end",
    );
    let run = shop.command("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while cluster.sql("postgres", "select count(*) from pg_stat_activity where query like 'copy%'") == "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    cluster.kill();
    let ran = Ran::of(run.wait_with_output().unwrap());
    ran.ended(1, "owner@127.0.0.1");
    assert_eq!(shop.project.left("out"), [""; 0]);
    cluster.launch();
    shop.weir("run").ended(0, "20,000");
    assert_eq!(shop.rows("cheap").len(), 20_000);
}

#[test]
fn a_wrong_source_is_reported_with_a_remedy() {
    let shop = Shop::new(ITEMS);
    let refused = |from: &str, to: &str, code: i32, said: &[&str]| {
        shop.project.file("task.yaml", TASK.replace(from, to));
        assert_ne!(TASK, TASK.replace(from, to), "{from}");
        let ran = shop.weir("run");
        said.iter().for_each(|said| ran.ended(code, said));
    };
    refused("connection: shop", "connection: shpo", 2, &["unknown connection `shpo`", "did you mean `shop`?"]);
    refused("table: item", "table: itme", 1, &["shop: itme", "no such table or view in owner@127.0.0.1"]);
    refused("table: item", "table: itme", 1, &["is it `public.item`? there are: public.item"]);
    refused("table: item", "table: other.item", 1, &["no such table or view", "is it `public.item`?"]);
    refused("name: string", "name: {type: string, header: nmae}", 1, &["column `nmae` is missing", "is it `name`?"]);
    let place = "    postgres: {connection: shop, table: item}\n";
    refused(place, "", 2, &["source `item` must have exactly one origin"]);
    let two = format!("{place}    files: {{path: x.csv, format: csv}}\n");
    refused(place, &two, 2, &["source `item` must have exactly one origin"]);
    for (more, said) in [
        ("read: new", "`read` is for sources of files"),
        ("if_missing: skip", "`if_missing` is for sources of files"),
        ("archive: done", "`archive` is for sources of files"),
        ("null_values: [NA]", "`null_values` is for sources of text"),
        ("unknown_columns: ignore", "`unknown_columns` is for sources of text"),
    ] {
        refused(place, &format!("{place}    {more}\n"), 2, &[said]);
    }
    refused("made: date", "made: {type: date, format: '%d.%m.%Y'}", 2, &["`format` is for sources of text"]);
    refused(
        "mode: overwrite, files: {path: out/cheap",
        "mode: append, files: {path: out/cheap",
        2,
        &["`mode: append` needs a source with `read: new`"],
    );
    refused("cheap: {from: cheap", "cheap: {fetch: x, from: cheap", 2, &["unknown key `fetch`"]);
}

#[test]
fn a_missing_privilege_is_reported_before_anything_is_read() {
    let shop = Shop::new(ITEMS);
    let database = shop.url.rsplit('/').next().unwrap();
    let reader = format!("reader_of_{database}");
    shop.sql(&format!("create role {reader} login password 'p'; grant select (id, name, price) on item to {reader}"));
    let shop = Shop { url: Cluster::shared().url_of(&reader, "p", database), ..shop };
    let ran = shop.weir("run");
    ran.ended(1, "permission denied for table item");
    ran.ended(1, "ask the owner for the missing privilege");
    shop.project.task(", made: date", "");
    shop.project.file("cheap.sql", "select id from item");
    shop.weir("run").ended(0, "3");
}

#[test]
fn doctor_and_plan_check_the_table_and_validate_needs_no_database() {
    let shop = Shop::new(ITEMS);
    shop.weir("doctor").ended(0, "shop: item, ");
    shop.weir("doctor").ended(0, "can be read, columns match");
    shop.weir("plan").ended(0, "source `item`: shop: item");
    Ran::of(shop.command("validate").env_remove("SHOP").output().unwrap()).ended(0, "is valid");
    Ran::of(shop.command("doctor").env_remove("SHOP").output().unwrap()).ended(1, "SHOP");
    shop.sql("drop table item");
    shop.weir("doctor").ended(1, "no such table or view");
}

#[test]
fn a_case_gives_the_rows_of_a_table() {
    let shop = Shop::new("");
    let case = "cheap_items_only:\n  given: {item: [{id: 1, price: 9.99}, {id: 2, price: 10}]}\n  expect: {cheap: [{id: 1}]}\n";
    shop.project.file("cheap.test.yaml", case);
    let test = |project: &Project| Ran::of(project.command(&["test", "--task-config", "task.yaml"]).output().unwrap());
    test(&shop.project).ended(0, "1 case, all ok");
    shop.project.file("cheap.test.yaml", case.replace("[{id: 1, price: 9.99}, {id: 2, price: 10}]", "\"id,price\""));
    test(&shop.project).ended(2, "`item` is not read from text files");
}

#[test]
fn one_run_can_read_a_table_and_merge_into_it() {
    let shop = Shop::new(ITEMS);
    shop.project.file(
        "task.yaml",
        format!("{TASK}  item: {{from: cheap, mode: merge, primary_key: [id], postgres: {{connection: shop, table: item}}}}\n")
            .replace("name: items", "name: items2"),
    );
    shop.project.file(
        "cheap.sql",
        "select cast(id as integer) as id, cast(price * 2 as decimal(10,2)) as price from item where price < 10",
    );
    shop.weir("run").ended(0, "0 inserted, 2 updated, 0 unchanged");
    assert_eq!(shop.sql("select string_agg(price::text, ' ' order by id) from item"), "1.00 0.50 19.99");
}

#[test]
fn values_of_any_type_are_read_as_their_text() {
    let table = "set timezone = 'Asia/Tokyo'; create type mood as enum ('ok', 'bad');
        create table thing (id integer primary key, tags text[], raw bytea, span interval, price money, at timestamptz, n numeric,
        day date, bits bit(3), place point, f double precision, net inet, m mood);
        insert into thing values (1, '{a,\"b c\"}', '\\xdeadbeef', '1 year 2 days', 12.5, '2024-01-01 00:00:00+09', 'NaN', '0044-03-15 BC',
        '101', '(1,2)', '-infinity', '10.0.0.1', 'bad'), (2, null, null, null, null, 'infinity', 1.50, 'infinity', null, null, 0.1, null, null)";
    let columns = "id: bigint, tags: string, raw: string, span: string, price: string, at: string, n: string, day: string, \
                   bits: string, place: string, f: string, net: string, m: string";
    let shop = Shop::all_of(table, "thing", columns);
    shop.weir("run").ended(0, "");
    assert_eq!(
        shop.rows("all"),
        [
            "1,\"{a,\"\"b c\"\"}\",\\xdeadbeef,P1Y2D,$12.50,2023-12-31 15:00:00+00,NaN,0044-03-15 BC,101,\"(1,2)\",-Infinity,10.0.0.1,bad",
            "2,,,,,infinity,1.50,infinity,,,0.1,,",
        ]
    );
    // Of their own types they are exact, or reject their row.
    shop.project.task(columns, "id: bigint, n: \"decimal(9,2)\", f: double");
    let ran = shop.weir("run");
    ran.ended(0, "add `on_invalid: set_null` to it");
    assert!(!format!("{ran:?}").contains("null_values"), "{ran:?}"); // those are for texts
    assert_eq!(shop.rows("all"), ["2,1.50,0.1"]);
    assert!(shop.rows("unreadable")[0].ends_with(",invalid_n;invalid_f"), "{:?}", shop.rows("unreadable"));
    shop.project.task("f: double", "day: date, at: timestamp");
    shop.weir("run").ended(3, "invalid_day");
}

#[test]
fn a_query_is_read_with_parameters_as_values() {
    let shop = Shop::new(ITEMS);
    shop.project.task(
        "postgres: {connection: shop, table: item}",
        "postgres: {connection: shop, query: \"select id, name || $mark as name, price, made from item where made < $until -- not more\"}",
    );
    shop.project.task(
        "sources:",
        "params: {until: {type: date, default: 2024-01-01}, mark: {type: string, default: \"'; $until\"}}\nsources:",
    );
    shop.project.file("cheap.sql", "select id, name from item where id > 1");
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("cheap"), ["3,saw'; $until"]);
    // Conditions of models reach the server in a query, too.
    shop.weir("plan").ended(0, "query of `item`");
    shop.weir("plan").ended(0, ") as query where \"id\" > 1");
    shop.project.task("price: \"decimal(12,2)\"", "prize: \"decimal(12,2)\"");
    shop.weir("run").ended(1, "column `prize` is missing");
    shop.project.task("prize", "price");
    for (from, to, code, said) in [
        ("made < $until", "made < $untl", 2, "unknown parameter `$untl`"),
        ("made < $untl", "made <", 1, "syntax error"),
        ("made <", "made is null; drop table item", 1, "syntax error"),
        ("query:", "table: item, query:", 2, "must have either a `table` or a `query`"),
    ] {
        shop.project.task(from, to);
        shop.weir("run").ended(code, said);
    }
    assert_eq!(shop.sql("select count(*) from item"), "3");
}

/// A shop that appends the new events to a folder.
fn events(cursor: &str) -> Shop {
    let shop = Shop::new(
        "create table event (id integer primary key, at timestamptz, what text);
         insert into event values (1, '2024-01-01', 'a'), (2, '2024-01-02', 'b')",
    );
    shop.project.file(
        "task.yaml",
        format!(
            "name: events\nsources:\n  event:\n    postgres: {{connection: shop, table: event, cursor: {cursor}}}\n    \
             columns: {{id: integer, what: string}}\nsinks:\n  \
             all: {{from: event, mode: append, files: {{path: out/all, format: csv}}}}\n"
        ),
    );
    shop
}

#[test]
fn a_cursor_reads_each_row_once_however_runs_end() {
    let shop = events("{column: at}");
    shop.weir("run").ended(0, "no earlier run has read it");
    assert_eq!(shop.rows("all"), ["1,a", "2,b"]);
    shop.weir("run").ended(0, "nothing to do: source `event`: no new rows, all were read before");
    shop.sql("insert into event values (3, '2024-01-03 00:00:00.000001', 'c'), (4, '2024-01-01', 'late')");
    let dies_at = |point: &str| {
        let mut dying = shop.command("run");
        let status = dying.env("WEIR_FAULT", point).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), None, "it was killed at {point}");
    };
    // A run that dies before its commit record has read nothing, and one that dies after it has.
    dies_at("prepared");
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("all"), ["1,a", "2,b", "3,c"]);
    shop.sql("insert into event values (6, '2024-01-06', 'f')");
    dies_at("committed");
    shop.weir("run").ended(0, "no new rows");
    assert_eq!(shop.rows("all"), ["1,a", "2,b", "3,c", "6,f"]);
    for (row, said) in [
        ("(5, null, 'x')", "the cursor `at` is null in some rows"),
        ("(5, 'infinity', 'x')", "no number or time that ends"),
    ] {
        shop.sql(&format!("insert into event values {row}"));
        shop.weir("run").ended(1, said);
        shop.sql("delete from event where id = 5");
    }
    shop.project.task("column: at", "column: id");
    shop.weir("run").ended(1, "has read up to a value of `at`");
    shop.project.task("column: id", "column: what");
    shop.weir("run").ended(1, "");
}

#[test]
fn rows_within_the_lag_are_read_again() {
    let shop = events("{column: id, lag: 2}");
    shop.weir("run").ended(2, "a `cursor` without `lag`");
    shop.project.task("mode: append", "mode: overwrite");
    shop.weir("run").ended(0, "");
    shop.sql("insert into event values (3, null, 'c'), (4, null, 'd')");
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("all"), ["1,a", "2,b", "3,c", "4,d"]);
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("all"), ["3,c", "4,d"]);
    shop.project.task("lag: 2", "lag: 2h");
    shop.weir("run").ended(1, "the lag of a cursor of numbers has a unit");
    shop.project.task("lag: 2h", "lag: soon");
    shop.weir("run").ended(2, "`soon` is not a lag");
    shop.project.task(", cursor: {column: id, lag: soon}", "");
    shop.project.task("    columns:", "    read: new\n    columns:");
    shop.weir("run").ended(2, "write `cursor: {column: updated_at}`");
}
