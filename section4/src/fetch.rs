//! HTTP client with retries, size limit and cache.
//!
//! Transient failures are retried with exponential backoff: no connection, a broken connection, a timeout, 429 and 5xx.
//! `Retry-After` is obeyed. Permanent failures are reported at once.

mod cache;
mod failure;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};
use weir::fetch::{Backoff, retry_after};

use crate::error::Tried;
use crate::value::shown;
use crate::{Error, Result};
use cache::{Cache, Cached};
use failure::Failure;

/// Identifies the program in the logs of the servers.
const USER_AGENT: &str =
    concat!("section4/", env!("CARGO_PKG_VERSION"), " (loads confirmed COVID-19 cases into a database, once a day)");

/// Time limit of the last attempt when time is up: an attempt with no time at all would only hide why the others
/// failed.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// The pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// No source redirects more often.
const MOST_REDIRECTS: usize = 5;

/// Time limits, size limit and cache of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time limit of one attempt, from the connection to the last byte.
    pub timeout: Duration,
    /// How long a URL is retried, counted from the start of the first attempt; zero for a single attempt.
    pub retry_for: Duration,
    /// Maximum size of a response, in bytes.
    pub max_bytes: u64,
    /// Folder of the cache; unchanged responses are not transferred again.
    pub cache: Option<PathBuf>,
}

impl Default for Settings {
    /// A minute per attempt, two minutes of retries, 256 MiB, no cache.
    fn default() -> Self {
        let (timeout, retry_for) = (Duration::from_secs(60), Duration::from_secs(120));
        Self { timeout, retry_for, max_bytes: 256 << 20, cache: None }
    }
}

/// An HTTP client.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    settings: Settings,
    cache: Option<Cache>,
}

/// A complete response body.
#[derive(Debug)]
pub(crate) struct Body {
    url: String,
    bytes: Vec<u8>,
    /// Where it is cached once it is validated.
    keep: Option<(Cache, Cached)>,
}

impl Client {
    /// Creates a client. Installs a provider of cryptography unless the process has one.
    ///
    /// # Errors
    /// If TLS cannot be set up, or the cache folder cannot be created.
    pub fn new(settings: Settings) -> Result<Self> {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .redirect(Policy::custom(|attempt| {
                let from = attempt.previous().last();
                let follow = attempt.previous().len() <= MOST_REDIRECTS
                    && from.is_some_and(|from| why_not(from, attempt.url()).is_none());
                if follow { attempt.follow() } else { attempt.stop() }
            }))
            .build()
            .map_err(|error| Error::Tls(failure::chain(&error)))?;
        let cache = settings.cache.clone().map(Cache::open).transpose()?;
        Ok(Self { http, settings, cache })
    }

