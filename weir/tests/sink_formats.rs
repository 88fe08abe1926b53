//! Every file format of a sink, written by `weir run` and read back by other libraries.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::io::Read;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use serde_json::{Value, json};
use support::Project;

/// A task with one model and one sink, with columns of all types.
const TASK: &str = r#"
name: orders
sources:
  order_line:
    files: {path: "in/*.csv", format: csv}
    columns:
      id: bigint
      name: string
      amount: "decimal(12,2)"
      ratio: double
      paid: boolean
      day: date
      at: timestamp
models:
  checked: sql/checked.sql
sinks:
  good:
    from: checked
    mode: overwrite
    files: {path: out/good, format: jsonl}
"#;

const ROWS: &str = r#"id,name,amount,ratio,paid,day,at
9223372036854775807,"Lee, ""Cid""",-12.30,1e300,true,2022-01-31,2022-01-31 23:59:59.123456
2,"",0.05,0.1,false,0001-01-01,9999-12-31T23:59:59.999999
,,,,,,
"#;

fn orders() -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("sql/checked.sql", "select * from order_line");
    project.file("in/a.csv", ROWS);
    project
}

/// The only data file of a sink.
fn content(project: &Project, file: &str) -> Vec<u8> {
    let (folder, name) = file.rsplit_once('/').unwrap();
    assert_eq!(project.left(folder), ["_SUCCESS", name]);
    std::fs::read(project.path(file)).unwrap()
}

fn parquet(project: &Project, file: &str) -> (RecordBatch, Compression) {
    let file = File::open(project.path(file)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = reader.schema().clone();
    let codec = reader.metadata().row_groups().first().map(|group| group.column(0).compression());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    let rows = datafusion::arrow::compute::concat_batches(&schema, &batches).unwrap();
    (rows, codec.unwrap_or(Compression::UNCOMPRESSED))
}

#[test]
fn json_lines_have_every_key_and_every_value_unchanged() {
    let project = orders();
    project.run(&[]).ended(0, "done");
    let text = String::from_utf8(content(&project, "out/good/part-00000.jsonl")).unwrap();
    let expected = [
        r#"{"id":9223372036854775807,"name":"Lee, \"Cid\"","amount":-12.30,"ratio":1e300,"paid":true,"day":"2022-01-31","at":"2022-01-31T23:59:59.123456"}"#,
        r#"{"id":2,"name":"","amount":0.05,"ratio":0.1,"paid":false,"day":"0001-01-01","at":"9999-12-31T23:59:59.999999"}"#,
        r#"{"id":null,"name":null,"amount":null,"ratio":null,"paid":null,"day":null,"at":null}"#,
        "",
    ];
    assert_eq!(text, expected.join("\n"));
}

#[test]
fn every_format_survives_a_round_trip() {
    let project = orders();
    project.task("path: out/good, format: jsonl}", "path: out/good, format: csv}");
    project.run(&[]).ended(0, "done");
    let original = project.rows("out/good");
    assert_eq!(original.len(), 4);
    for form in [
        "csv, compression: gzip",
        "csv, compression: zstd",
        "jsonl",
        "jsonl, compression: gzip",
        "jsonl, compression: zstd",
        "parquet",
        "parquet, compression: gzip",
    ] {
        project.file("task.yaml", TASK.replace("out/good, format: jsonl", &format!("out/there, format: {form}")));
        project.run(&[]).ended(0, "done");
        let format = form.split(',').next().unwrap();
        let back = TASK.replace("in/*.csv\", format: csv", &format!("out/there/part-*\", format: {format}"));
        project.file(
            "task.yaml",
            back.replace("name: orders", "name: back").replace("good, format: jsonl", "back, format: csv"),
        );
        project.run(&[]).ended(0, "done");
        assert_eq!(project.rows("out/back"), original, "{form}");
    }
}

#[test]
fn nested_values_become_json_documents() {
    let project = orders();
    let sql =
        "select id, named_struct('name', name, 'days', make_array(day, null)) as line, map(['paid'], [paid]) as flags
        from order_line where id = 2";
    project.file("sql/checked.sql", sql);
    project.run(&[]).ended(0, "done");
    let text = content(&project, "out/good/part-00000.jsonl");
    let read: Value = serde_json::from_slice(&text).unwrap();
    let expected = json!({"id": 2, "line": {"name": "", "days": ["0001-01-01", null]}, "flags": {"paid": false}});
    assert_eq!(read, expected);
}

#[test]
fn text_files_are_compressed_completely() {
    let project = orders();
    project.run(&[]).ended(0, "done");
    let plain = content(&project, "out/good/part-00000.jsonl");
    project.task("format: jsonl}", "format: jsonl, compression: zstd}");
    project.run(&[]).ended(0, "done");
    let zstd = content(&project, "out/good/part-00000.jsonl.zst");
    assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), plain);

    project.task("format: jsonl, compression: zstd}", "format: csv, compression: gzip}");
    project.run(&[]).ended(0, "done");
    let mut text = String::new();
    let gzip = content(&project, "out/good/part-00000.csv.gz");
    flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut text).unwrap();
    let mut records = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(records.headers().unwrap().get(4), Some("paid"));
    assert_eq!(records.records().next().unwrap().unwrap().get(1), Some("Lee, \"Cid\""));
    let marker: Value = serde_json::from_slice(&std::fs::read(project.path("out/good/_SUCCESS")).unwrap()).unwrap();
    assert_eq!(marker["bytes"], gzip.len() as u64, "the size of the files as they are");
}

