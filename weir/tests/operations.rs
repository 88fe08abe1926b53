//! What whoever operates a task needs: health, retention, timeouts, logs, and values of rows that stay off logs.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use support::{Project, Ran};

/// A project whose runs are due every minute.
fn every_minute() -> Project {
    let project = Project::people();
    project.task("params:\n", "schedule: {cron: \"* * * * *\", timeout: 1m}\nparams:\n");
    project
}

fn health(project: &Project, more: &[&str]) -> Ran {
    let arguments: Vec<_> = ["health", "task.yaml"].iter().chain(more).copied().collect();
    project.weir(&arguments)
}

#[test]
fn health_is_judged_by_the_ledger_against_the_schedule() {
    let project = every_minute();
    health(&project, &[]).ended(1, "unhealthy: no run was published for ");
    let now = chrono::Utc::now().to_rfc3339();
    health(&project, &["--since", &now]).ended(0, "healthy: no run was due yet; next: ");
    project.weir(&["run", "task.yaml"]).ended(0, "done");
    health(&project, &[]).ended(0, " ended as done; next: ");
    project.age_runs("-10 minutes");
    health(&project, &[]).ended(1, "the last one that was published started at ");
    // A later due time, and only those of a crontab that start this program, count.
    health(&project, &["--cron", "0 0 1 1 *"]).ended(0, "healthy: ");
    project.file("crontab", format!("PATH={}\n* * * * * other\n", project.path("bin").display()));
    health(&project, &["--crontab", "crontab"]).ended(2, "no line starts weir");
    project.file("in/a.csv", "name,age\nBob,17\n");
    project.weir(&["run", "task.yaml"]).ended(3, "gate closed");
    health(&project, &[]).ended(1, " ended as gate_closed: ");
}

