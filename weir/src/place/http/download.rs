//! Downloads a file, in several attempts if a server or the network fails for a while.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderName, LAST_MODIFIED, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url};

use super::super::arriving::not_kept;
use super::failure::Failure;
use crate::error::{Error, Result};
use crate::system::backoff::{Backoff, http_time, retry_after};
use crate::system::http::{USER_AGENT, use_ring};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may send nothing.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// The pause after the first attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The number of attempts.
const ATTEMPTS: u32 = 5;

/// The longest pause, also if a server asks for one.
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
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
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
        let pause = backoff.pause().max(asked);
        tracing::warn!("{name}: {failure}; attempt {} begins in {:.1} s", attempt + 1, pause.as_secs_f64());
        tokio::time::sleep(pause).await;
    }
    Err(Error::internal("there is no further attempt"))
}

/// A client that keeps what a URL may have to itself: no server gets it as the referrer.
fn client() -> reqwest::Result<Client> {
    use_ring();
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
        status => {
            let asked = header(&response, &RETRY_AFTER).and_then(|text| retry_after(text, SystemTime::now()));
            return Err(Stopped::There(Failure::of_status(status, asked)));
        }
    }
    let here = |error| Stopped::Here(not_kept(name, error));
    let mut file = BufWriter::new(File::create(to).map_err(here)?);
    let mut hasher = blake3::Hasher::new();
    while let Some(piece) = response.chunk().await.map_err(there)? {
        hasher.update(&piece);
        file.write_all(&piece).map_err(here)?;
    }
    file.flush().map_err(here)?;
    let modified = header(&response, &LAST_MODIFIED).and_then(http_time);
    Ok(Some(Download { hash: hasher.finalize().to_hex().to_string(), modified }))
}

/// The text of a header.
fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}
