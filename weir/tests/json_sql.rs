//! JSON that SQL builds, and columns of JSON on their way through models into targets of every kind.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;

use parquet::basic::LogicalType;
use parquet::file::reader::{FileReader, SerializedFileReader};
use support::warehouse::Warehouse;
use support::{Project, Ran};
use weir_mysql_testing::Server;

const LINES: &str = r#"id,item,price,at,body
1,a,8192.70,2024-01-01T10:00:00,"{""x"": 1,
 ""y"": [1.50]}"
1,b,1.00,2024-01-01T11:00:00,[]
2,a,2.00,2024-01-01T12:00:00,null
2,a,3.00,2024-01-01T13:00:00,
"#;

const COLUMNS: &str = "{id: integer, item: string, price: 'decimal(18,2)', at: timestamp, body: json}";

/// A task with the models `part` and `m`, which writes `m` in all formats.
fn lines(part: &str, m: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: lines
sources:
  line: {{files: {{path: 'in/*.csv', format: csv}}, columns: {COLUMNS}}}
models: {{part: part.sql, m: m.sql}}
sinks:
  rows: {{from: m, mode: overwrite, publish: always, files: {{file: out/rows.jsonl, format: jsonl}}}}
  csv: {{from: m, mode: overwrite, publish: always, files: {{file: out/rows.csv, format: csv}}}}
  parquet: {{from: m, mode: overwrite, publish: always, files: {{file: out/rows.parquet, format: parquet}}}}
  bad: {{from: m.rejected, mode: overwrite, publish: always, files: {{file: out/bad.csv, format: csv}}}}
"
        ),
    );
    project.file("in/a.csv", LINES);
    project.file("part.sql", part);
    project.file("m.sql", m);
    project
}

/// The lines of JSON that the models give.
#[track_caller]
fn written(part: &str, m: &str) -> Vec<String> {
    let project = lines(part, m);
    project.run(&["--quiet"]).ended(0, "");
    project.text("out/rows.jsonl").lines().map(str::to_owned).collect()
}

const PART: &str = "select id, item, at, body, json_object('price', price, 'at', at, 'body', body) as doc from line";

#[test]
fn documents_of_groups_are_written_as_json_and_a_group_that_cannot_be_built_is_rejected() {
    let m = "select id, json_object_agg(item, doc order by at desc) as items, max(at) as at from part group by id";
    let project = lines(PART, m);
    project.run(&["--quiet"]).ended(0, "");
    let b = r#"{"price":1.00,"at":"2024-01-01T11:00:00","body":[]}"#;
    let a = r#"{"price":8192.70,"at":"2024-01-01T10:00:00","body":{"x": 1, "y": [1.50]}}"#;
    let items = format!("{{\"b\":{b},\"a\":{a}}}");
    let row = format!("{{\"id\":1,\"items\":{items},\"at\":\"2024-01-01T11:00:00\"}}\n");
    assert_eq!(project.text("out/rows.jsonl"), row);
    let of_csv = format!("id,items,at\n1,\"{}\",2024-01-01T11:00:00\n", items.replace('"', "\"\""));
    assert_eq!(project.text("out/rows.csv"), of_csv);
    let file = SerializedFileReader::new(File::open(project.path("out/rows.parquet")).unwrap()).unwrap();
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    assert_eq!(schema.column(1).logical_type_ref(), Some(&LogicalType::Json));
    let bad = project.text("out/bad.csv");
    assert!(bad.contains("2,,2024-01-01T13:00:00,invalid_value: a key of json_object_agg is repeated"), "{bad}");
}

