//! Tables of a real MariaDB server as targets: their types, what they refuse, and what happens when the server does.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::{Project, Ran};
use weir_mysql_testing::{PASSWORD, Server};

/// A database of its own, and a project with a task whose sink writes to the table `t` of it.
struct Target {
    project: Project,
    url: String,
    database: String,
}

/// A task that reads an id and one more column, and writes them to the table `t`.
fn task(of_rows: &str, more: &str) -> String {
    format!(
        "name: t
sources:
  row: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{id: integer, v: '{of_rows}'}}}}
models: {{t: t.sql}}
sinks:
  t: {{from: t, mode: merge, primary_key: [id], mysql: {{connection: shop, table: t{more}}}}}
  refused: {{from: t.rejected, mode: overwrite, publish: always, files: {{path: out/refused, format: csv}}}}
"
    )
}

impl Target {
    fn new(task: &str) -> Self {
        Self::on(Server::shared(), task)
    }

    fn on(server: &Server, task: &str) -> Self {
        let database = server.new_database();
        let target = Self { project: Project::empty(), url: server.url(&database), database };
        target.project.file("task.yaml", task);
        target.project.file("t.sql", "select id, v from row");
        target.project.file("weir.yaml", "connections: {shop: {mysql: '${env:SHOP}'}}");
        target
    }

    fn deliver(&self, lines: &str) {
        self.project.file("in/a.csv", format!("id,v\n{lines}\n"));
    }

    fn weir(&self, command: &str) -> Ran {
        let mut command = self.project.command(&[command, "--task-config", "task.yaml", "--state", ".weir"]);
        Ran::of(command.env("SHOP", &self.url).output().unwrap())
    }

    fn run(&self) -> Ran {
        self.weir("run")
    }

    fn sql(&self, sql: &str) -> String {
        Server::shared().sql(&self.database, sql)
    }
}

/// The type of the rows, that of the table, values that fit and as the server shows them, values that do not fit.
type Type = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn values_that_an_existing_column_cannot_hold_are_rejected_with_the_reason() {
    let types: &[Type] = &[
        ("bigint", "int", &[("-2147483648", "-2147483648")], &["2147483648"]),
        ("bigint", "int unsigned", &[("4294967295", "4294967295")], &["-1"]),
        ("bigint", "bigint unsigned", &[("9223372036854775807", "9223372036854775807")], &["-1"]),
        ("bigint", "tinyint", &[("127", "127")], &["128"]),
        ("bigint", "year", &[("2155", "2155")], &["1900"]),
        ("bigint", "decimal(5,2)", &[("999", "999.00")], &["1000"]),
        ("decimal(12,2)", "decimal(10,2)", &[("99999999.99", "99999999.99")], &["100000000.00"]),
        ("decimal(30,0)", "bigint", &[("9223372036854775807", "9223372036854775807")], &["9223372036854775808"]),
        ("string", "varchar(3)", &[("äöü", "äöü"), ("a  ", "a  ")], &["abcd"]),
        ("string", "char(3)", &[("ab", "ab")], &["abcd", "a "]),
        ("string", "tinytext", &[("ab", "ab")], &[]),
        ("string", "varchar(9) character set latin1", &[("é€", "é€")], &["ł", "日本"]),
        ("string", "varchar(9) character set utf8mb3", &[("日本", "日本")], &["💶"]),
        ("string", "enum('ok','it''s')", &[("ok", "ok"), ("it's", "it's")], &["OK", "bad"]),
        ("string", "json", &[("[1]", "[1]")], &["[1"]),
        ("date", "date", &[("0001-01-01", "0001-01-01"), ("9999-12-31", "9999-12-31")], &[]),
        ("timestamp", "datetime", &[("2024-01-01 10:00:00", "2024-01-01 10:00:00")], &["2024-01-01 10:00:00.5"]),
        (
            "timestamp",
            "datetime(3)",
            &[("2024-01-01 10:00:00.123", "2024-01-01 10:00:00.123")],
            &["2024-01-01 10:00:00.1234"],
        ),
        (
            "timestamptz",
            "timestamp",
            &[("2038-01-19T03:14:07Z", "2038-01-19 03:14:07")],
            &["2038-01-19T03:14:08Z", "1970-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z"],
        ),
        ("boolean", "tinyint(1)", &[("true", "1"), ("false", "0")], &[]),
        ("double", "double", &[("0.1", "0.1"), ("-1e300", "-1e300")], &[]),
    ];
    for (of_rows, of_table, fits, others) in types {
        let target = Target::new(&task(of_rows, ""));
        target.sql(&format!("create table t (id int primary key, v {of_table})"));
        let all = fits.iter().map(|(value, _)| value).chain(*others);
        let lines: Vec<_> =
            all.enumerate().map(|(id, value)| format!("{id},\"{}\"", value.replace('"', "\"\""))).collect();
        target.deliver(&lines.join("\n"));
        target.run().ended(0, "");
        let there = target.sql("set time_zone = '+00:00'; select concat('<', v, '>') from t order by id");
        let expected: Vec<String> = fits.iter().map(|(_, shown)| format!("<{shown}>")).collect();
        assert_eq!(there.lines().collect::<Vec<_>>(), expected, "{of_rows} into {of_table}");
        let refused = target.project.rows("out/refused");
        let refused = refused.get(1..).unwrap_or_default();
        assert_eq!(refused.len(), others.len(), "{of_rows} into {of_table}: {refused:?}");
        assert!(refused.iter().all(|row| row.contains("v_unfit_for_t")), "{refused:?}");
        target.run().ended(0, "");
    }
}

