//! A pipeline of the repository in a folder of its own, with `weir` on the path of its commands.

use std::path::Path;
use std::process::Command;

use super::{Project, Ran};

impl Project {
    /// A copy of a pipeline of the repository.
    pub(crate) fn of_pipeline(name: &str) -> Self {
        let project = Self::empty();
        std::fs::create_dir(project.path("pipelines")).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines").join(name);
        let copied = Command::new("cp").arg("-a").arg(from).arg(project.path("pipelines")).status();
        assert!(copied.unwrap().success());
        project
    }

    /// Makes `weir` on the path the program with these values of parameters, but for some verbs: `test | decrypt`.
    pub(crate) fn give_values(&self, values: &[(&str, String)], without: &str) {
        let values: String = values.iter().map(|(name, value)| format!(" --param {name}={value}")).collect();
        let program = env!("CARGO_BIN_EXE_weir");
        let script = format!(
            "#!/bin/sh\ncase $1 in {without}) exec '{program}' \"$@\" ;; esac\nexec '{program}' \"$@\" {values}\n"
        );
        self.file("bin/weir", script);
        assert!(Command::new("chmod").arg("+x").arg(self.path("bin/weir")).status().unwrap().success());
    }

    /// A program with `weir` on its path, and without settings of the user who runs the tests.
    pub(crate) fn on_path(&self, program: &str) -> Command {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.current_dir(self.path("")).env("PATH", path);
        for name in ["WEIR_STATE", "WEIR_TASK_CONFIG", "WEIR_ENV", "WEIR_LOG", "AWS_SESSION_TOKEN", "AWS_PROFILE"] {
            command.env_remove(name);
        }
        command
    }
}

/// Types commands into a shell.
pub(crate) fn typed(mut shell: Command, commands: &str) -> Ran {
    Ran::of(shell.arg("-c").arg(format!("set -eu\n{commands}")).output().unwrap())
}
