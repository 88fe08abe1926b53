//! The settings of a connection string and the environment, with libpq's names and defaults.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

use crate::error::{Error, Result};
use crate::given::Given;
use crate::tls::{Mode, Root, Tls};

/// Debian's default socket folder, which is libpq's default there.
const SOCKETS: &str = "/var/run/postgresql";
const PORT: u16 = 5432;

/// A candidate server for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Host name or socket folder; none if only an address is given.
    pub(crate) host: Option<Host>,
    /// IP address, if the host name is not to be resolved.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Server {
    /// The host as it appears in a line of the password file.
    pub(crate) fn host_in_password_file(&self) -> String {
        match (&self.host, self.address) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (Some(Host::Unix(folder)), _) if folder == Path::new(SOCKETS) => "localhost".to_owned(),
            (Some(Host::Unix(folder)), _) => folder.display().to_string(),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, port } = self;
        match (host, address) {
            (Some(Host::Tcp(name)), _) if name.contains(':') => write!(f, "[{name}]:{port}"),
            (Some(Host::Tcp(name)), _) => write!(f, "{name}:{port}"),
            (Some(Host::Unix(folder)), _) => write!(f, "{}:{port}", folder.display()),
            (None, Some(IpAddr::V6(address))) => write!(f, "[{address}]:{port}"),
            (None, Some(address)) => write!(f, "{address}:{port}"),
            (None, None) => write!(f, ":{port}"),
        }
    }
}

/// Settings of a session.
#[derive(Clone)]
pub(crate) struct Options {
    /// Everything but servers, password, time limit and TLS.
    pub(crate) config: Config,
    pub(crate) user: String,
    pub(crate) database: String,
    /// Never empty. They are tried in this order.
    pub(crate) servers: Vec<Server>,
    pub(crate) load_balance: bool,
    pub(crate) password: Option<String>,
    /// The password file that is searched if no password was given.
    pub(crate) password_file: Option<PathBuf>,
    /// Time limit of one attempt; none if unlimited.
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) tls: Tls,
}

impl Options {
    /// Parses a connection string; missing options come from the environment, then from libpq's defaults.
    pub(crate) fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let given = Given::read(text, &environment)?;
        let home = environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let user = match given.get("user") {
            Some(user) => user.to_owned(),
            None => whoami::username().map_err(|error| Error::Url {
                message: format!("no user is specified, and the system reports no user name: {error}"),
                help: "write postgres://USER@HOST/DATABASE, or set PGUSER".to_owned(),
            })?,
        };
        let database = given.get("dbname").unwrap_or(&user).to_owned();
        let tls = tls(&given, home.as_deref())?;
        let servers = servers(&given)?;
        if tls.mode == Mode::VerifyFull && servers.iter().any(|server| server.host.is_none()) {
            return Err(given.wrong("hostaddr", "sslmode=verify-full needs the host name in addition to the address"));
        }
        let password_file = given.get("passfile").map(PathBuf::from);
        let seconds: Option<u64> = given.parsed("connect_timeout", "a number of seconds")?;
        Ok(Self {
            config: config(&given, &user, &database)?,
            user,
            database,
            servers,
            load_balance: given.one_of("load_balance_hosts", &LOAD_BALANCE)? == Some(LoadBalanceHosts::Random),
            password: given.get("password").map(str::to_owned),
            password_file: password_file.or_else(|| home.map(|home| home.join(".pgpass"))),
            connect_timeout: match seconds {
                None => Some(Duration::from_secs(10)),
                Some(0) => None,
                Some(seconds) => Some(Duration::from_secs(seconds)),
            },
            tls,
        })
    }
}

const LOAD_BALANCE: [(&str, LoadBalanceHosts); 2] =
    [("disable", LoadBalanceHosts::Disable), ("random", LoadBalanceHosts::Random)];
