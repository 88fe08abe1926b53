//! The server's programs: where they are, the user that runs them, and the cleanup.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The user that runs the server. PostgreSQL refuses to run as root: then it runs as `nobody`.
pub(super) struct Unprivileged {
    id: Option<u32>,
}

impl Unprivileged {
    const NOBODY: u32 = 65534;

    pub(super) fn user() -> Self {
        Self { id: rustix::process::geteuid().is_root().then_some(Self::NOBODY) }
    }

    /// Makes the server's user the only one with access to a file or folder.
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
        // The server's user may not be able to enter the tests' working folder.
        command.current_dir("/");
        command
    }

    fn become_of(&self, command: &mut Command) {
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
    }

    /// A process that cleans up after this one: it waits for the end of a pipe that only this process holds, which is
    /// closed however this process ends. It leads a process group of its own, so that Ctrl-C in a terminal does not
    /// reach it.
    pub(super) fn watcher(&self, folder: &Path) -> Child {
        // If this process dies while the server is being created or started, those programs go on for a moment and may
        // write again.
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

/// The path of a PostgreSQL program. Debian keeps those of a server outside the search path; the newest version is
/// used.
pub fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let programs = versions.filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin").join(name))));
    programs.filter(|(_, path)| path.exists()).max().map_or_else(|| PathBuf::from(name), |(_, path)| path)
}
