//! `dialect: redshift`. Nobody can run these tests on Amazon Redshift, so they run on PostgreSQL: the rows must be those of
//! `dialect: postgres`, and the server's log must show only what Redshift has.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Mutex, OnceLock};

use support::{Project, Ran};
use weir_postgres_testing::{Cluster, PASSWORD};

/// A server with a log of its statements, whose backslashes are escapes as those of Redshift.
fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| {
        Cluster::with_settings(&[
            "log_statement=all",
            "log_line_prefix='%d %a>'",
            "standard_conforming_strings=off",
            "backslash_quote=off",
            "escape_string_warning=off",
        ])
    })
}

/// A project whose task writes a model to the table `stock`.
struct Warehouse {
    project: Project,
    database: String,
}

impl Warehouse {
    fn new(dialect: &str, columns: &str, sink: &str) -> Self {
        let url = server().database();
        let project = Project::empty();
        project.file("weir.yaml", format!("connections: {{warehouse: {{postgres: '{url}', dialect: {dialect}}}}}"));
        project.file("stock.sql", "select * from delivery");
        project.file(
            "task.yaml",
            format!(
                "name: stock
sources:
  delivery: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{{columns}}}}}
models: {{stock: stock.sql}}
sinks:
  stock: {{from: stock, {sink}}}
  refused: {{from: stock.rejected, mode: overwrite, publish: always, files: {{path: out/refused, format: csv}}}}
"
            ),
        );
        Self { project, database: url.rsplit('/').next().unwrap().to_owned() }
    }

    fn run(&self) -> Ran {
        self.run_with("")
    }

    fn run_with(&self, faults: &str) -> Ran {
        let mut command = self.project.command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
        Ran::of(command.env("WEIR_FAULT", faults).output().unwrap())
    }

    fn sql(&self, sql: &str) -> String {
        server().sql(&self.database, sql)
    }

    fn deliver(&self, lines: &str) {
        self.project.file("in/a.csv", format!("item,day,amount,op\n{lines}\n"));
    }

    /// The tables of the database, except the one of applied runs.
    fn tables(&self) -> String {
        self.sql(
            "select schemaname || '.' || tablename from pg_tables
             where schemaname in ('public', 'weir') and tablename <> 'applied' order by 1",
        )
    }
}

const STOCK: &str = "item: string, day: date, amount: bigint, op: string";
const TABLE: &str = "columns: [item, day, amount], postgres: {connection: warehouse, table: stock, create: true}";

/// Each mode with its keys, and the columns of the table that are compared.
const MODES: [(&str, &str); 12] = [
    ("mode: overwrite", "item, day, amount"),
    ("mode: overwrite, primary_key: [item, day]", "item, day, amount"),
    ("mode: replace, partition_by: [day]", "item, day, amount"),
    ("mode: replace, partition_by: [day, item]", "item, day, amount"),
    ("mode: replace, partition_by: [day], primary_key: [item, amount]", "item, day, amount"),
    ("mode: insert, primary_key: [item, day]", "item, day, amount"),
    ("mode: merge, primary_key: [item]", "item, day, amount"),
    ("mode: merge, primary_key: [item], update_key: day", "item, day, amount"),
    ("mode: merge, primary_key: [item], update_key: day, deleted_when: \"op = 'D'\"", "item, day, amount"),
    (
        "mode: merge, primary_key: [item], update_key: day, deleted_when: \"op = 'D'\", soft_delete: gone_at",
        "item, day, amount, gone_at is not null",
    ),
    ("mode: scd2, primary_key: [item], deleted_when: \"op = 'D'\"", "item, day, amount, valid_to is null"),
    (
        "mode: scd2, primary_key: [item], update_key: day, deleted_when: \"op = 'D'\"",
        "item, day, amount, valid_from, valid_to",
    ),
];

/// Deliveries one after the other. Some have a key twice: where nothing says which row is newer, both dialects refuse it.
const DELIVERIES: [&str; 7] = [
    "bolt,2024-01-02,5,\nnut,2024-01-02,7,\nnever,2024-01-02,1,D",
    "bolt,2024-01-01,,D\nnut,2024-01-03,,D\nnut,2024-01-03,,D\nscrew,2024-01-04,3,",
    "bolt,2024-01-05,6,\nbolt,2024-01-03,9,\nscrew,,4,\nwasher,2024-01-04,,",
    "bolt ,2024-01-05,6,\nnut,2024-01-09,7,\nBolt,,,\n,2024-01-04,8,",
    "screw,2024-01-06,8,D\nscrew,2024-01-07,8,\nscrew,2024-01-08,8,\nscrew,2024-01-09,9,",
    "bolt,2024-01-05,,\nscrew,2024-01-09,8,\nBolt,,,\n,,,",
    "bolt,2024-01-05,,\nscrew,2024-01-09,8,\nBolt,,,\n,,,",
];

