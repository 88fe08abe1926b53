//! `weir run` as used on the command line: input files, output, and the files that are left.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran, TASK};

#[test]
fn rows_are_judged_and_routed_in_one_run() {
    let project = Project::people();
    project.run(&[]).ended(0, "done: `people`");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30"]);
    assert_eq!(project.rows("out/bad"), ["name,years,reasons", "Bob,17,too_young"]);
    assert_eq!(project.left("out"), ["bad", "good"]);
    assert_eq!(project.left(".weir/scratch"), [""; 0]);
}

#[test]
fn a_row_has_all_its_reasons_in_the_order_of_the_rules_and_null_never_passes() {
    let project = Project::people();
    project.file("in/b.csv", "age,name\n3,\n,Dan\n,\n50,Eve\n60,Fay\n");
    project.run(&["--param", "least_age=45"]).ended(3, "gate closed");
    let rejected = project.rows("out/bad");
    let expected = [
        ",,missing_name;too_young",
        ",3,missing_name;too_young",
        "Ann,30,too_young",
        "Bob,17,too_young",
        "Dan,,too_young",
    ];
    assert_eq!(rejected[2..], expected, "{rejected:?}");
    assert_eq!(rejected[1], "\"Lee, Cid\",44,too_young");
}

#[test]
fn the_output_is_the_same_for_any_number_of_threads() {
    let project = Project::people();
    let names = ["Ann", "\"B\nb\"", "Cid", "", "\"D\"\"d\""];
    let line = |i: usize| format!("{},{}\n", names[i % names.len()], i % 90);
    let many: String = (0..200_000).map(line).collect();
    project.file("in/many.csv", format!("name,age\n{many}"));
    project.run(&["--threads", "1", "--quiet"]).ended(0, "");
    let alone = (project.rows("out/good"), project.rows("out/bad"));
    project.run(&["--threads", "4", "--quiet"]).ended(0, "");
    assert_eq!((project.rows("out/good"), project.rows("out/bad")), alone);
    assert_eq!(alone.0.len() + alone.1.len(), 2 + 3 + 240_000);
}

#[test]
fn a_closed_gate_publishes_only_the_quarantine() {
    let project = Project::people();
    project.run(&[]).ended(0, "");
    project.file("in/a.csv", "name,age\nAnn,3\nBob,4\n");
    project.run(&[]).ended(3, "gate closed: adult: rejected: 2 of 2 rows (100.0%), more than 60%");
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30"], "the former content stays");
    assert_eq!(project.rows("out/bad"), ["name,years,reasons", "Ann,3,too_young", "Bob,4,too_young"]);
    assert_eq!(project.left("out"), ["bad", "good"]);
}

#[test]
fn a_rule_above_its_own_limit_closes_the_gate() {
    let project = Project::people();
    project.task("too_young: age >= $least_age", "too_young: {requires: age >= $least_age, max: 0}");
    project.run(&[]).ended(3, "rule `too_young` failed for 1 of 3 rows (33.3%), more than 0");
}

#[test]
fn too_few_rows_close_the_gate() {
    let project = Project::people();
    project.file("in/a.csv", "name,age\n");
    project.run(&[]).ended(3, "0 rows, fewer than min_rows (1)");
}

#[test]
fn a_failed_fail_unless_rule_ends_the_run_and_nothing_is_published() {
    let project = Project::people();
    project.task("    gate:", "    fail_unless:\n      possible: age < 40\n    gate:");
    let ran = project.run(&[]);
    ran.ended(1, "rule `possible` (fail_unless) failed for at least 1 row");
    ran.ended(1, "for example: Lee, Cid, 44");
    let history = project.weir(&["runs", "--state", ".weir", "--json"]).out;
    assert!(
        history.contains("rule `possible`") && !history.contains("Cid"),
        "values are shown and not kept: {history}"
    );
    assert_eq!(project.left("out"), [""; 0]);
    assert_eq!(project.left(".weir/scratch"), [""; 0]);
}

