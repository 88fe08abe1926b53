//! `weir profile`: the measures of files and sources, as JSON, as a table and as a page.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use support::{Project, Ran};
use weir_postgres_testing::Cluster;

/// Loans of whom some are not paid back: mostly those of people with a low income, which some do not tell.
fn loans(rows: usize) -> String {
    let row = |row: usize| {
        let income = 1_000 + row * 7_919 % 9_000;
        let late = u8::from(income < 3_000 && !row.is_multiple_of(3));
        let told = if row.is_multiple_of(10) { "NA".to_owned() } else { income.to_string() };
        let name = ["Ann", "ann", "Bob", " Cid"][row % 4];
        format!("{row},{late},{told},{name},2024-01-{:02},{}\n", 1 + row % 28, row % 9)
    };
    "id,late,income,name,day,class\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

fn project() -> Project {
    let project = Project::empty();
    project.file("loans.csv", loans(2_000));
    project
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

fn column<'a>(profile: &'a Value, name: &str) -> &'a Value {
    profile["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap()
}

fn codes(column: &Value) -> Vec<&str> {
    column["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

#[test]
fn a_file_has_its_measures_as_json() {
    let profile = json(&project().weir(&["profile", "loans.csv", "--json"]));
    assert_eq!((&profile["version"], &profile["rows"], &profile["passes"]), (&1.into(), &2_000.into(), &2.into()));
    assert_eq!((&profile["source"], &profile["types_from"]), (&"loans.csv".into(), &"guessed".into()));
    let id = column(&profile, "id");
    assert_eq!((&id["type"], &id["min"], &id["max"]), (&"bigint".into(), &"0".into(), &"1999".into()));
    assert_eq!(codes(id), ["unique"]);
    assert_eq!(id["distribution"]["quantiles"][3]["value"], "999");
    let day = column(&profile, "day");
    assert_eq!(
        (&day["kind"], &day["max"], &day["distinct"]["count"]),
        (&"time".into(), &"2024-01-28".into(), &28.into())
    );
    let name = column(&profile, "name");
    assert_eq!(codes(name), ["blanks", "case_duplicates"]);
    assert_eq!(name["top"]["values"][0], serde_json::json!({"value": " Cid", "count": 500}));
    assert_eq!(profile["correlations"]["columns"], serde_json::json!(["id", "late", "class"]));
}

#[test]
fn a_word_for_null_among_numbers_is_named_and_the_option_makes_it_null() {
    let project = project();
    let ran = project.weir(&["profile", "loans.csv"]);
    ran.ended(0, "income: `NA` 200 times in a column of numbers: probably a null; `--null-value NA`");
    let profile = json(&project.weir(&["profile", "loans.csv", "--json", "--null-value", "NA"]));
    let income = column(&profile, "income");
    assert_eq!((&income["type"], &income["nulls"]), (&"bigint".into(), &200.into()));
}

#[test]
fn numbers_with_exponents_are_numbers() {
    let project = Project::empty();
    project.file("rates.csv", "rate,code\n7.96E-05,007\n0.5,12\n1e3,1\n");
    let profile = json(&project.weir(&["profile", "rates.csv", "--json"]));
    assert_eq!(
        (&column(&profile, "rate")["type"], &column(&profile, "rate")["max"]),
        (&"double".into(), &"1000".into())
    );
    assert_eq!(column(&profile, "code")["type"], "string");
}

#[test]
fn columns_are_compared_with_a_target_of_a_file_and_of_a_typed_source() {
    let project = project();
    project.file(
        "task.yaml",
        "name: loans
sources:
  loan:
    files: {path: loans.csv, format: csv}
    null_values: [NA]
    columns:
      id: bigint
      late: {type: boolean, true_values: ['1'], false_values: ['0']}
      income: bigint
      name: string
      day: date
      class: integer
sinks: {loan: {from: loan, mode: overwrite, files: {path: out, format: csv}}}
",
    );
    let of_file = json(&project.weir(&["profile", "loans.csv", "--null-value", "NA", "--target", "late", "--json"]));
    let of_task = json(&project.weir(&["profile", "loan", "--task-config", "task.yaml", "--target", "late", "--json"]));
    assert_eq!((&of_file["passes"], &of_task["passes"]), (&2.into(), &2.into()));
    assert_eq!(of_task["types_from"], "declared");
    for (profile, classes) in [(&of_file, ["0", "1"]), (&of_task, ["false", "true"])] {
        let target = &profile["target"];
        assert_eq!(target["classes"], serde_json::json!(classes));
        assert_eq!(target["columns"][0]["name"], "income");
        let groups = target["columns"][0]["groups"].as_array().unwrap();
        let rows: u64 = groups.iter().map(|group| group["rows"].as_u64().unwrap()).sum();
        assert_eq!((rows, groups.last().unwrap()["label"].is_null()), (2_000, true));
        assert_eq!(groups[8]["shares"][1], 0.0);
    }
    assert_eq!(of_file["target"]["columns"], of_task["target"]["columns"]);
}

#[test]
fn standard_input_a_pattern_and_a_folder_are_read() {
    let project = Project::empty();
    project.file("in/a.csv", "n,t\n1,x\n2,y\n");
    project.file("in/b.csv", "n,t\n3,z\n");
    for source in ["in", "in/*.csv", "in/?.csv"] {
        let profile = json(&project.weir(&["profile", source, "--json"]));
        assert_eq!((&profile["rows"], &profile["source"]), (&3.into(), &source.into()));
    }
    let mut command = project.command(&["profile", "-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"n,t\n1,x\n2,y\n").unwrap();
    let profile = json(&Ran::of(child.wait_with_output().unwrap()));
    assert_eq!((&profile["rows"], &profile["source"]), (&2.into(), &"standard input".into()));
}

#[test]
fn json_lines_and_the_files_that_a_run_writes_are_read() {
    let project = Project::empty();
    project.file("rows.jsonl", "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 2.5, \"c\": true}\n");
    let profile = json(&project.weir(&["profile", "rows.jsonl", "--json"]));
    assert_eq!((&profile["rows"], &profile["passes"]), (&2.into(), &3.into()));
    assert_eq!((&column(&profile, "a")["max"], &column(&profile, "c")["nulls"]), (&"2.5".into(), &1.into()));
    project.file(
        "task.yaml",
        "name: t\nsources:\n  row:\n    files: {path: rows.jsonl, format: jsonl}\n    columns: {a: double, b: string, \
         c: boolean}\nsinks: {row: {from: row, mode: overwrite, files: {file: rows.parquet, format: parquet}}}\n",
    );
    project.weir(&["run", "task.yaml"]).ended(0, "done");
    let profile = json(&project.weir(&["profile", "rows.parquet", "--json", "--target", "a"]));
    assert_eq!((&profile["types_from"], &profile["passes"]), (&"file".into(), &2.into()));
}

#[test]
fn a_table_of_a_server_is_read_in_its_types() {
    let project = Project::empty();
    let url = Cluster::shared().database();
    let database = url.rsplit('/').next().unwrap();
    Cluster::shared().sql(
        database,
        "create table loan (id bigint primary key, late boolean, income numeric(12,2), at timestamptz);
         insert into loan select i, i % 7 = 0, i * 1.5, '2024-01-01Z'::timestamptz + i * interval '1 day'
         from generate_series(1, 500) i; insert into loan (id) values (501);",
    );
    let profile = json(&project.weir(&["profile", &format!("{url}/public.loan"), "--json", "--target", "late"]));
    assert_eq!((&profile["rows"], &profile["types_from"]), (&501.into(), &"database".into()));
    let income = column(&profile, "income");
    assert_eq!(
        (&income["type"], &income["max"], &income["nulls"]),
        (&"decimal(12,2)".into(), &"750.00".into(), &1.into())
    );
    assert_eq!(column(&profile, "at")["min"], "2024-01-02 00:00:00Z");
    assert_eq!(profile["target"]["without"], 1);
    assert!(project.left("").is_empty(), "{:?}", project.left(""));
}

#[test]
fn a_table_of_mysql_is_read_and_its_password_is_written_nowhere() {
    let project = Project::empty();
    let url = weir_mysql_testing::Server::shared().database();
    let database = url.rsplit('/').next().unwrap();
    let sql = "create table loan (id int primary key, late boolean, note varchar(20));
               insert into loan values (1, 0, 'a'), (2, 1, null), (3, 0, 'b')";
    weir_mysql_testing::Server::shared().sql(database, sql);
    let ran = project.weir(&["profile", &format!("{url}/loan"), "--json", "--output", "page.html"]);
    let profile = json(&ran);
    assert_eq!((&profile["rows"], &column(&profile, "note")["nulls"]), (&3.into(), &1.into()));
    for text in [&ran.out, &project.text("page.html")] {
        assert!(!text.contains(weir_mysql_testing::PASSWORD));
    }
    assert_eq!(project.left(""), ["page.html"]);
    let ran = project.weir(&["profile", &format!("{url}/loan"), "--null-value", "NA"]);
    ran.ended(2, "--null-value is not for tables, whose nulls are known");
}

#[test]
fn an_interrupted_profile_leaves_neither_a_page_nor_what_it_kept() {
    let project = Project::empty();
    project.file("tmp/keep", "");
    let mut command = project.command(&["profile", "-"]);
    command.env("TMPDIR", project.path("tmp")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"n,t\n1,x\n").unwrap();
    while project.left("tmp").len() == 1 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    Ran::of(child.wait_with_output().unwrap()).ended(1, "interrupted");
    drop(input);
    assert_eq!((project.left("tmp"), project.left("")), (vec!["keep".to_owned()], vec!["tmp".to_owned()]));
}

#[test]
fn the_page_has_every_column_and_needs_no_other_file() {
    let project = project();
    let ran = project.weir(&["profile", "loans.csv", "--target", "late", "--null-value", "NA"]);
    ran.ended(0, "wrote loans.profile.html");
    let html = project.text("loans.profile.html");
    for part in
        ["Profile of loans.csv", "prefers-color-scheme: dark", "Relation to late", "Correlations", "Histogram of id"]
    {
        assert!(html.contains(part), "{part}");
    }
    let without_names = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for foreign in ["http:", "https:", "//cdn", "<script", "@import", "url(", "src=", "NaN"] {
        assert!(!without_names.contains(foreign), "{foreign}");
    }
    let (contents, rest) = html.split_once("<nav").unwrap().1.split_once("</nav>").unwrap();
    let links: Vec<&str> = contents.split("href=\"#").skip(1).map(|link| link.split('"').next().unwrap()).collect();
    let sections: Vec<&str> = rest.split("<section id=\"").skip(1).map(|of| of.split('"').next().unwrap()).collect();
    assert_eq!(links, sections);
    assert_eq!(sections.len(), 3 + 6);
    assert_eq!(rest.matches("<table").count(), rest.matches("<caption").count());
    assert_eq!(rest.matches("<svg").count(), rest.matches("role=\"img\" aria-label=\"").count());
}

#[test]
fn values_are_text_on_the_page() {
    let project = Project::empty();
    project.file("rows.csv", "<b>&name,x\n<script>alert(1)</script>,1\n\"\"\"><i>\",2\n");
    project.weir(&["profile", "rows.csv"]).ended(0, "wrote rows.profile.html");
    let html = project.text("rows.profile.html");
    assert!(html.contains("&lt;script&gt;alert(1)") && html.contains("&lt;b&gt;&amp;name"));
    assert!(!html.contains("<script>") && !html.contains("<b>&name") && !html.contains("<i>\""));
}

#[test]
fn without_values_neither_page_nor_json_nor_terminal_has_any() {
    let project = Project::empty();
    project.file("people.csv", "name,late\nAnn Secret,1\nann secret,0\nAnn Secret,1\nBob Secret,0\n");
    let ran = project.weir(&["profile", "people.csv", "--no-values", "--target", "late"]);
    ran.ended(0, "1 value equal to another one but for upper and lower case");
    let json = project.weir(&["profile", "people.csv", "--no-values", "--target", "late", "--json"]);
    for text in [&ran.out, &json.out, &project.text("people.profile.html")] {
        assert!(!text.to_lowercase().contains("secret"), "{text}");
    }
}

#[test]
fn a_log_has_no_values() {
    let project = Project::empty();
    project.file("people.csv", "name\nAnn Secret\nann secret\n");
    let mut command = project.command(&["profile", "people.csv"]);
    let ran = Ran::of(command.env_remove("WEIR_SHOW_VALUES").output().unwrap());
    ran.ended(0, "wrote people.profile.html");
    assert!(!ran.out.to_lowercase().contains("secret"), "{}", ran.out);
}

#[test]
fn only_pages_of_profiles_are_overwritten() {
    let project = project();
    project.file("mine.html", "<p>mine</p>");
    let ran = project.weir(&["profile", "loans.csv", "--output", "mine.html"]);
    ran.ended(2, "mine.html exists, and is no page of a profile: it is not overwritten");
    assert_eq!(project.text("mine.html"), "<p>mine</p>");
    project.weir(&["profile", "loans.csv", "--output", "page.html"]).ended(0, "wrote page.html");
    project.weir(&["profile", "loans.csv", "--output", "page.html"]).ended(0, "wrote page.html");
    project.weir(&["profile", "loans.csv", "--output", "no/page.html"]).ended(2, "name a file in a writable folder");
    assert_eq!(project.left("").iter().filter(|name| name.starts_with('.')).count(), 0);
}

#[test]
fn what_cannot_be_profiled_is_told_with_what_to_do() {
    let project = project();
    project.file("empty.csv", "");
    project.file("header.csv", "a,b\n");
    project.file("archive.csv", b"PK\x03\x04rest");
    project.file(
        "task.yaml",
        "name: t\nsources:\n  loan:\n    files: {path: loans.csv, format: csv}\n    columns: {id: bigint}\n    \
         unknown_columns: ignore\nsinks: {loan: {from: loan, mode: overwrite, files: {path: out, format: csv}}}\n",
    );
    for (arguments, code, message, help) in [
        (&["empty.csv"][..], 1, "empty.csv: is empty", "at least a header line or a row"),
        (&["header.csv"], 1, "header.csv: has no rows", "name data with at least one row"),
        (&["archive.csv"], 1, "archive.csv: is a zip archive", "unpack it"),
        (&["none.csv"], 1, "none.csv: No such file", "name a file or a folder"),
        (&["none*.csv"], 1, "none*.csv: no file matches", "name files that exist"),
        (&["loans.csv", "--target", "lat"], 2, "loans.csv has no column `lat`", "did you mean `late`?"),
        (&["loans.csv", "--target", "day"], 2, "column `day` is of type date", "choose another --target"),
        (&["lona", "--task-config", "task.yaml"], 2, "task `t` has no source `lona`", "did you mean `loan`?"),
        (
            &["loan", "--task-config", "task.yaml", "--null-value", "NA"],
            2,
            "--null-value is not for the sources",
            "leave it out",
        ),
        (&["loans.csv", "--env", "prod"], 2, "--task-config", ""),
    ] {
        let ran = project.weir(&[&["profile"], arguments].concat());
        ran.ended(code, message);
        ran.ended(code, help);
    }
    assert!(!project.path("empty.profile.html").exists() && !project.path("loans.profile.html").exists());
}

#[test]
fn records_that_cannot_be_read_are_counted() {
    let project = Project::empty();
    project.file("rows.csv", "a,b\n1,2\n3\n4,5\n6,7\n");
    let ran = project.weir(&["profile", "rows.csv"]);
    ran.ended(0, "1 record could not be read: too_few_fields (1)");
    assert!(project.text("rows.profile.html").contains("1 record could not be read"));
}

#[test]
fn a_footer_is_no_row_and_costs_a_pass() {
    let project = Project::empty();
    let rows: String = (0..100_000).map(|row| format!("{row},x{row}\n")).collect();
    project.file("rows.csv", format!("id,name\n{rows}100000 rows\n"));
    let profile = json(&project.weir(&["profile", "rows.csv", "--json", "--target", "id"]));
    assert_eq!((&profile["rows"], &profile["passes"]), (&100_000.into(), &3.into()));
    assert_eq!((&column(&profile, "id")["type"], &profile["unreadable"]["records"]), (&"bigint".into(), &0.into()));
}

#[test]
fn many_rows_have_estimates_with_their_errors() {
    let project = Project::empty();
    let rows: String = (0..150_000).map(|row| format!("{row},name {}\n", row % 90_000)).collect();
    project.file("rows.csv", format!("id,name\n{rows}"));
    let profile = json(&project.weir(&["profile", "rows.csv", "--json"]));
    let id = column(&profile, "id");
    let distinct = &id["distinct"];
    assert_eq!(distinct["is_exact"], false);
    assert!(
        distinct["least"].as_u64().unwrap() <= 150_000 && distinct["most"].as_u64().unwrap() >= 145_000,
        "{distinct}"
    );
    let error = id["distribution"]["rank_error"].as_f64().unwrap();
    assert!(error > 0.0 && error < 0.01);
    let median: f64 = id["distribution"]["quantiles"][3]["value"].as_str().unwrap().parse().unwrap();
    assert!((median / 150_000.0 - 0.5).abs() < 4.0 * error, "{median}");
    let counts = id["distribution"]["histogram"]["counts"].as_array().unwrap();
    assert_eq!(counts.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), 150_000);
}
