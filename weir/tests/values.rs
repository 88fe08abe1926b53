//! How values are written in files: the settings of a source and of its columns, in every format.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use support::Project;

/// A task that copies a source of CSV files: its columns, and other keys of it.
fn task(format: &str, keys: &str, columns: &str) -> Project {
    let project = Project::empty();
    let text = format!(
        "name: t
sources:
  src:
    files: {{path: 'in/*', format: {format}}}
{keys}    columns: {{{columns}}}
sinks:
  rows: {{from: src, mode: overwrite, files: {{path: out/rows, format: csv}}}}
  bad: {{from: src.rejected, mode: overwrite, publish: always, files: {{path: out/bad, format: csv}}}}
"
    );
    project.file("task.yaml", text);
    project
}

/// The rows without their header, and the reasons of the others, sorted.
fn result(project: &Project) -> (Vec<String>, Vec<String>) {
    project.run(&["--quiet"]).ended(0, "");
    let bad = project.rows("out/bad");
    let reasons = bad[1..].iter().map(|line| line.rsplit(',').next().unwrap().to_owned());
    let (mut rows, mut reasons) = (project.rows("out/rows")[1..].to_vec(), reasons.collect::<Vec<_>>());
    rows.sort();
    reasons.sort();
    (rows, reasons)
}

fn read(keys: &str, columns: &str, csv: &str) -> (Vec<String>, Vec<String>) {
    let project = task("csv", keys, columns);
    project.file("in/a.csv", csv);
    result(&project)
}

fn parquet(columns: &str, values: ArrayRef) -> (Vec<String>, Vec<String>) {
    let project = task("parquet", "", columns);
    project.file("in/a.parquet", parquet_file(values));
    result(&project)
}

