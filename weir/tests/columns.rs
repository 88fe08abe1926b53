//! Columns that some files lack, and columns whose values are not in the records: the file's name, lines, folders.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use support::Project;

/// A task that copies all columns of its source, and keeps the unreadable records.
fn copying(files: &str, columns: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: copy\nsources:\n  src:\n    files: {files}\n    columns: {columns}\nsinks:\n  rows:\n    from: src\n    \
             mode: overwrite\n    files: {{path: out/rows, format: csv}}\n  unreadable:\n    from: src.rejected\n    mode: \
             overwrite\n    publish: always\n    files: {{path: out/unreadable, format: csv}}\n"
        ),
    );
    project
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn csv_files_may_lack_an_optional_column() {
    let columns = "{id: integer, email: {type: string, optional: true}, currency: {type: string, optional: true, default: SGD}, \
                   paid: {type: \"decimal(9,2)\", optional: true, default: 0, not_null: true}}";
    let project = copying("{path: \"in/*.csv\", format: csv}", columns);
    project.file("in/1.csv", "id\n1\n");
    project.file("in/2.csv", "email,id\na@example.com,2\n");
    project.file("in/3.csv", "currency,id,email,paid\nUSD,3,,1.5\n,4,b@example.com,\n");
    project.run(&[]).ended(0, "missing_paid");
    assert_eq!(
        project.rows("out/rows"),
        ["id,email,currency,paid", "1,,SGD,0.00", "2,a@example.com,SGD,0.00", "3,,USD,1.50"]
    );
    project.task("email: {type: string, optional: true}", "email: string");
    let ran = project.run(&[]);
    ran.ended(1, "in/1.csv: column `email` is missing");
    ran.ended(1, "declare email: {type: ..., optional: true}");
}

#[test]
fn a_default_is_the_value_of_rows_that_lack_a_json_key() {
    let columns = "{id: integer, day: {type: date, format: \"%d/%m/%Y\", optional: true, default: 2024-01-31}}";
    let project = copying("{path: \"in/*.jsonl\", format: jsonl}", columns);
    project
        .file("in/a.jsonl", "{\"id\":1,\"day\":\"29/02/2024\"}\n{\"id\":2}\n{\"id\":3,\"day\":null}\n{\"id\":\"x\"}\n");
    project.run(&[]).ended(0, "invalid_id");
    assert_eq!(project.rows("out/rows"), ["id,day", "1,2024-02-29", "2,2024-01-31", "3,"]);
}

#[test]
fn parquet_files_of_several_generations_are_one_source() {
    let columns =
        "{id: bigint, email: {type: string, optional: true}, tier: {type: integer, optional: true, default: 1}}";
    let project = copying("{path: \"in/*.parquet\", format: parquet}", columns);
    let old: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let new: ArrayRef = Arc::new(Int64Array::from(vec![2_i64]));
    let mail: ArrayRef = Arc::new(StringArray::from(vec!["b@example.com"]));
    project.file("in/1.parquet", parquet(vec![("id", old)]));
    project.file("in/2.parquet", parquet(vec![("id", new), ("email", mail)]));
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id,email,tier", "1,,1", "2,b@example.com,1"]);
    project.task("email: {type: string, optional: true}", "email: string");
    project.run(&[]).ended(1, "in/1.parquet: column `email` is missing");
}

#[test]
fn sql_can_read_the_file_the_line_and_the_folders_of_a_row() {
    let columns = "{id: integer, note: string, year: {type: integer, from: folder}, country: {type: string, from: folder, header: \
                   c, optional: true, default: sg}, source_file: {type: string, from: file}, source_line: {type: bigint, \
                   from: line}}";
    let project = copying("{path: \"in/**/*.csv\", format: csv}", columns);
    project.file("in/year=2023/a.csv", "note,id\n\"two\nlines\",1\n\nx,2\n");
    project.file("in/year=2024/c=new%20zealand/a.csv", "id,note\n3,\ny,\n4,\n");
    project.run(&[]).ended(0, "invalid_id");
    let rows = project.rows("out/rows");
    assert_eq!(rows[0], "id,note,year,country,source_file,source_line");
    for row in [
        "lines\",2023,sg,in/year=2023/a.csv,2",
        "2,x,2023,sg,in/year=2023/a.csv,5",
        "3,,2024,new zealand,in/year=2024/c=new%20zealand/a.csv,2",
        "4,,2024,new zealand,in/year=2024/c=new%20zealand/a.csv,4",
    ] {
        assert!(rows.iter().any(|found| found == row), "{row} is not in {rows:?}");
    }
    assert_eq!(project.rows("out/unreadable")[1..], ["in/year=2024/c=new%20zealand/a.csv,3,\"y,\",invalid_id"]);
}

#[test]
fn lines_are_counted_in_every_format_for_any_number_of_blocks() {
    let columns = "{id: bigint, n: {type: bigint, from: line}, f: {type: string, from: file}}";
    let project = copying("{path: \"in/*.jsonl\", format: jsonl}", columns);
    let lines: String = (1..=100_000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    project.file("in/a.jsonl", &lines);
    project.file("in/b.jsonl", &lines);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=100_000_i64));
    project.file("in/a.parquet", parquet(vec![("id", ids)]));
    project.task("from: src\n", "from: wrong\n");
    project.task("sinks:", "models: {wrong: sql/wrong.sql}\nquality: {wrong: {gate: {min_rows: 0}}}\nsinks:");
    project.file("sql/wrong.sql", "select id, n, f from src where id <> n or f not like 'in/%'");
    let ran = project.run(&[]);
    ran.ended(0, "200,000");
    assert_eq!(project.rows("out/rows").len(), 1, "{ran:?}");
    project.task("in/*.jsonl\", format: jsonl", "in/*.parquet\", format: parquet");
    let ran = project.run(&[]);
    ran.ended(0, "100,000");
    assert_eq!(project.rows("out/rows").len(), 1, "{ran:?}");
}

