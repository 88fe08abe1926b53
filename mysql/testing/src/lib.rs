//! Ephemeral MariaDB servers: real ones, on free ports, removed when the tests end, even if these are killed.
//!
//! ```no_run
//! # use weir_mysql_testing::Server;
//! let url = Server::shared().database();
//! assert!(url.starts_with("mysql://owner:"));
//! ```

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
pub use weir_postgres_testing::{Authority, Identity};
use weir_postgres_testing::{encoded, free_port};

/// A user who may do everything.
pub const USER: &str = "owner";
/// Password of that user.
pub const PASSWORD: &str = "correct horse";

/// A MariaDB server with a data folder of its own.
///
/// It is stopped and removed when this is dropped, and also when the process ends in any other way, even by SIGKILL.
/// All functions panic on failure, because a test cannot continue then.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    watcher: Child,
}

impl Server {
    /// Starts a server.
    pub fn start() -> Self {
        Self::with_settings(&[])
    }

    /// Starts a server with further settings, each `name=value`.
    pub fn with_settings(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("mariadb-").tempdir().expect("a temporary folder");
        let watcher = watcher(folder.path());
        let settings = settings.iter().map(|setting| format!("--{setting}")).collect();
        let mut server = Self { folder, port: 0, settings, watcher };
        server.initialise();
        // Another process may take the port before the server listens on it.
        for _ in 0..10 {
            server.port = free_port();
            match server.try_launch() {
                Ok(()) => {
                    server.create_user();
                    return server;
                }
                Err(log) if log.contains("Bind on TCP/IP port") => {}
                Err(log) => panic!("the server does not start: {log}"),
            }
        }
        panic!("ten free ports in a row were taken before the server could listen there");
    }

    fn initialise(&self) {
        let made = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ])
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", self.folder.path().display()))
            .args(as_root())
            .output()
            .expect("mariadb-install-db can be started: the package mariadb-server has it");
        assert!(made.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
    }

    fn create_user(&self) {
        self.sql_as_root(&format!(
            "create user '{USER}'@'%' identified by '{PASSWORD}'; grant all on *.* to '{USER}'@'%' with grant option"
        ));
    }

    /// The server that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The URL of one of its databases, for its owner.
    pub fn url(&self, database: &str) -> String {
        self.url_of(USER, PASSWORD, database)
    }

    /// The URL of one of its databases, for a user.
    pub fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        let (user, password, database) = (encoded(user), encoded(password), encoded(database));
        format!("mysql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database with a name that is unique in this process; returns its URL.
    pub fn database(&self) -> String {
        self.url(&self.new_database())
    }

    /// Creates an empty database with a name that is unique in this process; returns its name.
    pub fn new_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql("mysql", &format!("create database {name} character set utf8mb4"));
        name
    }

    /// Runs statements with the command-line client; returns what they print, separated by tabs and without headers.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut client = self.client();
        client.arg(format!("--user={USER}")).arg(format!("--password={PASSWORD}")).arg(database);
        run(client, sql)
    }

    /// A command-line client that knows the server, and no user.
    pub fn client(&self) -> Command {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]);
        client.args(["--protocol=tcp", "--host=127.0.0.1", &format!("--port={}", self.port)]);
        client
    }

    #[track_caller]
    fn sql_as_root(&self, sql: &str) {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root"]).arg(format!("--socket={}", self.socket().display()));
        run(client, sql);
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The folder with the server's data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops the server at once, like a power failure.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.pid_file()).expect("the server runs");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill can be started");
        assert!(killed.success(), "the server does not stop");
        let _ = fs::remove_file(self.pid_file());
        self.wait_for_end(pid.trim());
    }

    /// Starts the server again, on the same port.
    pub fn launch(&self) {
        self.try_launch().unwrap_or_else(|log| panic!("the server does not start: {log}"));
    }

    /// Starts the server again with further settings, each `name=value`; this ends all sessions.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.settings.extend(settings.iter().map(|setting| format!("--{setting}")));
        self.kill();
        self.launch();
    }

    /// Restarts the server with TLS and a certificate of this authority for these hosts.
    pub fn serve_tls(&mut self, authority: &Authority, hosts: &[&str]) {
        let identity = authority.identity(hosts);
        let folder = self.folder.path().to_owned();
        for (name, text) in [("server.crt", &identity.certificate), ("server.key", &identity.key)] {
            fs::write(folder.join(name), text).expect("the folder is ours");
        }
        let [certificate, key] = ["server.crt", "server.key"].map(|name| folder.join(name).display().to_string());
        self.restart_with(&[&format!("ssl-cert={certificate}"), &format!("ssl-key={key}")]);
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    fn wait_for_end(&self, pid: &str) {
        let process = Path::new("/proc").join(pid);
        let begun = Instant::now();
        // A process that nobody has waited for is still there, as a zombie.
        let is_over = || fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "));
        while !is_over() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the server; if it does not answer, the error is its log.
    #[expect(clippy::zombie_processes, reason = "the server outlives this function, and is killed by its number")]
    fn try_launch(&self) -> Result<(), String> {
        let log = self.folder.path().join("log");
        let output = fs::File::create(&log).expect("the folder is ours");
        let errors = output.try_clone().expect("a file can be shared");
        let mut server = Command::new(program("mariadbd"))
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--local-infile=1"])
            // Tests need no durability against a failure of the machine.
            .args(["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M"])
            .args(["--skip-log-bin", "--max-connections=100", "--character-set-server=utf8mb4"])
            .arg(format!("--datadir={}", self.data().display()))
            // A server that starts removes the temporary tables of others from a folder that they share.
            .arg(format!("--tmpdir={}", self.folder.path().display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--pid-file={}", self.pid_file().display()))
            .arg(format!("--port={}", self.port))
            .args(as_root())
            .args(&self.settings)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("mariadbd can be started: the package mariadb-server has it");
        let begun = Instant::now();
        loop {
            let answers = std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.pid_file().exists();
            if answers {
                return Ok(());
            }
            let has_ended = server.try_wait().expect("it is a child").is_some();
            if has_ended || begun.elapsed() > Duration::from_secs(60) {
                let _ = server.kill();
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The watcher detects the closed pipe, stops the server and removes the folder.
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

#[track_caller]
fn run(mut client: Command, sql: &str) -> String {
    let ran = client.arg(format!("--execute={sql}")).output().expect("mariadb can be started: mariadb-client has it");
    assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("the client prints UTF-8").trim_end().to_owned()
}

/// The server refuses to run as root unless it is told to.
fn as_root() -> Option<&'static str> {
    fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0).then_some("--user=root")
}

/// The path of a program. Debian keeps that of the server outside the search path of some users.
fn program(name: &str) -> PathBuf {
    let usual = Path::new("/usr/sbin").join(name);
    if usual.exists() { usual } else { PathBuf::from(name) }
}

/// A process that cleans up after this one: it waits for the end of a pipe that only this process holds, which is closed
/// however this process ends. It leads a process group of its own, so that Ctrl-C in a terminal does not reach it.
fn watcher(folder: &Path) -> Child {
    // If this process dies while the server is being created or started, those programs go on for a moment.
    const SCRIPT: &str = r#"
        trap '' INT HUP TERM
        cat >/dev/null
        for try in 1 2 3 4 5 6 7 8 9 10; do
            [ ! -e "$1/pid" ] || kill -KILL "$(cat "$1/pid")"
            rm -rf "$1" && [ ! -e "$1" ] && exit
            sleep 0.2
        done
    "#;
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "watcher"]).arg(folder).current_dir("/");
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("sh can be started")
}
