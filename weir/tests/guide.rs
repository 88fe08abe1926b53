//! The guide's first chapter, run verbatim in a shell in an empty folder.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::Project;

/// The shell blocks of the chapter, in order.
fn blocks() -> Vec<String> {
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/GUIDE.md")).unwrap();
    let chapter = guide.split("\n## ").find(|chapter| chapter.starts_with("Ten minutes")).unwrap();
    let blocks = chapter.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_command_of_the_first_chapter_works_as_described() {
    let project = Project::empty();
    let programs = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let shell = |script: &str| {
        // The scheduler is stopped by Ctrl-C after a while.
        let script = script.replace("\nweir schedule", "\ntimeout --foreground --signal=INT 2 weir schedule");
        let script = format!("set -eu\n{script}");
        let mut command = Command::new("bash");
        command.arg("-c").arg(&script).current_dir(project.path("")).env("PATH", &path);
        for name in ["WEIR_STATE", "WEIR_TASK_CONFIG", "WEIR_ENV", "WEIR_LOG"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let interrupted = script.contains("timeout") && output.status.code() == Some(124);
        assert!(output.status.success() || interrupted, "{script}\n{out}{err}");
        out
    };
    let said: Vec<String> = blocks().iter().map(|block| shell(block)).collect();
    let all = said.join("\n");
    for expected in [
        "1003,2026-02-01,,45.00,missing_customer",
        "incoming/monday.csv,5,\"1004,2026-02-30,dee@example.com,19.90\",invalid_ordered_on",
        "2 cases, all ok",
        "nothing to do: source",
        "monday.csv\ntuesday.csv",
        "0 problems",
    ] {
        assert!(all.contains(expected), "`{expected}` is not in:\n{all}");
    }
    assert_eq!(project.left("incoming"), [""; 0]);
    let rejected = fs::read_dir(project.path("warehouse/orders_rejected")).unwrap();
    let rejected =
        rejected.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "jsonl"));
    assert!(fs::read_to_string(rejected.unwrap()).unwrap().contains("\"reasons\":\"missing_customer\""));
}