#[test]
fn a_run_that_hangs_is_not_healthy_and_one_that_died_is_told() {
    let project = every_minute();
    project.weir(&["run", "task.yaml"]).ended(0, "done");
    let lines: String = (0..2_000_000).map(|i| format!("n{i},{}\n", 20 + i % 60)).collect();
    project.file("in/many.csv", format!("name,age\n{lines}"));
    let mut run = project.command(&["run", "task.yaml", "--quiet"]).spawn().unwrap();
    let began = Instant::now();
    while !project.left("out").iter().any(|name| name.starts_with(".good.weir-")) {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    health(&project, &[]).ended(0, "healthy: ");
    project.age_runs("-10 minutes");
    health(&project, &[]).ended(1, " has not ended");
    run.kill().unwrap();
    run.wait().unwrap();
    health(&project, &[]).ended(1, "did not end: its process is gone");
}

#[test]
fn a_crontab_that_cannot_fire_is_a_problem() {
    let project = Project::people();
    let weir = env!("CARGO_BIN_EXE_weir");
    let doctor = |crontab: &str| {
        project.file("crontab", crontab);
        project.weir(&["doctor", "task.yaml", "--crontab", "crontab"])
    };
    doctor(&format!("# hourly\n0 * * * * {weir} run\n")).ended(0, "0 * * * *");
    doctor(&format!("0 0 30 2 * {weir} run\n")).ended(1, "crontab crontab:1: `0 0 30 2 *` is never due");
    doctor("PATH=/nowhere\n* * * * * weir run\n").ended(1, "the command weir is not found");
    doctor("* * * * * other\n").ended(1, "no line starts weir");
}

#[test]
fn a_run_that_takes_longer_than_its_timeout_rolls_back_and_says_so() {
    let project = Project::people();
    project.run(&[]).ended(0, "done");
    let before = project.rows("out/good");
    let lines: String = (0..2_000_000).map(|i| format!("n{i},{}\n", 20 + i % 60)).collect();
    project.file("in/many.csv", format!("name,age\n{lines}"));
    let run = project.run(&["--timeout", "300ms", "--report", "report.json"]);
    run.ended(1, "stopped because it took longer than its timeout of 300ms");
    assert_eq!(project.rows("out/good"), before);
    assert_eq!(project.left("out"), ["bad", "good"]);
    project.weir(&["runs", "task.yaml"]).ended(0, "timed_out");
    let report: Value = serde_json::from_slice(&std::fs::read(project.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["state"], "timed_out");
}

#[test]
fn old_runs_leave_the_ledger_and_files_that_were_read_stay_known() {
    let project = Project::people();
    project.task(
        "    columns: {name: string, age: integer}",
        "    read: new\n    archive: archive\n    columns: {name: string, age: integer}",
    );
    project.task("    mode: overwrite\n    files: {path: out/good", "    mode: append\n    files: {path: out/good");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.left("archive"), ["a.csv"]);
    project.run(&[]).ended(0, "nothing to do");
    project.age_runs("-100 days");
    project.file("in/b.csv", "name,age\nEve,50\n");
    project.run(&[]).ended(0, "done");
    let prune = |more: &[&str]| project.weir(&["prune", "task.yaml"].iter().chain(more).copied().collect::<Vec<_>>());
    prune(&[]).ended(2, "how long runs are kept is not specified");
    prune(&["--keep", "soon"]).ended(2, "`soon` is not a duration");
    let all = "1 run would be removed from the ledger, 1 run would be reduced to id, times and state; 1 file would be removed";
    prune(&["--keep", "90d", "--keep-archives", "90d", "--dry-run"]).ended(0, all);
    assert_eq!(project.left("archive"), ["a.csv", "b.csv"]);
    prune(&["--keep", "90d"]).ended(0, "1 run removed from the ledger, 1 run reduced to id, times and state; 0 files");
    project.file("weir.yaml", "retention: {runs: 90d, archives: 90d}\n");
    prune(&[]).ended(0, "0 runs removed from the ledger, 0 runs reduced to id, times and state; 1 file removed");
    assert_eq!(project.left("archive"), ["b.csv"]);
    // The content of a file that was read is still known, and so is the run that the output refers to.
    let read_before = "name,age\nAnn,30\nBob,17\n\"Lee, Cid\",44\n";
    project.file("in/a.csv", read_before);
    project.run(&[]).ended(0, "was read before");
    std::fs::remove_file(project.path("in/a.csv")).unwrap();
    project.file("in/copy.csv", read_before);
    project.run(&[]).ended(1, "has the content of ");
    project.task("read: new", "read: new\n    if_copied: read");
    project.run(&[]).ended(0, "has the content of ");
    project.weir(&["doctor", "task.yaml"]).ended(0, "");
    assert_eq!(project.rows("out/good").len(), 6);
    // Retention is also applied by a run.
    project.age_runs("-200 days");
    project.file("in/c.csv", "name,age\nFay,51\n");
    project.run(&[]).ended(0, "done");
    prune(&["--dry-run"]).ended(0, "0 runs would be removed from the ledger, 0 runs would be reduced");
}

#[test]
fn a_ledger_does_not_grow_with_runs_times_files() {
    let project = Project::people();
    for number in 0..200 {
        project.file(&format!("in/file-with-a-long-name-{number:04}.csv"), "name,age\nAnn,30\n");
    }
    let size = || std::fs::metadata(project.path(".weir/ledger.sqlite")).unwrap().len();
    project.run(&[]).ended(0, "done");
    let first = size();
    for _ in 0..5 {
        project.run(&[]).ended(0, "done");
    }
    assert!(size() - first < 5 * 8 * 1024, "{} -> {}", first, size());
    // What changed is entered: a file is gone, another one is new.
    std::fs::remove_file(project.path("in/file-with-a-long-name-0007.csv")).unwrap();
    project.file("in/new.csv", "name,age\nEve,50\n");
    project.run(&[]).ended(0, "done");
    let ledger = Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut query = ledger.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|path| path.unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    let newest = "(select id from run order by rowid desc limit 1)";
    assert_eq!(names(&format!("select path from input where run = {newest}")), ["new.csv"]);
    let gone = names(&format!("select path from input where until = {newest}"));
    assert_eq!(gone, ["file-with-a-long-name-0007.csv"]);
}

#[test]
fn a_wait_for_the_ledger_is_told() {
    let project = Project::people();
    project.run(&[]).ended(0, "");
    let ledger = Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    ledger.execute_batch("begin exclusive").unwrap();
    let held = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_secs(4));
        ledger.execute_batch("commit").unwrap();
    });
    project.run(&[]).ended(0, "waiting for the ledger, to which another process writes");
    held.join().unwrap();
}

