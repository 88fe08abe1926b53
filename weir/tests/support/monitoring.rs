//! Programs of others that check what monitoring gets, from `scripts/requirements-monitoring.txt`.
#![allow(dead_code)] // each test file uses its own part of this

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The interpreter with the packages.
fn python() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    let python = cache.join("weir-test/monitoring/bin/python");
    assert!(python.exists(), "{} is not there: scripts/test.sh install", python.display());
    python
}

/// Runs a program of Python with an input; returns what it prints.
#[track_caller]
pub(crate) fn checked(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(python());
    command.args(["-c", program]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}\n{input}");
    String::from_utf8(output.stdout).unwrap()
}

/// Fails unless all documents, one a line, fit a JSON schema of the docs folder.
#[track_caller]
pub(crate) fn fit_schema(schema: &str, documents: &[serde_json::Value]) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(schema);
    let lines: Vec<String> = documents.iter().map(ToString::to_string).collect();
    assert!(!lines.is_empty());
    let program = "
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
for line in sys.stdin:
    validator.validate(json.loads(line))
";
    checked(program, &[schema.to_str().unwrap()], &lines.join("\n"));
}