#[test]
fn parquet_has_the_types_and_the_values() {
    let project = orders();
    for (compression, codec) in [
        ("", Compression::SNAPPY),
        (", compression: none", Compression::UNCOMPRESSED),
        (", compression: zstd", Compression::ZSTD(Default::default())),
        (", compression: gzip", Compression::GZIP(Default::default())),
    ] {
        project.file("task.yaml", TASK.replace("format: jsonl", &format!("format: parquet{compression}")));
        project.run(&[]).ended(0, "done");
        content(&project, "out/good/part-00000.parquet");
        let (rows, written) = parquet(&project, "out/good/part-00000.parquet");
        assert_eq!(std::mem::discriminant(&written), std::mem::discriminant(&codec));
        let types: Vec<_> = rows.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
        let expected = ["Int64", "Utf8", "Decimal128(12, 2)", "Float64", "Boolean", "Date32", "Timestamp(µs)"];
        assert_eq!(types, expected);
        let value =
            |row| rows.columns().iter().map(move |c| array_value_to_string(c, row).unwrap()).collect::<Vec<_>>();
        let first = [
            "9223372036854775807",
            "Lee, \"Cid\"",
            "-12.30",
            "1e300",
            "true",
            "2022-01-31",
            "2022-01-31T23:59:59.123456",
        ];
        assert_eq!(value(0), first);
        assert!(!rows.column(1).is_null(1) && rows.column(1).is_null(2), "the empty text is not null");
    }
}

#[test]
fn each_route_can_have_a_format_of_its_own() {
    let project = Project::people();
    project.task("path: out/good, format: csv}", "path: out/good, format: parquet}");
    project.task("path: out/bad, format: csv}", "path: out/bad, format: jsonl, compression: gzip}");
    project.run(&[]).ended(0, "done");
    let (good, _) = parquet(&project, "out/good/part-00000.parquet");
    assert_eq!(good.num_rows(), 2);
    let mut bad = String::new();
    let gzip = content(&project, "out/bad/part-00000.jsonl.gz");
    flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut bad).unwrap();
    assert_eq!(bad, "{\"name\":\"Bob\",\"years\":17,\"reasons\":\"too_young\"}\n");
}

#[test]
fn a_sink_without_rows_has_a_file_without_rows() {
    let project = orders();
    project.file("sql/checked.sql", "select * from order_line where id < 0");
    project.task("sinks:", "quality: {checked: {gate: {min_rows: 0}}}\nsinks:");
    project.run(&[]).ended(0, "done");
    assert_eq!(content(&project, "out/good/part-00000.jsonl"), b"");
    project.task("format: jsonl}", "format: parquet}");
    project.run(&[]).ended(0, "done");
    let (rows, _) = parquet(&project, "out/good/part-00000.parquet");
    assert_eq!((rows.num_rows(), rows.num_columns()), (0, 7));
    project.task("format: parquet}", "format: csv, compression: zstd}");
    project.run(&[]).ended(0, "done");
    let zstd = content(&project, "out/good/part-00000.csv.zst");
    assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), b"id,name,amount,ratio,paid,day,at\n");
}