fn parquet_file(values: ArrayRef) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable([("v", values, true)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_quoted_empty_text_is_null_in_every_type_but_string() {
    let csv = "id,name,born,amount,active\n\"1\",\"\",\"\",\"\",\"\"\n\"2\",x,2000-01-02,1.5,true\n";
    let columns = "id: integer, name: string, born: date, amount: 'decimal(8,2)', active: boolean";
    let rows = |first: &str| (vec![first.to_owned(), "2,x,2000-01-02,1.50,true".to_owned()], vec![]);
    assert_eq!(read("", columns, csv), rows("1,\"\",,,"));
    assert_eq!(read("    empty_as_null: true\n", columns, csv), rows("1,,,,"));
    let of_column = columns.replace("name: string", "name: {type: string, empty_as_null: true}");
    assert_eq!(read("", &of_column, csv), rows("1,,,,"));

    let json = task("jsonl", "    empty_as_null: true\n", "id: integer, name: string");
    json.file("in/a.jsonl", "{\"id\":\"\",\"name\":\"\"}\n");
    assert_eq!(result(&json), (vec![",".to_owned()], vec![]));
    assert_eq!(parquet("v: integer", Arc::new(StringArray::from(vec!["", "7"]))).0, ["\"\"", "7"]);
    // A rule of the column applies to it as to any other null.
    assert_eq!(read("", "id: {type: integer, not_null: true}", "id\n\"\"\n7\n").1, ["missing_id"]);
}

#[test]
fn a_column_may_have_texts_for_null_of_its_own() {
    let csv = "country,amount,code\nNA,NA,-\nSG,-,NA\nDE,\"NA\",\"NA\"\n";
    let columns = "country: {type: string, null_values: []}, amount: integer, code: {type: string, null_values: ['-']}";
    let (rows, reasons) = read("    null_values: [NA, '-']\n", columns, csv);
    assert_eq!((rows, reasons), (vec!["DE,,NA".into(), "NA,,".into(), "SG,,NA".into()], vec![]));
    let given = Arc::new(StringArray::from(vec!["NA", "7"]));
    assert_eq!(parquet("v: {type: integer, null_values: [NA]}", given).0, ["\"\"", "7"]);
}

#[test]
fn booleans_have_further_words_by_declaration() {
    let csv = "id,active\n1,Y\n2,n\n3,1\n4,0\n5,TRUE\n6,false\n7,maybe\n";
    let words = "    true_values: [Y, 1]\n    false_values: [N, 0]\n";
    let (rows, reasons) = read(words, "id: integer, active: boolean", csv);
    assert_eq!(rows, ["1,true", "2,false", "3,true", "4,false", "5,true", "6,false"]);
    assert_eq!(reasons, ["invalid_active"]);
    let column = "v: {type: boolean, true_values: [1], false_values: [0]}";
    assert_eq!(parquet(column, Arc::new(Int32Array::from(vec![1, 0]))).0, ["false", "true"]);
    let json = task("jsonl", words, "v: boolean");
    json.file("in/a.jsonl", "{\"v\":\"y\"}\n{\"v\":0}\n{\"v\":true}\n");
    assert_eq!(result(&json).0, ["false", "true", "true"]);
    let project = task("parquet", "", "v: boolean");
    project.file("in/a.parquet", parquet_file(Arc::new(Int32Array::from(vec![1]))));
    project.run(&[]).ended(1, "specify `true_values: [1]` and `false_values: [0]`");
}

#[test]
fn a_whole_number_may_be_written_with_a_point_in_every_format() {
    let expected = (vec!["1".to_owned(), "1000".into(), "3".into()], vec!["invalid_v".to_owned()]);
    assert_eq!(read("", "v: integer", "v\n1.0\n3.000\n7.5\n1e3\n"), expected);
    let json = task("jsonl", "", "v: bigint");
    json.file("in/a.jsonl", "{\"v\":1.0}\n{\"v\":\"3.0\"}\n{\"v\":7.5}\n{\"v\":1e3}\n");
    assert_eq!(result(&json), expected);
    assert_eq!(parquet("v: integer", Arc::new(Float64Array::from(vec![1.0, 3.0, 7.5, 1e3]))), expected);
}

#[test]
fn a_decimal_is_exact_in_every_format_or_its_row_is_rejected() {
    let expected = (vec!["0.10".to_owned(), "1500.00".into()], vec!["invalid_v".to_owned(); 3]);
    assert_eq!(read("", "v: 'decimal(10,2)'", "v\n0.1\n0.125\n1.5e3\n1.005\n 7\n"), expected);
    let json = task("jsonl", "", "v: 'decimal(10,2)'");
    json.file("in/a.jsonl", "{\"v\":0.1}\n{\"v\":0.125}\n{\"v\":1.5e3}\n{\"v\":1.005}\n{\"v\":1e20}\n");
    assert_eq!(result(&json), expected);
    let doubles = Float64Array::from(vec![0.1, 0.125, 1.5e3, 1.005, 1e20]);
    assert_eq!(parquet("v: 'decimal(10,2)'", Arc::new(doubles)), expected);
}

#[test]
fn numbers_are_read_in_the_form_that_the_source_or_the_column_declares() {
    let keys = "    decimal_point: ','\n    thousands: '.'\n    strip: ['€', EUR]\n";
    let (rows, reasons) = read(
        keys,
        "v: 'decimal(12,2)', n: integer, r: {type: double, decimal_point: '.', thousands: ',', strip: ['%']}",
        "v,n,r\n\"1.234,50 €\",1.000,\"1,000.5%\"\n\"-5,5\",7,1\n\"1,234.50\",1,1\n1.5,1,1\n",
    );
    assert_eq!(rows, ["-5.50,7,1.0", "1234.50,1000,1000.5"]);
    assert_eq!(reasons, ["invalid_v", "invalid_v"]);
    let column = "v: {type: 'decimal(12,2)', thousands: ',', negative: [parentheses, trailing_minus]}";
    assert_eq!(
        read("", column, "v\n\"(1,234.50)\"\n5-\n\"(-5)\"\n"),
        (vec!["-1234.50".into(), "-5.00".into()], vec!["invalid_v".into()])
    );
    // A number of JSON is one whatever the texts look like.
    let json = task("jsonl", keys, "v: 'decimal(12,3)'");
    json.file("in/a.jsonl", "{\"v\":1.234}\n{\"v\":\"1.234\"}\n");
    assert_eq!(result(&json).0, ["1.234", "1234.000"]);
    assert_eq!(parquet(column, Arc::new(Float64Array::from(vec![-1234.5]))).0, ["-1234.50"]);
}

#[test]
fn dates_and_times_have_one_of_several_formats() {
    let column = "v: {type: date, format: ['%-d/%-m/%Y', iso8601, excel]}";
    let csv = "v\n5/1/2022\n05/01/2022\n2022-01-05\n44566\n1/2022\n";
    assert_eq!(read("", column, csv), (vec!["2022-01-05".into(); 4], vec!["invalid_v".into()]));
    let keys = "    date_format: '%d.%m.%Y'\n    timestamp_format: '%d.%m.%Y %H:%M'\n";
    let columns = "d: date, t: timestamp, other: {type: date, format: iso8601}";
    assert_eq!(
        read(keys, columns, "d,t,other\n31.01.2022,31.01.2022 07:09,2022-01-31\n").0,
        ["2022-01-31,2022-01-31T07:09:00,2022-01-31"]
    );
    let epoch = "s: {type: timestamp, format: epoch_seconds}, m: {type: timestamptz, format: epoch_milliseconds}, e: {type: timestamp, format: excel}";
    assert_eq!(
        read("", epoch, "s,m,e\n1700000000,1700000000123,45000.5\n").0,
        ["2023-11-14T22:13:20,2023-11-14T22:13:20.123Z,2023-03-15T12:00:00"]
    );
    let values = || Arc::new(Int64Array::from(vec![1_700_000_000]));
    assert_eq!(parquet("v: {type: timestamp, format: epoch_seconds}", values()).0, ["2023-11-14T22:13:20"]);
    let project = task("parquet", "", "v: timestamp");
    project.file("in/a.parquet", parquet_file(values()));
    project.run(&[]).ended(1, "column `v` is bigint in the file, which cannot be read as timestamp");
}

#[test]
fn a_moment_is_in_utc_whatever_its_offset() {
    let csv = "v\n2023-01-15T08:00:00-05:00\n2023-01-15T08:00Z\n2025-02-02 00:00:00+00\n2023-01-15T08:00:00.120000000Z\n2023-01-15 08:00\n2023-01-15T08:00:00.123456789Z\n";
    let moments = ["2023-01-15T08:00:00.120", "2023-01-15T08:00:00", "2023-01-15T13:00:00", "2025-02-02T00:00:00"];
    let (rows, reasons) = read("", "v: timestamp", csv);
    assert_eq!(rows, [moments[1], moments[1], moments[0], moments[2], moments[3]]);
    assert_eq!(reasons, ["invalid_v"]);
    let (rows, reasons) = read("", "v: timestamptz", csv);
    assert_eq!(rows, moments.map(|moment| format!("{moment}Z")));
    assert_eq!(reasons, ["invalid_v", "invalid_v"], "a time without an offset is no moment");
}

#[test]
fn a_time_without_an_offset_is_one_of_the_time_zone() {
    let csv = "v\n2024-07-01 12:00:00\n2024-07-01 12:00:00Z\n2024-03-31 02:30:00\n2024-10-27 02:30:00\n";
    for (kind, utc) in [("timestamptz", "Z"), ("timestamp", "")] {
        let (rows, reasons) = read("    timezone: Europe/Berlin\n", &format!("v: {kind}"), csv);
        assert_eq!(rows, [format!("2024-07-01T10:00:00{utc}"), format!("2024-07-01T12:00:00{utc}")]);
        assert_eq!(reasons, ["invalid_v", "invalid_v"]);
    }
    let values = || Arc::new(TimestampMicrosecondArray::from(vec![1_719_835_200_000_000, 1_711_852_200_000_000]));
    let column = "v: {type: timestamptz, timezone: Europe/Berlin}";
    assert_eq!(parquet(column, values()), (vec!["2024-07-01T10:00:00Z".into()], vec!["invalid_v".into()]));
    let zoned: ArrayRef = Arc::new(values().as_ref().clone().with_timezone("UTC"));
    assert_eq!(parquet(column, zoned).0, ["2024-03-31T02:30:00Z", "2024-07-01T12:00:00Z"]);
    let project = task("parquet", "", "v: timestamptz");
    project.file("in/a.parquet", parquet_file(values()));
    project.run(&[]).ended(1, "specify the one that they are in, such as `timezone: UTC`");
}

#[test]
fn times_uuids_documents_and_bytes_are_types() {
    let columns = "t: time, u: uuid, j: json, b: binary, c: {type: binary, format: base64}";
    let csv = "t,u,j,b,c\n23:59:59.5,A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,[1.10],\\x4869,SGk=\n24:00:00,1,{,xyz,=\n";
    let (rows, reasons) = read("", columns, csv);
    assert_eq!(rows, ["23:59:59.500,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,[1.10],\\x4869,\\x4869"]);
    assert_eq!(reasons, ["invalid_t;invalid_u;invalid_j;invalid_b;invalid_c"]);
    assert_eq!(parquet("v: time", Arc::new(Time64MicrosecondArray::from(vec![1_500_000]))).0, ["00:00:01.500"]);
    let project = task("csv", "", "v: json");
    project.file("in/a.csv", "v\n{}\n");
    project.task("name: t\n", "name: t\nparams:\n  moment: {type: timestamptz, default: '2024-01-01T00:00:00Z'}\n  id: {type: uuid, default: a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}\nmodels: {m: m.sql}\n");
    project.file("m.sql", "select $moment as at, $id as id, v from src");
    project.task("rows: {from: src,", "rows: {from: m,");
    assert_eq!(result(&project).0, ["2024-01-01T00:00:00Z,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,{}"]);
    project.weir(&["validate", "task.yaml", "--param", "id=x"]).ended(2, "`x` is not a uuid");
}

#[test]
fn now_and_times_of_a_zone_come_back_from_every_format() {
    for format in ["csv", "jsonl", "parquet"] {
        let project = task("csv", "", "id: integer");
        project.file("in/a.csv", "id\n1\n");
        project.file(
            "m.sql",
            "select id, now() as loaded, timestamp '2023-01-15 08:00:00' at time zone 'Asia/Singapore' as sg from src",
        );
        project.task("sinks:\n", &format!("models: {{m: m.sql}}\nsinks:\n  there: {{from: m, mode: overwrite, files: {{path: out/there, format: {format}}}}}\n"));
        project.run(&["--quiet"]).ended(0, "");
        let back = task(format, "", "id: integer, loaded: timestamptz, sg: timestamp");
        for name in project.left("out/there").iter().filter(|name| name.starts_with("part")) {
            back.file(&format!("in/{name}"), std::fs::read(project.path(&format!("out/there/{name}"))).unwrap());
        }
        // The engine's `now()` has no time zone.
        back.task("loaded: timestamptz", "loaded: {type: timestamptz, timezone: UTC}");
        let (rows, reasons) = result(&back);
        assert_eq!((rows.len(), reasons.len()), (1, 0), "{format}: {rows:?} {reasons:?}");
        assert!(rows[0].ends_with(",2023-01-15T00:00:00"), "{}", rows[0]);
    }
}

#[test]
fn a_time_with_a_fraction_of_a_microsecond_is_not_written() {
    let project = task("csv", "", "id: bigint");
    project.file("in/a.csv", "id\n1700000000123456789\n");
    project.file("m.sql", "select to_timestamp_nanos(id) as at from src");
    project.task(
        "sinks:\n",
        "models: {m: m.sql}\nsinks:\n  there: {from: m, mode: overwrite, files: {path: out/there, format: csv}}\n",
    );
    project.run(&[]).ended(1, "`date_trunc('microsecond', at)`");
    project.file("m.sql", "select date_trunc('microsecond', to_timestamp_nanos(id)) as at from src");
    project.run(&["--quiet"]).ended(0, "");
    assert_eq!(project.rows("out/there"), ["at", "2023-11-14T22:13:20.123456"]);
}

#[test]
fn settings_that_do_not_fit_are_errors_that_say_what_does() {
    let wrong = |columns: &str, keys: &str, said: &str| {
        task("csv", keys, columns).weir(&["validate", "task.yaml"]).ended(2, said);
    };
    wrong(
        "v: {type: string, decimal_point: ','}",
        "",
        "column `v`: `decimal_point` is for numbers, but this is a string",
    );
    wrong("v: {type: integer, true_values: [Y]}", "", "`true_values` is for booleans");
    wrong("v: {type: date, timezone: UTC}", "", "`timezone` is for timestamps");
    wrong("v: {type: timestamp, timezone: Europe/Berln}", "", "did you mean `Europe/Berlin`?");
    wrong("v: {type: integer, empty_as_null: false}", "", "an empty text is no integer: it is always null");
    wrong("v: {type: boolean, true_values: [1], false_values: [1]}", "", "`1` cannot be both true and false");
    wrong("v: double", "    thousands: '.'\n", "`.` cannot be both `decimal_point` and `thousands`");
    wrong("v: double", "    strip: ['1']\n", "`strip` cannot have \"1\"");
    wrong("v: {type: date, format: epoch_seconds}", "", "`epoch_seconds` is for timestamps");
    wrong("v: {type: binary, format: base32}", "", "specify `format: hex` or `format: base64`");
    wrong("v: {type: date, format: []}", "", "the list of formats is empty");
    wrong(
        "v: datetime",
        "",
        "the types are string, boolean, integer, bigint, double, decimal(p,s), date, time, timestamp, timestamptz",
    );
}