#[test]
fn values_of_every_type_arrive_in_a_created_table() {
    let target = Target::new(
        "name: t
sources:
  row:
    files: {path: 'in/*.csv', format: csv}
    columns: {a: boolean, b: integer, c: bigint, d: double, e: 'decimal(38,10)', f: string, g: date, h: timestamp, i: timestamptz, j: binary}
models: {t: t.sql}
sinks:
  t:
    from: t
    mode: overwrite
    primary_key: [f, c]
    mysql:
      connection: shop
      table: t
      create: true
      indexes: [[g]]
      comment: \"All types, it's said.\"
      comments: {a: A boolean.}
",
    );
    target.project.file("t.sql", "select * from row");
    target.project.file(
        "in/a.csv",
        "a,b,c,d,e,f,g,h,i,j\n\
         true,-2147483648,-9223372036854775808,0.1,1234567890123456789012345678.0123456789,\"a\tb\\c\nd\",0001-01-01,9999-12-31 23:59:59.999999,1969-12-31T23:59:59.999999Z,\\x00ff\n\
         ,,1,,,\"\",,,,\n\
         false,1,2,1e300,-0.0000000001,A ,2024-02-29,2024-01-01 00:00:00,2024-01-01T08:00:00+08:00,\\x\n",
    );
    for _ in 0..2 {
        target.run().ended(0, "");
        let read = "select a, b, c, d, e, hex(f), g, h, i, length(j) from t order by c";
        assert_eq!(
            target.sql(read).lines().collect::<Vec<_>>(),
            [
                "1\t-2147483648\t-9223372036854775808\t0.1\t1234567890123456789012345678.0123456789\t6109625C630A64\t\
                 0001-01-01\t9999-12-31 23:59:59.999999\t1969-12-31 23:59:59.999999\t2",
                "NULL\tNULL\t1\tNULL\tNULL\t\tNULL\tNULL\tNULL\tNULL",
                "0\t1\t2\t1e300\t-0.0000000001\t4120\t2024-02-29\t2024-01-01 00:00:00.000000\t2024-01-01 00:00:00.000000\t0",
            ]
        );
    }
    let about =
        "select table_comment from information_schema.tables where table_schema = database() and table_name = 't'";
    assert_eq!(target.sql(about), "All types, it's said.");
}

