//! `weir doctor` finds what would make a run fail, reports the remedy, and leaves nothing behind.
#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;
use support::{Project, Ran};

fn doctor(project: &Project, more: &[&str]) -> Ran {
    let arguments: Vec<_> = ["doctor", "--task-config", "task.yaml"].iter().chain(more).copied().collect();
    project.weir(&arguments)
}

/// The findings of a level: their subjects and messages.
fn findings(project: &Project, level: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let ran = doctor(project, &["--json"]);
    let all = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|finding| finding["level"] == level)
        .map(|finding| (text(&finding, "about"), text(&finding, "message")))
        .collect()
}

#[track_caller]
fn finds(project: &Project, level: &str, about: &str, message: &str) {
    let found = findings(project, level);
    assert!(
        found.iter().any(|(a, m)| a == about && m.contains(message)),
        "no {level} `{about}`: `{message}` in {found:#?}"
    );
    let code = if findings(project, "problem").is_empty() { 0 } else { 1 };
    doctor(project, &[]).ended(code, level);
}

/// A project without findings, with a sink for unreadable lines.
fn healthy() -> Project {
    let project = Project::people();
    project.task(
        "sinks:\n",
        "sinks:\n  lost: {from: person.rejected, mode: overwrite, files: {path: out/lost, format: csv}}\n",
    );
    project
}

/// Every file and folder below, by path.
fn all(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            paths.extend(all(&path));
        }
        paths.push(path.display().to_string());
    }
    paths.sort();
    paths
}

#[test]
fn a_complete_task_has_no_problem_and_nothing_is_left_behind() {
    let project = healthy();
    let before = all(&project.path(""));
    doctor(&project, &[]).ended(0, "0 problems, 0 warnings");
    assert_eq!(all(&project.path("")), before);
    project.run(&[]).ended(0, "");
    let before = all(&project.path(""));
    let ledger = std::fs::read(project.path(".weir/ledger.sqlite")).unwrap();
    doctor(&project, &[]).ended(0, "0 problems, 0 warnings");
    assert_eq!(all(&project.path("")), before);
    assert_eq!(std::fs::read(project.path(".weir/ledger.sqlite")).unwrap(), ledger);
    let ok = findings(&project, "ok");
    for about in ["task", "source person", "sink good", "state folder", "lock", "ledger", "disk", "memory"] {
        assert!(ok.iter().any(|(a, _)| a == about), "{about}: {ok:?}");
    }
    assert!(ok.iter().any(|(_, message)| message.contains("1 file, 37 B; can be read, columns match")), "{ok:?}");
    doctor(&project, &["--quiet"]).ended(0, "0 problems");
}

#[test]
fn a_wrong_task_is_a_problem_but_wrong_usage_is_an_error() {
    let project = healthy();
    doctor(&project, &["--param", "nothing=1"]).ended(2, "unknown parameter in task.yaml");
    project.file("sql/adult.sql", "select nam, age from person");
    finds(&project, "problem", "task", "sql/adult.sql:1:8: column 'nam' not found");
    project.task("mode: overwrite", "moed: overwrite");
    finds(&project, "problem", "task", "unknown key `moed`");
    project.weir(&["doctor", "--task-config", "nowhere.yaml"]).ended(2, "nowhere.yaml: No such file");
}

#[test]
fn missing_files_and_unmatched_columns_are_problems() {
    let project = healthy();
    project.file("in/b.csv", "name,years\nAnn,30\n");
    finds(&project, "problem", "source person", "in/b.csv: column `age` is missing");
    std::fs::remove_dir_all(project.path("in")).unwrap();
    finds(&project, "problem", "source person", "in/*.csv: no file matches");
    project.task("columns: {name", "if_missing: skip\n    columns: {name");
    finds(&project, "warning", "source person", "no file matches in/*.csv");
    project.file("in/a.csv", "name,age\n");
    symlink("nowhere", project.path("in/link.csv")).unwrap();
    finds(&project, "problem", "source person", "in/link.csv");
}