#[test]
fn built_in_rules_judge_as_documented() {
    let project = Project::people();
    project.task(
        "too_young: age >= $least_age",
        "named: {accepted_values: {name: [Ann, Bob]}}\n      form: {matches: {name: '^[A-Z][a-z]+$'}}\n      age: {between: {age: [18, 40]}}",
    );
    project.task("max_rejected: 60%, ", "");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30"]);
    assert_eq!(project.rows("out/bad")[1..], ["\"Lee, Cid\",44,named;form;age", "Bob,17,age"]);
}

#[test]
fn duplicate_keys_are_warned_about_and_kept() {
    let project = Project::people();
    project.task("    gate:", "    warn_unless:\n      twice: {unique: [name]}\n    gate:");
    project.file("in/b.csv", "name,age\nAnn,31\n");
    let ran = project.run(&[]);
    ran.ended(0, "twice");
    let line = ran.out.lines().find(|line| line.contains("twice")).unwrap();
    assert!(line.contains("warn") && line.contains(" 2 ") && line.contains("Ann"), "{line}");
    assert_eq!(project.rows("out/good").len(), 4);
}

#[test]
fn duplicate_keys_can_end_the_run() {
    let project = Project::people();
    project.task("    gate:", "    fail_unless:\n      twice: {unique: name}\n    gate:");
    project.run(&[]).ended(0, "");
    project.file("in/b.csv", "name,age\nAnn,31\n");
    project.run(&[]).ended(1, "rule `twice` (fail_unless) failed for at least 2 rows");
}

#[test]
fn a_route_that_no_sink_reads_fails_the_run_at_its_first_row() {
    let project = Project::people();
    let (task, _) = TASK.split_once("  bad:").unwrap();
    project.file("task.yaml", task);
    project
        .run(&[])
        .ended(1, "a row was rejected, but no sink reads `adult.rejected`: add one with `from: adult.rejected`");
    assert_eq!(project.left("out"), [""; 0]);
    project.file("in/a.csv", "name,age\nAnn,30\n");
    project.run(&[]).ended(0, "");
}

#[test]
fn an_unreadable_line_ends_the_run_unless_a_sink_reads_it() {
    let project = Project::people();
    project.file("in/b.csv", "name,age\nDan,50\nEve\nFay,x\n");
    project.run(&[]).ended(1, "in/b.csv:3: a record cannot be read: too_few_fields");
    let sink =
        "  broken:\n    from: person.rejected\n    mode: overwrite\n    files: {path: out/broken, format: csv}\n";
    project.file("task.yaml", format!("{TASK}{sink}"));
    project.run(&[]).ended(0, "too_few_fields");
    assert_eq!(
        project.rows("out/broken"),
        ["_file,_line,_raw,reasons", "in/b.csv,3,Eve,too_few_fields", "in/b.csv,4,\"Fay,x\",invalid_age"]
    );
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30", "Dan,50"]);
}

#[test]
fn the_gate_of_a_source_counts_unreadable_lines() {
    let project = Project::people();
    let sink =
        "  broken:\n    from: person.rejected\n    mode: overwrite\n    files: {path: out/broken, format: csv}\n";
    project.file("task.yaml", format!("{TASK}{sink}"));
    project.task("quality:\n", "quality:\n  person:\n    gate: {max_rejected: 0}\n");
    project.run(&[]).ended(0, "");
    project.file("in/b.csv", "name,age\nEve\n");
    project.run(&[]).ended(3, "person: rejected: 1 of 4 rows (25.0%), more than 0");
}

#[test]
fn unmatched_columns_end_the_run_before_a_row_is_read() {
    let project = Project::people();
    project.file("in/b.csv", "name,years\nDan,50\n");
    project.run(&[]).ended(1, "in/b.csv: column `age` is missing");
    project.file("in/b.csv", "name,age,height\nDan,50,180\n");
    project.run(&[]).ended(1, "in/b.csv: column `height` is not declared");
    project.task("    columns: {name", "    unknown_columns: ignore\n    columns: {name");
    project.run(&[]).ended(0, "");
}

