//! Requests by HTTP: a client that gives nothing away, and errors without their URL.

use std::io;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use super::backoff::retry_after;

pub(crate) const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A client that sends something to a server that the user named, and to no other: it follows no redirect.
pub(crate) fn client() -> reqwest::Result<Client> {
    use_ring();
    Client::builder().user_agent(USER_AGENT).referer(false).connect_timeout(CONNECT).redirect(Policy::none()).build()
}

/// Chooses the provider of cryptography of this process.
pub(crate) fn use_ring() {
    // It fails if the process has one, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why a request failed. No part of it has the URL.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) message: String,
    /// Whether another attempt may succeed.
    pub(crate) may_pass: bool,
    /// The pause that the server asks for.
    pub(crate) asked: Option<Duration>,
}

/// Sends JSON to a URL, of which no part but the host is in an error.
pub(crate) async fn post_json(
    url: &str,
    headers: &[(String, String)],
    body: &Value,
    most: Duration,
) -> Result<(), Failed> {
    let failed = |message: String| Failed { message, may_pass: false, asked: None };
    let parsed = Url::parse(url).map_err(|error| failed(format!("the URL is not valid: {error}")))?;
    let host = parsed.host_str().unwrap_or_default().to_owned();
    let of = |error: reqwest::Error| {
        let error = Failed::of(error);
        Failed { message: format!("{host}: {}", error.message), ..error }
    };
    let client = client().map_err(of)?;
    let mut request = client.post(parsed).timeout(most).header(CONTENT_TYPE, "application/json").body(body.to_string());
    for (name, value) in headers {
        let wrong = || failed(format!("{host}: the header `{name}` is not valid"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        request = request.header(header, value);
    }
    let response = request.send().await.map_err(of)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let passing = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY];
    let asked = response.headers().get(RETRY_AFTER).and_then(|header| header.to_str().ok());
    Err(Failed {
        message: format!("{host}: the server responds with {status}"),
        may_pass: status.is_server_error() || passing.contains(&status),
        asked: asked.and_then(|header| retry_after(header, SystemTime::now())),
    })
}

impl Failed {
    pub(crate) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let cause = root(&error);
        let (message, may_pass) = if is_tls(&error) {
            (format!("TLS failed: {cause}"), false)
        } else if error.is_timeout() {
            ("the server does not answer in time".to_owned(), true)
        } else if error.is_builder() {
            (format!("the request cannot be made: {cause}"), false)
        } else {
            (format!("the server cannot be asked: {cause}"), true)
        };
        Self { message, may_pass, asked: None }
    }
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

/// An error and its causes. One inside an I/O error is not its `source`, but a cause.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error as Cause<'_>), |&error| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as Cause<'_>).or_else(|| error.source())
    })
}

/// Whether TLS failed.
pub(crate) fn is_tls(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| cause.is::<rustls::Error>())
}

/// The first cause.
pub(crate) fn root(error: &reqwest::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
