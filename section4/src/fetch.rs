//! Getting an answer over the network: politely, patiently, and no more of it than is right.
//!
//! What can pass by itself is tried again, with pauses that grow: no connection, a connection that breaks, no answer in
//! time, 429 and 5xx. `Retry-After` is heeded. What cannot pass is told at once.

mod backoff;
mod cache;
mod failure;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};

use crate::error::Tried;
use crate::value::shown;
use crate::{Error, Result};
use backoff::Backoff;
use cache::{Cache, Cached};
use failure::Failure;

/// Who we are, for the logs of those whom we ask.
const USER_AGENT: &str =
    concat!("section4/", env!("CARGO_PKG_VERSION"), " (loads confirmed COVID-19 cases into a database, once a day)");

/// What the last attempt gets even if time is up: an attempt with no time at all would only hide why the others failed.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// No source sends us on more often.
const MOST_REDIRECTS: usize = 5;

/// How patient and how careful a client is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one attempt may take, from the connection to the last byte.
    pub timeout: Duration,
    /// How long an address is tried again, from the beginning of the first attempt on; zero for a single attempt.
    pub retry_for: Duration,
    /// The largest answer that is taken, in bytes.
    pub max_bytes: u64,
    /// A folder in which answers are kept, so that an unchanged one is not sent again.
    pub cache: Option<PathBuf>,
}

impl Default for Settings {
    /// A minute an attempt, two minutes of trying again, 256 MiB, no cache.
    fn default() -> Self {
        let (timeout, retry_for) = (Duration::from_secs(60), Duration::from_secs(120));
        Self { timeout, retry_for, max_bytes: 256 << 20, cache: None }
    }
}

/// Asks servers.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    settings: Settings,
    cache: Option<Cache>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Body {
    url: String,
    bytes: Vec<u8>,
    /// Where it is kept once it proves right.
    keep: Option<(Cache, Cached)>,
}

impl Client {
    /// Makes a client. The process gets a provider of cryptography if it has none yet.
    ///
    /// # Errors
    /// If TLS cannot be set up, or the folder of the cache not be made.
    pub fn new(settings: Settings) -> Result<Self> {
        // It fails if somebody was first, which is as good.
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

    /// Gets an answer, if need be in several attempts.
    pub(crate) async fn get(&self, url: Url) -> Result<Body> {
        let begun = Instant::now();
        let mut backoff = Backoff::default();
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
                // To come back before would be impolite, and to no avail.
                Some(asked) if asked > left => return Err(failure.too_long(asked).error(&url, tried)),
                Some(asked) => asked.max(backoff.next()),
                None => backoff.next(),
            };
            if times == 1 {
                tracing::warn!("{url}: {failure}; trying again for up to {:.0} s", left.as_secs_f64().ceil());
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
                let after = retry_after(response.headers(), SystemTime::now());
                return Err(Failure::of_status(status, &says(response).await, after));
            }
        }
        let headers = response.headers().clone();
        let bytes = self.body(response, limit).await?;
        let keep = self.cache.clone().and_then(|cache| Some((cache, Cached::of(url.as_str(), &headers)?)));
        Ok(Body { url: url.to_string(), bytes, keep })
    }

    /// Reads a body, but no more than is allowed, whatever it claims to have.
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

    /// Keeps it for the next time: whoever calls this has found it right.
    pub(crate) fn keep(self) {
        if let Some((cache, cached)) = self.keep {
            cache.keep(&cached.with_body(self.bytes));
        }
    }
}

/// Why a redirection is not followed, if it is not. Another host is another source, which nobody asked for.
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
        Ok(to) => why_not(response.url(), to).unwrap_or("it is one redirection after the other"),
        Err(_) => "that is no address",
    };
    Failure::redirect(to.map_or_else(|_| shown(&location), |to| shown(to.as_str())), because)
}

/// What the body of an error says: the message of a JSON object, or nothing.
async fn says(mut response: Response) -> String {
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

/// How long a server asks us to wait: seconds, or a time.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(SystemTime::from(at).duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_redirections_to_the_same_server_are_followed_or_to_it_with_tls() {
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

    #[test]
    fn retry_after_is_seconds_or_a_time() {
        let now = SystemTime::from(chrono::DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap());
        for (text, expected) in [
            ("120", Some(120)),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(90)),
            ("Wed, 31 Dec 2025 23:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
