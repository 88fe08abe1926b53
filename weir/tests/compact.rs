//! `compact`: the small files of an appended folder become one, and no row is lost or doubled.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};

/// A task that appends each delivery.
fn project(format: &str, compression: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: sales
sources:
  sale: {{files: {{path: 'in/*.csv', format: csv}}, read: new, columns: {{id: bigint, note: string, day: date}}}}
sinks:
  sales: {{from: sale, mode: append, compact: 3, files: {{path: out, format: {format}, compression: {compression}}}}}
"
        ),
    );
    project
}

fn deliver(project: &Project, number: usize) {
    let lines = format!("id,note,day\n{number},\"a, \"\"{number}\"\"\",2026-01-01\n{number},,\n");
    project.file(&format!("in/{number:02}.csv"), lines);
}

fn run(project: &Project) -> Ran {
    project.weir(&["run", "--task-config", "task.yaml", "--state", ".weir"])
}

/// The ids in the folder, read by a task of its own.
fn ids(project: &Project, format: &str) -> Vec<usize> {
    let extension = std::fs::read_to_string(project.path("out/_SUCCESS")).unwrap();
    assert!(extension.contains(&format!("\"format\": \"{format}\"")));
    project.file(
        "back.yaml",
        format!(
            "name: back
sources:
  sale: {{files: {{path: 'out/part-*', format: {format}}}, columns: {{id: bigint, note: string, day: date}}}}
sinks:
  back: {{from: sale, mode: overwrite, files: {{path: back, format: csv}}}}
"
        ),
    );
    project.weir(&["run", "--quiet", "--task-config", "back.yaml", "--state", ".back"]).ended(0, "");
    let rows = project.rows("back");
    let mut ids: Vec<usize> = rows[1..].iter().map(|row| row.split(',').next().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    assert!(rows[1..].iter().all(|row| row.ends_with(",,") || row.contains("\"a, \"\"")), "{rows:?}");
    ids
}

#[test]
fn small_files_become_one_in_every_format() {
    for (format, compression) in [
        ("csv", "none"),
        ("csv", "gzip"),
        ("csv", "zstd"),
        ("jsonl", "none"),
        ("jsonl", "gzip"),
        ("parquet", "snappy"),
        ("parquet", "zstd"),
    ] {
        let project = project(format, compression);
        let mut expected = vec![];
        for number in 1..=10 {
            deliver(&project, number);
            run(&project).ended(0, "done: `sales`");
            expected.extend([number, number]);
            let files = project.left("out").len() - 1;
            assert!(files <= 4, "{format} {compression}: {files} files after {number} deliveries");
            assert_eq!(ids(&project, format), expected, "{format} {compression}");
        }
        let manifest = std::fs::read_to_string(project.path("out/_SUCCESS")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["rows"], 20);
        let names = project.left("out");
        let bytes = names.iter().filter(|name| *name != "_SUCCESS");
        let bytes: u64 = bytes.map(|name| project.path(&format!("out/{name}")).metadata().unwrap().len()).sum();
        assert_eq!(manifest["bytes"], bytes);
        run(&project).ended(0, "nothing to do");
    }
}

#[test]
#[cfg(debug_assertions)] // the points at which a run can be made to die
fn a_run_that_dies_while_it_merges_loses_and_doubles_nothing() {
    for point in ["staging_made", "merged", "prepared", "decided", "committed", "published", "cleared", "ended"] {
        let project = project("csv", "none");
        for number in 1..=4 {
            deliver(&project, number);
            run(&project).ended(0, "done: `sales`");
        }
        deliver(&project, 5);
        let mut command = project.command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
        assert_eq!(Ran::of(command.env("WEIR_FAULT", point).output().unwrap()).code, None, "{point}");
        run(&project).ended(0, "");
        assert_eq!(ids(&project, "csv"), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "{point}");
        assert!(project.left("out").len() <= 3, "{point}: {:?}", project.left("out"));
        assert!(!project.left("").iter().any(|name| name.starts_with(".out.")), "{point}");
    }
}

#[test]
fn it_is_for_appended_folders() {
    let project = project("csv", "none");
    project.task("mode: append", "mode: overwrite");
    run(&project).ended(2, "`compact` is the number of small files that an appended folder may have");
}