/// What a run says about its rows.
fn outcome(ran: &Ran) -> String {
    let lines = ran.out.lines().chain(ran.err.lines());
    let told = lines.filter_map(|line| {
        let start = ["has several rows", "rows of this run differ"].iter().find_map(|said| line.find(said));
        let counts = line.find(" inserted").map(|at| line[..at].rfind(' ').map_or(0, |start| start + 1));
        start.or(counts).map(|start| line[start..].split("; took").next().unwrap().to_owned())
    });
    format!("{:?} {}", ran.code, told.collect::<Vec<_>>().join(" | "))
}

#[test]
fn every_mode_does_what_it_does_on_postgresql_with_what_redshift_has() {
    let seen = Mutex::new(vec![]);
    let compare = &|mode: &str, columns: &str| {
        let [expected, found] = ["postgres", "redshift"].map(|dialect| {
            let warehouse = Warehouse::new(dialect, STOCK, &format!("{mode}, {TABLE}"));
            let mut all = vec![];
            for lines in DELIVERIES {
                warehouse.deliver(lines);
                all.push(outcome(&warehouse.run()));
                all.push(warehouse.sql(&format!("select {columns} from stock order by {columns}")));
                let mut refused = warehouse.project.rows("out/refused");
                refused.sort();
                all.push(refused.join(" "));
            }
            assert_eq!(warehouse.tables(), "public.stock", "{mode} {dialect}");
            if dialect == "redshift" {
                let statements = warehouse.statements_that_redshift_has();
                seen.lock().unwrap().extend(statements);
            }
            all
        });
        assert_eq!(found, expected, "{mode}");
        assert!(expected.iter().filter(|told| told.contains(" inserted")).count() > 3, "{mode}: {expected:#?}");
    };
    std::thread::scope(|scope| {
        for (mode, columns) in MODES {
            scope.spawn(move || compare(mode, columns));
        }
    });
    let seen = seen.into_inner().unwrap();
    // The test saw what it is for.
    for part in [
        "lock table weir.applied",
        "delete from ?.? using weir.? as staged where",
        "update ?.? set",
        "insert into weir.? (?, ?, ?) values",
        "row_number() over",
        "lag(",
        "alter table weir.? rename to ?",
    ] {
        assert!(seen.iter().any(|statement| statement.contains(part)), "no statement has `{part}`");
    }
}

#[test]
fn a_run_that_dies_or_is_refused_has_only_what_redshift_has() {
    let sink = format!("mode: append, {TABLE}")
        .replace("create: true", "create: true, comment: all, comments: {item: 'a \\ b'}");
    let warehouse = Warehouse::new("redshift", STOCK, &sink);
    warehouse.project.task("columns: {item", "read: new, columns: {item");
    let mut expected = 0;
    for point in ["staging_made", "prepared", "committed", "published", ""] {
        warehouse.project.file(&format!("in/a{point}.csv"), format!("item,day,amount,op\n{point},,1,\n"));
        expected += 1;
        assert_eq!(warehouse.run_with(point).code, if point.is_empty() { Some(0) } else { None }, "{point}");
        warehouse.run().ended(0, "");
        assert_eq!(warehouse.sql("select count(*), sum(amount) from stock"), format!("{expected}|{expected}"));
        assert_eq!(warehouse.tables(), "public.stock", "{point}");
    }
    warehouse.project.task("columns: [item, day, amount]", "columns: [item, day, amount, op]");
    warehouse.project.task("create: true", "create: true, schema_changes: add");
    warehouse.project.file("in/z.csv", "item,day,amount,op\nz,,1,x\n");
    warehouse.run().ended(0, "1 inserted");
    warehouse.project.task("mode: append", "mode: merge, primary_key: [item]");
    warehouse.project.file("in/twice.csv", "item,day,amount,op\nz,,1,x\nz,,2,x\n");
    warehouse.run().ended(1, "rows of this run differ and have the same (item)");
    warehouse.project.weir(&["doctor", "task.yaml", "--state", ".weir"]);
    let seen = warehouse.statements_that_redshift_has();
    for part in [
        "drop table if exists weir.?",
        "alter table ?.? add column ? varchar(65535)",
        "comment on column",
        "create table ?.?",
    ] {
        assert!(seen.iter().any(|statement| statement.contains(part)), "no statement has `{part}`");
    }
}

