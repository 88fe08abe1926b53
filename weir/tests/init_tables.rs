//! `weir init` on tables of a real PostgreSQL server: the task has their columns, is valid, passes its own test cases
//! without the server, and runs.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};
use weir_postgres_testing::{Cluster, PASSWORD, USER};

const SALES: &str = "
    create schema shop;
    create type shop.state as enum ('open', 'paid');
    create table shop.sale (
        id bigint primary key, \"Full Name\" varchar(40) not null, price numeric(12,2), weight real, any_size numeric,
        tiny numeric(2,4), paid boolean, sold date, at timestamp, changed timestamptz not null, token uuid, body jsonb,
        tags text[], picture bytea, state shop.state, \"order\" integer, \"select\" smallint);
    insert into shop.sale values
        (1, 'Ann', 10.50, 0.5, 12345.678, 0.0012, true, '2024-01-31', '2024-01-31 10:00', '2024-01-31 10:00+08',
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', '{x,y}', '\\x00ff', 'paid', 3, 4),
        (2, 'Bob', null, null, null, null, null, null, null, '2024-02-01 10:00+08', null, null, null, null, null, null, null);
    create table shop.line (sale bigint, number integer, note text, primary key (number, sale));
    create view shop.paid as select id, price from shop.sale where paid;";

/// A database of its own, and an empty folder.
struct Shop {
    project: Project,
    url: String,
}

impl Shop {
    fn new(sql: &str) -> Self {
        let shop = Self { project: Project::empty(), url: Cluster::shared().database() };
        shop.sql(sql);
        shop
    }

    /// With a `weir.yaml` that has the connection `shop`.
    fn with_connection(sql: &str) -> Self {
        let shop = Self::new(sql);
        shop.project.file("weir.yaml", "connections: {shop: {postgres: '${env:SHOP}'}}");
        shop
    }

    fn database(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    fn sql(&self, sql: &str) -> String {
        Cluster::shared().sql(self.database(), sql)
    }

    fn weir(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.project.command(arguments).env("SHOP", &self.url).output().unwrap())
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.project.path(path)).unwrap()
    }

    /// All that `init` has written.
    fn written(&self) -> String {
        let of = |folder: &str| self.project.left(folder).into_iter().map(|name| format!("{folder}{name}")).collect();
        let files: [Vec<String>; 2] = [of(""), of("sql/")];
        files.iter().flatten().filter(|path| path.contains('.')).map(|path| self.read(path)).collect()
    }
}

#[test]
fn a_table_of_a_connection_becomes_a_task_that_passes_its_cases_without_the_server_and_runs() {
    let shop = Shop::with_connection(SALES);
    let ran = shop.weir(&["init", "shop:shop.sale"]);
    ran.ended(0, "wrote sale.yaml, sql/sale.sql and sql/sale.test.yaml");
    assert!(ran.out.contains("run it on shop: shop.sale"), "{}", ran.out);
    assert_eq!(shop.project.left(""), ["sale.yaml", "sql", "weir.yaml"]);
    let task = shop.read("sale.yaml");
    for line in [
        "    postgres: {connection: shop, table: shop.sale}\n",
        "    # postgres: {connection: shop, table: shop.sale, cursor: {column: id}}   # only new rows, if",
        "      id: bigint\n",
        "      full_name: {type: string, header: \"Full Name\"}\n",
        "      price: decimal(12,2)\n",
        "      weight: double\n",
        "      any_size: string   # numeric, as text: decimal(p,s) if no value has more digits\n",
        "      tiny: decimal(4,4)\n",
        "      paid: boolean\n",
        "      sold: date\n",
        "      at: timestamp\n",
        "      changed: timestamptz\n",
        "      token: uuid\n",
        "      body: string\n",
        "      tags: string   # text[], as text\n",
        "      picture: binary\n",
        "      state: string\n",
        "      order_column: {type: integer, header: \"order\"}\n",
        "      select_column: {type: integer, header: \"select\"}\n",
        "      missing_id: {not_null: id}\n",
        "    # warn_unless: {repeated: {unique: id}}",
    ] {
        assert!(task.contains(line), "no `{line}` in\n{task}");
    }
    assert!(!shop.written().contains("Ann"), "no row of the table is in a file");
    // Without the connection's secret there is no way to the server.
    shop.project.weir(&["validate", "sale.yaml"]).ended(0, "`sale` is valid");
    shop.project.weir(&["test", "sale.yaml"]).ended(0, "2 cases, all ok");
    shop.weir(&["run", "sale.yaml"]).ended(0, "done: `sale`");
    let rows = shop.project.rows("out/sale");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[1].starts_with("1,Ann,10.50,0.5,12345.678,0.0012,true,2024-01-31,"), "{rows:?}");
    assert_eq!(shop.project.rows("out/sale_unreadable").len(), 1);
}