    /// Fetches a response, with retries if needed.
    pub(crate) async fn get(&self, url: Url) -> Result<Body> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let cached = self.cache.as_ref().and_then(|cache| cache.find(url.as_str()));
        let mut times = 1;
        loop {
            let left = self.settings.retry_for.saturating_sub(begun.elapsed());
            let limit =
                if times == 1 { self.settings.timeout } else { self.settings.timeout.min(left.max(LAST_ATTEMPT)) };
            let failure = match self.attempt(&url, cached.as_ref(), limit).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let tried = Tried { times, time: begun.elapsed() };
            let left = self.settings.retry_for.saturating_sub(begun.elapsed());
            if !failure.is_passing || left.is_zero() {
                return Err(failure.error(&url, tried));
            }
            let pause = match failure.retry_after {
                // Retrying earlier would be impolite and useless.
                Some(asked) if asked > left => return Err(failure.too_long(asked).error(&url, tried)),
                Some(asked) => asked.max(backoff.pause()),
                None => backoff.pause(),
            };
            if times == 1 {
                tracing::warn!("{url}: {failure}; retrying for up to {:.0} s", left.as_secs_f64().ceil());
            }
            tokio::time::sleep(pause.min(left)).await;
            times += 1;
        }
    }

    async fn attempt(&self, url: &Url, cached: Option<&Cached>, limit: Duration) -> Result<Body, Failure> {
        let mut request = self.http.get(url.clone()).timeout(limit);
        if let Some(etag) = cached.and_then(Cached::etag) {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(modified) = cached.and_then(Cached::modified) {
            request = request.header(IF_MODIFIED_SINCE, modified);
        }
        let response = request.send().await.map_err(|error| Failure::of(&error, limit))?;
        let status = response.status();
        match (status, cached) {
            (StatusCode::OK, _) => {}
            (StatusCode::NOT_MODIFIED, Some(cached)) => {
                return Ok(Body { url: url.to_string(), bytes: cached.body().to_vec(), keep: None });
            }
            _ if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                return Err(redirected(&response));
            }
            _ => {
                let after = response.headers().get(RETRY_AFTER).and_then(|header| header.to_str().ok());
                let after = after.and_then(|header| retry_after(header, SystemTime::now()));
                return Err(Failure::of_status(status, &error_message(response).await, after));
            }
        }
        let headers = response.headers().clone();
        let bytes = self.body(response, limit).await?;
        let keep = self.cache.clone().and_then(|cache| Some((cache, Cached::of(url.as_str(), &headers)?)));
        Ok(Body { url: url.to_string(), bytes, keep })
    }

    /// Reads a body up to the size limit, regardless of its declared length.
    async fn body(&self, mut response: Response, limit: Duration) -> Result<Vec<u8>, Failure> {
        let most = self.settings.max_bytes;
        if response.content_length().is_some_and(|length| length > most) {
            return Err(Failure::too_large(most));
        }
        let mut bytes = Vec::new();
        while let Some(more) = response.chunk().await.map_err(|error| Failure::of(&error, limit))? {
            if (bytes.len() + more.len()) as u64 > most {
                return Err(Failure::too_large(most));
            }
            bytes.extend_from_slice(&more);
        }
        Ok(bytes)
    }
}

impl Body {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Stores it in the cache; call it after the body was validated.
    pub(crate) fn keep(self) {
        if let Some((cache, cached)) = self.keep {
            cache.keep(&cached.with_body(self.bytes));
        }
    }
}

/// Why a redirect is not followed, if so. Another host would be another source, which was not requested.
fn why_not(from: &Url, to: &Url) -> Option<&'static str> {
    let port = |url: &Url| url.port_or_known_default();
    if from.host_str() != to.host_str() {
        return Some("it is another host");
    }
    match (from.scheme(), to.scheme()) {
        ("http", "https") => None,
        (one, other) if one != other => Some("it is not encrypted"),
        _ if port(from) != port(to) => Some("it is another server of the host"),
        _ => None,
    }
}

fn redirected(response: &Response) -> Failure {
    let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let location = location.unwrap_or_default();
    let to = response.url().join(&location);
    let because = match &to {
        Ok(to) => why_not(response.url(), to).unwrap_or("there are too many redirects"),
        Err(_) => "it is not a valid URL",
    };
    Failure::redirect(to.map_or_else(|_| shown(&location), |to| shown(to.as_str())), because)
}

/// The error message in a body: the message of a JSON object, or nothing.
async fn error_message(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(more)) = response.chunk().await {
        bytes.extend_from_slice(&more);
        if bytes.len() > 4096 {
            return String::new();
        }
    }
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
    message.map(|message| format!(": {}", shown(message))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_redirects_to_the_same_server_are_followed_also_to_tls() {
        for (from, to, expected) in [
            ("http://a.example/1", "http://a.example/2", None),
            ("http://a.example/1", "https://a.example/1", None),
            ("https://a.example/1", "https://a.example:443/2", None),
            ("https://a.example/1", "http://a.example/1", Some("it is not encrypted")),
            ("https://a.example/1", "https://b.example/1", Some("it is another host")),
            ("http://a.example/1", "http://a.example:81/1", Some("it is another server of the host")),
        ] {
            assert_eq!(why_not(&url(from), &url(to)), expected, "{from} {to}");
        }
    }
}
