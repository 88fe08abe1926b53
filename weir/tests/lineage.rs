//! `weir lineage`: as text, as JSON, as a Mermaid chart and as a page.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Project, Ran};

/// Orders of customers, with models between, rules and a sink that names columns.
const TASK: &str = r#"
name: orders
params: {least: {type: integer, default: 10}}
sources:
  customer:
    files: {path: in/customers.csv, format: csv}
    columns: {id: bigint, name: string, country: string, note: string}
  item:
    files: {path: in/items.csv, format: csv}
    columns: {customer_id: bigint, amount: bigint, paid: boolean}
  country:
    files: {path: in/countries.csv, format: csv}
    columns: {code: string, name: string}
models: {person: person.sql, total: total.sql}
quality:
  person:
    reject_unless:
      no_name: name <> ''
      no_country: {in: {country: country.code}}
    warn_unless: {no_note: {not_null: note}}
sinks:
  totals: {from: total, mode: overwrite, files: {path: out/totals, format: csv}, columns: [{who: name}, spent, size]}
  bad: {from: person.rejected, mode: overwrite, publish: always, files: {path: out/bad, format: csv}}
  lost: {from: item.rejected, mode: overwrite, publish: always, files: {path: out/lost, format: csv}}
"#;

const PERSON: &str = "select id, upper(name) as name, country, note from customer";

const TOTAL: &str =
    "select p.id, p.name, sum(i.amount) as spent, case when p.country = 'SG' then 'home' else 'away' end as size
from person p join item i on i.customer_id = p.id
where i.paid and (i.amount > $least or $least = 10)
group by p.id, p.name, p.country";

fn project() -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("person.sql", PERSON);
    project.file("total.sql", TOTAL);
    project
}