#[test]
fn a_target_that_cannot_be_written_is_told_before_anything_is_read() {
    for (table, said) in [
        ("create table t (id int primary key, v text) engine = MyISAM", "has no transactions"),
        ("create table u (id int primary key, v text); create view t as select * from u", "is a view"),
        ("create table t (id int primary key, v int)", "its column `v` is int(11), but the rows have longtext"),
        ("create table t (id int, v text)", "no primary key or unique index on exactly (id)"),
        ("create table t (id int primary key, V text)", "it has no column `v`, but `V`"),
        ("create table t (id int primary key, v set('a'))", "its column `v` is set('a')"),
        ("select 1", "does not exist; create it, or set `create: true`"),
    ] {
        let target = Target::new(&task("string", ""));
        target.sql(table);
        target.deliver("1,a");
        target.run().ended(1, said.split("; ").next().unwrap());
        target.weir("doctor").ended(1, said.split("; ").next().unwrap());
    }
    let target = Target::new(&task("string", ""));
    target.sql("create table t (id int primary key, v text)");
    let user = format!("reader_{}", target.database);
    target.sql(&format!(
        "create user '{user}'@'%' identified by '{PASSWORD}'; grant select on {}.* to '{user}'@'%'",
        target.database
    ));
    let target = Target { url: Server::shared().url_of(&user, PASSWORD, &target.database), ..target };
    target.deliver("1,a");
    target.run().ended(1, "may not insert, update, create, drop, alter in database");
}

#[test]
fn a_task_with_a_wrong_table_is_refused() {
    for (from, to, said) in [
        ("table: t", "table: t, indexes: [[w]]", "it has no column `w`"),
        ("connection: shop", "connection: shp", "unknown connection `shp`"),
        ("mode: merge, primary_key: [id],", "mode: merge,", "`mode: merge` needs a `primary_key`"),
        ("primary_key: [id],", "primary_key: [id], columns: [id, {V: v}, v],", "have the same name in MySQL"),
        ("table: t}", "table: t}, postgres: {connection: shop, table: t}", "has two targets"),
    ] {
        let target = Target::new(&task("string", "").replacen(from, to, 1));
        let validate = target.project.command(&["validate", "--task-config", "task.yaml"]).output().unwrap();
        Ran::of(validate).ended(2, said);
    }
    let target = Target::new(&task("string", ""));
    target.project.file("weir.yaml", "connections: {shop: {postgres: '${env:SHOP}'}}");
    target.deliver("1,a");
    target.run().ended(2, "has no connection `shop` of MySQL");
}

#[test]
fn all_tables_of_a_connection_are_published_in_one_transaction() {
    let target = Target::new(
        "name: t
sources:
  row: {files: {path: 'in/*.csv', format: csv}, columns: {id: integer, v: string}}
models: {t: t.sql}
sinks:
  child: {from: t, mode: overwrite, primary_key: [id], mysql: {connection: shop, table: child}}
  parent: {from: t, mode: overwrite, primary_key: [id], mysql: {connection: shop, table: parent}}
",
    );
    target.sql(
        "create table parent (id int primary key, v varchar(9));
         create table child (id int primary key, v varchar(9), foreign key (id) references parent (id),
             constraint no_x check (v <> 'x'))",
    );
    target.deliver("1,a\n2,b");
    target.run().ended(0, "");
    assert_eq!(target.sql("select count(*) from parent join child using (id, v)"), "2");
    target.deliver("1,c\n3,x");
    let ran = target.run();
    ran.ended(1, "table child refuses a row");
    ran.ended(1, "id = 3");
    assert_eq!(target.sql("select group_concat(id, v order by id) from parent"), "1a,2b");
    assert_eq!(target.sql("select group_concat(id, v order by id) from child"), "1a,2b");
    let left = "select count(*) from information_schema.tables where table_schema = database() and table_name like 'weir\\_stage%'";
    assert_eq!(target.sql(left), "0");
    target.deliver("1,c\n3,d");
    target.run().ended(0, "");
    assert_eq!(target.sql("select group_concat(id, v order by id) from child"), "1c,3d");
}

