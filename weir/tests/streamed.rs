//! A judged table that one model reads is not kept: its accepted rows go straight into that model.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

use support::Project;

const TASK: &str = r#"
name: sales
sources:
  raw_sale:
    files: {path: "in/*.csv", format: csv}
    columns: {id: integer, shop: string, amount: string}
models: {sale: sql/sale.sql, total: sql/total.sql}
quality:
  sale:
    reject_unless:
      missing_shop: {not_null: shop}
      repeated: {unique: id, keep: first by amount}
    warn_unless: {small: amount < 50}
    fail_unless: {one_for_each: {equal_rows: raw_sale}}
    gate: {max_rejected: 60%}
sinks:
  total: {from: total, mode: overwrite, files: {path: out/total, format: csv}}
  total_bad: {from: total.rejected, mode: overwrite, publish: always, files: {path: out/total_bad, format: csv}}
  bad: {from: sale.rejected, mode: overwrite, publish: always, files: {path: out/bad, format: csv}}
  unreadable: {from: raw_sale.rejected, mode: overwrite, publish: always, files: {path: out/unreadable, format: csv}}
"#;

/// The rule about repeated rows is dropped: it has the rows sorted, which reads all of them before the first goes on.
fn plain(task: &str) -> String {
    task.replace("      repeated: {unique: id, keep: first by amount}\n", "")
}

fn sales(task: &str, total: &str) -> Project {
    let project = Project::empty();
    project.file("task.yaml", task);
    project.file("sql/sale.sql", "select id, shop, cast(amount as int) as amount from raw_sale");
    project.file("sql/total.sql", total);
    let mut rows = "id,shop,amount\n".to_owned();
    for id in 0..60_000 {
        let shop = if id % 10 == 9 { "" } else { ["north", "south"][id % 2] };
        let amount = if id == 4_321 { "much".to_owned() } else { (id % 100).to_string() };
        writeln!(rows, "{id},{shop},{amount}").unwrap();
    }
    rows.push_str("7,south,7\n");
    project.file("in/a.csv", rows);
    project
}

const TOTAL: &str = "select shop, count(*) as sales, sum(amount) as amount from sale group by shop";

/// The tables of the report, and the outputs.
fn told(project: &Project) -> (Vec<serde_json::Value>, Vec<Vec<String>>) {
    project.run(&["--quiet", "--report", "report.json"]).ended(0, "");
    let report: serde_json::Value = serde_json::from_str(&project.text("report.json")).unwrap();
    let outputs = ["out/total", "out/total_bad", "out/bad", "out/unreadable"];
    (report["report"]["tables"].as_array().unwrap().clone(), outputs.map(|output| project.rows(output)).to_vec())
}

fn with_second_reader(project: &Project) {
    project.task("total: sql/total.sql}", "total: sql/total.sql, other: sql/other.sql}");
    project.task("sinks:", "sinks:\n  other: {from: other, mode: overwrite, files: {path: out/other, format: csv}}");
    project.file("sql/other.sql", "select count(*) as rows from sale");
}

#[test]
fn counts_rejected_rows_and_results_are_those_of_a_table_that_is_kept() {
    for task in [TASK.to_owned(), plain(TASK)] {
        let sales = |task: &str, total: &str| {
            let project = sales(task, total);
            if task.contains("repeated") {
                // Below a window no row can be rejected alone.
                project.file("sql/sale.sql", "select id, shop, try_cast(amount as int) as amount from raw_sale");
            }
            project
        };
        let streamed = sales(&task, TOTAL);
        streamed.weir(&["plan", "--task-config", "task.yaml"]).ended(0, "streamed into `total`");
        let kept = sales(&task, TOTAL);
        with_second_reader(&kept);
        kept.weir(&["plan", "--task-config", "task.yaml"]).ended(0, "kept for the models that read it");
        let (streamed, kept) = (told(&streamed), told(&kept));
        assert_eq!(streamed.1, kept.1);
        assert_eq!(streamed.1[0][0], "shop,sales,amount");
        assert_eq!(streamed.0.len(), 2, "the source and the judged model: {:?}", streamed.0);
        // Samples are those rows that a reader sees first.
        let counted = |tables: &[serde_json::Value]| -> Vec<String> {
            let reasons = |table: &serde_json::Value| {
                let reasons = table["reasons"].as_array().unwrap().iter();
                reasons.map(|reason| format!("{} {}", reason["name"], reason["rows"])).collect::<Vec<_>>()
            };
            tables
                .iter()
                .map(|table| {
                    let numbers = [&table["table"], &table["rows"], &table["accepted"], &table["rejected"]];
                    format!("{numbers:?} {:?}", reasons(table))
                })
                .collect()
        };
        assert_eq!(counted(&streamed.0), counted(&kept.0));
    }
}