fn json_of(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|of| of[key] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// `table.column kind+kind` of each.
fn shown(dependencies: &Value) -> Vec<String> {
    let kinds = |of: &Value| {
        of["kinds"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let one = |of: &Value| {
        format!("{}.{} {}", of["table"].as_str().unwrap(), of["column"].as_str().unwrap(), kinds(of).join("+"))
    };
    dependencies.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_task_has_its_lineage_as_text() {
    let ran = project().weir(&["lineage", "task.yaml"]);
    let expected = "task `orders`, environment `default`

`person` <- customer, country
  id      <- customer.id
  name    <- customer.name (transformation)
  country <- customer.country
  note    <- customer.note
  rows depend on customer.name (rule), customer.country (rule), country.code (rule)

`person.rejected` <- customer, country
  id      <- customer.id
  name    <- customer.name (transformation)
  country <- customer.country
  note    <- customer.note
  reasons <- customer.name (condition), customer.country (condition), country.code (condition)
  rows depend on customer.name (rule, error), customer.country (rule), country.code (rule)

`total` <- customer, item, country
  id    <- customer.id
  name  <- customer.name (transformation)
  spent <- item.amount (aggregation)
  size  <- customer.country (condition)
  rows depend on customer.id (join, group), customer.name (group, rule), customer.country (group, rule), item.customer_id (join), item.paid (filter), country.code (rule)

`item.rejected` <- item
  _file   <- no column
  _line   <- no column
  _raw    <- item.customer_id (transformation), item.amount (transformation), item.paid (transformation)
  reasons <- item.customer_id (condition), item.amount (condition), item.paid (condition)
  rows depend on item.customer_id (error), item.amount (error), item.paid (error)

sink `totals` <- total: out/totals
  who <- total.name
  spent <- total.spent
  size <- total.size

sink `bad` <- person.rejected: out/bad

sink `lost` <- item.rejected: out/lost
";
    assert_eq!(ran.out.replace(&format!("{}/", project_folder(&ran.out)), ""), expected, "{ran:?}");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

/// The folder before `out/totals`.
fn project_folder(text: &str) -> String {
    let line = text.lines().find(|line| line.ends_with("/out/totals")).unwrap_or("totals: ./out/totals");
    line.split(": ").nth(1).unwrap().trim_end_matches("/out/totals").to_owned()
}

#[test]
fn json_has_the_tables_that_are_read_and_the_sources() {
    let lineage = json_of(&project().weir(&["lineage", "--task-config", "task.yaml", "--json"]));
    assert_eq!((&lineage["version"], &lineage["task"]), (&1.into(), &"orders".into()));
    assert_eq!(named(&lineage["sources"], "table", "item")["columns"], json!(["customer_id", "amount", "paid"]));
    let total = named(&lineage["tables"], "table", "total");
    assert_eq!((&total["reads"], &total["untraced"]), (&json!(["item", "person"]), &json!([])));
    assert_eq!(total["sources"], json!(["customer", "item", "country"]));
    let (near, far) = (&total["from_tables"], &total["from_sources"]);
    assert_eq!(shown(&named(&near["columns"], "column", "name")["values"]), ["person.name identity"]);
    assert_eq!(shown(&named(&far["columns"], "column", "name")["values"]), ["customer.name transformation"]);
    assert_eq!(
        shown(&near["presence"]),
        [
            "item.customer_id join",
            "item.paid filter",
            "person.id join+group_by",
            "person.name group_by",
            "person.country group_by"
        ]
    );
    assert!(shown(&far["presence"]).contains(&"country.code rule".to_owned()));
    let sink = named(&lineage["sinks"], "sink", "totals");
    assert_eq!((&sink["table"], &sink["columns"][0]), (&"total".into(), &json!({"column": "who", "of": "name"})));
    let who = named(&sink["from_sources"]["columns"], "column", "who");
    assert_eq!(shown(&who["values"]), ["customer.name transformation"]);
}

#[test]
fn one_table_or_one_column_can_be_chosen() {
    let project = project();
    let ran = project.weir(&["lineage", "task.yaml", "--table", "total", "--column", "spent"]);
    assert_eq!(
        ran.out.lines().take(4).map(|line| line.split(" by").next().unwrap()).collect::<Vec<_>>(),
        [
            "task `orders`, environment `default`",
            "",
            "`total` <- customer, item, country",
            "  spent <- item.amount (aggregation)"
        ]
    );
    // A sink, with the names of its columns.
    project.weir(&["lineage", "task.yaml", "--table", "totals", "--column", "who"]).ended(0, "who <- customer.name");
    // What depends on a column of a source.
    let lineage = json_of(&project.weir(&["lineage", "task.yaml", "--json", "--table", "item", "--column", "paid"]));
    let tables: Vec<&Value> = lineage["tables"].as_array().unwrap().iter().map(|of| &of["table"]).collect();
    assert_eq!(tables, ["total", "item.rejected"]);
    let total = &named(&lineage["tables"], "table", "total")["from_sources"];
    assert_eq!((shown(&total["presence"]), &total["columns"]), (vec!["item.paid filter".to_owned()], &json!([])));

    project.weir(&["lineage", "task.yaml", "--table", "totl"]).ended(2, "did you mean `total`?");
    project.weir(&["lineage", "task.yaml", "--table", "total", "--column", "x"]).ended(2, "`total` has no column `x`");
    project.weir(&["lineage", "task.yaml", "--column", "x"]).ended(2, "--table");
    project.weir(&["lineage", "task.yaml", "--json", "--html"]).ended(2, "cannot be used with");
}

#[test]
fn parameters_decide_what_is_read() {
    let project = project();
    let presence = |least: &str| {
        let ran = project.weir(&["lineage", "task.yaml", "--json", "--table", "total", "--param", least]);
        shown(&json_of(&ran)["tables"][0]["from_sources"]["presence"])
    };
    assert!(!presence("least=10").contains(&"item.amount filter".to_owned()));
    assert!(presence("least=11").contains(&"item.amount filter".to_owned()));
}

#[test]
fn keys_and_deletions_of_a_target_decide_about_its_rows() {
    let project = project();
    project.file("weir.yaml", "connections: {shop: {postgres: postgres://nobody@localhost:1/nothing}}");
    project.task(
        "  bad:",
        "  loaded:
    from: total
    mode: merge
    primary_key: [id]
    update_key: spent
    deleted_when: size = 'away'
    postgres: {connection: shop, table: public.total}
  bad:",
    );
    let ran = project.weir(&["lineage", "task.yaml", "--json"]);
    let lineage = json_of(&ran);
    let presence = shown(&named(&lineage["sinks"], "sink", "loaded")["from_sources"]["presence"]);
    assert_eq!(presence[0], "customer.id join+group_by+rule");
    assert!(presence.contains(&"item.amount sort".to_owned()), "{presence:?}");
    assert!(presence.contains(&"customer.country filter+group_by+rule".to_owned()), "{presence:?}");
    project.weir(&["lineage", "task.yaml"]).ended(0, "rows also depend on");
}

#[test]
fn a_chart_has_a_box_for_each_table() {
    let project = Project::people();
    let ran = project.weir(&["lineage", "task.yaml", "--mermaid"]);
    let expected = "flowchart LR
  subgraph t0[\"person\"]
    t0c0[\"name\"]
    t0c1[\"age\"]
  end
  subgraph t1[\"adult\"]
    t1c0[\"name\"]
    t1c1[\"age\"]
    t1c2([\"rows\"])
  end
  subgraph t2[\"adult.rejected\"]
    t2c0[\"name\"]
    t2c1[\"age\"]
    t2c2[\"reasons\"]
    t2c3([\"rows\"])
  end
  t0c0 --> t1c0
  t0c1 --> t1c1
  t0c0 -.-> t1c2
  t0c1 -.-> t1c2
  t0c0 --> t2c0
  t0c1 --> t2c1
  t0c0 --> t2c2
  t0c1 --> t2c2
  t0c0 -.-> t2c3
  t0c1 -.-> t2c3
  s0[(\"good\")]
  t1 ==> s0
  s1[(\"bad\")]
  t2 ==> s1
";
    assert_eq!(ran.out, expected, "{ran:?}");
}

#[test]
fn a_chart_of_many_columns_has_only_tables() {
    let project = Project::empty();
    let columns: Vec<String> = (0..600).map(|at| format!("c{at}")).collect();
    let declared: Vec<String> = columns.iter().map(|name| format!("{name}: bigint")).collect();
    let task = format!(
        "name: wide\nsources: {{row: {{files: {{path: in.csv, format: csv}}, columns: {{{}}}}}}}\nmodels: {{wide: wide.sql}}\n\
         sinks: {{out: {{from: wide, mode: overwrite, files: {{path: out, format: csv}}}}}}\n",
        declared.join(", ")
    );
    project.file("task.yaml", task);
    project.file("wide.sql", format!("select {} from row", columns.join(", ")));
    let ran = project.weir(&["lineage", "task.yaml", "--mermaid"]);
    assert!(ran.out.ends_with("  t0[\"row\"]\n  t1[\"wide\"]\n  t0 --> t1\n  s0[(\"out\")]\n  t1 ==> s0\n"), "{ran:?}");
    let ran = project.weir(&["lineage", "task.yaml", "--mermaid", "--table", "wide", "--column", "c7"]);
    assert!(ran.out.contains("[\"c7\"]") && !ran.out.contains("[\"c8\"]"), "{ran:?}");
}

#[test]
fn a_page_marks_what_a_column_depends_on() {
    let project = project();
    let ran = project.weir(&["lineage", "task.yaml", "--html"]);
    ran.ended(0, "wrote orders.lineage.html");
    let page = project.text("orders.lineage.html");
    for outside in ["<script", "src=", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    // The number of a column on the page.
    let id = |table: &str, column: &str| {
        let (_, section) = page.split_once(&format!("<h2>{table}</h2>")).unwrap();
        let (before, _) = section.split_once(&format!(">{column}</a>")).unwrap();
        before.rsplit("href=\"").next().unwrap().trim_end_matches('"').to_owned()
    };
    let marked = |of: &str| -> Vec<Vec<String>> {
        let rules = page.lines().filter(|line| line.starts_with(&format!("body:has({of}:target)")));
        let ids = |rule: &str| {
            rule.split_once(":is(").unwrap().1.split(')').next().unwrap().split(',').map(str::to_owned).collect()
        };
        rules.map(ids).collect()
    };
    let values = marked(&id("total", "name"))[0].clone();
    assert_eq!(values, [id("Source customer", "name"), id("person", "name")]);
    let presence = marked(&id("total", "name"))[1].clone();
    assert!(presence.contains(&id("Source item", "paid")) && presence.contains(&id("Source country", "code")));
    assert!(!presence.contains(&id("Source customer", "note")) && !presence.contains(&id("Source country", "name")));

    // A page is replaced, any other file is not.
    project.weir(&["lineage", "task.yaml", "--html"]).ended(0, "wrote");
    project.file("other.html", "<p>mine</p>");
    project.weir(&["lineage", "task.yaml", "--html", "--output", "other.html"]).ended(2, "is no page of the lineage");
    assert_eq!(project.text("other.html"), "<p>mine</p>");
}

/// The commands of the guide's chapter, typed into a shell.
#[test]
fn the_commands_of_the_guide_work() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/GUIDE.md")).unwrap();
    let chapter = guide.split("\n## ").find(|chapter| chapter.starts_with("Lineage\n")).unwrap();
    let block = |kind: &str| chapter.split(&format!("```{kind}\n")).nth(1).unwrap().split("```").next().unwrap();
    let project = project();
    project.file("total.sql", block("sql"));
    let programs = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("set -eu\n{}", block("sh"))).current_dir(project.path("")).env("PATH", path);
    for name in ["WEIR_STATE", "WEIR_TASK_CONFIG", "WEIR_ENV", "WEIR_LOG"] {
        shell.env_remove(name);
    }
    let ran = Ran::of(shell.output().unwrap());
    ran.ended(0, block("text"));
    assert!(project.text("lineage.mmd").starts_with("flowchart LR\n"));
    assert!(project.text("orders.lineage.html").contains("<h2>total</h2>"));
}

#[test]
fn plan_names_the_columns() {
    let project = Project::people();
    project.weir(&["plan", "task.yaml"]).ended(0, "  columns:\n    name <- person.name\n    age <- person.age\n");
}

#[test]
fn every_model_of_the_repository_is_traced() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tasks = [
        "pipelines/claims/claims.yaml",
        "pipelines/credit/credit.yaml",
        "pipelines/weekly_sales/weekly_sales.yaml",
        "pipelines/weekly_sales/source/generate.yaml",
        "pipelines/billing/patients.yaml",
        "pipelines/billing/providers.yaml",
        "pipelines/billing/claims.yaml",
        "pipelines/billing/unbilled_claims.yaml",
        "pipelines/billing/fully_covered.yaml",
        "examples/csv_to_parquet/task.yaml",
        "examples/incremental_append/task.yaml",
        "examples/upsert_postgres/task.yaml",
    ];
    for task in tasks {
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.arg("lineage").arg(root.join(task)).arg("--json");
        weir.env("STOCK_DATABASE", "postgres://nobody@localhost:1/nothing");
        let lineage = json_of(&Ran::of(weir.output().unwrap()));
        let tables = lineage["tables"].as_array().unwrap();
        for table in tables {
            assert_eq!(table["untraced"], json!([]), "{task}: {}", table["table"]);
        }
        let sinks = lineage["sinks"].as_array().unwrap();
        assert!(!sinks.is_empty(), "{task}");
    }
}
