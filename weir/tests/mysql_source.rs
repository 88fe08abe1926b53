//! Sources that read tables of a real MariaDB server.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;

use support::{Project, Ran};
use weir_mysql_testing::Server;

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
    ran.ended(0, "not read");
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