#[test]
fn what_is_json_stays_json_through_models() {
    let of_first = |expected: &str| vec![format!("{{\"v\":{expected}}}")];
    let document = r#"{"x": 1, "y": [1.50]}"#;
    let quoted = r#""{\"x\": 1,\n \"y\": [1.50]}""#;
    let part = "select id, item, body, body -> 'y' as y from line where item = 'a' and id = 1";
    assert_eq!(written(part, "select body as v from part"), of_first(document));
    assert_eq!(written(part, "select y as v from part"), of_first("[1.50]"));
    // A table that two read is kept.
    assert_eq!(written(part, "select a.body as v from part as a join part as b on a.id = b.id"), of_first(document));
    let unions = "select body as v from part union all select y from part where id > 1";
    assert_eq!(written(part, unions), of_first(document));
    assert_eq!(written(part, "select first_value(body order by id) as v from part"), of_first(document));
    assert_eq!(written(part, "select unnest(json_array_elements(y)) as v from part"), of_first("1.50"));
    let each = "select e['value'] as v from (select unnest(json_each(body)) as e from part) where e['key'] = 'y'";
    assert_eq!(written(part, each), of_first("[1.50]"));
    assert_eq!(
        written(part, "select to_json(json_each(body)) as v from part"),
        of_first(r#"[{"key":"x","value":1},{"key":"y","value":[1.50]}]"#)
    );
    // What is computed of it is text, until it is cast.
    assert_eq!(written(part, "select cast(body as varchar) as v from part"), of_first(quoted));
    assert_eq!(written(part, "select coalesce(body, '{}') as v from part"), of_first(quoted));
    assert_eq!(written(part, "select cast(coalesce(body, '{}') as json) as v from part"), of_first(document));
    assert_eq!(written(part, "select max(body)::json as v from part"), of_first(document));
    assert_eq!(written(part, "select max(body) as v from part"), of_first(quoted));
}

#[test]
fn a_text_that_is_not_json_cannot_be_cast_to_it() {
    let project = lines("select id, item, body ->> 'x' as x from line", "select id, item::json as v, x from part");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(project.text("out/rows.jsonl"), "");
    assert!(project.text("out/bad.csv").contains("the text is not JSON: expected value at line 1 column 1"));
    project.file(
        "m.sql",
        "select id, lag(body, 1, 'none') over (order by id) as v from line where id in (select id from part)",
    );
    project.run(&["--quiet"]).ended(2, "the value is JSON, and what replaces it is text");
}

#[test]
fn parameters_and_rules_have_json() {
    let project = lines(PART, "select id, $extra -> 'a' as v, json_array($extra) as w from part");
    project.task(
        "models:",
        "params: {extra: {type: json, default: '{\"a\": [1.0]}'}}\nquality: {m: {reject_unless: {one: \"cast(w ->> 0 as json) ->> 'a' = '[1.0]'\"}}}\nmodels:",
    );
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(project.text("out/rows.jsonl").lines().next().unwrap(), r#"{"id":1,"v":[1.0],"w":[{"a": [1.0]}]}"#);
}

#[test]
fn a_given_model_of_a_test_has_its_json() {
    let project = lines(PART, "select id, json_array_agg(doc order by at) as docs from part group by id");
    project.file(
        "m.test.yaml",
        r#"
documents:
  given:
    part: [{id: 1, at: 2024-01-01T10:00:00, doc: '{"a": 1.50}'}, {id: 1, at: 2024-01-01T09:00:00, doc: 'null'}]
  expect:
    m: [{id: 1, docs: '[null,{"a": 1.50}]'}]
"#,
    );
    let ran = project.weir(&["test", "--task-config", "task.yaml"]);
    ran.ended(0, "");
    assert!(ran.out.contains("1 case, all ok"), "{}", ran.out);
}

fn table(of: &str, more: &str) -> String {
    format!(
        "name: t
sources:
  row: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{id: integer, body: json}}}}
models: {{t: stock.sql}}
sinks:
  t: {{from: t, mode: merge, primary_key: [id], {of}: {{connection: warehouse, table: t, create: true{more}}}}}
  refused: {{from: t.rejected, mode: overwrite, publish: always, files: {{file: out/refused.csv, format: csv}},
    columns: [id, reasons]}}
"
    )
}

const MODEL: &str = "select id, body, json_object('id', id, 'price', cast(8192.70 as decimal(18,2))) as doc from row";

/// Rows with documents: spaces, keys in another order, a number with a zero at its end, null.
const ROWS: &str = "id,body\n1,\"{\"\"b\"\": 1.50,  \"\"a\"\": [\"\"é\"\"]}\"\n2,\n3,null\n";