#[test]
fn a_url_adds_a_connection_without_its_password() {
    let shop = Shop::new(SALES);
    let ran = shop.weir(&["init", &format!("{}/shop.sale", shop.url)]);
    let name = shop.database();
    let variable = format!("{}_PASSWORD", name.to_uppercase());
    ran.ended(0, &format!("export {variable}=…"));
    let connections = shop.read("weir.yaml");
    assert!(
        connections.contains(&format!("postgres: \"postgres://{USER}:${{env:{variable}}}@127.0.0.1:")),
        "{connections}"
    );
    for secret in [PASSWORD, "correct%20horse"] {
        assert!(!shop.written().contains(secret) && !ran.out.contains(secret), "{}{}", shop.written(), ran.out);
    }
    shop.project.weir(&["validate", "sale.yaml"]).ended(0, "is valid");
    shop.project.weir(&["test", "sale.yaml"]).ended(0, "2 cases, all ok");
    let run = shop.project.command(&["run", "sale.yaml"]).env(&variable, PASSWORD).output().unwrap();
    Ran::of(run).ended(0, "done: `sale`");
    // The same database, once more: its connection is known, even where its password is not set.
    let again = shop.project.weir(&["init", &format!("{}/shop.line", shop.url)]);
    again.ended(0, "wrote line.yaml, sql/line.sql and sql/line.test.yaml\n");
    assert_eq!(shop.read("weir.yaml"), connections);
    let task = shop.read("line.yaml");
    assert!(task.contains(&format!("connection: {name}, table: shop.line}}")), "{task}");
    assert!(task.contains("unique: [number, sale]") && task.contains("missing_number"), "{task}");
}

#[test]
fn a_url_of_another_database_is_shown_for_the_weir_yaml_that_is_there() {
    let shop = Shop::new(SALES);
    let there = "connections: {other: {postgres: 'postgres://127.0.0.1/other'}}\n";
    shop.project.file("weir.yaml", there);
    let ran = shop.weir(&["init", &format!("{}/shop.sale", shop.url)]);
    ran.ended(0, "weir.yaml is there already: add to it, under `connections`:");
    assert_eq!(shop.read("weir.yaml"), there);
    let entry: Vec<&str> = ran.out.lines().skip_while(|line| !line.contains("under `connections`")).collect();
    shop.project.file("weir.yaml", format!("connections:\n{}\n{}\n", entry[1], entry[2]));
    shop.project.weir(&["validate", "sale.yaml"]).ended(0, "is valid");
}

#[test]
fn several_tables_and_files_are_one_task() {
    let shop = Shop::with_connection(SALES);
    shop.project.file("people.csv", "id,name\n1,Ann\n");
    let arguments = ["init", "shop:shop.sale", "shop:shop.paid", "people.csv"];
    shop.weir(&arguments).ended(2, "a task of several tables needs a name");
    let named = [&arguments[..], &["--name", "all", "--folder", "."]].concat();
    let ran = shop.weir(&named);
    ran.ended(0, "run it on the sample and on shop: shop.sale and shop: shop.paid; then on the whole file:");
    shop.project.weir(&["validate", "all.yaml"]).ended(0, "`all` is valid: 3 sources");
    shop.project.weir(&["test", "all.yaml"]).ended(0, "6 cases, all ok");
    shop.weir(&["run", "all.yaml"]).ended(0, "done: `all`");
    assert_eq!(shop.project.rows("out/paid"), ["id,price", "1,10.50"]);
    assert_eq!(shop.project.rows("out/people"), ["id,name", "1,Ann"]);
    let twice = ["init", "shop:shop.sale", "shop:shop.sale", "--name", "twice"];
    shop.weir(&twice).ended(2, "two of the tables have the name `sale`");
}