#[test]
fn without_input_a_run_fails_or_does_nothing_or_continues_with_no_rows() {
    let project = Project::people();
    project.run(&[]).ended(0, "");
    std::fs::remove_file(project.path("in/a.csv")).unwrap();
    project.run(&[]).ended(1, "in/*.csv: no file matches");
    project.task("    columns: {name", "    if_missing: skip\n    columns: {name");
    project.run(&[]).ended(0, "nothing to do: source");
    assert_eq!(project.rows("out/good").len(), 3, "the former content stays");
    project.task("if_missing: skip", "if_missing: empty");
    project.task("min_rows: 1", "min_rows: 0");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age"]);
}

#[test]
fn a_foreign_file_in_a_sinks_folder_is_an_error_and_stays() {
    let project = Project::people();
    project.file("out/good/diary.txt", "mine");
    project.run(&[]).ended(1, "diary.txt: was not written by a run of this task");
    assert_eq!(project.left("out"), ["good"]);
    assert_eq!(project.left("out/good"), ["diary.txt"]);
}

#[test]
fn two_environments_do_not_overwrite_each_other() {
    let project = Project::people();
    project.task("sources:", "environments: {prod: {}}\nsources:");
    project.run(&[]).ended(0, "");
    project.run(&["--env", "prod"]).ended(1, "was written by sink `good` of task `people.default`");
}

#[test]
fn a_second_run_reports_the_running_one_and_touches_nothing() {
    let project = Project::people();
    project.run(&[]).ended(0, "");
    let lock = std::fs::File::options().write(true).open(project.path(".weir/locks/people.default.lock")).unwrap();
    lock.lock().unwrap();
    project.file("in/a.csv", "name,age\nZoe,99\n");
    project.run(&[]).ended(4, "`people.default` is being run by process ");
    assert_eq!(project.rows("out/good").len(), 3);
    drop(lock);
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "Zoe,99"]);
}

#[test]
fn a_model_reads_the_accepted_rows_of_a_judged_one_and_each_is_computed_once() {
    let project = Project::people();
    project.file("sql/pair.sql", "select a.name, b.name as other from adult a join adult b on a.age < b.age");
    project.task("models:\n", "models:\n  pair: sql/pair.sql\n");
    let sink = "  pairs:\n    from: pair\n    mode: overwrite\n    files: {path: out/pairs, format: csv}\n";
    let task = std::fs::read_to_string(project.path("task.yaml")).unwrap();
    project.file("task.yaml", format!("{task}{sink}"));
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/pairs"), ["name,other", "Ann,\"Lee, Cid\""]);
    let ran = project.weir(&["plan", "--task-config", "task.yaml"]);
    ran.ended(0, "kept for the models that read it");
    assert_eq!(ran.out.matches("CsvScanExec").count(), 1, "{}", ran.out);
}

#[test]
fn a_source_with_two_readers_is_read_once() {
    let project = Project::people();
    project.file("sql/adult.sql", "select p.name, p.age from person p where age < (select max(age) from person)");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30"]);
    let ran = project.weir(&["plan", "--task-config", "task.yaml"]);
    assert_eq!(ran.out.matches("CsvScanExec").count(), 1, "{}", ran.out);
}

#[test]
fn a_recursive_query_reads_its_source_as_often_as_it_needs() {
    let project = Project::people();
    project.task("{name: string, age: integer}", "{id: string, parent: string}");
    let (task, quality) = (std::fs::read_to_string(project.path("task.yaml")).unwrap(), "quality:\n");
    let (head, rest) = task.split_once(quality).unwrap();
    let sinks = &rest[rest.find("sinks:").unwrap()..rest.find("  bad:").unwrap()];
    project.file("task.yaml", format!("{head}{sinks}"));
    project.file("in/a.csv", "id,parent\na,\nb,a\nc,b\nd,c\n");
    let walk = "with recursive walk as (select 'a' as id union all \
                select p.id from person p join walk on p.parent = walk.id) select id from walk";
    project.file("sql/adult.sql", walk);
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["id", "a", "b", "c", "d"]);
}

