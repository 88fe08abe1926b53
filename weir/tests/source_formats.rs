//! Sources of every format and compression, and the checks of their columns.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use parquet::arrow::ArrowWriter;
use support::{Project, TASK};

/// A sink for unreadable lines.
const BROKEN: &str =
    "  broken:\n    from: person.rejected\n    mode: overwrite\n    files: {path: out/broken, format: csv}\n";

fn project() -> Project {
    let project = Project::people();
    project.file("task.yaml", format!("{TASK}{BROKEN}"));
    project.task("max_rejected: 60%, ", "");
    project
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn json_lines_are_read_like_csv() {
    let project = project();
    project.task("in/*.csv\", format: csv", "in/*.jsonl*\", format: jsonl");
    project.file(
        "in/a.jsonl",
        "{\"name\":\"Ann\",\"age\":30}\n\n{\"age\":\"17\",\"name\":\"Bob\"}\n{\"name\":\"Eve\",\"age\":3.5}\n",
    );
    project.file("in/b.jsonl.gz", gzip("{\"name\":\"Lee, \\u0043id\",\"age\":44}\n{\"name\":1"));
    project.run(&[]).ended(0, "invalid_json");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30"]);
    assert_eq!(project.rows("out/bad"), ["name,years,reasons", "Bob,17,too_young"]);
    assert_eq!(
        project.rows("out/broken")[1..],
        [
            "in/a.jsonl,4,\"{\"\"name\"\":\"\"Eve\"\",\"\"age\"\":3.5}\",invalid_age",
            "in/b.jsonl.gz,2,\"{\"\"name\"\":1\",invalid_json",
        ]
    );
}

#[test]
fn compression_is_determined_by_file_names_or_by_the_task() {
    let project = project();
    project.task("in/*.csv", "in/*");
    project.file("in/b.csv.gz", gzip("name,age\nDan,50\n"));
    project.file("in/c.csv.zst", zstd::stream::encode_all(&b"age,name\n60,Eve\n"[..], 1).unwrap());
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30", "Dan,50", "Eve,60"]);
    project.task("in/*\", format: csv", "in/b.*\", format: csv, compression: gzip");
    std::fs::rename(project.path("in/b.csv.gz"), project.path("in/b.data")).unwrap();
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "Dan,50"]);
    project.task(", compression: gzip", "");
    project.run(&[]).ended(1, "in/b.data: is compressed with gzip");
}