#[test]
fn values_of_rows_are_printed_where_a_log_may_keep_them_only_if_asked_for() {
    let project = Project::people();
    project.file("in/b.csv", "name,age\nDan,16\nEve,15\n");
    let run = |more: &[&str]| {
        let arguments: Vec<_> = ["run", "task.yaml"].iter().chain(more).copied().collect();
        Ran::of(project.command(&arguments).env_remove("WEIR_SHOW_VALUES").output().unwrap())
    };
    let quiet = run(&[]);
    quiet.ended(0, "too_young");
    assert!(!quiet.out.contains("Bob") && !quiet.err.contains("Bob"), "{quiet:?}");
    // Nor is there a gap where they would be.
    assert!(!quiet.out.contains("\n\n\n"), "{}", quiet.out);
    quiet.ended(0, "--show-values (WEIR_SHOW_VALUES=true) prints examples of these rows here, too");
    let shown = run(&["--show-values"]);
    shown.ended(0, "Bob");
    assert!(!shown.out.contains("--show-values"), "{}", shown.out);
    // Neither do errors have them. Which file's rows fail first depends on the readers: there is one.
    std::fs::remove_file(project.path("in/b.csv")).unwrap();
    let fails_without_values = |says: &str| {
        for format in ["text", "json"] {
            let failed = run(&["--log-format", format]);
            failed.ended(1, says);
            failed.ended(1, "or with --show-values (WEIR_SHOW_VALUES=true),");
            assert!(!failed.out.contains("Ann") && !failed.err.contains("Ann"), "{failed:?}");
        }
        run(&["--show-values"]).ended(1, "Ann");
    };
    project.file("sql/adult.sql", "select name, max(cast(name as integer)) as age from person group by name");
    fails_without_values("a row cannot be computed: invalid_cast");
    fails_without_values("is not rejected alone: compute it in a model of its own before that");
    project.file("sql/adult.sql", "select name, age from person");
    project.task("reject_unless:", "fail_unless: {old: age > 40}\n    reject_unless:");
    fails_without_values("rule `old` (fail_unless) failed");
}

#[test]
fn every_line_of_a_json_log_says_what_it_is_about() {
    let project = Project::people();
    let log = |more: &[&str]| -> Vec<Value> {
        let arguments: Vec<_> = ["run", "task.yaml", "--log-format=json"].iter().chain(more).copied().collect();
        let err = project.weir(&arguments).err;
        err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    };
    let lines = log(&[]);
    let steps: Vec<_> = lines.iter().map(|line| line["step"].as_str().unwrap_or("")).collect();
    assert_eq!(steps, ["", "find", "adult", "drain", "prepare", "publish"]);
    for line in &lines {
        assert_eq!(line["task"], "people", "{line}");
        assert!(
            line["run"].as_str().unwrap().len() > 20 && line["timestamp"].as_str().unwrap().ends_with('Z'),
            "{line}"
        );
        assert_eq!(line["level"], "INFO");
    }
    project.file("in/a.csv", "name\nAnn\n");
    let error = log(&[]).pop().unwrap();
    assert_eq!((error["level"].as_str(), error["task"].as_str()), (Some("ERROR"), Some("people")), "{error}");
    assert!(error["run"].is_string() && error["step"] == "find" && error["help"].is_string(), "{error}");
}