#[test]
fn views_partitioned_and_foreign_tables_are_tables() {
    let shop = Shop::with_connection(
        "create table part (at date not null, n integer) partition by range (at);
         create table part_2024 partition of part for values from ('2024-01-01') to ('2025-01-01');
         insert into part values ('2024-05-05', 7);
         create view \"My View\" as select * from part;
         create materialized view kept as select * from part;
         create extension file_fdw; create server files foreign data wrapper file_fdw;
         create foreign table far (line text) server files options (filename '/etc/hostname');",
    );
    for (table, name, key) in
        [("part", "part", true), ("My View", "my_view", false), ("kept", "kept", false), ("far", "far", false)]
    {
        shop.weir(&["init", &format!("shop:{table}")]).ended(0, &format!("wrote {name}.yaml"));
        let task = format!("{name}.yaml");
        assert_eq!(shop.read(&task).contains("not_null"), key, "{}", shop.read(&task));
        shop.project.weir(&["test", &task]).ended(0, "2 cases, all ok");
        shop.weir(&["run", &task]).ended(0, &format!("done: `{name}`"));
    }
}

#[test]
fn columns_without_a_right_are_told_and_left_out() {
    let cluster = Cluster::shared();
    let shop = Shop::new(SALES);
    let user = format!("reader_{}", shop.database());
    shop.sql(&format!(
        "create role {user} login password 'pw'; grant usage on schema shop to {user};
         grant select (id, price) on shop.sale to {user}; create schema hidden; create table hidden.h (a int);"
    ));
    let url = cluster.url_of(&user, "pw", shop.database());
    let ran = shop.weir(&["init", &format!("{url}/shop.sale")]);
    ran.ended(0, &format!("not read, without a right of `{user}` to: Full Name, weight"));
    let task = shop.read("sale.yaml");
    assert!(task.contains("      price: decimal") && !task.contains("weight: "), "{task}");
    let ran = shop.weir(&["init", &format!("{url}/shop.line")]);
    ran.ended(1, &format!("shop.line: `{user}` has no right to read it"));
    assert!(ran.err.contains(&format!("grant select on \"shop\".\"line\" to \"{user}\"")), "{}", ran.err);
    shop.weir(&["init", &format!("{url}/hidden.h")]).ended(1, "permission denied for schema hidden");
}

#[test]
fn what_is_wrong_with_the_table_or_its_database_is_told() {
    let shop = Shop::with_connection(SALES);
    let refused = |input: &str, code: i32, said: &[&str]| {
        let ran = shop.weir(&["init", input]);
        for said in said {
            ran.ended(code, said);
        }
        assert_eq!(shop.project.left(""), ["weir.yaml"], "{input}");
    };
    let lists = "there are: shop.line, shop.paid, shop.sale";
    refused("shop:sael", 1, &["sael: no such table or view in owner@127.0.0.1", "is it `shop.sale`?", lists]);
    refused("shop:sale", 1, &["is it `shop.sale`?"]);
    refused("shop:shop.sales", 1, &["is it `shop.sale`?"]);
    refused("shop:shop.xyz", 1, &[lists]);
    refused("shpo:shop.sale", 2, &["has no connection `shpo`", "did you mean `shop:shop.sale`?"]);
    refused(&shop.url, 1, &["it names no table", "SCHEMA.TABLE"]);
    refused("sqlserver://ann:secret@db/sales/item", 1, &["only databases of PostgreSQL are supported"]);
    refused("mysql://ann:secret@db/sales", 1, &["it names no table", "DATABASE/TABLE"]);
    refused("postgres://owner:x@127.0.0.1:1/db/item?connect_timeout=1", 1, &["owner@127.0.0.1:1/db"]);
    let wrong = shop.url.replace("correct%20horse", "wrong");
    refused(&format!("{wrong}/shop.sale"), 1, &["password"]);
    refused("no/such:file", 1, &["no/such:file"]);
    let ran = Ran::of(shop.project.command(&["init", "shop:shop.sale"]).output().unwrap());
    ran.ended(2, "weir.yaml:1:32: the environment variable `SHOP` is not set");
}