#[test]
fn a_created_table_of_postgresql_has_jsonb_and_rows_that_are_the_same_are_unchanged() {
    let warehouse = Warehouse::with(&table("postgres", ""), MODEL);
    warehouse.project.file("in/a.csv", format!("{ROWS}4,\"\"\"\\u0000\"\"\"\n"));
    warehouse.run().ended(0, "3 inserted");
    let types = "select string_agg(pg_typeof(body) || ' ' || pg_typeof(doc), ',') from t where id = 1";
    assert_eq!(warehouse.sql(types), "jsonb jsonb");
    assert_eq!(warehouse.sql("select body, doc->'price' from t where id = 1"), r#"{"a": ["é"], "b": 1.50}|8192.70"#);
    assert_eq!(warehouse.project.text("out/refused.csv"), "id,reasons\n4,body_unfit_for_t\n");
    warehouse.run().ended(0, "0 inserted, 0 updated, 3 unchanged");
    let other = ROWS.replace("1.50", "1.51");
    warehouse.project.file("in/a.csv", other);
    warehouse.run().ended(0, "0 inserted, 1 updated, 2 unchanged");
    assert_eq!(warehouse.tables(), "public.t");
}

#[test]
fn tables_of_postgresql_that_exist_keep_their_types_and_get_jsonb_in_new_columns() {
    let warehouse = Warehouse::with(&table("postgres", ", schema_changes: add"), MODEL);
    warehouse.sql("create table t (id int primary key, body text)");
    warehouse.project.file("in/a.csv", ROWS);
    warehouse.run().ended(0, "3 inserted");
    let types = "select string_agg(pg_typeof(body) || ' ' || pg_typeof(doc), ',') from t where id = 1";
    assert_eq!(warehouse.sql(types), "text jsonb");
    assert_eq!(warehouse.sql("select body from t where id = 1"), r#"{"b": 1.50,  "a": ["é"]}"#);
    warehouse.run().ended(0, "0 inserted, 0 updated, 3 unchanged");
    // A type that knows no equality.
    warehouse.sql("alter table t alter body type json using body::json");
    warehouse.run().ended(0, "0 inserted, 0 updated, 3 unchanged");
}

#[test]
fn histories_and_sources_without_a_model_get_jsonb_too() {
    let task = table("postgres", "").replace("mode: merge, primary_key: [id]", "mode: scd2, primary_key: [id]");
    let warehouse = Warehouse::with(&task, MODEL);
    warehouse.project.file("in/a.csv", ROWS);
    warehouse.run().ended(0, "3 inserted");
    assert_eq!(warehouse.sql("select distinct pg_typeof(body), pg_typeof(doc) from t"), "jsonb|jsonb");
    warehouse.run().ended(0, "0 inserted");

    let task = "name: t
sources:
  row: {files: {path: 'in/*.csv', format: csv}, columns: {id: integer, body: json}}
sinks:
  t: {from: row, mode: overwrite, postgres: {connection: warehouse, table: t, create: true}}
";
    let warehouse = Warehouse::with(task, "");
    warehouse.project.file("in/a.csv", ROWS);
    warehouse.run().ended(0, "done");
    assert_eq!(warehouse.sql("select distinct pg_typeof(body) from t"), "jsonb");
}

/// A database of MariaDB, and a project with a task that uses it.
struct Shop {
    project: Project,
    database: String,
}

impl Shop {
    fn new(task: &str, sql: &str) -> Self {
        let shop = Self { project: Project::empty(), database: Server::shared().new_database() };
        shop.project.file("task.yaml", task);
        shop.project.file("stock.sql", sql);
        shop.project.file("weir.yaml", "connections: {warehouse: {mysql: '${env:SHOP}'}}");
        shop
    }

    fn run(&self) -> Ran {
        let mut command = self.project.command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
        Ran::of(command.env("SHOP", Server::shared().url(&self.database)).output().unwrap())
    }

    fn sql(&self, sql: &str) -> String {
        Server::shared().sql(&self.database, sql)
    }
}

#[test]
fn a_created_table_of_mariadb_has_json_and_rows_that_are_the_same_are_unchanged() {
    let shop = Shop::new(&table("mysql", ""), MODEL);
    shop.project.file("in/a.csv", ROWS);
    shop.run().ended(0, "3 inserted");
    let checked = "select count(*) from information_schema.check_constraints
                   where constraint_schema = database() and check_clause like 'json_valid%'";
    assert_eq!(shop.sql(checked), "2");
    let value = "select json_value(body, '$.b'), json_value(doc, '$.price') from t where id = 1";
    assert_eq!(shop.sql(value), "1.50\t8192.70");
    shop.run().ended(0, "0 inserted, 0 updated, 3 unchanged");
    shop.project.file("in/a.csv", ROWS.replace("1.50", "1.51"));
    shop.run().ended(0, "0 inserted, 1 updated, 2 unchanged");
    // What the server does not take as JSON is rejected, as deep as it may be.
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let other = Shop::new(&table("mysql", ""), MODEL);
    other.project.file("in/a.csv", format!("id,body\n1,[]\n2,{deep}\n"));
    let is_valid = other.sql(&format!("select json_valid('{deep}')")) == "1";
    other.run().ended(0, if is_valid { "2 inserted" } else { "1 inserted" });
}

#[test]
fn json_of_databases_is_json() {
    let task = |of: &str| {
        format!(
            "name: t
sources:
  row: {{{of}: {{connection: warehouse, table: t}}, columns: {{id: integer, body: json}}}}
models: {{m: stock.sql}}
sinks:
  rows: {{from: m, mode: overwrite, files: {{file: out/rows.jsonl, format: jsonl}}}}
"
        )
    };
    let model = "select id, body, json_array(body) as docs from row";
    let expected = "{\"id\":1,\"body\":{\"a\": [1.50]},\"docs\":[{\"a\": [1.50]}]}\n";
    let table = r#"create table t (id int, body json); insert into t values (1, '{"a": [1.50]}')"#;

    let warehouse = Warehouse::with(&task("postgres"), model);
    warehouse.sql(&table.replace(" json", " jsonb"));
    warehouse.run().ended(0, "done");
    assert_eq!(warehouse.project.text("out/rows.jsonl"), expected);

    let shop = Shop::new(&task("mysql"), model);
    shop.sql(table);
    shop.run().ended(0, "done");
    assert_eq!(shop.project.text("out/rows.jsonl"), expected);
}