/// The columns of every type.
const TYPES: &str = "id: integer, s: string, b: boolean, i: integer, l: bigint, d: double, n: 'decimal(38,10)', \
                     m: 'decimal(5,0)', day: date, t: timestamp, z: timestamptz";

#[test]
fn values_of_every_type_are_exact() {
    let sink = "mode: overwrite, adopt: true, postgres: {connection: warehouse, table: stock, create: true}";
    let lines = [
        r"1,it's a \ 'quoted\' text \n,true,-2147483648,-9223372036854775808,0.1,-1234567890123456789012345678.0123456789,-99999,0001-01-01,0001-01-01 00:00:00.000001,2024-02-29T23:59:59.999999+08:00",
        r"2,\,false,2147483647,9223372036854775807,1.7976931348623157e308,0.0000000001,0,9999-12-31,9999-12-31 23:59:59.999999,1969-12-31T23:59:59.999999Z",
        "3,\"a\nb\",,,,5e-324,,,,,",
        "4,äöü €😀 $$ $1 ${x},true,0,0,-0.0,1234567890123456789012345678.0000000000,7,1970-01-01,1970-01-01 00:00:00,1970-01-01T00:00:00Z",
        "5,trailing   ,true,1,1,123456789.123456789,1,1,2000-01-01,2000-01-01 12:00:00.5,2000-01-01T00:00:00Z",
    ];
    let [expected, found] = ["postgres", "redshift"].map(|dialect| {
        let warehouse = Warehouse::new(dialect, TYPES, sink);
        let header = "id,s,b,i,l,d,n,m,day,t,z\n";
        warehouse.project.file("in/a.csv", format!("{header}{}\n", lines.join("\n")));
        warehouse
            .project
            .file("stock.sql", "select *, cast(id as smallint) as small, cast(d as float) as real from delivery");
        warehouse.run().ended(0, "5 inserted");
        warehouse.sql("set timezone = 'UTC'; set extra_float_digits = 3; select * from stock order by id")
    });
    assert_eq!(found, expected);
    assert!(found.contains(r"it's a \ 'quoted\' text \n"), "{found}");
}

#[test]
fn many_rows_come_in_statements_of_bounded_size() {
    let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: overwrite, {TABLE}"));
    let text = "x".repeat(3_000);
    let lines: String = (0..2_000).map(|row| format!("{text}{row},2024-01-01,{row},\n")).collect();
    let short: String = (0..25_000).map(|row| format!("a,,{row},\n")).collect();
    warehouse.deliver(format!("{lines}{short}").trim_end());
    warehouse.run().ended(0, "27000 inserted");
    let found = warehouse.sql("select count(*), sum(amount), count(distinct item) from stock");
    assert_eq!(found, format!("27000|{}|2001", 1_999 * 1_000 + 24_999 * 12_500));
    let log = log_of(&warehouse.database);
    let inserts: Vec<_> = log.iter().filter(|statement| statement.contains("values")).collect();
    assert!(inserts.len() > 8, "{}", inserts.len());
    for statement in inserts {
        assert!(statement.len() < 1_200_000, "{}", statement.len());
        assert!(statement.matches("),(").count() < 10_000);
    }
}

#[test]
fn a_table_with_a_key_twice_is_refused_and_stays() {
    let sink =
        "mode: merge, primary_key: [item], columns: [item, amount], postgres: {connection: warehouse, table: stock}";
    let warehouse = Warehouse::new("redshift", STOCK, sink);
    warehouse.sql("create table stock (item varchar(9), amount bigint, note text default 'n')");
    warehouse.sql("insert into stock values ('bolt', 1), ('bolt', 2), ('nut', 1), ('nut', 1)");
    warehouse.deliver("screw,,5,");
    warehouse.run().ended(0, "1 inserted");
    warehouse.deliver("bolt,,5,\nscrew,,6,");
    let ran = warehouse.run();
    ran.ended(1, "has several rows with the same (item)");
    ran.ended(1, "the server enforces no key");
    let rows = "select item, amount, note from stock order by 1, 2";
    assert_eq!(warehouse.sql(rows), "bolt|1|n\nbolt|2|n\nnut|1|n\nnut|1|n\nscrew|5|n");
    // What the rows do not have stays in a row that is changed.
    warehouse.sql("delete from stock where amount = 1; update stock set note = 'mine'");
    warehouse.run().ended(0, "0 inserted, 2 updated");
    assert_eq!(warehouse.sql(rows), "bolt|5|mine\nscrew|6|mine");
    assert_eq!(warehouse.tables(), "public.stock");
}

