//! Files at an `http://` or `https://` address, fetched whole when a run begins.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::arriving::{Arrival, arrived, no_archive, no_moves, not_kept};
use super::{Archive, FileSystem, FoundFile, Kind, Move};
use crate::error::{Error, Result};

pub(super) const KIND: Kind =
    Kind { name: "http:// and https:// addresses", holds: is_address, open: |_| Arc::new(Addresses) };

/// Identifies the program in the logs of the servers.
const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// The time to connect, and the longest time without a byte.
const CONNECT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);

/// The pauses before the further attempts.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

const MOST_REDIRECTS: usize = 10;

fn is_address(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

/// The files behind addresses. They are fetched without a cache.
#[derive(Debug)]
struct Addresses;

/// Why an attempt failed.
struct Failure {
    message: String,
    help: &'static str,
    /// Whether the next attempt may succeed, and when the server wants it.
    passes: Option<Duration>,
}

#[async_trait]
impl FileSystem for Addresses {
    fn check(&self, pattern: &str) -> Result<(), String> {
        let url = Url::parse(pattern).map_err(|error| format!("the address is not valid: {error}"))?;
        match url.path().contains(['*', '[']) {
            true => Err("an address is that of one file: servers do not list theirs by a pattern".to_owned()),
            false => Ok(()),
        }
    }

    fn arrives(&self) -> bool {
        true
    }

    async fn find(&self, pattern: &str, arrival: &Arrival<'_>) -> Result<Vec<FoundFile>> {
        let url = Url::parse(pattern).map_err(|error| Error::internal(format!("an address is not valid: {error}")))?;
        let (name, key) = (shown(&url), key(&url));
        let path = arrival.scratch.join(format!("fetched-{}", blake3::hash(pattern.as_bytes()).to_hex()));
        let mut stop = arrival.stop.clone();
        tokio::select! {
            fetched = fetch(&url, &name, &path) => fetched?,
            () = stop.wanted() => return Err(Error::Interrupted),
        }
        Ok(vec![arrived(&path, name, key).await?])
    }

    fn archive(&self, _: &str, _: &str) -> Result<Box<dyn Archive>, String> {
        Err(no_archive("a file at an address"))
    }

    async fn finish_moves(&self, _: &str, moves: &[Move]) -> Result<()> {
        no_moves(moves)
    }

    async fn remove_archived(&self, _: &str, moves: &[Move]) -> Result<u64> {
        no_moves(moves).map(|()| 0)
    }
}

/// The address without what may be secret: user, password, query.
fn shown(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// What the ledger keeps: the same, and a hash of the query, which may choose the data.
fn key(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{}", &blake3::hash(query.as_bytes()).to_hex()[..16]));
    shown(url) + &query.unwrap_or_default()
}

/// Fetches a file. Failures that pass are tried again.
async fn fetch(url: &Url, name: &str, to: &std::path::Path) -> Result<()> {
    let client = client().map_err(|error| Error::input(name, without_address(error), "check the TLS set-up"))?;
    let mut pauses = PAUSES.iter();
    loop {
        let mut file = File::create(to).map_err(|error| not_kept(name, error))?;
        let failure = match attempt(&client, url, &mut file).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => return Err(not_kept(name, error)),
            Err(failure) => failure,
        };
        match (failure.passes, pauses.next()) {
            (Some(asked), Some(pause)) if asked <= LONGEST_PAUSE => {
                tracing::warn!(address = name, "{}: it is tried again", failure.message);
                tokio::time::sleep(asked.max(*pause)).await;
            }
            _ => return Err(Error::input(name, failure.message, failure.help)),
        }
    }
}

fn client() -> reqwest::Result<Client> {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = Policy::custom(|attempt| {
        let is_safe = attempt.url().scheme() == "https"
            || attempt.previous().last().is_some_and(|from| from.scheme() == attempt.url().scheme());
        if attempt.previous().len() > MOST_REDIRECTS || !is_safe { attempt.stop() } else { attempt.follow() }
    });
    Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(redirects)
        .build()
}

/// Writes the answer to a file. The inner error is that of the disk.
async fn attempt(client: &Client, url: &Url, file: &mut File) -> Result<std::io::Result<()>, Failure> {
    let mut answer = client.get(url.clone()).send().await.map_err(Failure::of)?;
    if !answer.status().is_success() {
        return Err(Failure::status(&answer));
    }
    while let Some(bytes) = answer.chunk().await.map_err(Failure::of)? {
        if let Err(error) = file.write_all(&bytes) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

impl Failure {
    fn of(error: reqwest::Error) -> Self {
        let message = without_address(error);
        Self { message, help: "check the address and the network; then start the run again", passes: Some(Duration::ZERO) }
    }

    fn status(answer: &Response) -> Self {
        let status = answer.status();
        let passes = status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            message: format!("the server answers {status}"),
            help: match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "check the user and password, or the token, in the address: they can be parameters with a `secret`"
                }
                StatusCode::NOT_FOUND | StatusCode::GONE => "correct the address",
                status if status.is_redirection() => {
                    "name the address that it leads to: it is followed neither from https to http nor more than ten times"
                }
                _ => "start the run again later",
            },
            passes: passes.then(|| Duration::from_secs(asked.unwrap_or(0))),
        }
    }
}

/// The message of an error and its causes, without the address, which may have secrets.
fn without_address(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let mut messages: Vec<String> = causes.map(ToString::to_string).collect();
    messages.dedup();
    messages.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_and_kept_without_its_secrets() {
        let url = Url::parse("https://ann:pass@example.com:8443/a/b.csv.gz?token=t0ps3cret#x").unwrap();
        assert_eq!(shown(&url), "https://example.com:8443/a/b.csv.gz");
        let kept = key(&url);
        assert!(kept.starts_with("https://example.com:8443/a/b.csv.gz?") && !kept.contains("t0ps3cret"), "{kept}");
        let other = Url::parse("https://example.com:8443/a/b.csv.gz?token=other").unwrap();
        assert_ne!(kept, key(&other));
    }

    #[test]
    fn a_pattern_is_no_address() {
        assert!(Addresses.check("https://example.com/*.csv").is_err());
        assert!(Addresses.check("https://").is_err());
        assert!(Addresses.check("https://example.com/a.csv?x=*").is_ok());
    }
}
