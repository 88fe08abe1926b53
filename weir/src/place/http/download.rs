//! Downloads a file, in several attempts if a server or the network fails for a while.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use reqwest::header::{HeaderMap, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url};

use super::super::arriving::not_kept;
use super::backoff::Backoff;
use super::failure::Failure;
use crate::error::{Error, Result};

const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may send nothing.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// The number of attempts.
const ATTEMPTS: u32 = 5;

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

const MOST_REDIRECTS: usize = 10;

/// A file that was downloaded.
pub(super) struct Download {
    /// The hash of its content.
    pub(super) hash: String,
    /// When it was modified, if the server says so.
    pub(super) modified: Option<SystemTime>,
}

/// Why an attempt did not succeed.
enum Stopped {
    /// The server, or the network.
    There(Failure),
    /// The disk.
    Here(Error),
}

/// Downloads the file of a URL; `None` if there is none. `name` is the URL in messages.
pub(super) async fn download(url: &Url, name: &str, to: &Path) -> Result<Option<Download>> {
    let client = client().map_err(|error| Failure::of(error).error(name, 1))?;
    let mut backoff = Backoff::default();
    for attempt in 1.. {
        let failure = match try_once(&client, url, name, to).await {
            Ok(downloaded) => return Ok(downloaded),
            Err(Stopped::Here(error)) => return Err(error),
            Err(Stopped::There(failure)) => failure,
        };
        let asked = failure.retry_after.unwrap_or_default();
        if !failure.may_pass || attempt == ATTEMPTS || asked > LONGEST_PAUSE {
            return Err(failure.error(name, attempt));
        }
        let pause = backoff.next().max(asked);
        tracing::warn!("{name}: {failure}; attempt {} begins in {:.1} s", attempt + 1, pause.as_secs_f64());
        tokio::time::sleep(pause).await;
    }
    Err(Error::internal("there is no further attempt"))
}

/// A client that keeps what a URL may have to itself: no server gets it as the referrer.
fn client() -> reqwest::Result<Client> {
    // It fails if the process has one, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().user_agent(USER_AGENT).referer(false);
    client.connect_timeout(CONNECT).read_timeout(IDLE).redirect(Policy::custom(redirect)).build()
}

fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let was_encrypted = attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("it redirects too often")
    } else if was_encrypted && attempt.url().scheme() != "https" {
        attempt.error("it redirects to a URL that is not encrypted")
    } else {
        attempt.follow()
    }
}

async fn try_once(client: &Client, url: &Url, name: &str, to: &Path) -> Result<Option<Download>, Stopped> {
    let there = |error| Stopped::There(Failure::of(error));
    let mut response = client.get(url.clone()).send().await.map_err(there)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        status => return Err(Stopped::There(Failure::of_status(status, pause_of(&response)))),
    }
    let here = |error| Stopped::Here(not_kept(name, error));
    let mut file = BufWriter::new(File::create(to).map_err(here)?);
    let mut hasher = blake3::Hasher::new();
    while let Some(piece) = response.chunk().await.map_err(there)? {
        hasher.update(&piece);
        file.write_all(&piece).map_err(here)?;
    }
    file.flush().map_err(here)?;
    let modified = time(response.headers(), &LAST_MODIFIED);
    Ok(Some(Download { hash: hasher.finalize().to_hex().to_string(), modified }))
}

/// The pause that a server asks for: seconds, or a time.
fn pause_of(response: &Response) -> Option<Duration> {
    pause(response.headers(), SystemTime::now())
}

fn pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let seconds = || headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs);
    let until = || Some(time(headers, &RETRY_AFTER)?.duration_since(now).unwrap_or_default());
    seconds().or_else(until)
}

fn time(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let text = headers.get(name)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text.trim()).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_time() {
        let now = SystemTime::from(DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap());
        for (text, expected) in [
            ("120", Some(120)),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(90)),
            ("Wed, 31 Dec 2025 23:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(pause(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
