//! `documents` of a sink: a file for each row, named by its key.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::{Project, Ran};

const TASK: &str = "
name: players
sources:
  player:
    files: {path: 'in/*.csv', format: csv}
    columns: {id: string, text: string}
models: {document: document.sql}
sinks:
  document:
    from: document
    mode: overwrite
    documents: {path: out/documents, name: '${id}.json', body: body}
  refused: {from: document.rejected, mode: overwrite, publish: always, files: {file: out/refused.csv, format: csv}}
";

/// A task that writes documents of these records.
fn project(records: &str) -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("document.sql", "select id, text as body from player");
    deliver(&project, records);
    project
}

fn deliver(project: &Project, records: &str) {
    project.file("in/a.csv", format!("id,text\n{records}"));
}

fn document(project: &Project, name: &str) -> String {
    project.text(&format!("out/documents/{name}"))
}

/// The names of the documents, which must be those of the manifest.
#[track_caller]
fn names(project: &Project) -> Vec<String> {
    let manifest: Value = serde_json::from_str(&document(project, "_SUCCESS")).unwrap();
    let named = manifest["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned());
    let named: BTreeSet<String> = named.chain(["_SUCCESS".to_owned()]).collect();
    let mut left = project.left("out/documents");
    assert_eq!(left.iter().cloned().collect::<BTreeSet<_>>(), named);
    assert_eq!(manifest["rows"], left.len() - 1);
    left.retain(|name| name != "_SUCCESS");
    left
}

#[test]
fn a_row_is_a_file_with_exactly_its_text() {
    let project = project("1,{}\n2,\"{\"\"a\"\": \"\"é\"\"}\n\"\n3,\"\"\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["1.json", "2.json", "3.json"]);
    assert_eq!(document(&project, "1.json"), "{}");
    assert_eq!(document(&project, "2.json"), "{\"a\": \"é\"}\n");
    assert_eq!(document(&project, "3.json"), "");
    assert_eq!(
        project.left("out"),
        ["documents", "refused.csv", ".refused.csv.weir-success"]
            .map(str::to_owned)
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    let manifest: Value = serde_json::from_str(&document(&project, "_SUCCESS")).unwrap();
    assert_eq!((manifest["format"].as_str(), manifest["names"].as_str()), (Some("documents"), Some("${id}.json")));
    assert_eq!(manifest["columns"][0]["name"], "id");
    assert_eq!(manifest["bytes"], 14);
}

#[test]
fn no_key_leaves_the_folder_and_each_has_a_name_of_its_own() {
    let keys = [
        "../x",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a:b",
        "a*b?c",
        "<a>|\"b\"",
        "100%",
        "100%25",
        "_SUCCESS",
        "_success.x",
        ".weir-1",
        "CON",
        "nul",
        "COM1.tar",
        "a ",
        "a.",
        " a",
        "Müller",
        "Mu\u{308}ller",
        "東京",
        "tab\there",
        "line\nbreak",
        "~",
        "-rf",
    ];
    let records: String = keys.iter().map(|key| format!("\"{}\",\"<{0}>\"\n", key.replace('"', "\"\""))).collect();
    let project = project(&records);
    project.run(&[]).ended(0, "done");
    let names = names(&project);
    assert_eq!(names.len(), keys.len());
    let mut found = BTreeSet::new();
    for name in &names {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{name}");
        let content = document(&project, name);
        found.insert(content.trim_start_matches('<').trim_end_matches('>').to_owned());
        assert_eq!(decoded(name.strip_suffix(".json").unwrap()), content[1..content.len() - 1], "{name}");
    }
    assert!(found.len() >= keys.len() - 1, "{found:?}");
    assert_eq!(project.left(""), [".weir", "document.sql", "in", "out", "task.yaml"]);
}

/// A key by its name, as any decoder of URLs gives it.
fn decoded(name: &str) -> String {
    let (bytes, mut plain, mut at) = (name.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let is_escaped = bytes[at] == b'%';
        plain.push(if is_escaped { u8::from_str_radix(&name[at + 1..at + 3], 16).unwrap() } else { bytes[at] });
        at += if is_escaped { 3 } else { 1 };
    }
    String::from_utf8(plain).unwrap()
}

#[test]
fn a_model_has_the_names_that_the_sink_gives() {
    let project = project("a/b,{}\nCON,{}\n_x,{}\n");
    project.file("document.sql", "select id, document_name('', id, '.json') as body from player");
    project.run(&[]).ended(0, "done");
    let names = names(&project);
    assert_eq!(names, ["%43ON.json", "%5Fx.json", "a%2Fb.json"]);
    names.iter().for_each(|name| assert_eq!(document(&project, name), *name));
}

#[test]
fn a_document_can_be_json_that_a_model_builds() {
    let project = project("1,a\n2,\n");
    project.file("document.sql", "select id, json_build_object('id', id, 'text', text) as body from player");
    project.run(&[]).ended(0, "done");
    let read = |name: &str| serde_json::from_str::<Value>(&document(&project, name)).unwrap();
    assert_eq!(read("1.json"), serde_json::json!({"id": "1", "text": "a"}));
    assert_eq!(read("2.json"), serde_json::json!({"id": "2", "text": null}));
}

#[test]
fn rows_that_are_no_document_are_rejected_with_a_reason() {
    let long = "x".repeat(251);
    let project = project(&format!("ok,{{}}\n,no key\n\"\",empty key\nnothing,\n{long},long\n{}é,long\n", &long[6..]));
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["ok.json"]);
    let text = project.text("out/refused.csv");
    for reason in [
        ",no key,id_missing",
        "\"\",empty key,id_unfit_for_document",
        "nothing,,body_missing",
        "x,long,id_unfit_for_document",
    ] {
        assert!(text.contains(reason), "{reason}: {text}");
    }
    assert_eq!(text.lines().count(), 6, "{text}");
}

#[test]
fn a_name_has_several_columns_and_parameters() {
    let project = project("a-b,x\na,b-x\n");
    project.task("sources:", "params: {day: {type: date, default: 2022-01-31}}\nsources:");
    project.task("${id}.json", "${day}_${id}-${body}.json");
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["2022-01-31_a%2Db-x.json", "2022-01-31_a-b-x.json"]);
    // All of the columns make the name too long.
    deliver(&project, &format!("{0},{0}\n{1},y\n,z\nok,y\n", "x".repeat(125), "x".repeat(240)));
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["2022-01-31_ok-y.json"]);
}