#[test]
fn rows_that_a_model_does_not_read_are_counted() {
    let project = Project::people();
    let sink =
        "  broken:\n    from: person.rejected\n    mode: overwrite\n    files: {path: out/broken, format: csv}\n";
    project.file("task.yaml", format!("{}{sink}", TASK.replace("max_rejected: 60%, ", "")));
    let many: String = (0..100_000).map(|i| if i % 3 == 0 { "x\n".to_owned() } else { format!("n{i},50\n") }).collect();
    project.file("in/a.csv", format!("name,age\n{many}"));
    for sql in ["select name, age from person limit 10", "select name, age from person where name = 'n1' limit 1"] {
        project.file("sql/adult.sql", sql);
        for _ in 0..3 {
            project.run(&["--threads", "4", "--quiet"]).ended(0, "");
            assert_eq!(project.rows("out/broken").len(), 1 + 33_334, "{sql}");
        }
    }
}

#[test]
fn an_inaccessible_input_is_an_error() {
    let project = Project::people();
    std::os::unix::fs::symlink("nowhere.csv", project.path("in/b.csv")).unwrap();
    project.run(&[]).ended(1, "in/b.csv: No such file or directory");
}

#[test]
fn a_link_to_a_sinks_folder_is_written_through() {
    let project = Project::people();
    std::fs::create_dir_all(project.path("elsewhere/good")).unwrap();
    std::fs::create_dir_all(project.path("out")).unwrap();
    std::os::unix::fs::symlink("../elsewhere/good", project.path("out/good")).unwrap();
    for _ in 0..2 {
        project.run(&[]).ended(0, "");
        assert_eq!(project.rows("elsewhere/good").len(), 3);
        assert!(project.path("out/good").is_symlink());
    }
    assert_eq!(project.left("elsewhere"), ["good"]);
}

#[test]
fn a_mount_point_is_refused_before_anything_is_read() {
    let project = Project::people();
    project.task("out/good", "/proc");
    project.run(&[]).ended(1, "/proc: is a mount point");
    assert_eq!(project.left("out"), [""; 0]);
}

#[test]
fn parameters_are_typed_values_anywhere_in_sql() {
    let project = Project::people();
    project.task(
        "params:\n",
        "params:\n  o: {type: string, default: \"O'x\"}\n  since: {type: date, default: 2020-02-29}\n",
    );
    project.file(
        "sql/adult.sql",
        "select $o || name as name, age + $least_age as age from person where $since - interval '1 year' = date '2019-02-28'",
    );
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good")[2], "O'xAnn,48");
    project.file("sql/adult.sql", "select name, age from person where $since + interval $least_age day < date '2020-04-01' order by age limit $least_age");
    project.run(&["--param", "least_age=2"]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30", "Bob,17"]);
    project.run(&["--param", "least_age=-2"]).ended(2, "LIMIT must be >= 0");
}

#[test]
fn a_log_that_cannot_be_written_does_not_end_a_run() {
    let project = Project::people();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = project.command(&["run", "--task-config", "task.yaml"]);
    let status = command.stderr(full.try_clone().unwrap()).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(project.rows("out/good").len(), 3);
}

#[test]
fn a_run_can_be_stopped_and_leaves_nothing() {
    let project = Project::people();
    // A join that would never end.
    let many: String = (0..40_000).map(|i| format!("n{i},{}\n", i % 90)).collect();
    project.file("in/many.csv", format!("name,age\n{many}"));
    project.file(
        "sql/adult.sql",
        "select a.name, a.age from person a join person b on a.age + b.age > 0 and a.name < b.name",
    );
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        stop_with(&project, signal);
    }
    project.weir(&["runs", "--task-config", "task.yaml"]).ended(0, "interrupted");
}

