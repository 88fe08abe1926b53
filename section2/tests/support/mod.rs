//! Runs `section2` on a real server.
#![allow(dead_code)] // each test file uses its own part of this

use std::path::Path;
use std::process::{Command, Output, Stdio};

use weir_postgres_testing::Cluster;

/// An empty database for one test, on the server that the tests of a file share.
pub(crate) struct Shop {
    pub(crate) url: String,
}

/// Result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shop {
    /// An empty database.
    pub(crate) fn empty() -> Self {
        Self { url: Cluster::shared().database() }
    }

    /// A database with the newest schema.
    pub(crate) fn migrated() -> Self {
        let shop = Self::empty();
        shop.section2(&["migrate"]).ended(0, "schema version");
        shop
    }

    pub(crate) fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    /// Runs statements; returns the output of psql.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        Cluster::shared().sql(self.name(), sql)
    }

    pub(crate) fn section2(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(&self.url, arguments)
    }
}

/// The program, connected to that database.
pub(crate) fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_section2"));
    command.args(arguments).env("DATABASE_URL", url).current_dir("/").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Fails unless the command ended with this exit code and printed this text, regardless of line breaks.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32, said: &str) {
        let one_line = |text: &str| text.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        let all = one_line(&format!("{} {}", self.out, self.err));
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(all.contains(&one_line(said)), "`{said}` is not in {self:#?}");
    }
}

/// Writes a file in the format of section 1's output.
pub(crate) fn members_file(path: &Path, lines: &[&str]) {
    let header = "first_name,last_name,email,date_of_birth,mobile_no,above_18,membership_id";
    std::fs::write(path, format!("{header}\n{}\n", lines.join("\n"))).unwrap();
}
