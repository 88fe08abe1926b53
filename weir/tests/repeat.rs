//! Idempotent and incremental runs leave each row once: new files, appended folders, archives.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{File, create_dir_all, hard_link, read_to_string, rename};
use std::time::{Duration, SystemTime};

use support::{Project, TASK};

/// The people of [`TASK`], of new files only; the adults are appended.
fn people() -> Project {
    let project = Project::people();
    project.task("columns: {name: string, age: integer}", "read: new\n    columns: {name: string, age: integer}");
    project.task("from: adult\n    mode: overwrite", "from: adult\n    mode: append");
    project
}

#[test]
fn a_run_reads_the_files_that_no_published_run_has_read_and_appends_their_rows() {
    let project = people();
    project.run(&[]).ended(0, "done");
    project.file("in/b.csv", "name,age\nDan,50\nEve,3\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30", "Dan,50"]);
    assert_eq!(project.rows("out/bad"), ["name,years,reasons", "Eve,3,too_young"], "of the last run");
    let ran = project.run(&[]);
    ran.ended(0, "source `person`: no new files, all 2 matching ones were read before");
    ran.ended(0, "nothing to do");
    project.weir(&["runs", "--state", ".weir"]).ended(0, "no new files, all 2");
    assert_eq!(project.rows("out/good").len(), 4);
    let plan = project.weir(&["plan", "--task-config", "task.yaml"]);
    plan.ended(0, "source `person`: 0 files, 0 B (2 more were read by earlier runs)");
}

#[test]
fn a_file_is_identified_independently_of_the_working_directory() {
    let project = people();
    project.task("sources:", "  folder: {type: string, default: .}\nsources:");
    project.task("in/*.csv", "${folder}/in/*.csv");
    project.run(&[]).ended(0, "done");
    let mut command = project.command(&["run", "--task-config", "../task.yaml", "--param", "folder=.."]);
    create_dir_all(project.path("sub")).unwrap();
    let ran = support::Ran::of(command.current_dir(project.path("sub")).output().unwrap());
    ran.ended(0, "no new files");
    let whole = format!("folder={}", project.path("").to_str().unwrap().trim_end_matches('/'));
    project.run(&["--param", &whole]).ended(0, "no new files");
}

