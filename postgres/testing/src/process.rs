//! The server's programs: where they are, whom they run as, and who cleans up behind them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Whom the server runs as. PostgreSQL does not run as root: there it runs as `nobody`.
pub(super) struct Unprivileged {
    id: Option<u32>,
}

impl Unprivileged {
    const NOBODY: u32 = 65534;

    pub(super) fn user() -> Self {
        Self { id: rustix::process::geteuid().is_root().then_some(Self::NOBODY) }
    }

    /// Gives a file or folder to the server's user, and lets nobody else see it.
    pub(super) fn give(&self, path: &Path) {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("the path is ours");
        if self.id.is_some() {
            chown(path, self.id, self.id).expect("root may");
        }
    }

    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        self.become_of(&mut command);
        // The folder of the tests may be one that this user cannot enter.
        command.current_dir("/");
        command
    }

    fn become_of(&self, command: &mut Command) {
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
    }

    /// A process that outlives this one by the time that it takes to clean up: it waits for the end of a pipe that only
    /// this process holds, which comes however this process ends. It leads a group of its own, so that Ctrl-C in a
    /// terminal does not reach it.
    pub(super) fn watcher(&self, folder: &Path) -> Child {
        // When this process dies while the server is made or starts, these go on for a moment and may write once more.
        const SCRIPT: &str = r#"
            trap '' INT HUP TERM
            cat >/dev/null
            for try in 1 2 3 4 5 6 7 8 9 10; do
                "$1" --silent --pgdata "$2/data" stop --mode=immediate
                rm -rf "$2" && [ ! -e "$2" ] && exit
                sleep 0.2
            done
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "watcher"]).arg(program("pg_ctl")).arg(folder).current_dir("/");
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.become_of(&mut command);
        command.spawn().expect("sh can be started")
    }
}

/// Where a program of PostgreSQL is. Debian keeps those of a server apart from the search path; the newest version is
/// taken.
pub fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let programs = versions.filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin").join(name))));
    programs.filter(|(_, path)| path.exists()).max().map_or_else(|| PathBuf::from(name), |(_, path)| path)
}
