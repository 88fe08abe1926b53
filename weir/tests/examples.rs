//! The examples do what their READMEs say: the commands are typed into a shell, in a copy of the example's folder.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Project, Ran};
use weir_postgres_testing::Cluster;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The shell block of an example's README.
fn commands(example: &str) -> String {
    let readme = std::fs::read_to_string(examples().join(example).join("README.md")).unwrap();
    readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// Types the commands of an example; returns its folder and what was printed.
fn typed(example: &str, environment: &[(&str, &str)]) -> (Project, Ran) {
    let project = Project::empty();
    project.replace(&examples().join(example));
    let programs = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("set -eu\n{}", commands(example))).current_dir(project.path("")).env("PATH", path);
    for name in ["WEIR_STATE", "WEIR_TASK_CONFIG", "WEIR_ENV", "WEIR_LOG"] {
        shell.env_remove(name);
    }
    let ran = Ran::of(shell.envs(environment.iter().copied()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{example}: {ran:#?}");
    (project, ran)
}

#[test]
fn csv_becomes_parquet_and_what_cannot_be_read_is_kept() {
    let (project, ran) = typed("csv_to_parquet", &[]);
    ran.ended(0, "data/tuesday.csv,3,\"Johor,4,2026-01-32 07:15:00,2.5\",invalid_started");
    assert!(project.left("out/trips").iter().any(|name| name.ends_with(".parquet")));
}

#[test]
fn deliveries_are_appended_once() {
    let (project, ran) = typed("incremental_append", &[]);
    ran.ended(0, "nothing to do: source");
    assert_eq!(project.rows("out/orders"), ["id,amount", "1,9.50", "2,3.00", "3,7.25"]);
    assert_eq!(project.left("archive"), ["monday.csv", "tuesday.csv"]);
    assert_eq!(project.left("incoming"), [""; 0]);
}

#[test]
fn rows_are_upserted_into_postgresql() {
    let url = Cluster::shared().database();
    let (project, ran) = typed("upsert_postgres", &[("STOCK_DATABASE", &url)]);
    // The plan has the rules that the table requires.
    ran.ended(0, "judged by: sku_missing, sku_unfit_for_stock");
    ran.ended(0, "2 inserted, 0 updated, 0 unchanged");
    ran.ended(0, "0 inserted, 1 updated, 0 unchanged, 1 superseded");
    let rows = Cluster::shared().sql(url.rsplit('/').next().unwrap(), "select sku, pieces from stock order by sku");
    assert_eq!(rows, "bolt|6\nnut|7");
    assert_eq!(project.left("out"), ["rejected"]);
}

#[test]
fn a_program_brings_its_own_fetcher_and_uses_the_library() {
    let program = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap().join("examples/fetcher");
    let project = Project::empty();
    let task = examples().join("fetcher/task.yaml");
    let fetcher = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).arg("--task-config").arg(&task).current_dir(project.path(""));
        Ran::of(command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    };
    fetcher(&["run", "--state", "state", "--param", "output=primes"]).ended(0, "done: `primes`");
    assert_eq!(project.rows("primes").len(), 11);
    fetcher(&["library", "--output", "library"]).ended(0, "step: prepare");
    assert_eq!(project.rows("library"), project.rows("primes"));
}
