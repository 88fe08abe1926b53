//! Opens sessions: choice of server, TLS or not, and retries.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use weir_database::{Failure, Reason, Retries, time_limit};

use crate::failure::{Attempt, lookup, may_pass_with_tls_toggled, unreachable};
use crate::options::{Options, Server};
use crate::passwords;
use crate::tls::Mode;

/// Retries until there is a session, a permanent error, or `wait` is over. The first attempt may take the whole
/// `connect_timeout`.
pub(crate) async fn connect(options: &Options, wait: Duration) -> Result<Client, Failure> {
    let mut retries = Retries::for_up_to(wait);
    loop {
        match any_server(options, retries.end()).await {
            Ok(client) => return Ok(client),
            Err(failure) => retries.after(failure).await?,
        }
    }
}

/// Tries all servers and their addresses once. As in libpq, the next one is tried only if the previous one is
/// unreachable or not ready; a wrong password is not sent to the others.
async fn any_server(options: &Options, end: Option<Instant>) -> Result<Client, Failure> {
    let mut last: Option<Failure> = None;
    let mut servers: Vec<_> = options.servers.iter().collect();
    if options.load_balance {
        // Every element gets new hasher keys, which makes this a shuffle.
        servers.sort_by_cached_key(|_| RandomState::new().hash_one(()));
    }
    for server in servers {
        let failure = match addresses(server, limit(options, end)).await {
            Err(failure) => failure,
            Ok(addresses) => match any_address(options, server, &addresses, end).await {
                Ok(client) => return Ok(client),
                Err(failure) => failure,
            },
        };
        let go_on = failure.reason.is_transient() || matches!(failure.reason, Reason::UnknownHost | Reason::Other);
        if !go_on {
            return Err(failure);
        }
        // While one of the servers may still come up, another round is worthwhile.
        if failure.reason.is_transient() || !last.as_ref().is_some_and(|last| last.reason.is_transient()) {
            last = Some(failure);
        }
    }
    Err(last.unwrap_or_else(|| unreachable("no server", "no host is specified")))
}

async fn any_address(
    options: &Options,
    server: &Server,
    addresses: &[Option<IpAddr>],
    end: Option<Instant>,
) -> Result<Client, Failure> {
    let mut last = None;
    for address in addresses {
        let limit = limit(options, end);
        let failure = match tokio::time::timeout(limit, session(options, server, *address)).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(failure)) => failure,
            Err(_) => unreachable(&server.to_string(), &format!("no answer in {:.1} s", limit.as_secs_f64())),
        };
        if !failure.reason.is_transient() {
            return Err(failure);
        }
        last = Some(failure);
    }
    Err(last.unwrap_or_else(|| unreachable(&server.to_string(), "its name resolves to no address")))
}

/// Time limit of the next attempt.
fn limit(options: &Options, end: Option<Instant>) -> Duration {
    time_limit(options.connect_timeout.unwrap_or(Duration::MAX), end)
}

/// The addresses of a server. A socket folder has none and is tried once.
async fn addresses(server: &Server, limit: Duration) -> Result<Vec<Option<IpAddr>>, Failure> {
    let host = match (&server.host, server.address) {
        (_, Some(address)) => return Ok(vec![Some(address)]),
        (Some(Host::Tcp(host)), None) => host,
        (Some(Host::Unix(_)) | None, None) => return Ok(vec![None]),
    };
    match tokio::time::timeout(limit, tokio::net::lookup_host((host.as_str(), server.port))).await {
        Ok(Ok(found)) => Ok(found.map(|address| Some(address.ip())).collect()),
        Ok(Err(error)) => Err(lookup(host, &error)),
        Err(_) => Err(unreachable(&server.to_string(), "its name could not be resolved in time")),
    }
}

/// Opens one session, with TLS, without it, or both in turn, according to `sslmode`.
async fn session(options: &Options, server: &Server, address: Option<IpAddr>) -> Result<Client, Failure> {
    let attempt = Endpoint { options, server, address };
    if address.is_none() {
        // There is no TLS over Unix domain sockets, regardless of sslmode.
        return attempt.open(SslMode::Disable).await;
    }
    match options.tls.mode {
        Mode::Disable => attempt.open(SslMode::Disable).await,
        Mode::Allow => match attempt.open(SslMode::Disable).await {
            Err(plain) if may_pass_with_tls_toggled(&plain) => {
                attempt.open(SslMode::Require).await.map_err(|tls| if tls.is_tls() { plain } else { tls })
            }
            done => done,
        },
        Mode::Prefer => match attempt.open(SslMode::Prefer).await {
            Err(tls) if tls.is_tls() || may_pass_with_tls_toggled(&tls) => attempt
                .open(SslMode::Disable)
                .await
                .map_err(|plain| if may_pass_with_tls_toggled(&plain) { tls } else { plain }),
            done => done,
        },
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => attempt.open(SslMode::Require).await,
    }
}

struct Endpoint<'a> {
    options: &'a Options,
    server: &'a Server,
    address: Option<IpAddr>,
}

impl Endpoint<'_> {
    async fn open(&self, mode: SslMode) -> Result<Client, Failure> {
        match mode {
            SslMode::Disable => self.open_with(NoTls, mode).await,
            _ => self.open_with(self.options.tls.connector()?, mode).await,
        }
    }

    async fn open_with<T>(&self, tls: T, mode: SslMode) -> Result<Client, Failure>
    where
        T: MakeTlsConnect<Socket, Stream: Send + 'static>,
    {
        let with_tls = mode != SslMode::Disable;
        let attempt = Attempt { options: self.options, server: self.server.to_string(), with_tls };
        let opened = self.config(mode).connect(tls).await;
        let (client, connection) = opened.map_err(|error| attempt.failure(&error))?;
        tokio::spawn(async move {
            // A pending statement gets the error too; this logs it for sessions that are idle.
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
        Ok(client)
    }

    fn config(&self, mode: SslMode) -> Config {
        let Self { options, server, address } = self;
        let mut config = options.config.clone();
        config.port(server.port).ssl_mode(mode);
        if options.tls.direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        if let Some(password) = self.password() {
            config.password(password);
        }
        match (&server.host, address) {
            (Some(Host::Unix(folder)), None) => config.host_path(folder),
            (host, Some(address)) => {
                config.hostaddr(*address);
                // A name that no certificate can have matters only if the certificate is checked for it.
                match host {
                    Some(Host::Tcp(name)) if is_name(name) || options.tls.mode == Mode::VerifyFull => config.host(name),
                    _ => config.host(address.to_string()),
                }
            }
            (_, None) => &mut config,
        };
        config
    }

    fn password(&self) -> Option<String> {
        let Self { options, server, .. } = self;
        let look_up = || {
            let host = server.host_in_password_file();
            passwords::find(options.password_file.as_ref()?, &host, server.port, &options.database, &options.user)
        };
        options.password.clone().or_else(look_up)
    }
}

fn is_name(host: &str) -> bool {
    ServerName::try_from(host).is_ok()
}