#[test]
fn a_file_with_only_another_modification_time_is_not_read_again() {
    let project = people();
    project.run(&[]).ended(0, "done");
    let touch = |seconds| {
        let file = File::options().append(true).open(project.path("in/a.csv")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    for seconds in [1000, 2000] {
        touch(seconds);
        project.run(&[]).ended(0, "the matching one was read before");
    }
    // Rewritten with the same content.
    project.file("in/a.csv", "name,age\nAnn,30\nBob,17\n\"Lee, Cid\",44\n");
    project.run(&[]).ended(0, "the matching one was read before");
    assert_eq!(project.rows("out/good").len(), 3);
}

#[test]
fn a_file_with_changed_content_ends_the_run_or_is_read_again() {
    let project = people();
    project.run(&[]).ended(0, "done");
    project.file("in/a.csv", "name,age\nAnn,31\nBob,17\n\"Lee, Cid\",44\n"); // of the same size
    project.file("in/b.csv", "name,age\nDan,50\n");
    let ran = project.run(&[]);
    ran.ended(1, "in/a.csv: its content has changed since run 20");
    ran.ended(1, "write each delivery under a new name");
    project.weir(&["plan", "--task-config", "task.yaml"]).ended(1, "in/a.csv: its content has changed");
    assert_eq!(project.rows("out/good").len(), 3);
    project.task("read: new", "read: new\n    if_changed: read");
    project.run(&[]).ended(0, "done");
    project.run(&[]).ended(0, "no new files");
    let rows = project.rows("out/good");
    assert_eq!(rows[1..], ["\"Lee, Cid\",44", "\"Lee, Cid\",44", "Ann,30", "Ann,31", "Dan,50"]);
}

#[test]
fn a_copy_ends_the_run_or_is_left_out_or_read_as_the_task_decides() {
    let project = people();
    project.run(&[]).ended(0, "done");
    hard_link(project.path("in/a.csv"), project.path("in/b.csv")).unwrap();
    project.file("in/c.csv", "name,age\nDan,50\n");
    project.file("in/d.csv", "name,age\nDan,50\n");
    let ran = project.run(&[]);
    ran.ended(1, "in/b.csv: has the content of ");
    ran.ended(1, "in/a.csv, which run ");
    ran.ended(1, "if it is a copy, its rows would be there twice");
    ran.ended(1, "specify `if_copied: skip`");
    project.task("read: new", "read: new\n    if_copied: skip");
    let ran = project.run(&[]);
    ran.ended(0, "in/b.csv has the content of ");
    ran.ended(0, "and 1 more: it is a copy, and is not read");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30", "Dan,50"]);
    // They count as read, and the next runs neither look into them nor tell it again.
    let ran = project.run(&[]);
    ran.ended(0, "no new files, all 4 matching ones were read before");
    assert!(!ran.err.contains("has the content of"), "{ran:?}");

    let project = people();
    project.task("read: new", "read: new\n    if_copied: read");
    project.file("in/b.csv", "name,age\nAnn,30\nBob,17\n\"Lee, Cid\",44\n");
    project.run(&[]).ended(0, "in/b.csv has the content of in/a.csv: if it is a copy, its rows are there twice");
    assert_eq!(project.rows("out/good").len(), 5);
}

#[test]
fn two_copies_in_one_run_end_it() {
    let project = people();
    hard_link(project.path("in/a.csv"), project.path("in/b.csv")).unwrap();
    project.run(&[]).ended(1, "in/b.csv: has the content of in/a.csv: if it is a copy");
}

#[test]
fn files_with_nothing_but_a_header_may_be_equal() {
    let project = people();
    project.task(", min_rows: 1", "");
    project.task("max_rejected: 60%", "min_rows: 0");
    project.file("in/b.csv", "name,age\n");
    project.run(&[]).ended(0, "done");
    project.file("in/c.csv", "name,age\n");
    let ran = project.run(&[]);
    ran.ended(0, "done");
    assert!(!ran.err.contains("has the content of"), "{ran:?}");
    project.file("in/d.csv", "name,age\nBob,17\n");
    project.file("in/e.csv", "name,age\nBob,17\n");
    project.run(&[]).ended(1, "in/e.csv: has the content of in/d.csv");
}

#[test]
fn files_without_records_may_be_equal_in_every_format() {
    let project = Project::empty();
    let make = |format: &str| {
        let files =
            format!("sinks: {{none: {{from: none, mode: overwrite, files: {{file: in/a.x, format: {format}}}}}}}");
        let source = "sources: {row: {files: {path: rows.csv, format: csv}, columns: {n: bigint}}}";
        project.file("make.yaml", format!("name: make\n{source}\nmodels: {{none: sql/none.sql}}\nquality: {{none: {{gate: {{min_rows: 0}}}}}}\n{files}\n"));
        project.file("sql/none.sql", "select n from row where n < 0");
        project.file("rows.csv", "n\n1\n");
        project.weir(&["run", "make.yaml"]).ended(0, "done");
    };
    for (format, content) in [
        ("jsonl", "\n"),
        ("json", "[ ]\n"),
        ("json, records: a.b", "{\"n\": 0, \"a\": {\"b\": []}}\n"),
        ("parquet", ""),
    ] {
        project.file(
            "task.yaml",
            format!(
                "name: read\nsources: {{row: {{files: {{path: 'in/*', format: {format}}}, read: new, columns: {{n: bigint}}}}}}\n\
                 sinks: {{rows: {{from: row, mode: append, files: {{path: out, format: csv}}}}}}\n"
            ),
        );
        match format {
            "parquet" => make(format),
            _ => project.file("in/a.x", content),
        }
        std::fs::copy(project.path("in/a.x"), project.path("in/b.x")).unwrap();
        let ran = project.run(&[]);
        assert!(ran.code == Some(0) && !ran.err.contains("has the content of"), "{format}: {ran:?}");
        std::fs::remove_dir_all(project.path("in")).unwrap();
        std::fs::remove_dir_all(project.path(".weir")).unwrap();
        std::fs::remove_dir_all(project.path("out")).unwrap();
    }
}

#[test]
fn a_renamed_file_is_not_read_again() {
    let project = people();
    project.run(&[]).ended(0, "done");
    rename(project.path("in/a.csv"), project.path("in/b.csv")).unwrap();
    let ran = project.run(&[]);
    ran.ended(0, "which is gone: it was renamed, and is not read again");
    ran.ended(0, "no new files, the matching one was read before");
    let ran = project.run(&[]);
    assert!(ran.code == Some(0) && !ran.err.contains("renamed"), "{ran:?}");
    // As a log is rotated: its name has another content.
    rename(project.path("in/b.csv"), project.path("in/c.csv")).unwrap();
    project.file("in/b.csv", "name,age\nDan,50\n");
    project.task("read: new", "read: new\n    if_changed: read");
    project.run(&[]).ended(0, "in/c.csv has the content of ");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30", "Dan,50"]);
    project.run(&[]).ended(0, "no new files, all 2 matching ones were read before");
}

#[test]
fn an_archived_file_that_is_delivered_under_another_name_is_a_copy() {
    let project = people();
    project.task("read: new", "read: new\n    archive: done");
    project.run(&[]).ended(0, "done");
    std::fs::copy(project.path("done/a.csv"), project.path("in/b.csv")).unwrap();
    project.run(&[]).ended(1, "in/b.csv: has the content of ");
    project.task("read: new", "read: new\n    if_copied: skip");
    project.run(&[]).ended(0, "it is a copy, and is not read");
    assert_eq!((project.left("in"), project.rows("out/good").len()), (vec!["b.csv".to_owned()], 3));
}

#[test]
fn a_run_that_publishes_nothing_has_read_nothing() {
    let project = people();
    project.task("too_young: age >= $least_age", "too_young: {requires: age >= $least_age, max: 0}");
    project.task("    gate:", "    fail_unless:\n      possible: age < 200\n    gate:");
    project.file("in/b.csv", "name,age\nDan,500\n");
    project.run(&[]).ended(1, "rule `possible` (fail_unless)");
    project.file("in/b.csv", "name,age\nDan,50\n");
    project.run(&[]).ended(3, "gate closed");
    project.file("in/a.csv", "name,age\nAnn,30\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30", "Dan,50"]);
    project.run(&[]).ended(0, "no new files");
}

#[test]
fn rows_that_a_closed_gate_appended_are_replaced_by_the_run_that_reads_them_again() {
    let project = people();
    project.task("from: adult.rejected\n    mode: overwrite", "from: adult.rejected\n    mode: append");
    project.run(&[]).ended(0, "done");
    project.file("in/b.csv", "name,age\nDan,5\nEve,3\n");
    for _ in 0..2 {
        project.run(&[]).ended(3, "gate closed");
        let bad = project.rows("out/bad");
        assert_eq!(bad[1..], ["Bob,17,too_young", "Dan,5,too_young", "Eve,3,too_young"]);
    }
    project.file("in/c.csv", "name,age\nFay,50\nGil,60\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/bad")[1..], ["Bob,17,too_young", "Dan,5,too_young", "Eve,3,too_young"]);
    assert_eq!(project.rows("out/good").len(), 5);
}

