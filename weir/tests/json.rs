//! JSON documents, and columns within the objects of a record.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

const COLUMNS: &str = "{id: bigint, name: {type: string, path: user.name}, tags: json}";

/// A task that reads `in/*`.
fn project(files: &str, more: &str, columns: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: people
sources:
  person:
    files: {{path: 'in/*', {files}}}{more}
    columns: {columns}
sinks:
  people: {{from: person, mode: overwrite, publish: always, files: {{file: out/people.csv, format: csv}}}}
  unreadable: {{from: person.rejected, mode: overwrite, publish: always, files: {{file: out/unreadable.csv, format: csv}}}}
"
        ),
    );
    project
}

fn ends(project: &Project, code: i32, said: &str) {
    project.run(&[]).ended(code, said);
}

fn text(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path(path)).unwrap()
}

#[test]
fn an_array_on_many_lines_is_read_record_by_record() {
    let project = project("format: json", "\n    unknown_columns: ignore", COLUMNS);
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
    assert_eq!(text(&project, "out/people.csv"), "id,name,tags\n1,Ann,\"[\"\"a\"\",     \"\"b\"\"]\"\n3,,\n");
    let unreadable = text(&project, "out/unreadable.csv");
    // The number of the record takes the place of its line.
    assert!(unreadable.contains("people.json,2,"), "{unreadable}");
    assert!(unreadable.contains("invalid_id"), "{unreadable}");
}

#[test]
fn records_may_be_under_a_key_and_the_file_compressed_and_in_another_encoding() {
    let project = project("format: json, records: result.rows, encoding: utf-16", "", "{id: bigint, name: string}");
    let json = "{\"total\": 2, \"result\": {\"page\": [1, {}], \"rows\": [{\"id\": 1, \"name\": \"é\"}, {\"id\": 2}]}, \"next\": null}";
    let bytes: Vec<u8> = "\u{feff}".encode_utf16().chain(json.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    project.file("in/people.json.zst", zstd::encode_all(&bytes[..], 1).unwrap());
    ends(&project, 0, "");
    assert_eq!(text(&project, "out/people.csv"), "id,name\n1,é\n2,\n");
}

#[test]
fn objects_one_after_the_other_are_read_and_truncated_files_are_an_error() {
    let project = project("format: json", "", "{id: bigint, name: string}");
    project.file("in/a.json", "{\"id\": 1,\n \"name\": \"Ann\"}\n{\"id\": 2,\n \"name\": \"Bob\"}\n");
    ends(&project, 0, "");
    assert_eq!(text(&project, "out/people.csv"), "id,name\n1,Ann\n2,Bob\n");
    project.file("in/b.json", "[{\"id\": 3, \"name\": \"Cy\"}, {\"id\": 4");
    ends(&project, 1, "in/b.json: is truncated: it ends in or after record 2");
    assert_eq!(text(&project, "out/people.csv"), "id,name\n1,Ann\n2,Bob\n");
}

#[test]
fn an_array_given_as_lines_proposes_the_format() {
    let project = project("format: jsonl", "", "{id: bigint}");
    project.file("in/a.json", "[{\"id\": 1}]");
    ends(&project, 1, "specify `format: json`");
    project.file("in/a.json", "{\n  \"id\": 1\n}\n");
    ends(&project, 3, "if a record takes several lines, specify `format: json` next to the path");
}

#[test]
fn a_key_that_no_record_has_is_an_error_and_keys_may_be_compared_loosely() {
    let strict = project("format: jsonl", "\n    unknown_columns: ignore", "{id: bigint, name: string}");
    strict.file("in/a.jsonl", "{\"ID\": 1, \"Name \": \"Ann\"}\n");
    ends(&strict, 1, "column `id`: no record has the key `id`");
    ends(&strict, 1, "if it is `ID`, declare id: {type: ..., header: \"ID\"}");
    let dotted = project("format: jsonl", "\n    unknown_columns: ignore", "{name: {type: string, header: user.name}}");
    dotted.file("in/a.jsonl", "{\"user\": {\"name\": \"Ann\"}}\n");
    ends(&dotted, 1, "to take it from an object, declare name: {type: ..., path: user.name}");
    let loose = project("format: jsonl, headers: loose", "", "{id: bigint, name: string}");
    loose.file("in/a.jsonl", "{\"ID\": 1, \"Name \": \"Ann\"}\n");
    ends(&loose, 0, "");
    assert_eq!(text(&loose, "out/people.csv"), "id,name\n1,Ann\n");
}

#[test]
fn wrong_declarations_are_refused() {
    let of = |files: &str, columns: &str, said: &str| {
        let project = project(files, "", columns);
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
    let project = project("format: json", "", COLUMNS);
    project.task("sources:", "models: {named: sql/named.sql}\nsources:");
    project.task("from: person,", "from: named,");
    project.file("sql/named.sql", "select id, coalesce(name, '?') as name from person");
    project.file(
        "sql/named.test.yaml",
        "lacks_it: {given: {person: '[{\"id\": 1}, {\"id\": 2}]'}, expect: {named: [{id: 1, name: '?'}, {id: 2, name: '?'}]}}\n",
    );
    project.weir(&["test", "task.yaml"]).ended(0, "1 case, all ok");
}