#[test]
fn texts_are_limited_by_their_bytes() {
    let warehouse =
        Warehouse::new("redshift", STOCK, &format!("mode: overwrite, {}", TABLE.replace("create: true", "")));
    warehouse.sql("create table stock (item varchar(65535), day date, amount integer)");
    let long = "ä".repeat(32_767);
    warehouse.deliver(&format!("{long}b,,1,\n{long}bc,,2,\nnut,,3,\nbig,,3000000000,"));
    warehouse.run().ended(0, "2 inserted");
    let refused = warehouse.project.rows("out/refused");
    assert!(refused[1..].iter().any(|row| row.ends_with("item_unfit_for_stock")), "{}", refused.len());
    assert!(refused[1..].iter().any(|row| row.ends_with("amount_unfit_for_stock")), "{}", refused.len());
    warehouse.sql("drop table stock; create table stock (item varchar(4), day date, amount bigint)");
    warehouse.deliver("äö,,1,\näöü,,2,\nabcd,,3,\nabcde,,4,");
    warehouse.run().ended(0, "2 inserted");
    assert_eq!(warehouse.sql("select item from stock order by amount"), "äö\nabcd");
}

#[test]
fn columns_that_do_not_fit_are_reported_before_anything_is_read() {
    let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: append, {}", TABLE.replace("create: true", "")));
    warehouse.project.task("columns: {item", "read: new, columns: {item");
    warehouse.deliver("bolt,many,many,");
    warehouse.run().ended(1, "does not exist");
    warehouse.sql("create table stock (item varchar(9), day timestamp, amount jsonb, must int not null)");
    let ran = warehouse.run();
    ran.ended(1, "its column `day` is timestamp without time zone, but the rows have date");
    ran.ended(1, "its column `amount` is jsonb, but the rows have bigint");
    ran.ended(1, "its column `must` is `not null` without a default");
    warehouse
        .sql("drop table stock; create view stock as select 'a' as item, current_date as day, 1::bigint as amount");
    warehouse.run().ended(1, "is no table, and cannot be loaded");
}

#[test]
fn new_columns_are_added_one_by_one_if_the_task_allows_it() {
    let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: merge, primary_key: [item], {TABLE}"));
    warehouse.project.task("columns: [item, day, amount]", "columns: [item]");
    warehouse.deliver("bolt,2024-01-01,5,x");
    warehouse.run().ended(0, "1 inserted");
    warehouse.project.task("columns: [item]", "columns: [item, day, op]");
    warehouse.run().ended(1, "it has no column `day`; it has no column `op`");
    warehouse.project.task("create: true", "create: true, schema_changes: add");
    assert_eq!(warehouse.run_with("committed").code, None);
    warehouse.run().ended(0, "");
    assert_eq!(warehouse.sql("select item, day, op from stock"), "bolt|2024-01-01|x");
}

#[test]
fn a_created_table_has_types_and_comments_and_no_key_that_nothing_enforces() {
    let sink = TABLE.replace("create: true", "create: true, comment: \"it's \\\\ stock\", comments: {amount: pieces}");
    let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: merge, primary_key: [item], {sink}"));
    warehouse.deliver("bolt,2024-01-01,5,");
    warehouse.run().ended(0, "1 inserted");
    let columns = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull, ', ' order by attnum)
                   from pg_attribute where attrelid = 'stock'::regclass and attnum > 0";
    assert_eq!(warehouse.sql(columns), "item character varying(65535) true, day date false, amount bigint false");
    assert_eq!(warehouse.sql("select count(*) from pg_constraint where conrelid = 'stock'::regclass"), "0");
    let comments = "select obj_description('stock'::regclass), col_description('stock'::regclass, 3)";
    assert_eq!(warehouse.sql(comments), r"it's \ stock|pieces");
    let recorded = "select number, sink, target, task, inserted, updated from weir.applied order by number";
    warehouse.deliver("bolt,2024-01-01,6,");
    warehouse.run().ended(0, "0 inserted, 1 updated");
    assert_eq!(warehouse.sql(recorded), "1|stock|stock|stock.default|1|0\n2|stock|stock|stock.default|0|1");
}