#[test]
fn without_new_files_a_run_can_fail_or_continue_with_no_rows() {
    let project = people();
    project.run(&[]).ended(0, "done");
    project.task("read: new", "read: new\n    if_missing: fail");
    project.run(&[]).ended(1, "no new files, the matching one was read before");
    project.task("if_missing: fail", "if_missing: empty");
    project.task(", min_rows: 1", "");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good").len(), 3);
    assert_eq!(project.left("out/good").len(), 2, "no rows, no file");
    assert_eq!(project.rows("out/bad"), ["name,years,reasons"]);
}

#[test]
fn an_appended_folder_begins_with_a_file_even_without_rows() {
    let project = people();
    project.task(", min_rows: 1", "");
    project.task("max_rejected: 60%", "max_rejected: 100%");
    project.file("in/a.csv", "name,age\nBob,1\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good"), ["name,age"]);
    assert_eq!(project.left("out/good").len(), 2);
}

#[test]
fn the_report_has_what_a_run_added_and_the_manifest_has_the_sum() {
    let project = people();
    project.run(&[]).ended(0, "done");
    project.file("in/b.csv", "name,age\nDan,50\nEve,3\n");
    project.run(&[]).ended(0, "done");
    let newest = project.weir(&["runs", "--state", ".weir", "--json", "--last", "1"]).out;
    let newest: serde_json::Value = serde_json::from_str(&newest).unwrap();
    assert_eq!(newest["report"]["outputs"][0]["rows"], 1);
    let manifest = read_to_string(project.path("out/good/_SUCCESS")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!((&manifest["rows"], &manifest["run"]), (&3.into(), &newest["id"]));
    assert_eq!(manifest["added"][1]["rows"], 1);
    assert_eq!(manifest["files"].as_array().unwrap().len(), project.left("out/good").len() - 1);
}

#[test]
fn files_are_moved_to_the_archive_after_publishing_with_their_relative_paths() {
    let project = people();
    project.task("in/*.csv", "in/**/*.csv");
    project.task("read: new", "read: new\n    archive: done/people");
    project.file("in/north/a.csv", "name,age\nDan,50\n");
    project.file("in/notes.txt", "not read");
    project.run(&["--param", "least_age=99"]).ended(3, "gate closed");
    assert_eq!(project.left("in"), ["a.csv", "north", "notes.txt"], "a closed gate moves nothing");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.left("in"), ["north", "notes.txt"]);
    assert_eq!(project.left("in/north"), [""; 0]);
    assert_eq!(project.left("done/people"), ["a.csv", "north"]);
    assert_eq!(project.left("done/people/north"), ["a.csv"]);
    project.run(&[]).ended(0, "no file matches");
    // The same name arrives again: with the same content it counts as read, with another one it is an error.
    project.file("in/north/a.csv", "name,age\nDan,50\n");
    project.run(&[]).ended(0, "no new files");
    project.task("read: new", "read: new\n    if_changed: read");
    project.file("in/north/a.csv", "name,age\nDan,51\n");
    project.run(&[]).ended(0, "done");
    let archived = project.left("done/people/north");
    assert!(archived.len() == 2 && archived[0].starts_with("a-20") && archived[1] == "a.csv", "{archived:?}");
}

