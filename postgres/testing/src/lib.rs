//! Ephemeral PostgreSQL servers: real ones, on free ports, removed when the tests end, even if these are killed.
//!
//! ```no_run
//! # use weir_postgres_testing::Cluster;
//! let url = Cluster::shared().database();
//! assert!(url.starts_with("postgres://owner:"));
//! ```

mod authority;
mod process;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

pub use authority::{Authority, Identity};
use process::Unprivileged;
pub use process::program;

/// Owner of the databases of a cluster.
pub const USER: &str = "owner";
/// Password of that user.
pub const PASSWORD: &str = "correct horse";

/// A PostgreSQL server with a data folder of its own.
///
/// It is stopped and removed when this is dropped, and also when the process ends in any other way, even by SIGKILL.
/// All functions panic on failure, because a test cannot continue then.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    port: u16,
    watcher: Child,
}

impl Cluster {
    /// Starts a server.
    pub fn start() -> Self {
        Self::with_settings(&[])
    }

    /// Starts a server with further settings, each `name=value`.
    pub fn with_settings(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir().expect("a temporary folder");
        let user = Unprivileged::user();
        user.give(folder.path());
        let watcher = user.watcher(folder.path());
        let mut cluster = Self { folder, port: 0, watcher };
        cluster.initialise(settings);
        // Another process may take the port before the server listens on it.
        for _ in 0..10 {
            cluster.port = free_port();
            match cluster.try_launch() {
                Ok(()) => return cluster,
                Err(log) if log.contains("could not bind") || log.contains("could not create any TCP/IP sockets") => {}
                Err(log) => panic!("the server does not start: {log}"),
            }
        }
        panic!("ten free ports in a row were taken before the server could listen there");
    }

    fn initialise(&self, settings: &[&str]) {
        let user = Unprivileged::user();
        let password = self.folder.path().join("password");
        fs::write(&password, PASSWORD).expect("the folder is new");
        user.give(&password);
        let made = user
            .command("initdb")
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--username", USER])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(self.data())
            .output()
            .expect("initdb can be started: the package postgresql has it");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        self.set(&[
            "fsync=off",
            "shared_buffers=64MB",
            "max_connections=64",
            "listen_addresses='127.0.0.1'",
            "unix_socket_directories=''",
        ]);
        self.set(settings);
    }

    /// The server that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The URL of one of its databases, for its owner.
    pub fn url(&self, database: &str) -> String {
        self.url_of(USER, PASSWORD, database)
    }

    /// The URL of one of its databases, for a user.
    pub fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        let (user, password, database) = (encoded(user), encoded(password), encoded(database));
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database with a name that is unique in this process; returns its URL.
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("create database {name}"));
        self.url(&name)
    }

    /// Runs statements with `psql`; returns what they print, unaligned and without headers.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let ran = Command::new(program("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql])
            .arg(self.url(database))
            .output()
            .expect("psql can be started");
        assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("the database is in UTF-8").trim_end().to_owned()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the server's data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the server has logged since its last start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the server has a log")
    }

    /// Stops the server without a shutdown checkpoint, like a power failure.
    pub fn kill(&self) {
        self.control(&["stop", "--mode=immediate"]).unwrap_or_else(|log| panic!("the server does not stop: {log}"));
    }

    /// Starts the server again, on the same port.
    pub fn launch(&self) {
        self.try_launch().unwrap_or_else(|log| panic!("the server does not start: {log}"));
    }

    /// Restarts the server, which ends all sessions and reloads its configuration files.
    pub fn restart(&self) {
        self.control(&["stop", "--mode=fast"]).unwrap_or_else(|log| panic!("the server does not stop: {log}"));
        self.launch();
    }

    /// Changes settings, each `name=value`, effective at the next start.
    pub fn set(&self, settings: &[&str]) {
        let file = OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        let lines: String = settings.iter().map(|setting| format!("{setting}\n")).collect();
        file.and_then(|mut file| file.write_all(lines.as_bytes())).expect("initdb made the file");
    }

    /// Restarts the server with other access rules, each a line of `pg_hba.conf`. They must admit the owner, or
    /// [`sql`](Self::sql) fails.
    pub fn admit(&self, rules: &[&str]) {
        fs::write(self.data().join("pg_hba.conf"), rules.join("\n") + "\n").expect("initdb made the file");
        self.restart();
    }

    /// Restarts the server with TLS, with a certificate of this authority for these hosts; it also accepts client
    /// certificates of this authority.
    pub fn serve_tls(&self, authority: &Authority, hosts: &[&str]) {
        authority::give_to_server(&self.data().join("root.crt"), authority.certificate());
        self.set(&["ssl_ca_file='root.crt'"]);
        self.serve_tls_as(&authority.identity(hosts));
    }

    /// Restarts the server with TLS and an existing certificate.
    pub fn serve_tls_as(&self, identity: &Identity) {
        identity.give_to_server(&self.data());
        self.set(&["ssl=on"]);
        self.restart();
    }

    fn try_launch(&self) -> Result<(), String> {
        let log = self.folder.path().join("log");
        let _ = fs::remove_file(&log);
        self.control(&[
            "start",
            "--wait",
            "--options",
            &format!("-c port={}", self.port),
            "--log",
            &log.display().to_string(),
        ])
    }

    /// Runs `pg_ctl`; if it fails, the error is the server's log.
    fn control(&self, arguments: &[&str]) -> Result<(), String> {
        let mut command = Unprivileged::user().command("pg_ctl");
        command.arg("--silent").arg("--pgdata").arg(self.data()).args(arguments);
        // The server inherits the pipes and would keep them open.
        let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        match done.expect("pg_ctl can be started").success() {
            true => Ok(()),
            false => Err(fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The watcher detects the closed pipe, stops the server and removes the folder.
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// A port of 127.0.0.1 that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Percent-encodes everything that has a meaning in a URL.
pub fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}
