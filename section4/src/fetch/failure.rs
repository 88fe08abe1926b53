//! Why an attempt failed, and whether it can be retried.

use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::{StatusCode, Url};

use crate::Error;
use crate::error::Tried;

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    /// Whether it is transient.
    pub(super) is_passing: bool,
    /// The pause that the server requests.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Debug)]
enum Kind {
    Unreachable { message: String, help: &'static str },
    Status { status: StatusCode, detail: String },
    Redirect { to: String, because: &'static str },
    TooLarge { limit: u64 },
}

const UNREACHABLE: &str =
    "check that the server runs and that this machine can reach it; use another one with --base-url";

impl Failure {
    fn new(kind: Kind, is_passing: bool) -> Self {
        Self { kind, is_passing, retry_after: None }
    }

    pub(super) fn redirect(to: String, because: &'static str) -> Self {
        Self::new(Kind::Redirect { to, because }, false)
    }

    pub(super) fn too_large(limit: u64) -> Self {
        Self::new(Kind::TooLarge { limit }, false)
    }

    pub(super) fn of_status(status: StatusCode, detail: &str, retry_after: Option<Duration>) -> Self {
        let is_passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Self { retry_after, ..Self::new(Kind::Status { status, detail: detail.to_owned() }, is_passing) }
    }

    /// The server requests a longer pause than the retry limit.
    pub(super) fn too_long(mut self, asked: Duration) -> Self {
        if let Kind::Status { detail, .. } = &mut self.kind {
            *detail += &format!("; it requests a retry after {} s", asked.as_secs());
        }
        self
    }

    /// No response, or an incomplete one, within the time limit.
    pub(super) fn of(error: &reqwest::Error, limit: Duration) -> Self {
        let unreachable =
            |message: String, help, is_passing| Self::new(Kind::Unreachable { message, help }, is_passing);
        let mut causes = causes(error);
        if let Some(tls) = causes.clone().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
            let help = "check the scheme of the URL (http, https), that the server's certificate is for its name, \
                        and that this machine trusts its authority (package ca-certificates)";
            return unreachable(format!("TLS failed: {tls}"), help, false);
        }
        if error.is_timeout() {
            let message = format!("no complete response in {:.1} s", limit.as_secs_f64());
            return unreachable(message, "raise the limits: --request-timeout, --retry-for", true);
        }
        let is_cut_off =
            |cause: Cause<'_>| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
        if error.is_body() || error.is_decode() || causes.clone().any(is_cut_off) {
            let message = format!("the connection ended before the response was complete: {}", root(error));
            return unreachable(message, "try again later; a proxy may truncate responses", true);
        }
        if causes.any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)) {
            let message = format!("the server does not speak HTTP: {}", root(error));
            return unreachable(message, "check host and port: --base-url", false);
        }
        let root = root(error);
        // The system distinguishes an unknown name from an unavailable name server only in the text of the error.
        if root.contains("lookup address") || root.contains("Name or service not known") {
            let message = format!("the host name cannot be resolved: {root}");
            let help = "check the spelling of the host name, and that this machine can resolve it (getent hosts NAME)";
            return unreachable(message, help, root.contains("Temporary failure"));
        }
        unreachable(format!("no server answers: {root}"), UNREACHABLE, error.is_connect() || error.is_request())
    }

    /// Converts to the error of the command.
    pub(super) fn error(self, url: &Url, tried: Tried) -> Error {
        let url = url.to_string();
        match self.kind {
            Kind::Unreachable { message, help } => Error::Unreachable { url, message, tried, help },
            Kind::Redirect { to, because } => Error::Redirect { url, to, because },
            Kind::TooLarge { limit } => Error::TooLarge { url, limit },
            Kind::Status { status, detail } => {
                let help = match status {
                    _ if self.is_passing => "try again later, or raise the retry limit: --retry-for",
                    StatusCode::NOT_FOUND => "check the server (--base-url) and the country's name",
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                        "the server denies access; use another one with --base-url"
                    }
                    _ => "check the server: --base-url",
                };
                Error::Status { url, status: status.to_string(), detail, tried, help: help.to_owned() }
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unreachable { message, .. } => f.write_str(message),
            Kind::Status { status, detail } => write!(f, "the server responded with {status}{detail}"),
            Kind::Redirect { to, because } => write!(f, "the server redirects to {to}: {because}"),
            Kind::TooLarge { limit } => write!(f, "the response is larger than {limit} bytes"),
        }
    }
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

/// An error inside an I/O error is not its `source`, but still a cause.
fn causes(error: &dyn std::error::Error) -> impl Iterator<Item = Cause<'_>> + Clone {
    std::iter::successors(error.source(), |&error| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as Cause<'_>).or_else(|| error.source())
    })
}

/// The root cause.
fn root(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// An error and its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