#[test]
fn a_task_file_is_an_argument_and_its_data_is_next_to_it() {
    let project = Project::people();
    project.weir(&["run"]).ended(2, "no task file was given");
    project.weir(&["run", "task.yaml", "--task-config", "task.yaml"]).ended(2, "the task file was given twice");
    let elsewhere = tempfile::tempdir().unwrap();
    let task = project.path("task.yaml");
    let from_elsewhere = |arguments: &[&str]| {
        let mut command = project.command(&[arguments[0], task.to_str().unwrap()]);
        Ran::of(command.args(&arguments[1..]).current_dir(elsewhere.path()).output().unwrap())
    };
    from_elsewhere(&["run"]).ended(0, "done");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30"]);
    assert!(std::fs::read_dir(elsewhere.path()).unwrap().next().is_none());
    from_elsewhere(&["validate"]).ended(0, "valid");
    from_elsewhere(&["health", "--cron", "* * * * *"]).ended(0, "healthy");
    project.task("params:\n", "base_folder: data\nparams:\n");
    let pattern = project.path("data/in/*.csv");
    from_elsewhere(&["run"]).ended(1, &format!("{}: no file matches", pattern.display()));
    project.file("data/in/a.csv", "name,age\nAnn,30\n");
    from_elsewhere(&["run"]).ended(0, "done");
    assert_eq!(project.rows("data/out/good"), ["name,age", "Ann,30"]);
    // What is typed in a shell is meant from there.
    project.task("params:\n", "params:\n  output: {type: string, default: out}\n");
    project.task("path: out/good", "path: \"${output}/good\"");
    from_elsewhere(&["run", "--param", "output=typed"]).ended(0, "done");
    assert_eq!(support::rows(&elsewhere.path().join("typed/good")), ["name,age", "Ann,30"]);
}

const CASES: &str = "plain:
  given: {person: [{name: Ann, age: 30}]}
  expect: {adult: [{name: Ann, age: 30}]}
";

#[test]
fn a_name_after_test_is_a_case_unless_it_is_a_task_file() {
    let project = Project::people();
    project.file("sql/adult.test.yaml", CASES);
    let test = |arguments: &[&str]| project.weir(&["test"].iter().chain(arguments).copied().collect::<Vec<_>>());
    test(&["--task-config", "task.yaml", "plain"]).ended(0, "1 case");
    test(&["task.yaml", "plain"]).ended(0, "1 case");
    test(&["task.yaml"]).ended(0, "1 case");
    test(&["--task-config", "task.yaml", "other"]).ended(2, "other");
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_a_closed_pipe_is_none() {
    let project = Project::people();
    for arguments in [&["plan", "task.yaml"][..], &["doctor", "task.yaml"], &["schema"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = Ran::of(project.command(arguments).stdout(full).output().unwrap());
        ran.ended(1, "standard output cannot be written");
        let mut child = project.command(arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn what_is_published_has_the_access_rights_of_what_it_replaces() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let project = Project::people();
    project.run(&[]).ended(0, "done");
    let mode = |path: &str| std::fs::metadata(project.path(path)).unwrap().mode() & 0o7777;
    let part = "out/bad/part-00000.csv";
    let (folder, file) = (mode("out/bad"), mode(part));
    let set = |path: &str, mode| {
        std::fs::set_permissions(project.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set("out/bad", 0o2750);
    set(part, 0o640);
    // A list that lets user 1234 read, as `setfacl --modify user:1234:r` writes it: version, then tag, rights and user.
    let entry = |tag: u16, rights: u16, user: u32| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &user.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let entries = [(1, 6, none), (2, 4, 1234), (4, 4, none), (0x10, 4, none), (0x20, 0, none)];
    let list =
        [2_u32.to_le_bytes().to_vec(), entries.map(|(tag, rights, user)| entry(tag, rights, user)).concat()].concat();
    let name = "system.posix_acl_access";
    let has_lists = rustix::fs::setxattr(project.path(part), name, &list, rustix::fs::XattrFlags::empty()).is_ok();
    let before = mode(part);
    project.run(&[]).ended(0, "done");
    assert_eq!((mode("out/bad"), mode(part)), (0o2750, before));
    if has_lists {
        let mut value = vec![0; 1024];
        let length = rustix::fs::getxattr(project.path(part), name, &mut value[..]).unwrap();
        assert_eq!(value[..length], list);
    }
    // The others are new each time with the usual rights.
    assert_eq!((mode("out/good"), mode("out/good/part-00000.csv")), (folder, file));
}

#[test]
fn a_link_to_a_folder_that_is_not_mounted_is_not_replaced() {
    let project = Project::people();
    std::fs::create_dir(project.path("out")).unwrap();
    std::os::unix::fs::symlink("/no/such/disk", project.path("out/good")).unwrap();
    project.run(&[]).ended(1, "is a link to a folder that is not there");
    assert!(project.path("out/good").is_symlink());
}
