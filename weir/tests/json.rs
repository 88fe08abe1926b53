//! JSON documents, and columns within the objects of a record.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

const COLUMNS: &str = "{id: bigint, name: {type: string, path: user.name}, tags: json}";

fn ends(project: &Project, code: i32, said: &str) {
    project.run(&[]).ended(code, said);
}

#[test]
fn an_array_on_many_lines_is_read_record_by_record() {
    let project = Project::reading("format: json", "\n    unknown_columns: ignore", COLUMNS);
    project.file(
        "in/people.json",
        "[
  {\"id\": 1, \"user\": {\"name\": \"Ann\", \"age\": 41}, \"tags\": [\"a\",
    \"b\"]},
  {\"id\": \"x\", \"user\": {\"name\": \"Bob\"}, \"tags\": {}}, {\"id\": 3, \"user\": null, \"tags\": null}
]
",
    );
    ends(&project, 0, "");
    assert_eq!(project.text("out/rows.csv"), "id,name,tags\n1,Ann,\"[\"\"a\"\",     \"\"b\"\"]\"\n3,,\n");
    let unreadable = project.text("out/bad.csv");
    // The number of the record takes the place of its line.
    assert!(unreadable.contains("people.json,2,"), "{unreadable}");
    assert!(unreadable.contains("invalid_id"), "{unreadable}");
}

#[test]
fn records_may_be_under_a_key_and_the_file_compressed_and_in_another_encoding() {
    let project =
        Project::reading("format: json, records: result.rows, encoding: utf-16", "", "{id: bigint, name: string}");
    let json = "{\"total\": 2, \"result\": {\"page\": [1, {}], \"rows\": [{\"id\": 1, \"name\": \"é\"}, {\"id\": 2}]}, \"next\": null}";
    let bytes: Vec<u8> = "\u{feff}".encode_utf16().chain(json.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    project.file("in/people.json.zst", zstd::encode_all(&bytes[..], 1).unwrap());
    ends(&project, 0, "");
    assert_eq!(project.text("out/rows.csv"), "id,name\n1,é\n2,\n");
}

#[test]
fn objects_one_after_the_other_are_read_and_truncated_files_are_an_error() {
    let project = Project::reading("format: json", "", "{id: bigint, name: string}");
    project.file("in/a.json", "{\"id\": 1,\n \"name\": \"Ann\"}\n{\"id\": 2,\n \"name\": \"Bob\"}\n");
    ends(&project, 0, "");
    assert_eq!(project.text("out/rows.csv"), "id,name\n1,Ann\n2,Bob\n");
    project.file("in/b.json", "[{\"id\": 3, \"name\": \"Cy\"}, {\"id\": 4");
    ends(&project, 1, "in/b.json: is truncated: it ends in or after record 2");
    assert_eq!(project.text("out/rows.csv"), "id,name\n1,Ann\n2,Bob\n");
}

#[test]
fn an_array_given_as_lines_proposes_the_format() {
    let project = Project::reading("format: jsonl", "", "{id: bigint}");
    project.file("in/a.json", "[{\"id\": 1}]");
    ends(&project, 1, "specify `format: json`");
    project.file("in/a.json", "{\n  \"id\": 1\n}\n");
    ends(&project, 3, "if a record takes several lines, specify `format: json` next to the path");
}

#[test]
fn an_array_in_an_object_proposes_where_its_records_are() {
    let document = "{\"page\": 1, \"data\": {\"items\": [{\"id\": 1}, {\"id\": 2}]}}\n";
    for (format, said) in [
        ("format: json", "specify `records: data.items` next to the path"),
        ("format: jsonl", "specify `format: json` and `records: data.items` next to the path"),
    ] {
        let project = Project::reading(format, "", "{id: bigint}");
        project.file("in/a.json", document);
        ends(&project, 1, said);
        let ran = project.run(&[]);
        assert!(ran.err.contains("if its records are the array at data.items"), "{}", ran.err);
    }
    let nested = Project::reading("format: json, records: data", "", "{id: bigint}");
    nested.file("in/a.json", "{\"data\": [{\"rows\": [{\"id\": 1}]}]}");
    ends(&nested, 1, "no record has the key `id`");
    let found = Project::reading("format: json, records: data.items", "", "{id: bigint}");
    found.file("in/a.json", document);
    ends(&found, 0, "");
    assert_eq!(found.text("out/rows.csv"), "id\n1\n2\n");
}

#[test]
fn records_that_lack_a_key_are_counted() {
    let columns = "{id: bigint, email: string, name: {type: string, path: user.name}}";
    let lines = "{\"id\": 1, \"Email\": \"a\", \"user\": {\"name\": \"Ann\"}}
{\"id\": 2, \"email\": \"b\", \"user\": null}
{\"id\": 3, \"email\": null, \"user\": {}}
{\"id\": \"x\"}
{\"id\": 4}\n";
    let counts = |columns: &str| {
        let project = Project::reading("format: jsonl", "\n    unknown_columns: ignore", columns);
        project.file("in/a.jsonl", lines);
        let ran = project.run(&["--report", "report.json"]);
        ran.ended(0, "");
        let report: serde_json::Value = serde_json::from_str(&project.text("report.json")).unwrap();
        let reasons = report["report"]["tables"][0]["reasons"].as_array().unwrap().clone();
        let of_keys = reasons.into_iter().filter(|reason| reason["effect"] == "no_key");
        let of_keys = of_keys.map(|reason| format!("{} {}", reason["name"].as_str().unwrap(), reason["rows"]));
        (of_keys.collect::<Vec<_>>(), ran.out)
    };
    let (reasons, summary) = counts(columns);
    // A null in place of the object is no lack.
    assert_eq!(reasons, ["absent_email 3", "absent_name 3"]);
    assert!(summary.contains("absent_email") && summary.contains("no_key"), "{summary}");
    assert!(summary.contains("if records may lack it, declare email: {type: ..., optional: true}"), "{summary}");
    let (reasons, _) = counts(&columns.replace("email: string", "email: {type: string, optional: true}"));
    assert_eq!(reasons, ["absent_name 3"]);
}

#[test]
fn a_key_that_no_record_has_is_an_error_and_keys_may_be_compared_loosely() {
    let strict = Project::reading("format: jsonl", "\n    unknown_columns: ignore", "{id: bigint, name: string}");
    strict.file("in/a.jsonl", "{\"ID\": 1, \"Name \": \"Ann\"}\n");
    ends(&strict, 1, "column `id`: no record has the key `id`");
    ends(&strict, 1, "if it is `ID`, declare id: {type: ..., header: \"ID\"}");
    let dotted =
        Project::reading("format: jsonl", "\n    unknown_columns: ignore", "{name: {type: string, header: user.name}}");
    dotted.file("in/a.jsonl", "{\"user\": {\"name\": \"Ann\"}}\n");
    ends(&dotted, 1, "to take it from an object, declare name: {type: ..., path: user.name}");
    let loose = Project::reading("format: jsonl, headers: loose", "", "{id: bigint, name: string}");
    loose.file("in/a.jsonl", "{\"ID\": 1, \"Name \": \"Ann\"}\n");
    ends(&loose, 0, "");
    assert_eq!(loose.text("out/rows.csv"), "id,name\n1,Ann\n");
}

#[test]
fn wrong_declarations_are_refused() {
    let of = |files: &str, columns: &str, said: &str| {
        let project = Project::reading(files, "", columns);
        project.file("in/a.json", "[]");
        ends(&project, 2, said);
    };
    of("format: csv", "{id: {type: bigint, path: a.b}}", "`path` is for JSON");
    of("format: csv, records: a", "{id: bigint}", "`records` is not for files with `format: csv`");
    of("format: json, records: a..b", "{id: bigint}", "`records` is a list of keys with dots between them");
    of("format: json", "{id: {type: bigint, path: a., header: b}}", "specify one of the two");
    of("format: json", "{id: {type: bigint, path: .a}}", "such as `user.name`");
}

#[test]
fn a_test_case_may_give_records_that_lack_a_key() {
    let project = Project::reading("format: json", "", COLUMNS);
    project.task("sources:", "models: {named: sql/named.sql}\nsources:");
    project.task("from: row,", "from: named,");
    project.file("sql/named.sql", "select id, coalesce(name, '?') as name from row");
    project.file(
        "sql/named.test.yaml",
        "lacks_it: {given: {row: '[{\"id\": 1}, {\"id\": 2}]'}, expect: {named: [{id: 1, name: '?'}, {id: 2, name: '?'}]}}\n",
    );
    project.weir(&["test", "task.yaml"]).ended(0, "1 case, all ok");
}