/// Starts a run that does not end by itself, and stops it after it has begun to write.
fn stop_with(project: &Project, signal: rustix::process::Signal) {
    let mut child = project.command(&["run", "--task-config", "task.yaml", "--quiet"]).spawn().unwrap();
    let has_begun = || project.left("out").iter().any(|name| name.contains(".weir-"));
    while !has_begun() {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(project.left("out"), [""; 0]);
    assert_eq!(project.left(".weir/scratch"), [""; 0]);
}

#[test]
fn a_folder_that_a_run_with_another_state_folder_writes_is_refused() {
    let project = Project::people();
    std::fs::create_dir(project.path("out")).unwrap();
    let lock = std::fs::File::create(project.path("out/.good.weir-lock")).unwrap();
    lock.lock().unwrap();
    project.run(&[]).ended(4, "out/good is being written by another run, with another state folder");
    assert!(!project.path("out/good").exists());
    drop(lock);
    project.run(&[]).ended(0, "done");
    assert!(project.left("out").iter().all(|name| !name.starts_with('.')), "{:?}", project.left("out"));
}

#[test]
fn rules_know_the_moment_of_the_run_and_what_it_writes_can_be_read() {
    let project = Project::people();
    project.file("in/a.csv", "name,age\nAnn,30\nBob,40\n");
    project.file("sql/adult.sql", "select name, age, now() as seen_at from person");
    let rules = "too_young: age >= $least_age\n      now: seen_at = now()\n      past: cast(seen_at as date) <= current_date\n      \
                 recent: seen_at > now() - interval '30 day'";
    project.task("too_young: age >= $least_age", rules);
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/bad"), ["name,years,reasons"], "all rules hold: there is one moment");
    // A source with the declaration of the sink reads it back.
    project.file("in/a.csv", std::fs::read_to_string(project.path("out/good/part-00000.csv")).unwrap());
    project.task("columns: {name: string, age: integer}", "columns: {name: string, age: integer, seen_at: timestamp}");
    project.file("sql/adult.sql", "select name, age, seen_at from person");
    let before = project.rows("out/good");
    project.task("      now: seen_at = now()\n", "");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.rows("out/good"), before);
}

#[test]
fn values_of_rows_are_in_no_log() {
    let project = Project::people();
    project.file("in/a.csv", "Ann Private,55\nBob,17\n");
    let log = |project: &Project| {
        let mut command = project.command(&["run", "task.yaml", "--log-format", "json", "--quiet"]);
        Ran::of(command.env_remove("WEIR_SHOW_VALUES").output().unwrap())
    };
    let ran = log(&project);
    ran.ended(1, "its first line has none of the declared columns");
    assert!(!ran.err.contains("Private"), "{}", ran.err);
    project.file("in/a.csv", "name,age\nAnn Private,17\n");
    project.task("    gate:", "    fail_unless: {adult: age > 17}\n    gate:");
    let ran = log(&project);
    ran.ended(1, "rule `adult` (fail_unless) failed");
    assert!(!ran.err.contains("Private"), "{}", ran.err);
}

#[test]
fn a_terminal_finds_nothing_to_obey_in_a_value() {
    let project = Project::people();
    project.file("in/a.csv", "name,age\nAnn,30\nBob,31\n\u{1b}]52;c;YQ==\u{7}\u{202e}evil,7\n");
    let ran = project.run(&[]);
    ran.ended(0, "\\u{1b}]52;c;YQ==\\u{7}\\u{202e}evil, 7");
    assert!(!format!("{}{}", ran.out, ran.err).contains(['\u{1b}', '\u{202e}']), "{}", ran.out);
}

#[test]
fn reasons_are_counted_one_by_one_and_records_once() {
    let project = Project::people();
    project.task(
        "{name: string, age: integer}",
        "{name: {type: string, on_invalid: reject, not_null: true}, age: integer}",
    );
    let sink =
        "  broken:\n    from: person.rejected\n    mode: overwrite\n    files: {path: out/broken, format: csv}\n";
    let task = std::fs::read_to_string(project.path("task.yaml")).unwrap();
    project.file("task.yaml", task.replace("max_rejected: 60%, ", "") + sink);
    project.file("in/a.csv", "name,age\nAnn,30\n,x\n,7\nBob,y\n");
    let ran = project.run(&["--report", "report.json"]);
    ran.ended(0, "");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(project.path("report.json")).unwrap()).unwrap();
    let source = &report["report"]["tables"][0];
    assert_eq!((source["rows"].as_u64(), source["rejected"].as_u64()), (Some(4), Some(3)), "{source}");
    let reasons = source["reasons"].as_array().unwrap();
    let reasons: Vec<_> =
        reasons.iter().map(|of| (of["name"].as_str().unwrap(), of["rows"].as_u64().unwrap())).collect();
    assert_eq!(reasons, [("invalid_age", 2), ("missing_name", 2)]);
}

