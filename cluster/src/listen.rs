//! Listening: with TLS, or where only this machine is.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use weir::{Error, Result};

use crate::args::ExposureArgs;
use crate::tls::Tls;

/// Fails if whoever reaches the address could run plans and read rows.
pub(crate) fn check_exposure(address: SocketAddr, tls: Option<&Tls>, exposure: ExposureArgs) -> Result<()> {
    if tls.is_some() || address.ip().is_loopback() {
        return Ok(());
    }
    if exposure.insecure {
        tracing::warn!(%address, "listening without TLS: whoever reaches this address can run plans and read rows");
        return Ok(());
    }
    let message = format!("{address} can be reached by other machines, and there is no TLS");
    let help = "give --tls-cert, --tls-key and --tls-ca, or bind to 127.0.0.1; in a network of which every machine and user is \
                trusted, --insecure";
    Err(Error::usage(message, help))
}

/// Listens, from now on.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpIncoming, SocketAddr)> {
    let failed = |error: std::io::Error| {
        let help = "check that the address is one of this machine, and that no other process listens there";
        Error::system(format!("cannot listen on {address}"), error, help)
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(Duration::from_secs(30)));
    Ok((incoming, address))
}

/// A server, with TLS if there are certificates. One whose other side is gone notices.
pub(crate) fn server(tls: Option<&Tls>) -> Result<Server> {
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)));
    match tls {
        Some(tls) => server.tls_config(tls.server()).map_err(|error| {
            let message = format!("TLS cannot be set up: {}", crate::channel::chain(&error));
            Error::usage(message, "check --tls-cert, --tls-key and --tls-ca")
        }),
        None => Ok(server),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_only_this_machine_is_listened_to() {
        let check =
            |address: &str, insecure| check_exposure(address.parse().unwrap(), None, ExposureArgs { insecure }).is_ok();
        assert!(check("127.0.0.1:1", false) && check("[::1]:1", false));
        assert!(!check("0.0.0.0:1", false) && !check("10.0.0.1:1", false) && !check("[::]:1", false));
        assert!(check("0.0.0.0:1", true));
    }
}