#[test]
fn columns_of_parquet_files_are_matched_by_name() {
    let project = project();
    project.task("in/*.csv\", format: csv", "in/*.parquet\", format: parquet");
    project.task("age: integer", "age: {type: integer, header: Age}");
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("Ann"), Some("Bob"), None, Some("Eve")]));
    let ages: ArrayRef = Arc::new(Int64Array::from(vec![30, 17, 40, i64::MAX]));
    let batch = RecordBatch::try_from_iter([("Age", ages), ("name", names)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    project.file("in/a.parquet", writer.into_inner().unwrap());
    project.run(&[]).ended(0, "invalid_age");
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30"]);
    assert_eq!(project.rows("out/bad")[1..], [",40,missing_name", "Bob,17,too_young"]);
    let raw = r#""{""Age"":9223372036854775807,""name"":""Eve""}""#;
    assert_eq!(project.rows("out/broken")[1..], [format!("in/a.parquet,4,{raw},invalid_age")]);
}

/// [`project`], with checks on every column of one CSV file.
fn checked(columns: &str, csv: &str) -> Project {
    let project = project();
    project.task("{name: string, age: integer}", columns);
    project.file("in/a.csv", csv);
    project.file("sql/adult.sql", "select name, age from person");
    project
}

#[test]
fn an_invalid_value_rejects_its_row_with_all_reasons() {
    let project = checked(
        r#"{name: {type: string, not_null: true}, age: {type: integer, accepted_values: [30, 40]}, day: {type: date, format: "%d/%m/%Y", not_null: true}}"#,
        "day,name,age\n31/01/2022,Ann,30\n2022-01-31,,41\n,Bob,\n01/02/2022,Eve,x\n",
    );
    project.file("sql/adult.sql", "select name, age from person where day = date '2022-01-31'");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30"]);
    assert_eq!(
        project.rows("out/broken")[1..],
        [
            "in/a.csv,3,\"2022-01-31,,41\",missing_name;unaccepted_age;invalid_day",
            "in/a.csv,4,\",Bob,\",missing_day",
            "in/a.csv,5,\"01/02/2022,Eve,x\",invalid_age",
        ]
    );
}

#[test]
fn an_invalid_value_can_become_null_and_is_counted() {
    let project = checked(
        "{name: {type: string, accepted_values: [Ann, Bob], on_invalid: set_null}, age: {type: integer, on_invalid: set_null}, id: bigint}",
        "name,age,id\nAnn,30,1\nEve,50,2\nBob,x,3\nEve,y,z\n",
    );
    let ran = project.run(&["--param", "least_age=0"]);
    ran.ended(0, "");
    assert_eq!(project.rows("out/bad")[1..], [",50,missing_name", "Bob,,too_young"]);
    assert_eq!(project.rows("out/broken")[1..], ["in/a.csv,5,\"Eve,y,z\",invalid_id"]);
    let line = ran.out.lines().find(|line| line.contains("unaccepted_name")).unwrap();
    assert!(line.contains("set_null") && line.contains(" 1 ") && line.contains("in/a.csv:3: Eve,50,2"), "{line}");
    let line = ran.out.lines().find(|line| line.contains("invalid_age")).unwrap();
    assert!(line.contains("set_null") && line.contains("in/a.csv:4"), "{line}");
}

#[test]
fn an_invalid_value_can_end_the_run_and_is_not_shown() {
    let project =
        checked("{name: string, age: {type: integer, on_invalid: fail}}", "name,age\n\"A\nnn\",30\nBob,seventeen\n");
    let ran = project.run(&[]);
    ran.ended(1, "in/a.csv:4: column `age`: invalid_age, and the task specifies `on_invalid: fail`");
    assert!(!ran.err.contains("seventeen") && !ran.out.contains("seventeen"));
    assert_eq!(project.left("out"), [""; 0]);
}

#[test]
fn inconsistent_checks_and_files_are_errors_at_their_position() {
    let wrong = |from: &str, to: &str, said: &str| {
        let project = Project::people();
        project.task(from, to);
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    };
    let age = |spec: &str, said: &str| wrong("age: integer", &format!("age: {{{spec}}}"), said);
    age(
        "type: integer, format: \"%d\"",
        "task.yaml:8:34: column `age`: `format` is for dates, times and binary columns",
    );
    age("type: date, format: \"%d/%m\"", "`%d/%m` does not specify exactly the parts of a date");
    age("type: date, format: \"%!\"", "`%!` has an unknown conversion");
    age("type: integer, accepted_values: [1, x]", "column `age`: `x` is not a integer");
    age("type: integer, accepted_values: []", "the list of accepted values is empty");
    age("type: integer, not_null: true, on_invalid: set_null", "`on_invalid: set_null` cannot repair a null");
    wrong(
        "format: csv}\n    columns: {name: s",
        "format: csv, compression: snappy}\n    columns: {name: s",
        "`snappy` is only for Parquet",
    );
    let parquet = "format: parquet, compression: gzip}\n    columns: {name: s";
    wrong(
        "format: csv}\n    columns: {name: s",
        parquet,
        "task.yaml:7:61: Parquet and Avro files specify their own compression",
    );
}

#[test]
fn lists_structs_and_maps_of_parquet_files_are_read_by_the_json_functions_of_sql() {
    let tags: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), None, Some(vec![])]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["Ann", "Bob", "Cid"]));
    let field = Arc::new(Field::new("name", DataType::Utf8, true));
    let user: ArrayRef = Arc::new(StructArray::from(vec![(field, names)]));
    let batch = RecordBatch::try_from_iter_with_nullable([("tags", tags, true), ("user", user, true)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let project = Project::empty();
    project.file("in/a.parquet", writer.into_inner().unwrap());
    project.file(
        "task.yaml",
        "name: t\nsources:\n  src:\n    files: {path: in/a.parquet, format: parquet}\n    columns: {tags: json, user: \
         json}\nmodels: {tag: sql/tag.sql}\nsinks:\n  rows: {from: tag, mode: overwrite, files: {path: out/rows, format: csv}}\n",
    );
    project.file("sql/tag.sql", "select user ->> 'name' as name, unnest(json_array_elements(tags)) as tag from src");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/rows"), ["name,tag", "Ann,1", "Ann,2"]);
    project.task("tags: json", "tags: string");
    let ran = project.run(&[]);
    ran.ended(1, "column `tags` is list of integer in the file, which cannot be read as string");
    ran.ended(1, "declare it as json");
}
