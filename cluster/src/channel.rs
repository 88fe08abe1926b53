//! Connections: to the scheduler, and between all others that talk to each other.

use std::error::Error as _;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::extension::EndpointOverrideFn;
use tonic::transport::{Channel, Endpoint, Uri};
use weir::{Error, Result};

use crate::tls::Tls;

/// The largest message: plans, with the splits of their sources, and rows.
pub(crate) const MESSAGE_SIZE: usize = 512 << 20;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How often the other side is asked whether it is still there, and how long it may take to answer.
const ALIVE: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);

/// The address of a scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    is_https: bool,
    authority: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not the address of a scheduler: write http://HOST:PORT or https://HOST:PORT");
        let (scheme, authority) = text.split_once("://").unwrap_or(("http", text));
        let authority = authority.trim_end_matches('/');
        let uri: Uri = format!("{scheme}://{authority}").parse().map_err(|_| wrong())?;
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        let is_whole =
            has_host && uri.port().is_some() && uri.path() == "/" && uri.query().is_none() && !authority.contains('@');
        match scheme {
            "http" | "https" if is_whole => Ok(Self { is_https: scheme == "https", authority: authority.to_owned() }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.authority)
    }
}

impl Address {
    /// A connection that is made when it is first used, and made again when it breaks.
    pub(crate) fn channel(&self, tls: Option<&Tls>) -> Result<Channel> {
        if self.is_https && tls.is_none() {
            let help = "give --tls-cert, --tls-key and --tls-ca, or write http:// if the scheduler has no TLS";
            return Err(Error::usage(format!("{self} needs certificates"), help));
        }
        let endpoint = endpoint(&self.authority, tls).map_err(|error| {
            Error::usage(format!("{self}: {}", chain(&error)), "check the address of the scheduler")
        })?;
        Ok(endpoint.connect_lazy())
    }
}

/// The other end of a connection, with TLS if there are certificates.
fn endpoint(authority: &str, tls: Option<&Tls>) -> Result<Endpoint, tonic::transport::Error> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{authority}"))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_timeout(ANSWER)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(Some(64 << 20))
        .initial_stream_window_size(Some(16 << 20));
    match tls {
        Some(tls) => endpoint.tls_config(tls.client()),
        None => Ok(endpoint),
    }
}

/// Makes of each connection of Ballista one of ours. Its own have no TLS where the URL says `http`, and some that wait for
/// ever.
pub(crate) fn override_endpoint(tls: Option<Tls>) -> EndpointOverrideFn {
    Arc::new(move |theirs: Endpoint| {
        let authority = theirs.uri().authority().map(ToString::to_string).unwrap_or_default();
        Ok(endpoint(&authority, tls.as_ref())?)
    })
}

/// An error with its causes: what tonic says of itself is only that there is one.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.fold(String::new(), |text, cause| match () {
        () if text.is_empty() => cause,
        () if text.contains(&cause) => text,
        () => format!("{text}: {cause}"),
    })
}

/// What the other side answers, or why it does not.
pub(crate) fn reason(status: &tonic::Status) -> String {
    let cause = status.source().map(chain).filter(|cause| !status.message().contains(cause.as_str()));
    match cause {
        Some(cause) if status.message().is_empty() => cause,
        Some(cause) => format!("{}: {cause}", status.message()),
        None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let parse = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(parse("http://a.example:50050"), Ok("http://a.example:50050".to_owned()));
        assert_eq!(parse("https://10.0.0.1:1/"), Ok("https://10.0.0.1:1".to_owned()));
        assert_eq!(parse("localhost:50050"), Ok("http://localhost:50050".to_owned()));
        assert_eq!(parse("http://[::1]:50050"), Ok("http://[::1]:50050".to_owned()));
        for wrong in
            ["", "localhost", "http://a.example", "ftp://a:1", "http://a:1/path", "http://user@a:1", "http://:1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_address_with_https_needs_certificates() {
        let address: Address = "https://a.example:1".parse().unwrap();
        assert_eq!(address.channel(None).unwrap_err().exit_code(), 2);
    }
}