#[test]
fn the_same_rows_are_written_by_any_number_of_threads() {
    let project = Project::people();
    project.task("path: out/good, format: csv}", "path: out/good, format: parquet}");
    project.task("path: out/bad, format: csv}", "path: out/bad, format: jsonl}");
    let line = |i: usize| format!("N{i},{}\n", i % 30);
    for file in 0..4 {
        let many: String = (0..30_000).map(|i| line(file * 30_000 + i)).collect();
        project.file(&format!("in/{file}.csv"), format!("name,age\n{many}"));
    }
    let read = |project: &Project| {
        let mut rows = Vec::new();
        for name in project.left("out/good").iter().filter(|name| name.ends_with("parquet")) {
            let (part, _) = parquet(project, &format!("out/good/{name}"));
            let text = |row| {
                (
                    array_value_to_string(part.column(0), row).unwrap(),
                    array_value_to_string(part.column(1), row).unwrap(),
                )
            };
            rows.extend((0..part.num_rows()).map(text));
        }
        let mut lines = Vec::new();
        for name in project.left("out/bad").iter().filter(|name| name.ends_with("jsonl")) {
            let text = std::fs::read_to_string(project.path(&format!("out/bad/{name}"))).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        rows.sort();
        lines.sort();
        (rows, lines)
    };
    project.run(&["--threads", "1", "--quiet"]).ended(0, "");
    let alone = read(&project);
    project.run(&["--threads", "4", "--quiet"]).ended(0, "");
    assert!(read(&project) == alone);
    assert_eq!((alone.0.len(), alone.1.len()), (48_002, 72_001));
}

#[test]
fn a_number_that_json_cannot_represent_ends_the_run_unless_it_is_rejected() {
    let project = orders();
    let sql = "select id, case when id = 2 then 'NaN'::double else ratio end as share from order_line";
    project.file("sql/checked.sql", sql);
    project.task(
        "files: {path: out/good, format: jsonl}",
        "files: {path: out/good, format: jsonl}\n    columns: [{part: share}]",
    );
    let ran = project.run(&[]);
    ran.ended(1, "sink `good`");
    ran.ended(1, "column `part` has NaN or an infinity, which JSON cannot hold");
    ran.ended(1, "reject such rows with the rule `{finite: share}`");
    assert_eq!(project.left("out"), [""; 0]);

    let rejecting = "quality:\n  checked: {reject_unless: {odd: share is null or not isnan(share)}}\nsinks:\n  bad: {from: checked.rejected, mode: overwrite, files: {path: out/bad, format: csv}}\n";
    project.task("sinks:\n", rejecting);
    project.run(&[]).ended(0, "done");
    let text = content(&project, "out/good/part-00000.jsonl");
    assert_eq!(text, b"{\"part\":1e300}\n{\"part\":null}\n");
}

#[test]
fn a_number_that_is_not_finite_ends_the_run_in_every_format_unless_it_is_rejected_and_is_kept_then() {
    for format in ["csv", "parquet"] {
        let project = orders();
        project.file(
            "sql/checked.sql",
            "select id, cast(1 as double) / (id - 2) as share from order_line where id is not null",
        );
        project.task("format: jsonl}", &format!("format: {format}}}"));
        let ran = project.run(&[]);
        ran.ended(1, "column `share` has NaN or an infinity, which no source could read");
        ran.ended(1, "reject such rows with the rule `{finite: share}`");
        let rejecting = format!(
            "quality:\n  checked: {{reject_unless: {{odd: {{finite: share}}}}}}\nsinks:\n  bad: {{from: checked.rejected, mode: \
             overwrite, files: {{path: out/bad, format: {format}}}}}\n"
        );
        project.task("sinks:\n", &rejecting);
        project.run(&[]).ended(0, "done");
        if format == "csv" {
            assert_eq!(project.rows("out/bad"), ["id,share,reasons", "2,inf,odd"]);
        }
    }
}

#[test]
fn a_date_that_no_source_could_read_ends_the_run_unless_it_is_rejected() {
    for format in ["csv", "jsonl", "parquet"] {
        let project = orders();
        project
            .file("sql/checked.sql", "select day + interval '7978 years' as due from order_line where day is not null");
        project.task("format: jsonl}", &format!("format: {format}}}"));
        let ran = project.run(&[]);
        ran.ended(1, "column `due` has a date outside the years 1 to 9999, which no source could read");
        let rule = "date_part('year', due) between 1 and 9999";
        ran.ended(1, rule);

        let bad = "select day, day + interval '7978 years' as due from order_line where day is not null";
        project.file("sql/checked.sql", bad);
        let rejecting = format!(
            "quality:\n  checked: {{reject_unless: {{late: \"{rule}\"}}}}\nsinks:\n  bad: {{from: checked.rejected, mode: overwrite, columns: [day], files: {{path: out/bad, format: csv}}}}\n"
        );
        project.task("sinks:\n", &rejecting);
        project.run(&[]).ended(0, "done");
        assert_eq!(project.rows("out/bad"), ["day", "2022-01-31"]);
        // Rows that are rejected cannot be rejected once more.
        project.task("columns: [day], ", "");
        let ran = project.run(&[]);
        ran.ended(
            1,
            "help: these rows are rejected already: make the value null in the model, or name the other columns",
        );
        assert!(!ran.err.contains(rule), "{}", ran.err);
    }
}

#[test]
fn unsupported_compressions_and_types_are_errors_at_their_position() {
    let project = orders();
    project.task("format: jsonl}", "format: jsonl, compression: snappy}");
    let ran = project.run(&[]);
    ran.ended(2, "task.yaml:20:57: sink `good`: JSON files cannot be compressed with Snappy, which only Parquet has");
    ran.ended(2, "choose gzip, zstd or none");

    project.task("format: jsonl, compression: snappy}", "format: jsonl}");
    project.file("sql/checked.sql", "select digest(name, 'sha256') as digest from order_line");
    project.run(&[]).ended(0, "done");
    project.task("format: jsonl}", "format: parquet}");
    project.run(&[]).ended(0, "done");
    project.file("sql/checked.sql", "select at - at as span from order_line");
    project.run(&[]).ended(2, "sink `good`: column `span` is Duration(µs), which Parquet cannot hold");
}

#[test]
fn formulas_are_escaped_on_demand() {
    let project = orders();
    project.file(
        "in/a.csv",
        "id,name,amount,ratio,paid,day,at\n1,\"=HYPERLINK(\"\"x\"\")\",-1,,,,\n2,-5,,,,,\n3,a=b,,,,,\n",
    );
    project.task("format: jsonl}", "format: csv}\n    escape_formulas: true\n    columns: [id, name, amount]");
    project.run(&[]).ended(0, "");
    let written = String::from_utf8(content(&project, "out/good/part-00000.csv")).unwrap();
    assert_eq!(written, "id,name,amount\n1,\"'=HYPERLINK(\"\"x\"\")\",-1.00\n2,'-5,\n3,a=b,\n");
    project.task("format: csv}\n    escape_formulas", "format: jsonl}\n    escape_formulas");
    project.run(&[]).ended(2, "`escape_formulas` is for CSV files");
}

#[test]
fn a_time_with_a_zone_is_read_back_as_the_same_instant() {
    for format in ["csv", "jsonl", "parquet"] {
        let project = orders();
        project.file(
            "sql/checked.sql",
            "select id, at at time zone 'Asia/Singapore' as at from order_line where id = 9223372036854775807",
        );
        project.task("format: jsonl}", &format!("format: {format}}}"));
        project.run(&["--quiet"]).ended(0, "");
        project.file(
            "back.yaml",
            format!(
                "name: back
sources: {{written: {{files: {{path: 'out/good/part-*', format: {format}}}, columns: {{id: bigint, at: timestamp}}}}}}
sinks: {{back: {{from: written, mode: overwrite, files: {{path: out/back, format: csv}}}}}}
"
            ),
        );
        project.weir(&["run", "--quiet", "--task-config", "back.yaml"]).ended(0, "");
        // 23:59 in Singapore.
        assert_eq!(project.rows("out/back")[1..], ["9223372036854775807,2022-01-31T15:59:59.123456"], "{format}");
    }
}
