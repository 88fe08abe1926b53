//! Opens sessions: TLS or not, and retries.

use std::time::{Duration, Instant};

use mysql_async::Conn;

use crate::database::Database;
use crate::error::Reason;
use crate::failure::Failure;
use crate::options::SslMode;
use crate::session::Session;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Time limit of the last attempt when `wait` has elapsed: an attempt with no time at all would only hide why the
/// others failed.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// Retries until there is a session, a permanent error, or `wait` is over. The first attempt may take the whole
/// `connect-timeout`.
pub(crate) async fn connect(database: &Database, wait: Duration) -> Result<Session, Failure> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut limit = database.options.connect_timeout;
    for attempts in 1.. {
        let mut failure = match tokio::time::timeout(limit, attempt(database)).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::unreachable(&database.options, &format!("no answer in {:.1} s", limit.as_secs_f64())),
        };
        let left = wait.saturating_sub(begun.elapsed());
        if !failure.reason.is_transient() || left.is_zero() {
            if attempts > 1 {
                let tried = format!(" (tried {attempts} times in {:.1} s)", begun.elapsed().as_secs_f64());
                failure.message.push_str(&tried);
            }
            return Err(failure);
        }
        if attempts == 1 {
            tracing::warn!("{}; retrying for up to {:.0} s", failure.message, left.as_secs_f64().ceil());
        }
        // Between half of the pause and all of it, so that clients that lost a server together do not reconnect together.
        tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0).min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let left = wait.saturating_sub(begun.elapsed());
        limit = database.options.connect_timeout.min(left.max(LAST_ATTEMPT));
    }
    unreachable!("the attempts end with a return")
}

/// Opens one session, with TLS, without it, or one after the other, according to `ssl-mode`.
async fn attempt(database: &Database) -> Result<Session, Failure> {
    let options = &database.options;
    if !options.encrypts() {
        return open(database, false).await;
    }
    match open(database, true).await {
        Err(failure) if failure.reason == Reason::NoTls && options.ssl_mode == SslMode::Preferred => {
            open(database, false).await
        }
        done => done,
    }
}

async fn open(database: &Database, with_tls: bool) -> Result<Session, Failure> {
    let options = &database.options;
    let opts = options.of_driver(with_tls).map_err(|error| Failure::file(options, &error))?;
    let connection = Conn::new(opts).await.map_err(|error| Failure::of(options, &error))?;
    Session::begin(database.clone(), connection).await.map_err(|error| Failure::of(options, &error))
}
