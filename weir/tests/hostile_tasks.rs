//! Malicious task files: each ends with exit code 2 and a clear message, at once and in little memory.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::{Project, Ran, TASK};

/// Validates a task file within 256 MiB of address space in addition to the program's own, and
/// fails the test if that takes long.
fn validate(project: &Project, path: &str) -> Ran {
    let weir = project.command(&["validate", "--task-config", path]);
    let mut command = Command::new("sh");
    let limited = "ulimit -v 1000000 && exec \"$0\" \"$@\"";
    command.arg("-c").arg(limited).arg(weir.get_program()).args(weir.get_args());
    command.current_dir(weir.get_current_dir().unwrap()).env_remove("WEIR_LOG");
    let started = Instant::now();
    let ran = Ran::of(command.output().unwrap());
    // A second on an idle machine; tests share the machine.
    assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
    assert!(ran.err.len() < 2_000, "{} bytes are no error message", ran.err.len());
    ran
}

#[track_caller]
fn refused(task: impl AsRef<[u8]>, said: &str) {
    let project = Project::people();
    project.file("task.yaml", task);
    validate(&project, "task.yaml").ended(2, said);
}

fn with(from: &str, to: &str) -> String {
    assert!(TASK.contains(from), "{from}");
    TASK.replacen(from, to, 1)
}