#[test]
fn keys_that_are_one_file_where_case_is_ignored_end_the_run() {
    let project = project("one,{}\n");
    project.run(&[]).ended(0, "done");
    deliver(&project, "Ann,1\nbob,2\nann,3\n");
    let ran = project.run(&[]);
    ran.ended(1, "sink `document`");
    ran.ended(1, "2 rows have names that differ only in case");
    ran.ended(1, "for example: Ann.json, ann.json");
    let mut command = project.command(&["run", "--task-config", "task.yaml"]);
    let hidden = Ran::of(command.env_remove("WEIR_SHOW_VALUES").output().unwrap());
    hidden.ended(1, "differ only in case");
    hidden.ended(1, "shows examples");
    assert!(!hidden.err.to_lowercase().contains("ann"), "{}", hidden.err);
    assert_eq!(names(&project), ["one.json"], "nothing is published");
    assert_eq!(project.left("out"), [".refused.csv.weir-success", "documents", "refused.csv"]);
}

#[test]
fn a_key_that_comes_twice_ends_the_run_unless_a_rule_keeps_one() {
    let project = project("one,{}\ntwo,1\none,2\n");
    let ran = project.run(&[]);
    ran.ended(1, "at least 2 rows have the same name");
    ran.ended(1, "for example: one.json");
    assert_eq!(project.left("out"), [""; 0]);
    project.task(
        "sinks:\n",
        "quality: {document: {reject_unless: {repeated: {unique: id, keep: first by body}}}}\nsinks:\n",
    );
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["one.json", "two.json"]);
}