#[test]
fn without_read_new_an_archive_empties_the_folder() {
    let project = Project::people();
    project.task("columns: {name: string", "archive: done\n    columns: {name: string");
    project.run(&[]).ended(0, "done");
    assert_eq!((project.left("in"), project.left("done")), (vec![], vec!["a.csv".to_owned()]));
    project.run(&[]).ended(0, "no file matches in/*.csv");
    project.file("in/a.csv", "name,age\nZoe,99\n");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good"), ["name,age", "Zoe,99"]);
}

#[test]
fn an_archive_that_would_be_read_again_is_refused() {
    let project = people();
    project.task("in/*.csv", "in/**/*.csv");
    project.task("read: new", "read: new\n    archive: in/done");
    let ran = project.weir(&["validate", "--task-config", "task.yaml"]);
    ran.ended(2, "task.yaml:9:14: archived files in `in/done` would match `in/**/*.csv`");
    project.task("archive: in/done", "archive: out/good/done");
    project.run(&[]).ended(2, "the archive of source `person` shares the folder of sink `good`");
    // A link is only resolved by the run.
    project.task("archive: out/good/done", "archive: link/done");
    std::os::unix::fs::symlink("in", project.path("link")).unwrap();
    project.run(&[]).ended(1, "link/done: archived files would match the source's pattern");
    assert_eq!(project.left("out"), [""; 0]);
}

#[test]
fn append_without_read_new_is_refused() {
    let project = people();
    project.task("read: new\n    ", "");
    let ran = project.weir(&["validate", "--task-config", "task.yaml"]);
    ran.ended(
        2,
        "sink `good`: `mode: append` needs a source with `read: new` or a `cursor` without `lag`: each run would",
    );
    ran.ended(2, "task.yaml:19:5");
}