const NEGOTIATION: [(&str, SslNegotiation); 2] =
    [("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)];
const CHANNEL_BINDING: [(&str, ChannelBinding); 3] =
    [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)];
const SESSION: [(&str, TargetSessionAttrs); 3] = [
    ("any", TargetSessionAttrs::Any),
    ("read-write", TargetSessionAttrs::ReadWrite),
    ("read-only", TargetSessionAttrs::ReadOnly),
];

fn config(given: &Given, user: &str, database: &str) -> Result<Config> {
    let mut config = Config::new();
    config.user(user).dbname(database);
    if let Some(name) = given.get("application_name").or_else(|| given.get("fallback_application_name")) {
        config.application_name(name);
    }
    if let Some(options) = given.get("options") {
        config.options(options);
    }
    if let Some(binding) = given.one_of("channel_binding", &CHANNEL_BINDING)? {
        config.channel_binding(binding);
    }
    if let Some(session) = given.one_of("target_session_attrs", &SESSION)? {
        config.target_session_attrs(session);
    }
    if let Some(milliseconds) = given.parsed("tcp_user_timeout", "a number of milliseconds")? {
        config.tcp_user_timeout(Duration::from_millis(milliseconds));
    }
    // The system's default is to notice only after two hours that a server is gone.
    let seconds = |name, default| Ok(given.parsed(name, "a number of seconds")?.filter(|n| *n > 0).unwrap_or(default));
    config.keepalives(given.parsed::<u32>("keepalives", "0 or 1")? != Some(0));
    config.keepalives_idle(Duration::from_secs(seconds("keepalives_idle", 60)?));
    config.keepalives_interval(Duration::from_secs(seconds("keepalives_interval", 10)?));
    config.keepalives_retries(given.parsed("keepalives_count", "a number")?.filter(|count| *count > 0).unwrap_or(6));
    // The accepted values are what this crate does anyway.
    given.one_of("client_encoding", &[("auto", ()), ("UTF8", ()), ("utf8", ()), ("UTF-8", ()), ("utf-8", ())])?;
    given.one_of("gssencmode", &[("disable", ()), ("prefer", ())])?;
    Ok(config)
}

fn tls(given: &Given, home: Option<&Path>) -> Result<Tls> {
    let root = match given.get("sslrootcert") {
        Some("system") => Root::System,
        Some(path) => Root::File(path.into()),
        None => Root::FileIfExists(home.map(|home| home.join(".postgresql/root.crt"))),
    };
    let mode = match given.one_of("sslmode", &Mode::NAMES)? {
        Some(mode) if root == Root::System && mode != Mode::VerifyFull => {
            let message = "anybody can obtain a certificate that the system trusts, so sslrootcert=system is allowed \
                           with sslmode=verify-full only";
            return Err(given.wrong("sslmode", message));
        }
        Some(mode) => mode,
        None if root == Root::System => Mode::VerifyFull,
        None => Mode::Prefer,
    };
    let identity = match (given.get("sslcert"), given.get("sslkey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => home
            .map(|home| (home.join(".postgresql/postgresql.crt"), home.join(".postgresql/postgresql.key")))
            .filter(|(certificate, _)| certificate.exists()),
        (Some(_), None) => return Err(given.wrong("sslcert", "sslcert needs sslkey, the file with the private key")),
        (None, Some(_)) => return Err(given.wrong("sslkey", "sslkey needs sslcert, the file with the certificate")),
    };
    let direct = given.one_of("sslnegotiation", &NEGOTIATION)? == Some(SslNegotiation::Direct);
    if direct && matches!(mode, Mode::Disable | Mode::Allow | Mode::Prefer) {
        return Err(given.wrong("sslnegotiation", "sslnegotiation=direct needs sslmode=require or a stronger one"));
    }
    Ok(Tls { mode, root, identity, direct })
}

fn servers(given: &Given) -> Result<Vec<Server>> {
    let list = |name| given.get(name).map_or_else(Vec::new, |value| value.split(',').collect::<Vec<_>>());
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = hosts.len().max(addresses.len()).max(1);
    for (name, length) in [("host", hosts.len()), ("hostaddr", addresses.len())] {
        if length != 0 && length != count {
            return Err(given.wrong(name, "host and hostaddr have different numbers of entries"));
        }
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(given.wrong("port", "the numbers of ports and hosts differ"));
    }
    let server = |at: usize| {
        let address = match addresses.get(at).filter(|address| !address.is_empty()) {
            Some(address) => {
                Some(address.parse().map_err(|_| given.wrong("hostaddr", "hostaddr is not an IP address"))?)
            }
            None => None,
        };
        let host = match hosts.get(at).filter(|host| !host.is_empty()) {
            Some(host) if host.starts_with('/') => Some(Host::Unix(host.into())),
            Some(host) => Some(Host::Tcp((*host).to_owned())),
            None if address.is_none() => Some(Host::Unix(SOCKETS.into())),
            None => None,
        };
        let port = match ports.get(at).or(ports.first()).map(|port| port.trim()).filter(|port| !port.is_empty()) {
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(given.wrong("port", "a port is a number from 1 to 65535")),
            },
            None => PORT,
        };
        Ok(Server { host, address, port })
    };
    (0..count).map(server).collect()
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