#[test]
fn what_redshift_does_not_have_is_refused_when_the_task_is_validated() {
    for (from, to, said) in [
        ("create: true", "create: true, indexes: [[day]]", "Amazon Redshift has no indexes"),
        ("[item, day, amount]", "[{Item: item}, day, amount]", "the name `Item` has upper case"),
        ("table: stock", "table: Stock", "the name `Stock` has upper case"),
    ] {
        let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: overwrite, {TABLE}"));
        warehouse.project.task(from, to);
        let validated = warehouse.project.weir(&["validate", "task.yaml"]);
        validated.ended(2, said);
    }
    for (column, said) in [
        ("op::bytea", "column `amount` is binary, which a sink cannot write to Amazon Redshift"),
        ("cast(0 as decimal(38,38))", "more than 37 digits behind the point"),
    ] {
        let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: overwrite, {TABLE}"));
        warehouse.project.file("stock.sql", format!("select item, day, {column} as amount from delivery"));
        warehouse.project.weir(&["validate", "task.yaml"]).ended(2, said);
    }
    let source = "postgres: {connection: warehouse, table: delivery}";
    let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: overwrite, {TABLE}"));
    warehouse.project.task("files: {path: 'in/*.csv', format: csv}", source);
    let validated = warehouse.project.weir(&["validate", "task.yaml"]);
    validated.ended(2, "connection `warehouse` is Amazon Redshift, which cannot be read yet");
    validated.ended(2, "UNLOAD the rows to files");
    let init = warehouse.project.weir(&["init", "new", "warehouse:stock"]);
    init.ended(2, "connection `warehouse` is Amazon Redshift, which cannot be read yet");
}

#[test]
fn missing_rights_are_named_with_the_statements_that_grant_them() {
    let warehouse = Warehouse::new("redshift", STOCK, &format!("mode: merge, primary_key: [item], {TABLE}"));
    let user = format!("loader_{}", warehouse.database);
    warehouse.sql(&format!(
        "create user {user} password '{PASSWORD}'; create table stock (item varchar(9), day date, amount bigint)"
    ));
    let url = server().url_of(&user, PASSWORD, &warehouse.database);
    warehouse
        .project
        .file("weir.yaml", format!("connections: {{warehouse: {{postgres: '{url}', dialect: redshift}}}}"));
    warehouse.deliver("bolt,2024-01-01,5,");
    let ran = warehouse.run();
    ran.ended(1, "may not create the schema `weir`");
    ran.ended(1, &format!("grant select, insert, update, delete on \"public\".\"stock\" to \"{user}\""));
    warehouse.sql(&format!(
        "create schema weir authorization {user}; grant select, insert, update, delete on stock to {user}"
    ));
    warehouse.run().ended(0, "1 inserted");
    warehouse.run().ended(0, "0 inserted, 0 updated, 1 unchanged");
}

/// Constructs that Redshift lacks, and why a statement must not have them.
const LACKS: [(&str, &str); 36] = [
    ("on conflict", "it has no upsert"),
    ("copy ", "it has no COPY FROM STDIN and no COPY TO STDOUT"),
    ("unlogged", "it has no unlogged tables"),
    ("do $", "it has no anonymous blocks"),
    ("do '", "it has no anonymous blocks"),
    ("create index", "it has no indexes"),
    ("primary key", "it declares keys, and does not enforce them"),
    ("unique", "the same"),
    ("set constraints", "it has no deferrable constraints"),
    ("trigger", "it has no triggers"),
    ("savepoint", "it has no savepoints"),
    ("to_regclass", "its catalogues are those of PostgreSQL 8.0"),
    ("to_regnamespace", "the same"),
    ("regclass", "the same"),
    ("attidentity", "the same"),
    ("attgenerated", "the same"),
    ("relispartition", "the same"),
    (" mode", "its LOCK has one mode"),
    ("advisory", "it has no advisory locks"),
    ("pg_export_snapshot", "it exports no snapshots"),
    ("set transaction", "it has one isolation level in a transaction"),
    ("lock_timeout", "it has `statement_timeout` alone"),
    ("set_config(", "it had none for long"),
    ("materialized", "it has no such common table expression"),
    ("returning", "it returns no written rows"),
    ("distinct on", "it has no such query"),
    ("is distinct from", "it has no such comparison"),
    ("is not distinct", "the same"),
    ("ctid", "a row has no address"),
    ("unnest", "it has no arrays"),
    ("any (", "the same"),
    (" text", "it makes varchar(256) of it"),
    ("::text", "the same"),
    ("now()", "it runs on the leader node alone"),
    ("json", "it has SUPER in place of it"),
    ("bytea", "it has VARBYTE in place of it"),
];