#[test]
fn a_changed_task_does_not_mix_its_files_with_the_previous_ones() {
    let project = people();
    project.run(&[]).ended(0, "done");
    project.file("in/b.csv", "name,age\nDan,50\n");
    let before = project.rows("out/good");
    let refused = |from: &str, to: &str, said: &str, help: &str| {
        project.task(from, to);
        let ran = project.run(&[]);
        ran.ended(1, said);
        ran.ended(1, help);
        project.task(to, from);
        assert_eq!(project.rows("out/good"), before);
    };
    refused(
        "from: adult\n    mode: append",
        "from: adult\n    mode: overwrite",
        "out/good: was written with `mode: append`, and the task has `overwrite`",
        "specify `mode: append` as before",
    );
    refused(
        "from: adult.rejected\n    mode: overwrite",
        "from: adult.rejected\n    mode: append",
        "out/bad: was written with `mode: overwrite`, and the task has `append`",
        "move the content of this one away",
    );
    let files = "files: {path: out/good, format: csv}\n";
    refused(
        files,
        &format!("{files}    columns: [age, name]\n"),
        "its files have the columns (name string, age integer), and the sink has (age integer, name string)",
        "let `columns` of the sink return the same as before",
    );
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good").len(), 4);
}

#[test]
fn an_appended_folder_needs_the_ledger_of_its_runs() {
    let project = people();
    project.run(&[]).ended(0, "done");
    let ran = project.run(&["--state", "elsewhere"]);
    ran.ended(1, "which the ledger does not have");
    ran.ended(1, "rows would be added twice");
    assert_eq!(project.rows("out/good").len(), 3);
}

#[test]
fn a_missing_previous_file_ends_the_run_before_anything_is_read() {
    let project = people();
    project.run(&[]).ended(0, "done");
    let part = project.left("out/good").into_iter().find(|name| name.ends_with(".csv")).unwrap();
    rename(project.path(&format!("out/good/{part}")), project.path("kept")).unwrap();
    project.file("in/b.csv", "name,age\nDan,50\n");
    project.run(&[]).ended(1, &format!("out/good: `{part}` is gone"));
    rename(project.path("kept"), project.path(&format!("out/good/{part}"))).unwrap();
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good").len(), 4);
}

#[test]
fn readers_of_an_appended_folder_keep_their_open_files() {
    let project = people();
    project.run(&[]).ended(0, "done");
    let part = project.left("out/good").into_iter().find(|name| name.ends_with(".csv")).unwrap();
    let open = File::open(project.path(&format!("out/good/{part}"))).unwrap();
    project.file("in/b.csv", "name,age\nDan,50\n");
    project.run(&[]).ended(0, "done");
    let now = File::open(project.path(&format!("out/good/{part}"))).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(open.metadata().unwrap().ino(), now.metadata().unwrap().ino(), "linked, not copied");
}

#[test]
fn a_ledger_of_version_1_is_migrated_and_its_runs_have_used_no_file_up() {
    let project = people();
    create_dir_all(project.path(".weir")).unwrap();
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    ledger.execute_batch(include_str!("support/ledger_v1.sql")).unwrap();
    let metadata = std::fs::metadata(project.path("in/a.csv")).unwrap();
    let modified = chrono::DateTime::<chrono::Utc>::from(metadata.modified().unwrap()).to_rfc3339();
    let run = "insert into run (id, task, environment, started, ended, state, pid, parameters) values";
    ledger
        .execute_batch(&format!(
            "{run} ('old', 'people', 'default', '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z', 'done', 1, '{{}}');
             insert into input values ('old', 'person', 'in/a.csv', {}, '{modified}');",
            metadata.len()
        ))
        .unwrap();
    drop(ledger);
    project.weir(&["runs", "--state", ".weir"]).ended(0, "old");
    project.run(&[]).ended(0, "done");
    project.run(&[]).ended(0, "the matching one was read before");
}

#[test]
fn a_task_changed_to_read_new_finds_all_files_new_once() {
    let project = Project::people();
    project.run(&[]).ended(0, "done");
    project
        .task("    columns: {name: string, age: integer}", "    read: new\n    columns: {name: string, age: integer}");
    project.task("mode: overwrite\n    files: {path: out/good", "mode: append\n    files: {path: out/added");
    project.run(&[]).ended(0, "done");
    project.run(&[]).ended(0, "the matching one was read before");
    assert_eq!(project.rows("out/added"), ["name,age", "\"Lee, Cid\",44", "Ann,30"]);
}