#[test]
fn the_time_of_a_files_last_change_is_a_column() {
    let columns = "{id: bigint, changed: {type: timestamp, from: modified}}";
    let project = copying("{path: \"in/*.csv\", format: csv}", columns);
    project.file("in/a.csv", "id\n1\n");
    let file = std::fs::File::options().write(true).open(project.path("in/a.csv")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400)).unwrap();
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id,changed", "1,1970-01-02T00:00:00"]);
}

#[test]
fn a_folder_that_is_missing_or_has_no_value_of_the_type_is_an_error_and_hives_null_is_null() {
    let project = copying("{path: \"in/**/*.csv\", format: csv}", "{id: integer, year: {type: integer, from: folder}}");
    project.file("in/year=__HIVE_DEFAULT_PARTITION__/a.csv", "id\n1\n");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id,year", "1,"]);
    project.file("in/year=last/a.csv", "id\n1\n");
    project.run(&[]).ended(1, "in/year=last/a.csv: column `year`: the folder `year=last` is not a integer");
    std::fs::remove_dir_all(project.path("in/year=last")).unwrap();
    project.file("in/a.csv", "id\n1\n");
    project.run(&[]).ended(1, "in/a.csv: column `year`: no folder in its path is `year=...`");
}

#[test]
fn a_column_that_only_the_path_has_is_proposed_as_one_of_the_folder() {
    let project = copying("{path: \"in/**/*.csv\", format: csv}", "{id: integer, year: integer}");
    project.file("in/year=2024/a.csv", "id\n1\n");
    project.run(&[]).ended(1, "to take it from the folder, declare year: {type: ..., from: folder}");
}

#[test]
fn keys_of_columns_that_do_not_fit_each_other_are_refused() {
    for (column, said) in [
        ("{type: integer, from: line}", "a column with `from: line` has the type bigint"),
        ("{type: integer, from: file}", "a column with `from: file` has the type string"),
        ("{type: string, from: file, header: x}", "`header` is not for a column with `from: file`"),
        ("{type: bigint, from: line, optional: true}", "`optional` is not for a column with `from: line`"),
        ("{type: string, default: x}", "`default` is the value where files lack the column: add `optional: true`"),
        ("{type: integer, optional: true, default: x}", "its default `x` is not a integer"),
    ] {
        let project = copying("{path: in/a.csv, format: csv}", &format!("{{id: integer, other: {column}}}"));
        project.weir(&["validate", "task.yaml"]).ended(2, said);
    }
}

#[test]
fn a_file_without_content_is_an_error_or_skipped() {
    let project = copying("{path: \"in/*.csv\", format: csv}", "{id: integer}");
    project.file("in/a.csv", "id\n1\n");
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, b"").unwrap();
    project.file("in/b.csv", "");
    project.file("in/c.csv", "\u{feff}");
    let ran = project.run(&[]);
    ran.ended(1, "is empty");
    ran.ended(1, "specify `if_empty: skip`");
    project.task("    columns:", "    if_empty: skip\n    columns:");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id", "1"]);
    for name in ["in/b.csv", "in/c.csv"] {
        std::fs::remove_file(project.path(name)).unwrap();
    }
    project.task("in/*.csv", "in/*.csv*");
    project.file("in/d.csv.gz", encoder.finish().unwrap());
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id", "1"]);
    project.task("if_empty: skip", "if_empty: fail");
    project.run(&[]).ended(1, "in/d.csv.gz: is empty");
}

#[test]
fn a_json_lines_file_without_content_has_no_rows_unless_it_must_have_some() {
    let project = copying("{path: \"in/*.jsonl\", format: jsonl}", "{id: integer}");
    project.file("in/a.jsonl", "{\"id\":1}\n");
    project.file("in/b.jsonl", "");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id", "1"]);
    project.task("    columns:", "    if_empty: fail\n    columns:");
    project.run(&[]).ended(1, "in/b.jsonl: is empty");
}

#[test]
fn a_fixture_gives_columns_that_are_not_in_the_records() {
    let columns = "{id: integer, year: {type: integer, from: folder}, f: {type: string, from: file}, e: {type: string, optional: \
                   true, default: none}}";
    let project = copying("{path: \"in/**/*.csv\", format: csv}", columns);
    project.task("from: src\n", "from: m\n");
    project.task("sinks:", "models: {m: sql/m.sql}\nsinks:");
    project.file("sql/m.sql", "select id, year, f, e from src");
    project.file(
        "sql/m.test.yaml",
        "rows:\n  given: {src: [{id: 1, year: 2024, f: a.csv}]}\n  expect: {m: [{id: 1, year: 2024, f: a.csv, e: ~}]}\n\
         text:\n  given: {src: \"id\\n2\\n\"}\n  expect: {m: [{id: 2, year: ~, e: none}]}\n",
    );
    project.weir(&["test", "task.yaml"]).ended(0, "2 cases, all ok");
}
