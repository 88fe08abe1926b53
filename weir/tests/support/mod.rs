//! A user's folder: input files, commands, their output and the files that are left.
#![allow(dead_code)] // each test file uses its own part of this

pub(crate) mod pipeline;
pub(crate) mod s3;
pub(crate) mod warehouse;
pub(crate) mod zip;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary folder for one test, with a task in it.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A task that accepts people with a name and a sufficient age.
pub(crate) const TASK: &str = r#"
name: people
params:
  least_age: {type: integer, default: 18}
sources:
  person:
    files: {path: "in/*.csv", format: csv}
    columns: {name: string, age: integer}
models:
  adult: sql/adult.sql
quality:
  adult:
    reject_unless:
      missing_name: {not_null: name}
      too_young: age >= $least_age
    gate: {max_rejected: 60%, min_rows: 1}
sinks:
  good:
    from: adult
    mode: overwrite
    files: {path: out/good, format: csv}
  bad:
    from: adult.rejected
    mode: overwrite
    publish: always
    files: {path: out/bad, format: csv}
    columns: [name, {years: age}, reasons]
"#;

impl Project {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with a task that reads `in/*`, by these keys of `files` and of the source, to `out/rows.csv` and
    /// `out/bad.csv`.
    pub(crate) fn reading(files: &str, more: &str, columns: &str) -> Self {
        let project = Self::empty();
        project.file(
            "task.yaml",
            format!(
                "name: rows
sources:
  row:
    files: {{path: 'in/*', {files}}}{more}
    columns: {columns}
sinks:
  rows: {{from: row, mode: overwrite, publish: always, files: {{file: out/rows.csv, format: csv}}}}
  bad: {{from: row.rejected, mode: overwrite, publish: always, files: {{file: out/bad.csv, format: csv}}}}
"
            ),
        );
        project
    }

    /// A folder with [`TASK`], its model and three people, one of them too young.
    pub(crate) fn people() -> Self {
        let project = Self::empty();
        project.file("task.yaml", TASK);
        project.file("sql/adult.sql", "select name, age from person");
        project.file("in/a.csv", "name,age\nAnn,30\nBob,17\n\"Lee, Cid\",44\n");
        project
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// Changes the task file.
    pub(crate) fn task(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("task.yaml")).unwrap();
        assert!(text.contains(from), "the task has no `{from}`");
        self.file("task.yaml", text.replace(from, to));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["WEIR_STATE", "WEIR_TASK_CONFIG", "WEIR_ENV", "WEIR_LOG"] {
            command.env_remove(name);
        }
        // Without a terminal, errors have no values of rows.
        command.env("WEIR_SHOW_VALUES", "true");
        command
    }

    /// Moves all runs of the ledger in time: by `-10 minutes`.
    pub(crate) fn age_runs(&self, by: &str) {
        let ledger = rusqlite::Connection::open(self.path(".weir/ledger.sqlite")).unwrap();
        let sql = "update run set started = strftime('%Y-%m-%dT%H:%M:%SZ', started, ?1),
                   ended = strftime('%Y-%m-%dT%H:%M:%SZ', ended, ?1)";
        ledger.execute(sql, [by]).unwrap();
    }

    pub(crate) fn weir(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Replaces the content of this folder by that of another one.
    pub(crate) fn replace(&self, by: &Path) {
        for name in self.left("") {
            let path = self.path(&name);
            let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            removed.unwrap();
        }
        let copied = Command::new("cp").arg("-a").arg(by.join(".")).arg(self.folder.path()).status();
        assert!(copied.unwrap().success());
    }

    /// The command as a user without privileges, if the tests run as root, with write access to everything here.
    pub(crate) fn bound_by_permissions(&self, command: Command) -> Command {
        use std::os::unix::{fs::MetadataExt, process::CommandExt};
        const NOBODY: u32 = 65534;
        if std::fs::metadata(self.folder.path()).unwrap().uid() != 0 {
            return command;
        }
        // That user may have no access to the folder of the command's binary.
        let program = self.path(".program");
        if std::fs::hard_link(command.get_program(), &program).is_err() {
            std::fs::copy(command.get_program(), &program).unwrap();
        }
        let freed = Command::new("chmod").args(["-R", "a+rwX"]).arg(self.folder.path()).status();
        assert!(freed.unwrap().success());
        let mut bound = Command::new(program);
        bound.args(command.get_args()).current_dir(self.folder.path()).stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
        bound
    }

    /// `weir run` on the task.
    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        let arguments: Vec<_> = ["run", "--task-config", "task.yaml"].iter().chain(more).copied().collect();
        self.weir(&arguments)
    }

    /// The data lines of all files of a sink, sorted; the header first.
    pub(crate) fn rows(&self, sink: &str) -> Vec<String> {
        rows(&self.path(sink))
    }

    /// Every file and folder below the project except those of the ledger, by name.
    pub(crate) fn left(&self, path: &str) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path(path))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.sort();
        names
    }
}

/// The data lines of all files of a folder, sorted; the header first.
pub(crate) fn rows(folder: &Path) -> Vec<String> {
    let mut header = None;
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let text = std::fs::read_to_string(path).unwrap();
            let mut lines = text.lines().map(str::to_owned);
            header = lines.next();
            rows.extend(lines);
        }
    }
    rows.sort();
    rows.splice(0..0, header);
    rows
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test unless the command ended with this code and its output contains this text.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(self.out.contains(said) || self.err.contains(said), "`{said}` is not in:\n{}{}", self.out, self.err);
    }
}