#[test]
fn a_task_without_these_keys_reads_all_files_every_time() {
    let project = Project::people();
    project.file("task.yaml", TASK);
    for _ in 0..2 {
        project.run(&[]).ended(0, "done");
        assert_eq!(project.rows("out/good").len(), 3);
    }
}

#[test]
fn a_file_that_has_grown_is_told_as_such() {
    let project = people();
    project.run(&[]).ended(0, "");
    let file = project.path("in/a.csv");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}Dan,50\n")).unwrap();
    let ran = project.run(&[]);
    ran.ended(1, "in/a.csv: it has grown since run");
    ran.ended(1, "rotate a log before it is read");
    project.task("read: new", "read: new\n    if_changed: read");
    project.run(&[]).ended(0, "has grown since that run read it: its first rows are read again, too");
}

#[test]
fn a_log_that_was_rotated_is_told_with_a_way_to_read_it() {
    let project = people();
    project.task("read: new", "read: new\n    if_changed: new_rows");
    project.run(&[]).ended(0, "");
    std::fs::rename(project.path("in/a.csv"), project.path("in/a.csv.1")).unwrap();
    project.file("in/a.csv", "name,age\nDan,50\n");
    let ran = project.run(&[]);
    ran.ended(1, "in/a.csv: its content has changed since run");
    ran.ended(1, "let it be written to files whose names stay, such as app-2024-01-31.log");
    ran.ended(1, "specify `if_changed: read` for one run, and a `path` that matches no rotated file");
    // One run reads the file whole, and the ones after it what is new.
    project.task("if_changed: new_rows", "if_changed: read");
    project.run(&[]).ended(0, "");
    project.task("if_changed: read", "if_changed: new_rows");
    project.run(&[]).ended(0, "nothing to do");
    project.file("in/a.csv", "name,age\nDan,50\nEve,51\n");
    project.run(&[]).ended(0, "");
    let rows = ["\"Lee, Cid\",44", "Ann,30", "Dan,50", "Eve,51"];
    assert_eq!(project.rows("out/good")[1..].iter().map(|row| row.as_str()).collect::<Vec<_>>(), rows);
    // Files whose names stay need nothing of the kind.
    project.file("in/b-2024-01-31.csv", "name,age\nFay,60\n");
    project.run(&[]).ended(0, "");
    project.file("in/b-2024-01-31.csv", "name,age\nFay,60\nGil,61\n");
    project.file("in/b-2024-02-01.csv", "name,age\nHal,62\n");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good").len(), 1 + rows.len() + 3);
}

#[test]
fn the_new_rows_of_a_file_that_has_grown_are_read_once() {
    let project = people();
    project.task("read: new", "read: new\n    if_changed: new_rows");
    project.task("age: integer}", "age: integer, line: {type: bigint, from: line}}");
    project.file("sql/adult.sql", "select name, age, line from person");
    project.task("columns: [name, {years: age}, reasons]", "columns: [name, line]");
    project.run(&[]).ended(0, "");
    let file = project.path("in/a.csv");
    let append = |text: &str| {
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{before}{text}")).unwrap();
    };
    append("Dan,50\n\"Eve\",51\n");
    project.run(&[]).ended(0, "it is read from line 5 on");
    let rows = ["name,age,line", "\"Lee, Cid\",44,4", "Ann,30,2", "Dan,50,5", "Eve,51,6"];
    assert_eq!(project.rows("out/good"), rows);
    // A run that publishes nothing has read nothing.
    append("Fay,3\nGil,4\n");
    project.run(&[]).ended(3, "gate closed");
    append("Hal,60\nIda,61");
    project.run(&[]).ended(0, "it is read from line 7 on");
    assert_eq!(
        project.rows("out/good")[1..],
        ["\"Lee, Cid\",44,4", "Ann,30,2", "Dan,50,5", "Eve,51,6", "Hal,60,9", "Ida,61,10"]
    );
    append("\n");
    project.run(&[]).ended(1, "in/a.csv: has grown, and cannot be read from its former end on");
    project.file("in/a.csv", "name,age\nAnn,31\n");
    project.run(&[]).ended(1, "in/a.csv: its content has changed since run");
}