#[test]
fn a_rejected_route_that_no_sink_reads_is_a_warning() {
    let project = Project::people();
    finds(&project, "warning", "source person", "no sink reads `person.rejected`");
    project.task("from: adult.rejected", "from: person.rejected");
    project.task("columns: [name, {years: age}, reasons]", "columns: [_line, reasons]");
    finds(&project, "warning", "model adult", "no sink reads `adult.rejected`: the first rejected row would end a run");
}

#[test]
fn foreign_content_of_a_sinks_folder_is_a_problem() {
    let project = healthy();
    project.file("out/good/diary.txt", "mine");
    finds(&project, "problem", "sink good", "diary.txt: was not written by a run of this task");
    std::fs::remove_dir_all(project.path("out/good")).unwrap();
    std::fs::create_dir_all(project.path("elsewhere")).unwrap();
    symlink("../elsewhere", project.path("out/good")).unwrap();
    finds(&project, "ok", "sink good", "can be written, through a link");
    std::fs::remove_dir(project.path("elsewhere")).unwrap();
    finds(&project, "problem", "sink good", "is a link to a folder that is not there");
}

#[test]
fn a_folder_that_is_not_writable_is_a_problem() {
    if rustix::process::geteuid().is_root() {
        // Root can write anywhere, except where nothing can be written.
        let project = healthy();
        project.task("path: out/good", "path: /proc/weir/good");
        finds(&project, "problem", "sink good", "/proc");
        return;
    }
    let project = healthy();
    let lock =
        |path: &str, mode| std::fs::set_permissions(project.path(path), PermissionsExt::from_mode(mode)).unwrap();
    for folder in ["out", ".weir"] {
        std::fs::create_dir_all(project.path(folder)).unwrap();
        lock(folder, 0o555);
    }
    finds(&project, "problem", "sink good", "out: Permission denied");
    finds(&project, "problem", "state folder", "Permission denied");
    lock("in", 0o000);
    finds(&project, "problem", "source person", "Permission denied");
    for folder in ["out", ".weir", "in"] {
        lock(folder, 0o755);
    }
}

#[test]
fn a_held_lock_and_a_dead_run_are_warnings() {
    let project = healthy();
    project.run(&[]).ended(0, "");
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    ledger.execute("update run set state = 'running', ended = null", []).unwrap();
    finds(&project, "warning", "ledger", "did not end while running");
    let lock = std::fs::File::open(project.path(".weir/locks/people.default.lock")).unwrap();
    lock.lock().unwrap();
    finds(&project, "warning", "lock", "`people.default` is being run by process");
    assert!(
        findings(&project, "warning").iter().all(|(about, _)| about != "ledger"),
        "it may be the run that is going on"
    );
    drop(lock);
    ledger.execute("update run set state = 'done', started = '2999-01-01T00:00:00Z'", []).unwrap();
    finds(&project, "warning", "clock", "which is in the future");
}

#[test]
fn a_ledger_that_cannot_be_used_is_a_problem() {
    let project = healthy();
    project.run(&[]).ended(0, "");
    let path = project.path(".weir/ledger.sqlite");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    finds(&project, "problem", "ledger", "has version 99, and this program knows version");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[4096..end].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    finds(&project, "problem", "ledger", "ledger.sqlite");
    std::fs::write(&path, "not a database, and long enough to be looked at as one ".repeat(40)).unwrap();
    finds(&project, "problem", "ledger", "file is not a database");
}

#[test]
fn a_memory_limit_above_the_machine_is_a_warning_and_the_schedule_is_shown() {
    let project = healthy();
    doctor(&project, &["--memory-limit", "900000GiB"]).ended(0, "or the run may be killed");
    project.task("params:\n", "schedule: {cron: \"30 4 * * *\", timezone: Asia/Singapore}\nparams:\n");
    finds(&project, "ok", "schedule", "04:30 Asia/Singapore");
}

#[test]
fn an_archive_is_checked() {
    let project = healthy();
    project.task("columns: {name", "archive: done\n    columns: {name");
    finds(&project, "ok", "source person", "its archive done is writable");
    project.task("archive: done", "archive: /proc/weir");
    finds(&project, "problem", "source person", "/proc/weir");
}
