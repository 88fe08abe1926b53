//! `replace_folder`: all folders of a task are published by one rename of their parent.
#![allow(clippy::unwrap_used)]
// The points at which a run can be stopped exist in debug builds only.
#![cfg(debug_assertions)]

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;

use support::{Project, Ran};

fn project() -> Project {
    let project = Project::people();
    project.task("params:", "replace_folder: out\nparams:");
    project
}

/// Runs with fault points; at one that stops the process `meanwhile` is done.
fn run_with(project: &Project, faults: &str, meanwhile: impl FnOnce()) -> Ran {
    let mut command = project.command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
    let mut child = command.env("WEIR_FAULT", faults).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if faults.ends_with("+stop") {
        let stat = format!("/proc/{}/stat", child.id());
        let state = || std::fs::read_to_string(&stat).unwrap().rsplit(") ").next().unwrap().chars().next();
        while state() != Some('T') {
            assert!(child.try_wait().unwrap().is_none(), "it does not come to {faults}");
            std::thread::sleep(Duration::from_millis(2));
        }
        meanwhile();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::CONT).unwrap();
    }
    Ran::of(child.wait_with_output().unwrap())
}

fn names(project: &Project) -> [Vec<String>; 2] {
    let hidden = |name: &String| name.starts_with('.') && name != ".weir";
    [project.left("").into_iter().filter(hidden).collect(), project.left("out")]
}

#[test]
fn all_folders_are_published_by_one_rename() {
    let project = project();
    project.run(&["--state", ".weir"]).ended(0, "done");
    std::fs::set_permissions(project.path("out"), std::fs::Permissions::from_mode(0o750)).unwrap();
    let before = std::fs::metadata(project.path("out")).unwrap();
    project.file("in/a.csv", "name,age\nDan,50\nEve,5\n");
    project.run(&["--state", ".weir"]).ended(0, "done");
    let after = std::fs::metadata(project.path("out")).unwrap();
    assert_ne!(before.ino(), after.ino());
    assert_eq!(after.mode() & 0o777, 0o750);
    assert_eq!(
        (&project.rows("out/good")[1..], &project.rows("out/bad")[1..]),
        (&["Dan,50".to_owned()][..], &["Eve,5,too_young".to_owned()][..])
    );
    assert_eq!(names(&project), [vec![], vec!["bad".to_owned(), "good".to_owned()]]);
}

#[test]
fn a_run_that_dies_around_the_rename_is_completed_and_leaves_nothing() {
    for point in ["decided", "committed", "staged_whole", "published", "cleared", "cleared:2", "ended"] {
        let project = project();
        project.run(&["--state", ".weir"]).ended(0, "done");
        project.file("in/a.csv", "name,age\nDan,50\nEve,5\n");
        assert_eq!(run_with(&project, point, || ()).code, None, "{point}");
        let (good, bad) = (project.rows("out/good"), project.rows("out/bad"));
        assert_eq!(
            good.contains(&"Dan,50".to_owned()),
            bad.contains(&"Eve,5,too_young".to_owned()),
            "{point}: {good:?} {bad:?}"
        );
        project.run(&["--state", ".weir"]).ended(0, "done");
        assert_eq!(project.rows("out/good")[1..], ["Dan,50"], "{point}");
        assert_eq!(names(&project), [vec![], vec!["bad".to_owned(), "good".to_owned()]], "{point}");
    }
}

#[test]
fn what_somebody_else_puts_there_is_refused_before_the_run_and_kept_during_it() {
    let project = project();
    project.run(&["--state", ".weir"]).ended(0, "done");
    project.file("out/notes.txt", "mine");
    project.run(&["--state", ".weir"]).ended(1, "out/notes.txt: was not written by a run of this task");
    std::fs::remove_file(project.path("out/notes.txt")).unwrap();
    project.file("in/a.csv", "name,age\nDan,50\nEve,5\n");
    // After the last check, and in the last moment.
    for point in ["committed+stop", "staged_whole+stop"] {
        run_with(&project, point, || project.file("out/notes.txt", "mine")).ended(0, "done");
        assert_eq!(std::fs::read_to_string(project.path("out/notes.txt")).unwrap(), "mine", "{point}");
        assert_eq!(project.rows("out/good")[1..], ["Dan,50"]);
        assert_eq!(
            names(&project),
            [vec![], vec!["bad".to_owned(), "good".to_owned(), "notes.txt".to_owned()]],
            "{point}"
        );
        std::fs::remove_file(project.path("out/notes.txt")).unwrap();
    }
}

#[test]
fn with_a_closed_gate_only_the_quarantine_is_replaced() {
    let project = project();
    project.run(&["--state", ".weir"]).ended(0, "done");
    project.file("in/a.csv", "name,age\nDan,5\nEve,50\nFay,6\n");
    project.run(&["--state", ".weir"]).ended(3, "gate closed");
    assert_eq!(project.rows("out/good").len(), 3);
    assert_eq!(project.rows("out/bad")[1..], ["Dan,5,too_young", "Fay,6,too_young"]);
    assert_eq!(names(&project), [vec![], vec!["bad".to_owned(), "good".to_owned()]]);
}

#[test]
fn a_file_system_that_cannot_exchange_renames_one_after_the_other() {
    let project = project();
    project.run(&["--state", ".weir"]).ended(0, "done");
    project.file("in/a.csv", "name,age\nDan,50\nEve,5\n");
    run_with(&project, "exchange=22", || ()).ended(0, "done");
    assert_eq!(project.rows("out/good")[1..], ["Dan,50"]);
    assert_eq!(names(&project), [vec![], vec!["bad".to_owned(), "good".to_owned()]]);
}

#[test]
fn folders_elsewhere_and_appended_ones_are_refused() {
    let project = project();
    project.task("path: out/bad", "path: other/bad");
    project.run(&[]).ended(2, "sink `bad`: `other/bad` is not a folder in `replace_folder`");
    project.task("path: other/bad", "path: out/deep/bad");
    project.run(&[]).ended(2, "sink `bad`: `out/deep/bad` is not a folder in `replace_folder`");
    project.task("path: out/deep/bad", "path: out/bad");
    project.task("    mode: overwrite\n    files: {path: out/good", "    mode: append\n    files: {path: out/good");
    project.run(&[]).ended(2, "so that its mode is `overwrite`");
}

#[test]
fn a_link_to_the_folder_is_followed_and_one_in_it_is_refused() {
    let project = project();
    std::fs::create_dir(project.path("real")).unwrap();
    std::os::unix::fs::symlink("real", project.path("out")).unwrap();
    for rows in ["Dan,50\nEve,5\n", "Fay,60\nGil,6\n"] {
        project.file("in/a.csv", format!("name,age\n{rows}"));
        project.run(&["--state", ".weir"]).ended(0, "done");
        assert!(project.path("out").is_symlink());
        assert_eq!(project.rows("real/good")[1..], [rows.lines().next().unwrap()]);
        assert_eq!(project.left("real"), ["bad", "good"]);
    }
    std::fs::rename(project.path("real/bad"), project.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", project.path("real/bad")).unwrap();
    project.run(&["--state", ".weir"]).ended(1, "is a link, and `replace_folder` replaces what it lies in");
}
