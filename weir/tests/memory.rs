//! `--memory-limit`: operators spill to disk near the limit, and a run that exceeds it ends with an error.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

const ROWS: usize = 300_000;
/// The rows are about 75 MB as text, and more in memory; a debug build of the program alone takes half of this.
const LIMIT: &str = "224MiB";
const LIMIT_BYTES: u64 = 224 << 20;

const TASK: &str = r#"
name: much
sources:
  row:
    files: {path: "in/*.csv", format: csv}
    columns: {id: bigint, name: string}
models:
  result: result.sql
sinks:
  good: {from: result, mode: overwrite, files: {path: out, format: csv}}
"#;

/// The ids in file order: all of 0..ROWS, shuffled.
fn ids() -> impl Iterator<Item = usize> {
    (0..ROWS).map(|i| i * 7_919 % ROWS)
}

fn name(id: usize) -> String {
    format!("{id:08} {:->230}", id % 10)
}

fn project(sql: &str) -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("result.sql", sql);
    let mut text = String::from("id,name\n");
    ids().for_each(|id| text.push_str(&format!("{id},{}\n", name(id))));
    project.file("in/a.csv", text);
    project
}

/// Runs under the limit, and checks that the run stayed below it.
#[track_caller]
fn run(project: &Project) -> String {
    let ran = project.run(&["--memory-limit", LIMIT, "--threads", "2"]);
    ran.ended(0, "done: `much`");
    let history = project.weir(&["runs", "--state", ".weir", "--json", "--last", "1"]).out;
    let entry: serde_json::Value = serde_json::from_str(&history).unwrap();
    let peak = entry["peak_memory"].as_u64().unwrap();
    assert!(peak > 0 && peak <= LIMIT_BYTES, "{peak} bytes were resident");
    ran.out
}

/// The lines of the sink's only part.
fn lines(project: &Project) -> Vec<String> {
    assert_eq!(project.left("out").len(), 2, "{:?}", project.left("out"));
    std::fs::read_to_string(project.path("out/part-00000.csv")).unwrap().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn memory_does_not_grow_with_the_number_of_files() {
    let project = Project::empty();
    project.file("task.yaml", TASK.replace("in/*.csv", "in/**/*.csv"));
    project.file("result.sql", "select id, left(name, 3) as name from row");
    // What is read of each to find its header is more than the limit, of all of them.
    const FILES: usize = 4000;
    project.file("in/0.csv", format!("id,name\n1,{}\n", "-".repeat(70_000)));
    for number in 1..FILES {
        std::fs::hard_link(project.path("in/0.csv"), project.path(&format!("in/{number}.csv"))).unwrap();
    }
    run(&project);
    assert_eq!(project.rows("out").len(), FILES + 1);
}

#[test]
fn a_sort_of_more_than_memory_stays_below_the_limit() {
    let project = project("select name, id from row order by name desc");
    run(&project);
    let lines = lines(&project);
    assert_eq!(lines.len(), ROWS);
    let expected = (0..ROWS).rev().map(|id| format!("{},{id}", name(id)));
    assert!(lines.iter().eq(expected.collect::<Vec<_>>().iter()));
}

#[test]
fn an_aggregate_of_more_groups_than_memory_stays_below_the_limit() {
    let project = project("select name, count(*) as n, sum(id) as s from row group by name");
    project.file("in/b.csv", std::fs::read(project.path("in/a.csv")).unwrap());
    run(&project);
    let rows = project.rows("out");
    assert_eq!(rows.len(), 1 + ROWS);
    assert_eq!(rows[1], format!("{},2,0", name(0)));
    assert_eq!(rows[ROWS], format!("{},2,{}", name(ROWS - 1), 2 * (ROWS - 1)));
}

#[test]
fn unique_over_more_keys_than_memory_stays_below_the_limit() {
    let project = project("select name from row");
    project.task("sinks:", "quality: {result: {warn_unless: {once: {unique: name}}}}\nsinks:");
    project.file("in/b.csv", format!("id,name\n1,{}\n2,{}\n", name(5), name(70_000)));
    let out = run(&project);
    let line = out.lines().find(|line| line.trim_start().starts_with("once")).unwrap();
    assert!(line.contains("warn") && line.contains(" 4 ") && line.contains("00000005"), "{line}");
}

#[test]
fn a_window_over_more_than_memory_ends_the_run_and_nothing_is_published() {
    let project = project("select id, count(*) over (partition by name) as n, name from row");
    let ran = project.run(&["--memory-limit", LIMIT, "--threads", "2"]);
    ran.ended(1, "its limit is 224.00 MiB");
    ran.ended(1, "table `result`");
    ran.ended(1, "nothing was published; raise --memory-limit");
    assert_eq!(project.left("out"), [""; 0]);
    assert_eq!(project.left(".weir/scratch"), [""; 0]);
    let history = project.weir(&["runs", "--state", ".weir", "--json"]).out;
    assert!(history.contains("failed") && history.contains("its limit is"), "{history}");
}

#[test]
fn a_limit_below_the_minimum_is_wrong_usage() {
    let project = Project::people();
    let ran = project.run(&["--memory-limit", "100MiB", "--threads", "1"]);
    ran.ended(2, "a memory limit of 100.00 MiB is too small for 1 threads");
    ran.ended(2, "set --memory-limit to at least 112.00 MiB");
    project.run(&["--memory-limit", "127MiB", "--threads", "2"]).ended(2, "128.00 MiB");
    project.run(&["--memory-limit", "128MiB", "--threads", "2"]).ended(0, "");
}