#[test]
fn a_task_file_of_a_hundred_megabytes_is_not_read() {
    let project = Project::people();
    let file = std::fs::File::create(project.path("task.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    validate(&project, "task.yaml").ended(2, "task.yaml: is larger than 1 MiB");
}

#[test]
fn pipes_and_devices_are_not_opened() {
    let project = Project::people();
    for name in ["pipe", "sql/pipe.sql"] {
        assert!(Command::new("mkfifo").arg(project.path(name)).status().unwrap().success());
    }
    for path in ["pipe", "in", "/dev/zero", "/dev/stdin"] {
        validate(&project, path).ended(2, &format!("task file {path}: is not a file"));
    }
    for path in ["/dev/zero", "pipe.sql", "../in"] {
        project.file("task.yaml", with("sql/adult.sql", &format!("sql/{path}").replace("sql//", "/")));
        validate(&project, "task.yaml").ended(2, ": is not a file");
    }
}

#[test]
fn ten_thousand_levels_of_brackets_are_too_deep() {
    for deep in ["[".repeat(10_000), "{a: ".repeat(10_000), format!("{}{TASK}", "[".repeat(10_000))] {
        refused(&deep, "the file is nested deeper than 32 levels");
    }
    for deep in ["- ".repeat(10_000), "? ".repeat(10_000)] {
        refused(&deep, "task.yaml:1:");
    }
    refused(
        with("name: people", &format!("name: {}", "[".repeat(10_000))),
        "task.yaml:2:7: a single value is expected",
    );
    let deep = with("columns: {name: string", &format!("columns: {{deep: {{type: {}", "{a: ".repeat(10_000)));
    refused(deep, "task.yaml:8:");
    let nested: String = (0..700).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    refused(nested, "unknown key `a`");
}

#[test]
fn the_depth_of_a_value_of_any_shape_is_bounded() {
    let deep = format!("{{requires: x, {}", "matches: {a: ".repeat(1_000));
    refused(with("{not_null: name}", &deep), "task.yaml:");
}

#[test]
fn a_billion_laughs_are_not_expanded() {
    let mut laughs = "- &a [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for (former, next) in ('a'..'j').zip('b'..='j') {
        let ten = vec![format!("*{former}"); 10].join(", ");
        laughs += &format!("      - &{next} [{ten}]\n");
    }
    refused(
        format!("{}\n", with("columns: [name, {years: age}, reasons]", &format!("columns:\n      {laughs}"))),
        "task.yaml:",
    );
    let many: String = (0..40_000).map(|i| format!("  e{i}: {{params: *none}}\n")).collect();
    let aliases = format!("{}environments:\n  none: {{params: &none {{}}}}\n{many}", TASK.trim_start());
    refused(aliases, "the file has too many aliases and merge keys");
}

#[test]
fn an_alias_within_itself_is_refused() {
    refused(with("name: people", "name: &a [*a]"), "task.yaml:2:10: a single value is expected");
    refused(with("params:\n", "params: &a\n  <<: *a\n"), "task.yaml:");
}

#[test]
fn more_values_than_a_task_has_are_refused() {
    let many: String = (0..60_000).map(|i| format!("  p{i}: \n")).collect();
    refused(with("params:\n", &format!("params:\n{many}")), "task.yaml:");
    let many = "a, ".repeat(200_000);
    refused(with("{not_null: name}", &format!("{{not_null: [{many}]}}")), "the file has more than 100000 values");
}

#[test]
fn bytes_that_are_not_text_are_refused_with_their_line() {
    refused(with("people", "peo\0ple"), "task.yaml:2:10: unexpected character: `\\u{0}'");
    refused([0; 1_000], "task.yaml:1:1: unexpected character: `\\u{0}'");
    refused(with("people", "pe\u{7}ple"), "task.yaml:2:7: unexpected character: `\\u{7}'");
    refused(b"\nname: M\xfcller\n", "task file task.yaml: is not UTF-8 at line 2: save it in UTF-8");
    refused(b"\xff\xfen\0a\0m\0e\0", "is not UTF-8 at line 1");
    let project = Project::people();
    project.file("sql/adult.sql", b"select name, age\nfrom person -- M\xfcller");
    validate(&project, "task.yaml").ended(2, "sql/adult.sql: is not UTF-8 at line 2");
}

#[test]
fn a_tab_is_not_indentation() {
    refused(with("  person:", "\tperson:"), "task.yaml:6:2: tabs disallowed");
}

#[test]
fn an_empty_file_is_not_a_task() {
    for empty in ["", "\n\n", "# nothing\n", "---\n", "\u{feff}"] {
        refused(empty, "task.yaml:");
    }
    refused("", "help: a task file begins with `name:`");
    refused("- a\n", "task.yaml:1:1: a mapping is expected here");
    refused("people", "task.yaml:1:1: a mapping is expected here");
}

#[test]
fn a_file_is_one_task() {
    refused(format!("{TASK}---{TASK}"), "a second YAML document begins here");
    refused(format!("{TASK}---\n"), "a second YAML document begins here");
}

#[test]
fn merge_keys_follow_yaml_and_do_not_hide_a_wrong_key() {
    let project = Project::people();
    let merged = "  good: &good\n    from: adult\n    mode: overwrite\n    files: {path: out/good, format: csv}\n  \
                  more:\n    <<: *good\n    files: {path: out/more, format: csv}\n";
    let plain = "  good:\n    from: adult\n    mode: overwrite\n    files: {path: out/good, format: csv}\n";
    project.file("task.yaml", with(plain, merged));
    validate(&project, "task.yaml").ended(0, "3 sinks");
    project.file("task.yaml", with(plain, &merged.replace("mode: overwrite", "moed: overwrite")));
    validate(&project, "task.yaml").ended(2, "unknown key `moed`");
}

#[test]
fn huge_numbers_are_refused_for_counts() {
    for number in ["99999999999999999999999999", "-1", "1e999", "0x1ffffffffffffffffff", ".inf"] {
        refused(with("min_rows: 1", &format!("min_rows: {number}")), "task.yaml:16:");
        refused(with("max_rejected: 60%", &format!("max_rejected: {number}")), "is neither a count of rows (100)");
    }
    refused(with("default: 18", "default: 1e999"), "`1e999` is not a");
    refused(with("age: integer", "age: 'decimal(99999999999999999999,2)'"), "unknown type");
}

#[test]
fn a_name_that_no_file_can_have_is_refused() {
    let long = "n".repeat(500_000);
    refused(with("name: people", &format!("name: {long}")), "is not a valid task name");
    refused(with("  good:", &format!("  {}:", &long[..900])), "is not a valid name");
    refused(with("name: people", &format!("{long}: 1\nname: people")), "task.yaml:2:");
    refused(with("name: people", "name: ../../etc/passwd"), "is not a valid task name");
}

#[test]
fn tags_run_nothing_and_include_nothing() {
    refused(with("name: people", "name: !!python/object/apply:os.system [ls]"), "task.yaml:2:");
    refused(with("name: people", "name: !include /etc/hostname"), "`/etc/hostname` is not a valid task name");
}