/// Another session, whose statements are run one after the other.
struct Other(std::process::Child);

impl Other {
    fn new(database: &str) -> Self {
        let mut client = Server::shared().client();
        client.arg(format!("--user={}", weir_mysql_testing::USER)).arg(format!("--password={PASSWORD}")).arg(database);
        client.args(["--unbuffered", "--skip-auto-rehash"]).stdin(std::process::Stdio::piped());
        Self(client.stdout(std::process::Stdio::null()).spawn().unwrap())
    }

    fn say(&mut self, sql: &str) {
        use std::io::Write;
        let input = self.0.stdin.as_mut().unwrap();
        writeln!(input, "{sql};").and_then(|()| input.flush()).unwrap();
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn a_transaction_that_the_server_ends_because_of_a_deadlock_is_tried_again() {
    let target = Target::new(&task("string", ""));
    target.sql("create table t (id int primary key, v text); insert into t select seq, 'old' from seq_1_to_1000");
    target.deliver("1,new\n2,new");
    // The server shows its transactions anew only if nobody has asked for a tenth of a second.
    let waits_for = |what: &str, condition: &str| {
        let count = "select count(*) from information_schema.innodb_trx join information_schema.processlist
                     on id = trx_mysql_thread_id where db = database() and";
        let started = std::time::Instant::now();
        while target.sql(&format!("{count} {condition}")) == "0" {
            assert!(started.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(300));
        }
    };
    // The other one has changed more, so that the server ends the transaction of the run.
    let mut other = Other::new(&target.database);
    other.say("begin");
    other.say("update t set v = 'other' where id >= 2");
    waits_for("the other session has its locks", "trx_rows_modified > 900");
    let mut command = target.project.command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
    command.env("SHOP", &target.url).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let run = command.spawn().unwrap();
    waits_for("the run waits for a lock", "trx_state = 'LOCK WAIT'");
    other.say("update t set v = 'other' where id = 1");
    other.say("commit");
    other.end();
    let ran = Ran::of(run.wait_with_output().unwrap());
    ran.ended(0, "2 updated");
    assert!(ran.err.contains("Deadlock") && ran.err.contains("trying again"), "{}", ran.err);
    assert_eq!(target.sql("select concat(id, v) from t where id < 4 order by id"), "1new\n2new\n3other");
}

#[test]
fn a_row_that_is_locked_is_waited_for_and_written_when_it_is_free() {
    let target = Target::new(&task("string", ""));
    target.sql("create table t (id int primary key, v text); insert into t values (1, 'a')");
    target.deliver("1,b");
    std::thread::scope(|scope| {
        scope.spawn(|| target.sql("begin; update t set v = 'x'; do sleep(7); rollback"));
        std::thread::sleep(Duration::from_secs(1));
        target.run().ended(0, "");
    });
    assert_eq!(target.sql("select v from t"), "b");
}

#[test]
fn a_server_that_cannot_take_the_rows_leaves_the_table_as_it_was() {
    let server = Server::with_settings(&["local-infile=0"]);
    let target = Target::on(&server, &task("string", ", create: true"));
    target.deliver("1,a");
    target.run().ended(1, "local_infile is off");
    assert_eq!(server.sql(&target.database, "show tables"), "");
    server.sql(&target.database, "set global local_infile = 1");
    target.run().ended(0, "");
    assert_eq!(server.sql(&target.database, "select v from t"), "a");
    // A text that is larger than what the server takes at once is streamed, and arrives.
    server.sql(&target.database, "set global max_allowed_packet = 1048576");
    target.deliver(&format!("1,{}", "x".repeat(3 << 20)));
    let ran = target.run();
    let length = server.sql(&target.database, "select length(v) from t");
    match ran.code {
        Some(0) => assert_eq!(length, (3 << 20).to_string()),
        _ => {
            ran.ended(1, "max_allowed_packet");
            assert_eq!(length, "1");
        }
    }
}