/// The functions that statements call, all of them in Redshift's manual.
const FUNCTIONS: [&str; 18] = [
    "cast",
    "coalesce",
    "count",
    "current_database",
    "current_schema",
    "format_type",
    "has_database_privilege",
    "has_schema_privilege",
    "has_table_privilege",
    "lag",
    "lead",
    "length",
    "max",
    "md5",
    "numeric",
    "row_number",
    "varchar",
    "exists",
];

/// How a statement may begin.
const BEGINNINGS: [&str; 16] = [
    "alter table ",
    "begin",
    "comment on column ",
    "comment on table ",
    "commit",
    "create schema if not exists ",
    "create table ",
    "delete from ",
    "drop table ",
    "insert into ",
    "lock table ",
    "rollback",
    "reset statement_timeout",
    "select ",
    "set statement_timeout to ",
    "update ",
];

/// Words before a parenthesis that call nothing.
const WORDS: [&str; 17] = [
    "else", "and", "as", "by", "from", "in", "join", "not", "on", "or", "over", "select", "then", "values", "when",
    "where", "exists",
];

/// The statements of weir in a database, in lower case and without the texts in quotes.
fn log_of(database: &str) -> Vec<String> {
    let log = server().log();
    let prefix = format!("{database} weir>");
    let mut statements: Vec<String> = vec![];
    let mut is_ours = false;
    for line in log.lines() {
        if let Some(entry) = line.strip_prefix(&prefix) {
            is_ours = entry.contains("LOG:  statement: ");
            assert!(!entry.contains("LOG:  execute"), "a prepared statement: {entry}");
            statements.extend(entry.split_once("statement: ").filter(|_| is_ours).map(|(_, sql)| sql.to_owned()));
        } else if line.starts_with('\t') && is_ours {
            let last = statements.last_mut().unwrap();
            last.push('\n');
            last.push_str(&line[1..]);
        } else {
            is_ours = false;
        }
    }
    statements
}

/// A statement without texts and names in quotes.
fn bare(statement: &str) -> String {
    let mut bare = String::new();
    let mut quote = None;
    let mut characters = statement.chars();
    while let Some(c) = characters.next() {
        match quote {
            // The server's backslashes are escapes.
            Some('\'') if c == '\\' => _ = characters.next(),
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => {
                assert!(
                    !bare.ends_with(['e', 'E']) || bare.len() < 2,
                    "an escape literal, which Redshift lacks: {statement}"
                );
                quote = Some(c);
                bare.push('?');
            }
            None => bare.push(c),
        }
    }
    bare.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Warehouse {
    /// The statements of weir in its database, without what is in quotes. Fails if one has what Redshift lacks.
    fn statements_that_redshift_has(&self) -> Vec<String> {
        let log = log_of(&self.database);
        assert!(log.len() > 50, "{}", log.len());
        log.iter().map(|statement| only_what_redshift_has(statement)).collect()
    }
}

/// The statement without what is in quotes.
fn only_what_redshift_has(statement: &str) -> String {
    let bare = bare(statement);
    for (lacking, why) in LACKS {
        assert!(!bare.contains(lacking), "`{lacking}`: {why}: {statement}");
    }
    assert!(BEGINNINGS.iter().any(|begin| bare.starts_with(begin)), "{statement}");
    assert!(!bare.trim_end_matches(';').contains(';'), "two statements: {statement}");
    for (at, _) in bare.match_indices('(') {
        let before = bare[..at].trim_end();
        let word = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        let is_known = word.is_empty() || FUNCTIONS.contains(&word) || WORDS.contains(&word);
        // The columns of a table that is created or inserted into.
        let is_table = before.ends_with("weir.applied") || before.ends_with('?');
        assert!(is_known || is_table, "`{word}(` is none of the functions of Redshift: {statement}");
    }
    bare
}

#[test]
fn a_statement_that_redshift_lacks_is_found_in_the_log() {
    for wrong in [
        "insert into a values (1) on conflict do nothing",
        "create table a (b text)",
        "select array_agg(a) from b",
        "vacuum a",
        "begin; commit",
        "select E'a'",
        "with a as (select 1) insert into b select * from a",
    ] {
        assert!(std::panic::catch_unwind(|| only_what_redshift_has(wrong)).is_err(), "{wrong}");
    }
    assert_eq!(
        only_what_redshift_has("select  max(a) from \"on conflict\" where b = 'now()'"),
        "select max(a) from ? where b = ?"
    );
}
