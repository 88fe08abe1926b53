//! The endpoint that Prometheus scrapes: `GET /metrics`.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::exposition;
use crate::error::{Error, Result};

/// How long a client may take, from its connection to the end of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client may take to ask. Prometheus waits for ten seconds: so clients that say nothing do not block it.
const QUESTION: Duration = Duration::from_secs(2);

/// So many clients are answered at once; others wait.
const CLIENTS: usize = 64;

/// An endpoint that is bound to its address.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: TcpListener,
    states: Vec<PathBuf>,
}

impl Endpoint {
    /// Binds an address, for the metrics of these state folders.
    pub(crate) fn bind(address: SocketAddr, states: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        let wrong = |error: std::io::Error| {
            Error::usage(format!("--metrics {address}: {error}"), "choose an address of this machine and a free port")
        };
        let listener = TcpListener::bind(address).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        tracing::info!(%address, "metrics are at http://{address}/metrics");
        let mut all: Vec<PathBuf> = states.into_iter().collect();
        all.sort();
        all.dedup();
        Ok(Self { listener, states: all })
    }

    /// Answers from a thread of its own, until the process ends.
    pub(crate) fn start(self) -> Result<()> {
        let wrong = |error: std::io::Error| {
            Error::system(
                "the endpoint of the metrics cannot be started",
                error,
                "check the limits of this user's processes",
            )
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(wrong)?;
        let serve = move || runtime.block_on(self.serve());
        std::thread::Builder::new().name("metrics".to_owned()).spawn(serve).map_err(wrong)?;
        Ok(())
    }

    async fn serve(self) {
        let Self { listener, states } = self;
        let (states, clients): (Arc<[PathBuf]>, _) = (states.into(), Arc::new(Semaphore::new(CLIENTS)));
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "metrics are not served"),
        };
        loop {
            let Ok(client) = clients.clone().acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // Such as too many open files: that passes.
                Err(error) => {
                    tracing::warn!(%error, "a client of the metrics could not be accepted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let states = states.clone();
            tokio::spawn(async move {
                let mut server = hyper::server::conn::http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(QUESTION).keep_alive(false);
                let answer = service_fn(|request: Request<Incoming>| {
                    let states = states.clone();
                    async move { Ok::<_, Infallible>(answer(&request, states).await) }
                });
                // A client that breaks off, or takes too long, is its own problem.
                let _ = tokio::time::timeout(PATIENCE, server.serve_connection(TokioIo::new(stream), answer)).await;
                drop(client);
            });
        }
    }
}

async fn answer(request: &Request<Incoming>, states: Arc<[PathBuf]>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let text = tokio::task::spawn_blocking(move || exposition(&states, Utc::now())).await;
            match text.map_err(Error::internal).flatten() {
                Ok(text) => {
                    let mut response = Response::new(Full::new(Bytes::from(text)));
                    let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                    response.headers_mut().insert(CONTENT_TYPE, kind);
                    response
                }
                Err(error) => {
                    tracing::error!(%error, "the metrics cannot be read");
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "the ledger cannot be read: the log says why\n")
                }
            }
        }
        (_, "/metrics") => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
            response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
