//! Test support: runs the program in a temporary folder.
#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A folder to run the program in, which is removed at the end of the test.
pub(crate) struct Folder(tempfile::TempDir);

/// Result of a run of the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `section5` with these arguments, separated by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn run_with(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_section5"));
        // Errors must not be wrapped where the tests search for text.
        command.args(arguments).current_dir(self.0.path()).env("NO_COLOR", "1");
        command
    }

    /// The output of a successful run, parsed as JSON.
    pub(crate) fn json(&self, arguments: &str) -> Value {
        let ran = self.run(arguments);
        ran.ended(0, "");
        serde_json::from_str(&ran.out).unwrap()
    }
}

impl Ran {
    pub(crate) fn of(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Fails unless it ended with this exit code and printed this text, regardless of line breaks.
    pub(crate) fn ended(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let words = |text: &str| {
            let words = text.split_whitespace().filter(|word| *word != "│" && *word != "×" && *word != "help:");
            words.collect::<Vec<_>>().join(" ")
        };
        assert!(words(&format!("{} {}", self.out, self.err)).contains(&words(said)), "{said:?} is not in {self:#?}");
    }
}

/// The scores of one model.
pub(crate) fn scores<'e>(evaluation: &'e Value, model: &str, feature_set: &str) -> &'e Value {
    let models = evaluation["models"].as_array().unwrap();
    models.iter().find(|scores| scores["model"] == model && scores["feature_set"] == feature_set).unwrap()
}
