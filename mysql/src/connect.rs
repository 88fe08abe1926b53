//! Opens sessions: TLS or not, and retries.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_async::Conn;
use weir_database::{Failure, Reason, Retries, time_limit};

use crate::database::Database;
use crate::failure;
use crate::options::SslMode;
use crate::session::Session;

/// Retries until there is a session, a permanent error, or `wait` is over. The first attempt may take the whole
/// `connect-timeout`.
pub(crate) async fn connect(database: &Database, wait: Duration) -> Result<Session, Failure> {
    let options = &database.options;
    let mut retries = Retries::for_up_to(wait);
    loop {
        let limit = time_limit(options.connect_timeout, retries.end());
        let failure = match tokio::time::timeout(limit, attempt(database)).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(failure)) => failure,
            Err(_) => failure::unreachable(options, &format!("no answer in {:.1} s", limit.as_secs_f64())),
        };
        retries.after(failure).await?;
    }
}

/// The servers that offered no TLS when this process asked. Only with `ssl-mode=PREFERRED` that is no error.
static WITHOUT_TLS: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Opens one session, with TLS, without it, or one after the other, according to `ssl-mode`.
async fn attempt(database: &Database) -> Result<Session, Failure> {
    let options = &database.options;
    if !options.encrypts() {
        return open(database, false).await;
    }
    if options.ssl_mode != SslMode::Preferred {
        return open(database, true).await;
    }
    let server = options.server();
    // A run opens several sessions, and each would ask again.
    if is_without_tls(&server)
        && let Ok(session) = open(database, false).await
    {
        return Ok(session);
    }
    match open(database, true).await {
        Err(failure) if failure.reason == Reason::NoTls => {
            let session = open(database, false).await?;
            remember(&server, true);
            Ok(session)
        }
        done => {
            remember(&server, false);
            done
        }
    }
}

fn is_without_tls(server: &str) -> bool {
    let servers = WITHOUT_TLS.lock().unwrap_or_else(PoisonError::into_inner);
    servers.as_ref().is_some_and(|servers| servers.contains(server))
}

fn remember(server: &str, is_without_tls: bool) {
    let mut servers = WITHOUT_TLS.lock().unwrap_or_else(PoisonError::into_inner);
    let servers = servers.get_or_insert_default();
    match is_without_tls {
        true => _ = servers.insert(server.to_owned()),
        false => _ = servers.remove(server),
    }
}

async fn open(database: &Database, with_tls: bool) -> Result<Session, Failure> {
    let options = &database.options;
    let opts = options.of_driver(with_tls).map_err(|error| failure::file(options, &error))?;
    let connection = Conn::new(opts).await.map_err(|error| failure::of(options, &error))?;
    Session::begin(database.clone(), connection).await.map_err(|error| failure::of(options, &error))
}