#[test]
fn a_run_replaces_all_documents_and_leaves_what_others_have_written() {
    let project = project("1,a\n2,b\n");
    project.run(&[]).ended(0, "done");
    deliver(&project, "2,c\n3,d\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["2.json", "3.json"]);
    assert_eq!(document(&project, "2.json"), "c");
    project.file("out/documents/mine.json", "mine");
    project.run(&[]).ended(1, "mine.json: was not written by a run of this task");
    assert_eq!(document(&project, "mine.json"), "mine");
    assert_eq!(document(&project, "3.json"), "d");
}

#[test]
fn a_run_without_new_input_leaves_the_documents() {
    let project = project("1,a\n");
    project.task("    columns:", "    read: new\n    columns:");
    project.run(&[]).ended(0, "done");
    project.run(&[]).ended(0, "nothing to do");
    assert_eq!(names(&project), ["1.json"]);
    project.file("in/b.csv", "id,text\n2,b\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["2.json"]);
}

#[test]
fn documents_keep_the_rights_of_the_former_ones() {
    let project = project("1,a\n2,b\n");
    project.run(&[]).ended(0, "done");
    let mode =
        |name: &str| fs::metadata(project.path(&format!("out/documents/{name}"))).unwrap().permissions().mode() & 0o777;
    for name in ["1.json", "2.json"] {
        let path = project.path(&format!("out/documents/{name}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    deliver(&project, "2,c\n3,d\n4,e\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(["2.json", "3.json", "4.json"].map(mode), [0o600; 3]);
}

#[test]
fn a_hundred_thousand_documents_need_no_more_open_files_than_one() {
    let records: String = (0..100_000).map(|number| format!("key-{number},\"{{\"\"n\"\": {number}}}\"\n")).collect();
    let project = project(&records);
    let weir = env!("CARGO_BIN_EXE_weir");
    let mut command = std::process::Command::new("sh");
    let script = format!("ulimit -n 256 && exec {weir} run --task-config task.yaml --threads 4");
    command.args(["-c", &script]).current_dir(project.path(""));
    Ran::of(command.output().unwrap()).ended(0, "done");
    assert_eq!(names(&project).len(), 100_000);
    assert_eq!(document(&project, "key-99999.json"), "{\"n\": 99999}");
    // The folder is looked at again, and replaced by a smaller one.
    deliver(&project, "1,{}\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["1.json"]);
}

#[test]
#[cfg(debug_assertions)]
fn documents_last_also_where_a_disk_cannot_be_synchronised_as_a_whole() {
    let run = |project: &Project, fault: &str| {
        Ran::of(project.command(&["run", "--task-config", "task.yaml"]).env("WEIR_FAULT", fault).output().unwrap())
    };
    let project = project("1,a\n2,b\n");
    // ENOSYS: each file by itself.
    run(&project, "syncfs=38").ended(0, "done");
    assert_eq!(names(&project), ["1.json", "2.json"]);
    deliver(&project, "3,c\n");
    // A write has failed after the file was closed.
    let ran = run(&project, "syncfs=5");
    ran.ended(1, "sink `document`");
    ran.ended(1, "Input/output error");
    assert_eq!(names(&project), ["1.json", "2.json"]);
    assert_eq!(project.left("out"), [".refused.csv.weir-success", "documents", "refused.csv"]);
}

#[test]
fn documents_of_a_source_need_no_model_as_long_as_all_rows_are_documents() {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.task("models: {document: document.sql}\n", "");
    project.task("from: document\n", "from: player\n");
    project.task("body: body", "body: text");
    let text = project.text("task.yaml");
    project.file("task.yaml", text.lines().filter(|line| !line.contains("refused")).collect::<Vec<_>>().join("\n"));
    deliver(&project, "1,a\n2,b\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["1.json", "2.json"]);
    deliver(&project, "1,a\nprivate,\n");
    let ran = project.run(&[]);
    ran.ended(1, "column `text` is null in a row");
    assert!(!ran.err.contains("private"), "{}", ran.err);
    deliver(&project, "1,a\n,private\n");
    project.run(&[]).ended(1, "no file can be named by a row: column `id` is null or empty");
    assert_eq!(names(&project), ["1.json", "2.json"]);
}

#[test]
fn what_documents_cannot_be_is_refused_in_the_task() {
    for (from, to, said) in [
        ("${id}.json", "all.json", "the name of a document has a column: with one name all rows would be one file"),
        ("${id}.json", "${id}${body}", "two columns follow one another"),
        ("${id}.json", "a/${id}", "`/` is not for the names of documents"),
        ("${id}.json", "${id", "is not closed"),
        ("${id}.json", "${idd}.json", "`${idd}` is neither a column of the route nor a parameter"),
        ("body: body", "body: text", "the route has no column `text`"),
        ("body: body", "body: id, more: 1", "unknown"),
        (
            "mode: overwrite\n    doc",
            "mode: append\n    doc",
            "which is replaced as a whole, and `mode: append` would keep",
        ),
        (
            "mode: overwrite\n    doc",
            "mode: replace\n    doc",
            "which is replaced as a whole, and `mode: replace` would keep",
        ),
        (
            "mode: overwrite\n    doc",
            "mode: merge\n    primary_key: [id]\n    doc",
            "is a folder of documents, which has no keys",
        ),
        ("mode: overwrite\n    doc", "mode: overwrite\n    partition_by: [id]\n    doc", "which has no partitions"),
        ("mode: overwrite\n    doc", "mode: overwrite\n    columns: [id, body]\n    doc", "which have no columns"),
        ("mode: overwrite\n    doc", "mode: overwrite\n    adopt: true\n    doc", "`adopt` is for tables and files"),
        (
            "mode: overwrite\n    doc",
            "mode: overwrite\n    escape_formulas: true\n    doc",
            "`escape_formulas` is for CSV files",
        ),
        (
            "mode: overwrite\n    doc",
            "mode: overwrite\n    compact: 5\n    doc",
            "`compact` is the number of small files that an appended folder",
        ),
        (
            "mode: overwrite\n    doc",
            "mode: overwrite\n    files: {path: out/x, format: csv}\n    doc",
            "has two targets",
        ),
        (
            "mode: overwrite\n    doc",
            "mode: overwrite\n    files: {file: out/x.csv, format: csv}\n    doc",
            "has two targets",
        ),
        ("path: out/documents", "path: 'ftp://documents'", "only files of this machine can be written there"),
        ("file: out/refused.csv", "path: out/documents/refused", "share the folder"),
        (
            "sources:",
            "params: {id: {type: string, default: x}}\nsources:",
            "`${id}` is a column of the route and a parameter",
        ),
        ("sources:", "params: {day: {type: string, default: a/b}}\nsources:", "`/` is not for the names"),
    ] {
        let project = project("1,a\n");
        if to.contains("day") {
            project.task("${id}.json", "${day}-${id}.json");
        }
        project.task(from, to);
        project.weir(&["validate", "task.yaml"]).ended(2, said);
    }
    for (column, said) in [("1.5", "by which no file can be named"), ("true", "by which no file can be named")] {
        let project = project("1,a\n");
        project.file("document.sql", format!("select {column} as id, text as body from player"));
        project.weir(&["validate", "task.yaml"]).ended(2, said);
    }
    let project = project("1,a\n");
    project.file("document.sql", "select id, length(text) as body from player");
    project.weir(&["validate", "task.yaml"]).ended(2, "and a document is a text");
    project.file("document.sql", "select length(id) as id, text as body from player");
    project.run(&[]).ended(0, "done");
    assert_eq!(names(&project), ["1.json"]);
}

#[cfg(feature = "object-stores")]
mod in_a_bucket {
    use std::time::{Duration, Instant};

    use super::support::s3::{Fault, S3, SECRET};
    use super::*;

    fn bucket(records: &str) -> (S3, Project) {
        let (server, project) = (S3::start(), project(records));
        project.file("weir.yaml", server.settings());
        project.task("out/documents", "s3://stock/out/documents");
        (server, project)
    }

    fn run(project: &Project) -> Ran {
        let mut command = project.command(&["run", "task.yaml", "--state", ".weir"]);
        Ran::of(command.env("STORE_SECRET", SECRET).env("NO_PROXY", "*").output().unwrap())
    }

    /// A document as a program reads it that knows its key: by the run of the manifest.
    fn read(server: &S3, name: &str) -> Option<String> {
        let manifest: Value = serde_json::from_str(&server.get("out/documents/_SUCCESS").unwrap()).unwrap();
        let run = manifest["run"].as_str().unwrap();
        let file = format!("documents-{run}/{name}");
        let is_named = manifest["files"].as_array().unwrap().iter().any(|named| *named == *file);
        let found = server.get(&format!("out/documents/{file}"));
        assert_eq!(is_named, found.is_some(), "{file}");
        found
    }

    #[test]
    fn a_document_is_found_by_the_run_of_the_manifest_and_its_key() {
        let (server, project) = bucket("a/b,1\nMüller,2\n../x,3\n");
        run(&project).ended(0, "done");
        for (name, body) in [("a%2Fb.json", "1"), ("M%C3%BCller.json", "2"), ("%2E.%2Fx.json", "3")] {
            assert_eq!(read(&server, name).as_deref(), Some(body), "{name}");
        }
        deliver(&project, "a/b,4\n");
        run(&project).ended(0, "done");
        assert_eq!(read(&server, "a%2Fb.json").as_deref(), Some("4"));
        assert_eq!(read(&server, "M%C3%BCller.json"), None);
        assert_eq!(server.keys().len(), 2, "{:?}", server.keys());
        server.put("out/documents/documents-mine/a.json", "mine");
        run(&project).ended(1, "documents-mine/a.json: was not written by a run of this task");
    }

    #[test]
    fn rows_that_are_one_document_end_the_run() {
        let (server, project) = bucket("one,1\n");
        run(&project).ended(0, "done");
        for (records, said) in [("Ann,1\nann,2\n", "differ only in case"), ("a,1\na,2\n", "have the same name")] {
            deliver(&project, records);
            run(&project).ended(1, said);
            assert_eq!(read(&server, "one.json").as_deref(), Some("1"));
            assert_eq!(server.keys().len(), 2, "{:?}", server.keys());
        }
    }

    #[test]
    fn uploads_overlap() {
        const AT_ONCE: usize = 8;
        let records: String = (0..100).map(|number| format!("{number},x\n")).collect();
        let (server, project) = bucket(&records);
        let waiting = server.waiting();
        let mut is_first = true;
        server.fail(move |request, _| {
            if request.method == "PUT" && request.key.contains("documents-") && std::mem::take(&mut is_first) {
                let started = Instant::now();
                while waiting.load(std::sync::atomic::Ordering::Relaxed) < AT_ONCE {
                    if started.elapsed() > Duration::from_secs(60) {
                        return Some(Fault::Answer(403, "NoOthersCame"));
                    }
                    std::thread::yield_now();
                }
            }
            None
        });
        run(&project).ended(0, "done");
        assert_eq!(server.keys().len(), 101);
    }

    #[test]
    fn a_put_that_fails_ends_the_run_without_the_key_in_the_error() {
        let records: String = (0..1000).map(|number| format!("private-{number},x\n")).collect();
        let (server, project) = bucket(&records);
        server.fail(|request, _| request.is("PUT", "private-500.json").then_some(Fault::Answer(403, "AccessDenied")));
        let ran = run(&project);
        ran.ended(1, "sink `document`: s3://stock/out/documents: access is denied");
        assert!(!ran.err.contains("private"), "{}", ran.err);
        assert_eq!(server.keys(), [""; 0]);
    }
}