#[test]
fn what_the_reader_does_not_read_is_judged_all_the_same() {
    let project = sales(&plain(TASK), "select id, amount from sale limit 3");
    project.task("max_rejected: 60%", "max_rejected: 60%, min_rows: 60001");
    let (tables, outputs) = told(&project);
    assert_eq!(outputs[0].len(), 4);
    assert_eq!((&tables[1]["rows"], &tables[1]["rejected"]), (&60_001.into(), &6_001.into()));
    assert_eq!(outputs[2].len(), 6_002);
}

#[test]
fn several_tables_in_a_row_are_streamed() {
    let project = sales(&plain(TASK).replace("total: sql/total.sql}", "big: sql/big.sql, total: sql/total.sql}"), "");
    project.file("sql/big.sql", "select * from sale where amount >= 10");
    project.file("sql/total.sql", "select count(*) as sales from (select * from big union all select 0, 'none', 1)");
    project.task("quality:", "quality:\n  big: {reject_unless: {odd: id % 2 = 1}}");
    project.task(
        "sinks:",
        "sinks:\n  big_bad: {from: big.rejected, mode: overwrite, files: {path: out/big_bad, format: csv}}",
    );
    let plan = project.weir(&["plan", "--task-config", "task.yaml"]);
    plan.ended(0, "streamed into `big`");
    plan.ended(0, "streamed into `total`");
    let (tables, outputs) = told(&project);
    let of = |name: &str| tables.iter().find(|table| table["table"] == name).unwrap();
    assert_eq!(outputs[0][1], (of("big")["accepted"].as_u64().unwrap() + 1).to_string());
    assert_eq!(of("big")["rejected"].as_u64().unwrap() as usize + 1, project.rows("out/big_bad").len());
}

#[test]
fn an_error_names_the_table_in_which_it_is() {
    let project = sales(&plain(TASK), "select shop, sum(amount / (amount - 5)) as odd from sale group by shop");
    project.run(&["--quiet"]).ended(1, "table `total`: a row cannot be computed: division by zero");
    let project = sales(TASK, TOTAL);
    let cast = project.run(&["--quiet"]);
    cast.ended(1, "error: table `sale`: a row cannot be computed: Cannot cast string 'much' to value of integer type");
    cast.ended(1, "compute it in a model of its own before that");
    let project = sales(&plain(TASK).replace("warn_unless: {small: amount < 50}", "warn_unless: {}"), TOTAL);
    project.task("fail_unless: {", "fail_unless: {small: amount < 50, ");
    let failed = project.run(&["--quiet"]);
    failed.ended(1, "sale");
    failed.ended(1, "small");
    let published: Vec<_> = project.left("out").into_iter().filter(|name| !name.ends_with("-lock")).collect();
    assert!(published.is_empty(), "{published:?}");
}

#[test]
fn a_join_keeps_its_tables() {
    let joined = "select s.shop, count(*) as sales from sale s join (select distinct shop from raw_sale) r on r.shop = s.shop group by s.shop";
    let project = sales(TASK, joined);
    project.weir(&["plan", "--task-config", "task.yaml"]).ended(0, "kept for the models that read it");
}

#[test]
fn no_lock_is_left_beside_the_folders() {
    let project = sales(&plain(TASK), TOTAL);
    project.run(&["--quiet"]).ended(0, "");
    let names = std::fs::read_dir(project.path("out")).unwrap();
    let names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() == 4 && !names.iter().any(|name| name.starts_with('.')), "{names:?}");
}
