//! Sources that read tables of a real MariaDB server.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Project, Ran};
use weir_mysql_testing::{PASSWORD, Server, USER};

/// A database of its own, and a project that reads it.
struct Shop {
    project: Project,
    url: String,
}

const TASK: &str = r#"
name: items
sources:
  item:
    mysql: {connection: shop, table: item}
    columns: {id: bigint, name: string, price: "decimal(12,2)", made: date}
models:
  cheap: cheap.sql
sinks:
  cheap: {from: cheap, mode: overwrite, files: {path: out/cheap, format: csv}}
  unreadable: {from: item.rejected, mode: overwrite, publish: always, files: {path: out/unreadable, format: csv}}
"#;

const ITEMS: &str = "
    create table item (name varchar(20), id integer primary key, price decimal(10,2) not null, made date, secret text);
    insert into item values ('bolt', 1, 0.50, '2024-01-01', 's'), ('nut', 2, 0.25, null, 's'), ('saw', 3, 19.99, '2023-05-05', 's')";

impl Shop {
    fn new(tables: &str) -> Self {
        Self::of(Project::empty(), tables)
    }

    fn of(project: Project, tables: &str) -> Self {
        let shop = Self { project, url: Server::shared().database() };
        shop.project.file("task.yaml", TASK);
        shop.project.file("cheap.sql", "select id, name, price, made from item where price < 10");
        shop.project.file("weir.yaml", "connections: {shop: {mysql: '${env:SHOP}'}}");
        if !tables.is_empty() {
            shop.sql(tables);
        }
        shop
    }

    /// A shop whose task selects all columns of a table.
    fn all_of(tables: &str, table: &str, columns: &str) -> Self {
        let shop = Self::new(tables);
        shop.project.file(
            "task.yaml",
            format!(
                "name: all\nsources:\n  row_of:\n    mysql: {{connection: shop, table: {table}}}\n    columns: {{{columns}}}\n\
                 sinks:\n  all: {{from: row_of, mode: overwrite, files: {{path: out/all, format: csv}}}}\n  \
                 unreadable: {{from: row_of.rejected, mode: overwrite, publish: always, files: {{path: out/unreadable, format: csv}}}}\n"
            ),
        );
        shop
    }

    fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    fn sql(&self, sql: &str) -> String {
        Server::shared().sql(self.database(), sql)
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
    shop.project.task("name: string,", "article: {type: string, header: NAME},");
    shop.project.file("cheap.sql", "select article from item");
    shop.weir("run").ended(0, "3");
    assert_eq!(shop.rows("cheap"), ["bolt", "nut", "saw"]);
}

const SALES: &str = "
    create table sale (
        id bigint unsigned primary key, `Full Name` varchar(40) not null, price decimal(12,2), weight float,
        wide decimal(65,30), paid boolean, sold date, at datetime(3), changed timestamp not null, token uuid, body json,
        took time, picture blob, state enum('open', 'paid'), `order` int, flags bit(3), place point);
    insert into sale values
        (1, 'Ann', 10.50, 0.5, 12345.678, true, '2024-01-31', '2024-01-31 10:00:00.5', '2024-01-31 10:00:00',
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', '-100:00:01', x'00ff', 'paid', 3, b'101', null),
        (2, 'Bob', null, null, null, null, null, null, '2024-02-01 10:00:00', null, null, null, null, null, null, null, null)";

#[test]
fn a_table_becomes_a_task_that_passes_its_cases_without_the_server_and_runs() {
    let shop = Shop::new(SALES);
    let ran = Ran::of(shop.project.command(&["init", "shop:sale"]).env("SHOP", &shop.url).output().unwrap());
    ran.ended(0, "wrote sale.yaml, sql/sale.sql and sql/sale.test.yaml");
    ran.ended(0, "not read, as their types have no text form: place");
    let task = std::fs::read_to_string(shop.project.path("sale.yaml")).unwrap();
    for line in [
        "    mysql: {connection: shop, table: sale}\n",
        "    # mysql: {connection: shop, table: sale, cursor: {column: id}}   # only new rows, if",
        "      id: decimal(20,0)\n",
        "      full_name: {type: string, header: \"Full Name\"}\n",
        "      price: decimal(12,2)\n",
        "      weight: double\n",
        "      wide: string   # decimal(65,30), as text",
        "      paid: boolean\n",
        "      sold: date\n",
        "      at: timestamp\n",
        "      changed: timestamptz\n",
        "      token: uuid\n",
        "      body: string\n",
        "      took: string   # time, as text\n",
        "      picture: binary\n",
        "      state: string\n",
        "      order_column: {type: integer, header: \"order\"}\n",
        "      flags: string   # bit(3), as text\n",
        "      missing_id: {not_null: id}\n",
    ] {
        assert!(task.contains(line), "no `{line}` in\n{task}");
    }
    shop.project.weir(&["validate", "sale.yaml"]).ended(0, "`sale` is valid");
    shop.project.weir(&["test", "sale.yaml"]).ended(0, "2 cases, all ok");
    let run = shop.project.command(&["run", "sale.yaml"]).env("SHOP", &shop.url).output().unwrap();
    Ran::of(run).ended(0, "done: `sale`");
    let rows = shop.project.rows("out/sale");
    assert!(rows[1].starts_with("1,Ann,10.50,0.5,12345.678000000000000000000000000000,true,2024-01-31,"), "{rows:?}");
    // By its URL: the same connection.
    let url = format!("{}/sale", shop.url);
    let again = shop.project.command(&["init", &url, "--name", "again"]).env("SHOP", &shop.url).output().unwrap();
    Ran::of(again).ended(0, "wrote again.yaml");
}

/// The records of a sink, sorted.
fn records(shop: &Shop, sink: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(shop.project.path(&format!("out/{sink}/part-00000.csv"))).unwrap();
    let fields = |record: csv::StringRecord| record.iter().collect::<Vec<_>>().join("|");
    let mut records: Vec<String> = reader.records().map(|record| fields(record.unwrap())).collect();
    records.sort();
    records
}

#[test]
fn values_of_every_type_are_read_without_loss() {
    let tables = "
        create table row_of (
            id int primary key, flag boolean, tiny tinyint, small smallint, medium mediumint unsigned, whole int unsigned,
            big bigint, huge bigint unsigned, padded int(6) zerofill, f float, rounded float(7,2), d double, d2 double(10,2),
            money decimal(38,10), wide decimal(65,30), day date, at datetime, precise datetime(6), moment timestamp(3) null,
            took time(2), y year, c char(3), txt text, bytes varbinary(9), raw blob, one bit(1), bits bit(12),
            choice enum('sad', 'it''s, \"fine\"'), several set('x', 'y'), doc json, token uuid, address inet6);
        set time_zone = '+08:00';
        insert into row_of values
            (1, true, 127, -32768, 16777215, 4294967295, 9223372036854775807, 18446744073709551615, 42, 0.1, 1.1, 0.1, 12.5,
             1234567890123456789012345678.0123456789, 12345678901234567890123456789012345.123456789012345678901234567890,
             '9999-12-31', '9999-12-31 23:59:59', '2020-01-01 07:00:00.000001', '2020-01-01 07:00:00.5', '-838:59:59.25', 0,
             'a ', 'a \"quoted\", line\nand \\\\N', x'00ff', '', b'1', b'101', 'it''s, \"fine\"', 'x,y', '{\"a\": \"ü\"}',
             'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1'),
            (2, false, -128, 32767, 0, 0, -9223372036854775808, 0, 0, -1e-30, -0.5, 1e300, -0.25, -0.0000000001, -1,
             '0001-01-01', '1000-01-01 00:00:00', '1000-01-01 00:00:00.999999', '1970-01-01 08:00:01', '23:59:59.99', 2155,
             '', '', null, null, b'0', b'0', 'sad', '', null, null, null);
        insert into row_of (id, txt) values (3, null), (4, '\\\\.'), (5, 'cr\r end'), (6, ' blanks '), (7, '💶')";
    let columns = "id: integer, flag: boolean, tiny: integer, small: integer, medium: integer, whole: bigint, big: bigint, \
                   huge: 'decimal(20,0)', padded: bigint, f: double, rounded: double, d: double, d2: double, \
                   money: 'decimal(38,10)', wide: string, day: date, at: timestamp, precise: timestamp, moment: timestamptz, \
                   took: string, y: integer, c: string, txt: string, bytes: binary, raw: binary, one: boolean, bits: string, \
                   choice: string, several: string, doc: json, token: uuid, address: string";
    let shop = Shop::all_of(tables, "row_of", columns);
    shop.weir("run").ended(0, "7");
    let rows = records(&shop, "all");
    assert_eq!(
        rows[0],
        "1|true|127|-32768|16777215|4294967295|9223372036854775807|18446744073709551615|42|0.10000000149011612|\
         1.100000023841858|0.1|12.5|1234567890123456789012345678.0123456789|\
         12345678901234567890123456789012345.123456789012345678901234567890|9999-12-31|9999-12-31T23:59:59|\
         2020-01-01T07:00:00.000001|2019-12-31T23:00:00.500Z|-838:59:59.25|0|a|a \"quoted\", line\nand \\N|\\x00ff|\\x|true|\
         000000000101|it's, \"fine\"|x,y|{\"a\": \"ü\"}|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|::1"
    );
    assert_eq!(
        rows[1],
        "2|false|-128|32767|0|0|-9223372036854775808|0|0|-1.0000000031710769e-30|-0.5|1e300|-0.25|-0.0000000001|\
         -1.000000000000000000000000000000|0001-01-01|1000-01-01T00:00:00|1000-01-01T00:00:00.999999|\
         1970-01-01T00:00:01Z|23:59:59.99|2155||||||false|000000000000|sad||||"
            .replace("2155||||||", "2155|||||")
    );
    let texts: Vec<_> = rows[2..].iter().map(|row| row.split('|').nth(22).unwrap()).collect();
    assert_eq!(texts, ["", "\\.", "cr\r end", " blanks ", "💶"]);
    let written = std::fs::read_to_string(shop.project.path("out/all/part-00000.csv")).unwrap();
    assert!(written.contains("2155,\"\",\"\",,,"), "the empty text is not null: {written}");
    // The same in a query, whose types the server describes in another way.
    shop.project.task("table: row_of", "query: select * from row_of");
    shop.weir("run").ended(0, "7");
    assert_eq!(records(&shop, "all"), rows);
    // As other types that hold them, and as texts.
    shop.project.task("query: select * from row_of", "table: row_of");
    let as_texts = "id: integer, flag: integer, f: string, day: string, moment: timestamp, bytes: string, one: string, bits: bigint, \
                    token: string, took: time";
    shop.project.task(columns, as_texts);
    shop.weir("run").ended(0, "1");
    assert_eq!(
        records(&shop, "all")[0],
        "2|0|-1.0000000031710769e-30|0001-01-01|1970-01-01T00:00:01||0|0||23:59:59.990"
    );
    assert!(shop.rows("unreadable")[0].ends_with("invalid_took"), "{:?}", shop.rows("unreadable"));
}

#[test]
fn a_type_that_cannot_be_read_without_loss_is_refused_by_its_name() {
    let shop = Shop::new("create table item (id blob, name point, price decimal(12,4), made datetime)");
    shop.weir("run").ended(1, "column `id` is blob, which cannot be read as bigint without loss");
    shop.sql("alter table item modify id int");
    let ran = shop.weir("run");
    ran.ended(1, "column `name` is point, which cannot be read as string without loss");
    ran.ended(1, "st_astext");
    shop.sql("alter table item modify name text");
    let ran = shop.weir("run");
    ran.ended(1, "shop: item in owner@127.0.0.1");
    ran.ended(1, "column `price` is decimal(12,4), which cannot be read as decimal(12,2) without loss");
    ran.ended(1, "declare it as `decimal(12,4)` or `string`, or cast it in a `query`");
    shop.sql("alter table item modify price decimal(40,2)");
    let ran = shop.weir("run");
    ran.ended(1, "column `price` is decimal(40,2), which cannot be read as decimal(12,2)");
    ran.ended(1, "declare it as `string`, as decimals have 38 digits at most");
    shop.sql("alter table item modify price decimal(12,2)");
    shop.weir("run").ended(1, "column `made` is datetime, which cannot be read as date");
    shop.sql("alter table item modify made date");
    for (kind, declared, said) in [
        ("datetime", "timestamptz", "is datetime, which cannot be read as timestamptz"),
        ("int", "boolean", "is int(11), which cannot be read as boolean"),
        ("double", "'decimal(9,2)'", "is double, which cannot be read as decimal(9,2)"),
        ("decimal(9,2)", "double", "is decimal(9,2), which cannot be read as double"),
        ("varbinary(16)", "uuid", "is varbinary(16), which cannot be read as"),
        ("enum('a')", "integer", "is enum, which cannot be read as integer"),
    ] {
        shop.sql(&format!("alter table item drop name, add name {kind}"));
        shop.project.file("task.yaml", TASK.replace("name: string", &format!("name: {declared}")));
        shop.weir("run").ended(1, said);
    }
    assert_eq!(shop.project.left("out"), [""; 0]);
}

#[test]
fn an_invalid_value_rejects_its_row_and_zero_dates_can_be_null() {
    let tables = "set sql_mode = '';
        create table row_of (id bigint, flag tinyint(1), price decimal(12,2), day date, at datetime, moment timestamp null);
        insert into row_of values (1, 1, 1.00, '2024-01-01', '2024-01-01 10:00:00', null), (2, 2, null, null, null, null),
            (3, 0, null, '0000-00-00', null, null), (4, 0, null, '2024-00-05', '2024-05-00 01:00:00', null),
            (5, 0, null, null, '0000-00-00 00:00:00', '0000-00-00 00:00:00'), (3000000000, null, null, null, null, null)";
    let columns = "id: integer, flag: boolean, price: 'decimal(12,2)', day: date, at: timestamp, moment: timestamptz";
    let shop = Shop::all_of(tables, "row_of", columns);
    let ran = shop.weir("run");
    ran.ended(0, "invalid_flag");
    ran.ended(0, "write `zero_dates: null` under `mysql`");
    assert_eq!(shop.rows("all"), ["1,true,1.00,2024-01-01,2024-01-01T10:00:00,"]);
    assert_eq!(
        shop.rows("unreadable"),
        [
            "shop: row_of,2,\"2,2,,,,\",invalid_flag",
            "shop: row_of,3,\"3,false,,0000-00-00,,\",invalid_day",
            "shop: row_of,4,\"4,false,,2024-00-05,2024-05-00 01:00:00,\",invalid_day;invalid_at",
            "shop: row_of,5,\"5,false,,,0000-00-00 00:00:00,0000-00-00 00:00:00Z\",invalid_at;invalid_moment",
            "shop: row_of,6,\"3000000000,,,,,\",invalid_id",
        ]
    );
    shop.project.task("table: row_of", "table: row_of, zero_dates: null");
    shop.weir("run").ended(0, "");
    assert_eq!(
        shop.rows("all"),
        ["1,true,1.00,2024-01-01,2024-01-01T10:00:00,", "3,false,,,,", "4,false,,,,", "5,false,,,,"]
    );
    shop.project.task("zero_dates: null", "zero_dates: nul");
    shop.weir("run").ended(2, "nul");
}

#[test]
fn texts_of_any_character_set_are_converted_or_rejected_but_never_changed() {
    let bytes: String = (1..=255u8).map(|byte| format!("{byte:02x}")).collect();
    let tables = format!(
        "set names utf8mb4;
         create table row_of (id int, l varchar(300) character set latin1, u varchar(300) character set utf8mb3,
             s varchar(300) character set sjis, w varchar(300) character set ucs2, c char(5) character set cp1251, a text character set ascii);
         insert into row_of values (1, x'{bytes}', 'ä€', '日本', 'ü', 'Ж ', 'a'), (2, '', '', '', '', '', ''),
             (3, null, null, null, null, null, null);
         create table broken (id int, s varchar(9) character set sjis);
         insert into broken values (1, _sjis x'93fa'), (2, _sjis x'eaa5'), (3, _sjis x'41'), (4, null)"
    );
    let shop = Shop::all_of(
        &tables,
        "row_of",
        "id: integer, l: string, u: string, s: string, w: string, c: string, a: string",
    );
    shop.weir("run").ended(0, "3");
    let rows = records(&shop, "all");
    let latin = rows[0].split('|').collect::<Vec<_>>();
    // The bytes of latin1 are those of Windows-1252, and those that it leaves out are themselves.
    let shown = rows[0].clone();
    assert!(shown.contains("€\u{81}‚ƒ") && shown.contains("ýþÿ"), "{shown:?}");
    assert!(!latin.contains(&"?") && shown.ends_with("|ä€|日本|ü|Ж|a"), "{shown:?}");
    assert_eq!(rows[1], "2||||||");
    let empty = std::fs::read_to_string(shop.project.path("out/all/part-00000.csv")).unwrap();
    assert!(empty.contains("2,\"\",\"\",\"\",\"\",\"\",\"\"") && empty.contains("3,,,,,,"), "{empty}");
    // A code without a character, for which the server would give a `?`.
    assert_eq!(shop.sql("select convert(s using utf8mb4) from broken where id = 2"), "?");
    shop.project.task("l: string, u: string, s: string, w: string, c: string, a: string", "s: string");
    for relation in ["table: broken", "query: select * from broken"] {
        shop.project.task("table: row_of", relation);
        shop.weir("run").ended(0, "invalid_utf8");
        assert_eq!(shop.rows("all"), ["1,日", "3,A", "4,"]);
        shop.project.task(relation, "table: row_of");
    }
}

#[test]
fn projections_filters_and_limits_are_pushed_to_the_server() {
    let shop = Shop::new(ITEMS);
    let planned = |sql: &str| {
        shop.project.file("cheap.sql", sql);
        let plan = shop.weir("plan");
        plan.ended(0, "MysqlScanExec: select ");
        let line = plan.out.lines().find(|line| line.contains("MysqlScanExec")).unwrap().to_owned();
        let (_, sql) = line.split_once("MysqlScanExec: ").unwrap();
        sql.split(", rows~").next().unwrap().to_owned()
    };
    let of = format!("from `{}`.`item`", shop.database());
    shop.project.task(", price: \"decimal(12,2)\", made: date", "");
    assert_eq!(planned("select name from item"), format!("select `name`, 1 {of}"));
    assert_eq!(planned("select count(*) as n from item"), format!("select 1, 1 {of}"));
    assert_eq!(planned("select id, name from item limit 2"), format!("select `id`, `name` {of} limit 2"));
    assert_eq!(
        planned(
            "select name from item where id > 1 and name = 'nut' and name < 'z' and name in ('nut', 'b', 'c', 'd', 'it''s \\')"
        ),
        format!(
            "select `id`, `name` {of} where `id` > 1 and `name` = 'nut' and `name` in ('nut', 'b', 'c', 'd', _utf8mb4 x'69742773205c')"
        )
    );
    shop.project.task("name: string", "name: {type: string, not_null: true}");
    assert_eq!(planned("select id from item limit 2"), format!("select `id`, `name` {of}"));
    shop.project.task("not_null: true", "accepted_values: [saw], on_invalid: set_null");
    assert_eq!(planned("select id from item where name is null"), format!("select `id`, `name` {of}"));
    shop.weir("run").ended(0, "2");
    assert_eq!(shop.rows("cheap"), ["1", "2"]);
}

/// Conditions over the tables of the next test.
const CONDITIONS: [&str; 44] = [
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
    "n > 1.5",
    "t = 'a'",
    "t = 'A'",
    "t = 'a '",
    "t <> 'a'",
    "t < 'b'",
    "t >= 'Z'",
    "t in ('a', 'ü', '')",
    "t in ('日', 'b')",
    "t like 'a%'",
    "l = 'ü'",
    "l in ('日', 'a')",
    "l = ''",
    "c = 'a'",
    "e = 'b'",
    "e in ('', 'a')",
    "d = date '2020-02-29'",
    "d < date '2020-02-29'",
    "d is null",
    "z is null",
    "z is not null",
    "z < date '2020-02-27'",
    "m > 1.5 and m < 100.25",
    "m = 50.125",
    "f >= 0.1",
    "f < 0.30000000000000004",
    "g > 0.25",
    "b and n > 0",
    "not b",
    "u > 18446744073709551613",
    "u >= -5 and u < 3",
    "at >= timestamp '2020-01-01 00:00:00' and at < timestamp '2020-01-02 00:00:00.000001'",
];

#[test]
fn a_condition_has_the_same_result_on_the_server_and_in_the_engine() {
    let columns = "n int, t varchar(9), l varchar(9) character set latin1, c char(2), e enum('a', 'b'), d date, z date, m decimal(10,3), f double, \
                   g float, b bool, u bigint unsigned, at timestamp(6) null, y datetime";
    let keys: String = "n t l c e d z m f g b u at y".split(' ').map(|name| format!(", key ({name})")).collect();
    let shop = Shop::new(&format!(
        "set sql_mode = '', time_zone = '+00:00', rand_seed1 = 7, rand_seed2 = 11;
         create table t ({columns}{keys});
         insert into t select
             if(rand() < 0.9, floor(rand() * 12) - 3, null),
             elt(1 + floor(rand() * 11), 'a', 'A', 'b', 'Z', 'ü', 'Ü', '', 'ab', null, 'a b', 'a '),
             elt(1 + floor(rand() * 6), 'a', 'A', 'ü', 'Ü', '', null),
             elt(1 + floor(rand() * 4), 'a', 'b', 'ab', null),
             elt(1 + floor(rand() * 4), 'a', 'b', 'wrong', null),
             if(rand() < 0.8, date '2020-02-25' + interval floor(rand() * 9) day, null),
             elt(1 + floor(rand() * 5), '2020-02-26', '2020-02-27', '0000-00-00', '2020-02-00', null),
             if(rand() < 0.9, round(rand() * 100 * 8) / 8, null),
             elt(1 + floor(rand() * 5), 0.1, 0.30000000000000004, 0.3, 0.25, null) + if(rand() < 0.5, 0, rand()),
             elt(1 + floor(rand() * 3), 0.1, 0.25, rand()),
             if(rand() < 0.9, rand() < 0.5, null),
             if(rand() < 0.5, 18446744073709551615 - floor(rand() * 4), floor(rand() * 5)),
             timestamp '2020-01-01 00:00:00' + interval floor((rand() * 3 - 1) * 86400 * 4) / 4 second,
             null
         from seq_1_to_600"
    ));
    let columns = "n: integer, t: string, l: string, c: string, e: string, d: date, z: date, m: 'decimal(10,3)', f: double, g: double, \
                   b: boolean, u: 'decimal(20,0)', at: timestamp";
    let mut task = format!(
        "name: conditions\nsources:\n  all_rows:\n    mysql: {{connection: shop, table: t, zero_dates: null}}\n    columns: {{{columns}}}\n"
    );
    let (mut models, mut sinks) = (String::new(), String::new());
    for (number, condition) in CONDITIONS.iter().enumerate() {
        task += &format!(
            "  t{number}:\n    mysql: {{connection: shop, table: t, zero_dates: null}}\n    columns: {{{columns}}}\n"
        );
        for (kind, source) in [("there", format!("t{number}")), ("here", "all_rows".to_owned())] {
            shop.project.file(
                &format!("{kind}{number}.sql"),
                format!("select n, t, l, c, e, d, z, m, f, g, b, u, at from {source} where {condition}"),
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
    let pushed = plan.out.lines().filter(|line| line.contains("MysqlScanExec") && line.contains(" where ")).count();
    assert!(pushed > 28, "only {pushed} conditions are pushed: {}", plan.out);
    let mut some = 0;
    for (number, condition) in CONDITIONS.iter().enumerate() {
        let sorted = |kind: &str| {
            let mut rows = shop.rows(&format!("{kind}{number}"));
            rows.sort();
            rows
        };
        let (there, here) = (sorted("there"), sorted("here"));
        assert!(there == here, "{condition}: {} rows there, {} here", there.len(), here.len());
        some += usize::from(!here.is_empty() && here.len() < 600);
    }
    assert!(some > 38, "only {some} conditions tell rows apart");
}

/// A session that holds the lock that a view waits for, until dropped.
struct Holder(std::process::Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// SQL that waits until `hold_lock` ends, and is zero.
fn waiting(shop: &Shop) -> String {
    let lock = shop.database();
    format!("if(get_lock('{lock}', 1000) = release_lock('{lock}'), 0, 0)")
}

fn hold_lock(shop: &Shop) -> Holder {
    use std::io::Write;
    let mut client = Server::shared().client();
    client.arg(format!("--user={USER}")).arg(format!("--password={PASSWORD}")).arg(shop.database());
    let mut child = client.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lock = shop.database();
    child.stdin.as_mut().unwrap().write_all(format!("select get_lock('{lock}', 100);\n").as_bytes()).unwrap();
    while shop.sql(&format!("select is_used_lock('{lock}') is null")) == "1" {
        std::thread::sleep(Duration::from_millis(10));
    }
    Holder(child)
}

fn wait_until_it_waits(shop: &Shop) {
    let waits = format!(
        "select count(*) from information_schema.processlist where state = 'User lock' and db = '{}'",
        shop.database()
    );
    while shop.sql(&waits) == "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_run_reads_a_consistent_snapshot() {
    let shop = Shop::new(
        "create table paid (id int); create table sent (id int);
         insert into paid values (1); insert into sent values (1)",
    );
    shop.sql(&format!("create view slow as select id + {} as id from paid", waiting(&shop)));
    shop.project.file(
        "task.yaml",
        "name: moment\nsources:\n  slow: {mysql: {connection: shop, table: slow}, columns: {id: bigint}}\n  \
         sent: {mysql: {connection: shop, table: sent}, columns: {id: integer}}\n\
         sinks:\n  paid: {from: slow, mode: overwrite, files: {path: out/paid, format: csv}}\n  \
         sent: {from: sent, mode: overwrite, files: {path: out/sent, format: csv}}\n",
    );
    let held = hold_lock(&shop);
    let run = shop.command("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_it_waits(&shop);
    shop.sql("insert into paid values (2); insert into sent values (2)");
    drop(held);
    Ran::of(run.wait_with_output().unwrap()).ended(0, "moment");
    assert_eq!((shop.rows("paid"), shop.rows("sent")), (vec!["1".to_owned()], vec!["1".to_owned()]));
    shop.weir("run").ended(0, "moment");
    assert_eq!(shop.rows("sent"), ["1", "2"]);
}

/// A task over three tables of some megabytes each.
fn large(tables: &[&str], model: &str) -> Shop {
    let shop = Shop::new(
        "create table a (id int primary key, pad varchar(200));
         insert into a select seq, rpad(seq, 200, 'x') from seq_1_to_20000;
         create table b as select id, pad from a; create table c as select id, pad from a where id % 2 = 0",
    );
    let source = |table: &&str| {
        format!("  {table}: {{mysql: {{connection: shop, table: {table}}}, columns: {{id: integer, pad: string}}}}\n")
    };
    let sources: String = tables.iter().map(source).collect();
    shop.project.file(
        "task.yaml",
        format!(
            "name: large\nsources:\n{sources}models: {{of_all: of_all.sql}}\n\
             sinks: {{of_all: {{from: of_all, mode: overwrite, publish: always, files: {{path: out/of_all, format: csv}}}}}}\n"
        ),
    );
    shop.project.file("of_all.sql", model);
    shop
}

#[test]
fn joins_and_unions_of_tables_larger_than_the_buffers_end() {
    for (tables, model, expected) in [
        (
            &["a", "b", "c"][..],
            "select count(*) as n, sum(length(a.pad) + length(b.pad)) as pads from a join b on a.id = b.id left join c on c.id = b.id",
            "20000,8000000",
        ),
        (
            &["a", "b", "c"],
            "select count(*) as n, sum(id) as ids from (select id, pad from a union all select id, pad from b union all select id, pad from c)",
            "50000,500030000",
        ),
        (
            &["a"],
            "select count(*) as n, sum(x.id) as ids from a as x join a as y on x.id = y.id join a as z on z.id = y.id",
            "20000,200010000",
        ),
        (
            &["a", "b", "c"],
            "select count(*) as n, sum(a.id) as ids from a full join b on a.id = b.id and a.pad < b.pad || 'z' full join c on c.id = a.id",
            "20000,200010000",
        ),
    ] {
        let shop = large(tables, model);
        for threads in ["1", "4"] {
            let mut run = shop.command("run");
            run.args(["--threads", threads]);
            Ran::of(run.output().unwrap()).ended(0, "done: `large`");
            assert_eq!(shop.rows("of_all"), [expected], "{model}");
        }
    }
}

#[test]
fn a_query_that_needs_few_rows_ends_early() {
    let shop = large(
        &["a", "b"],
        "select id from (select id, pad from a where pad like '%x' limit 3) union all select id from b where id < 3",
    );
    shop.weir("run").ended(0, "done: `large`");
    assert_eq!(shop.rows("of_all").len(), 5);
    shop.project
        .file("of_all.sql", "select a.id from a join (select id from b where pad like 'none%') as b on a.id = b.id");
    shop.weir("run").ended(0, "done: `large`");
    assert_eq!(shop.rows("of_all"), [""; 0]);
}

#[test]
fn a_run_that_waits_for_the_server_can_be_stopped() {
    let shop = Shop::new(ITEMS);
    shop.sql(&format!(
        "alter table item rename to stock; create view item as select name, id + {} as id, price, made from stock",
        waiting(&shop)
    ));
    let _held = hold_lock(&shop);
    let run = shop.command("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_it_waits(&shop);
    let asked = Instant::now();
    let interrupted = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    Ran::of(run.wait_with_output().unwrap()).ended(1, "interrupted");
    assert!(asked.elapsed() < Duration::from_secs(30), "it took {:?}", asked.elapsed());
    assert_eq!(shop.project.left("out"), [""; 0]);
}

#[test]
fn a_server_that_dies_in_the_middle_publishes_nothing() {
    let server = Server::start();
    let url = server.database();
    let database = url.rsplit('/').next().unwrap();
    let shop = Shop { project: Project::empty(), url: url.clone() };
    shop.project.file("task.yaml", TASK.replace("from: cheap", "from: item"));
    shop.project.task("models:\n  cheap: cheap.sql\n", "");
    shop.project.file("weir.yaml", "connections: {shop: {mysql: '${env:SHOP}'}}");
    // Slow enough to be killed in the middle, and large enough not to be sent at once.
    server.sql(
        database,
        "create table stock as select seq as id, repeat('x', 1000) as name from seq_1_to_20000;
         create view item as select id, name, cast(1 as decimal(10,2)) as price, cast(null as date) as made
             from stock where if(id % 1000 = 0, sleep(0.05) = 0, true)",
    );
    let run = shop.command("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let reads =
        "select count(*) from information_schema.processlist where info like 'select `id`%' and id <> connection_id()";
    while server.sql("mysql", reads) == "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    server.kill();
    let ran = Ran::of(run.wait_with_output().unwrap());
    ran.ended(1, "owner@127.0.0.1");
    ran.ended(1, "the connection broke");
    assert_eq!(shop.project.left("out"), [""; 0]);
    server.launch();
    shop.weir("run").ended(0, "20,000");
    assert_eq!(shop.rows("cheap").len(), 20_000);
}

#[test]
fn a_wrong_source_is_reported_with_a_remedy() {
    let shop = Shop::new(ITEMS);
    let near = format!("is it `{0}.item`? there are", shop.database());
    let refused = |from: &str, to: &str, code: i32, said: &[&str]| {
        shop.project.file("task.yaml", TASK.replace(from, to));
        assert_ne!(TASK, TASK.replace(from, to), "{from}");
        let ran = shop.weir("run");
        said.iter().for_each(|said| ran.ended(code, said));
    };
    refused("connection: shop", "connection: shpo", 2, &["unknown connection `shpo`", "did you mean `shop`?"]);
    refused("table: item", "table: itme", 1, &["shop: itme", "no such table or view in owner@127.0.0.1", &near]);
    refused("table: item", "table: ITEM", 1, &["no such table or view"]);
    refused("table: item", "table: other.item", 1, &["no such table or view"]);
    refused("name: string", "name: {type: string, header: nmae}", 1, &["column `nmae` is missing", "is it `name`?"]);
    let place = "    mysql: {connection: shop, table: item}\n";
    refused(place, "", 2, &["source `item` must have exactly one origin"]);
    refused("mysql: {", "postgres: {", 2, &["has no connection `shop` of PostgreSQL"]);
    for (more, said) in [
        ("read: new", "write `cursor: {column: updated_at}` under `mysql`"),
        ("archive: done", "`archive` is for sources of files"),
        ("null_values: [NA]", "`null_values` is for sources of text"),
    ] {
        refused(place, &format!("{place}    {more}\n"), 2, &[said]);
    }
    // The table changes after the task was written.
    for (sql, said) in [
        ("alter table item rename column name to title", "column `name` is missing"),
        ("alter table item rename column title to name, modify price varchar(9)", "column `price` is varchar(9)"),
        ("alter table item modify price decimal(12,2), drop made", "column `made` is missing"),
    ] {
        shop.project.file("task.yaml", TASK);
        shop.sql(sql);
        shop.weir("run").ended(1, said);
    }
    shop.sql("alter table item add made date, add other text");
    shop.weir("run").ended(0, "3");
}

#[test]
fn a_missing_right_is_reported_before_anything_is_read() {
    let shop = Shop::new(ITEMS);
    let database = shop.database();
    let reader = format!("reader_of_{database}");
    shop.sql(&format!(
        "create user '{reader}'@'%' identified by 'p'; create table other (id int);
         grant select (id, name, price) on {database}.item to '{reader}'@'%'"
    ));
    let shop = Shop { url: Server::shared().url_of(&reader, "p", database), ..shop };
    let ran = shop.weir("run");
    ran.ended(1, "SELECT command denied to user");
    ran.ended(1, "for column 'made' in table 'item'");
    ran.ended(1, "ask an administrator for the missing right");
    let init = Ran::of(shop.project.command(&["init", "shop:item"]).env("SHOP", &shop.url).output().unwrap());
    init.ended(0, "wrote item.yaml");
    shop.project.task(", made: date", "");
    shop.project.file("cheap.sql", "select id from item");
    shop.weir("run").ended(0, "3");
    shop.project.task("table: item", "table: other");
    shop.weir("run").ended(1, "SELECT command denied to user");
}

#[test]
fn doctor_and_plan_check_the_table_and_validate_needs_no_database() {
    let shop = Shop::new(ITEMS);
    shop.weir("doctor").ended(0, "shop: item, ");
    shop.weir("doctor").ended(0, "can be read, columns match");
    shop.weir("plan").ended(0, "source `item`: shop: item");
    Ran::of(shop.command("validate").env_remove("SHOP").output().unwrap()).ended(0, "is valid");
    Ran::of(shop.command("doctor").env_remove("SHOP").output().unwrap()).ended(1, "SHOP");
    shop.sql("alter table item engine = MyISAM");
    shop.weir("run").ended(0, "item is not part of the snapshot that the run reads, because its engine MyISAM");
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
}

#[test]
fn a_query_is_read_with_parameters_as_values() {
    let shop = Shop::new(ITEMS);
    shop.project.task(
        "mysql: {connection: shop, table: item}",
        "mysql: {connection: shop, query: \"select ID, concat(name, $mark) as `Name`, price, made from item where made < $until # not more\"}",
    );
    shop.project.task(
        "sources:",
        "params: {until: {type: date, default: 2024-01-01}, mark: {type: string, default: \"'; $until\\\\\"}}\nsources:",
    );
    shop.project.file("cheap.sql", "select id, name from item where id > 1");
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("cheap"), ["3,saw'; $until\\"]);
    shop.weir("plan").ended(0, "query of `item`");
    shop.weir("plan").ended(0, ") as query where `ID` > 1");
    shop.project.task("price: \"decimal(12,2)\"", "prize: \"decimal(12,2)\"");
    shop.weir("run").ended(1, "column `prize` is missing");
    shop.project.task("prize", "price");
    for (from, to, code, said) in [
        ("made < $until", "made < $untl", 2, "unknown parameter `$untl`"),
        ("made < $untl", "made <", 1, "error in your SQL syntax"),
        ("made <", "made is null; drop table item", 1, "error in your SQL syntax"),
        (
            "drop table item",
            "drop table item) as q; drop table item; select * from (select 1",
            1,
            "error in your SQL syntax",
        ),
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
        "create table event (id bigint unsigned primary key, at datetime(6), day date, what text, what2 text);
         insert into event values (1, '2024-01-01', '2024-01-01', 'a', ''), (2, '2024-01-02', '2024-01-02', 'b', '')",
    );
    shop.project.file(
        "task.yaml",
        format!(
            "name: events\nsources:\n  event:\n    mysql: {{connection: shop, table: event, cursor: {cursor}}}\n    \
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
    shop.sql("insert into event values (3, '2024-01-03 00:00:00.000001', null, 'c', ''), (4, '2024-01-01', null, 'late', '')");
    let dies_at = |point: &str| {
        let mut dying = shop.command("run");
        let status = dying.env("WEIR_FAULT", point).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), None, "it was killed at {point}");
    };
    // A run that dies before its commit record has read nothing, and one that dies after it has.
    dies_at("prepared");
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("all"), ["1,a", "2,b", "3,c"]);
    shop.sql("insert into event values (6, '2024-01-06', null, 'f', '')");
    dies_at("committed");
    shop.weir("run").ended(0, "no new rows");
    assert_eq!(shop.rows("all"), ["1,a", "2,b", "3,c", "6,f"]);
    shop.sql("insert into event values (5, null, null, 'x', '')");
    shop.weir("run").ended(1, "the cursor `at` is null in some rows");
    shop.sql("delete from event where id = 5");
    shop.project.task("column: at", "column: id");
    shop.weir("run").ended(1, "has read up to a value of `at`");
    shop.project.task("column: id", "column: what");
    shop.weir("run").ended(1, "");
}

#[test]
fn rows_within_the_lag_are_read_again() {
    let shop = events("{column: ID, lag: 2}");
    shop.weir("run").ended(2, "a `cursor` without `lag`");
    shop.project.task("mode: append", "mode: overwrite");
    shop.weir("run").ended(0, "");
    shop.sql("insert into event values (3, null, null, 'c', ''), (4, null, null, 'd', '')");
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("all"), ["1,a", "2,b", "3,c", "4,d"]);
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("all"), ["3,c", "4,d"]);
    shop.project.task("lag: 2", "lag: 2h");
    shop.weir("run").ended(1, "the lag of a cursor of numbers has a unit");
    shop.project.task("name: events", "name: days");
    shop.project.task("out/all", "out/days");
    shop.project.task("ID, lag: 2h", "day, lag: 36h");
    shop.sql("delete from event where id > 2");
    shop.weir("run").ended(0, "");
    shop.weir("run").ended(0, "");
    assert_eq!(shop.rows("days"), ["1,a", "2,b"]);
}