#[test]
fn a_file_whose_name_is_not_utf_8_is_not_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    let project = Project::people();
    let name = std::ffi::OsStr::from_bytes(b"b\xe9.csv");
    std::fs::write(project.path("in").join(name), "name,age\nCid,50\n").unwrap();
    project.task(
        "    files: {path: \"in/*.csv\", format: csv}\n",
        "    files: {path: \"in/*.csv\", format: csv}\n    read: new\n    archive: done\n",
    );
    project.task("max_rejected: 60%, ", "");
    project.file("in/late/x.csv", "");
    project.weir(&["plan", "--task-config", "task.yaml"]).ended(0, "in/b\\xe9.csv  16 B");
    project.run(&[]).ended(0, "");
    assert!(project.rows("out/good").contains(&"Cid,50".to_owned()));
    assert_eq!(std::fs::read(project.path("done").join(name)).unwrap(), b"name,age\nCid,50\n");
    assert!(!project.path("in").join(name).exists());
    // It is known again, and one that is the same but for the byte is another one.
    std::fs::write(project.path("in").join(name), "name,age\nCid,50\n").unwrap();
    std::fs::write(project.path("in").join(std::ffi::OsStr::from_bytes(b"b\xe8.csv")), "name,age\nCyd,x\n").unwrap();
    project.run(&[]).ended(1, "in/b\\xe8.csv:2: a record cannot be read");
}

#[test]
fn a_file_below_a_folder_whose_name_is_not_utf_8_is_read_once() {
    use std::os::unix::ffi::OsStrExt;
    let project = Project::people();
    project.task("in/*.csv", "in/**/*.csv");
    project.task("max_rejected: 60%, ", "");
    std::fs::remove_file(project.path("in/a.csv")).unwrap();
    let path = |name: &[u8]| project.path("in").join(std::ffi::OsStr::from_bytes(name));
    let people =
        [(&b"d\xff/a.csv"[..], "Ann"), (b"d\xff/b\xfe.csv", "Bea"), (b"u/v\xff.csv", "Cid"), (b"d\xff/e/f.csv", "Dan")];
    let hidden = [(&b"d\xff/.h/b.csv"[..], "Eve"), (b".\xff/b.csv", "Fay"), (b".h/b\xff.csv", "Gil")];
    for (file, name) in people.iter().chain(&hidden) {
        std::fs::create_dir_all(path(file).parent().unwrap()).unwrap();
        std::fs::write(path(file), format!("name,age\n{name},30\n")).unwrap();
    }
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good")[1..], ["Ann,30", "Bea,30", "Cid,30", "Dan,30"]);
}

#[test]
fn a_second_signal_ends_a_run_that_computes_without_an_end() {
    let project = Project::people();
    let rows: String = (0..30_000).map(|i| format!("n{i},50\n")).collect();
    project.file("in/a.csv", format!("name,age\n{rows}"));
    project.file(
        "sql/adult.sql",
        "select max(a.name) as name, cast(sum(a.age + b.age + c.age) as integer) as age
         from person a cross join person b cross join person c",
    );
    let mut command = project.command(&["run", "--task-config", "task.yaml", "--threads", "2", "--quiet"]);
    let mut child = command.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let pid = rustix::process::Pid::from_child(&child);
    let started = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "it does not end");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    project.file("sql/adult.sql", "select name, age from person");
    project.run(&[]).ended(0, "done");
    assert_eq!(project.left(".weir/scratch"), [""; 0]);
}

#[test]
fn a_computation_that_does_not_stop_at_the_memory_limit_ends_with_its_process() {
    let project = Project::people();
    let rows: String = (0..4_000).map(|i| format!("n{i},50\n")).collect();
    project.file("in/a.csv", format!("name,age\n{rows}"));
    // One batch of 6 GB.
    project.file("sql/adult.sql", "select name, cast(length(repeat(name, 300000)) as integer) as age from person");
    let ran = project.run(&["--memory-limit", "200MiB", "--threads", "1"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("it did not stop when it was asked to: the process ends"), "{}", ran.err);
    assert!(!project.path("out/good").exists());
    project.file("sql/adult.sql", "select name, age from person");
    project.run(&[]).ended(0, "done");
}
