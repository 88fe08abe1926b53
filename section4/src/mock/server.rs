//! The routes of covid19api.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::World;
use crate::source::{Listed, Record};
use crate::value::Midnight;
use crate::{Error, Result};

/// Time for pending responses to complete on shutdown.
const FAREWELL: Duration = Duration::from_secs(2);

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    world: World,
}

impl Server {
    /// Listens on an address; port 0 selects any free port.
    ///
    /// # Errors
    /// If the address is in use, or not one of this machine.
    pub async fn listen(address: SocketAddr, world: World) -> Result<Self> {
        let failed = |error: std::io::Error| Error::File {
            path: address.to_string(),
            message: format!("cannot listen on this address: {error}"),
            help: "choose another address, or port 0 for any free port: --listen",
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, world })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until a future completes. Pending responses are completed.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn run_until(self, end: impl Future<Output = ()>) -> Result<()> {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // A dropped sender ends the server too.
            let _ = stopped.await;
        };
        let mut served = axum::serve(self.listener, router(self.world)).with_graceful_shutdown(stopped).into_future();
        tokio::select! {
            served = &mut served => return Ok(served?),
            () = end => {}
        }
        let _ = stop.send(());
        match tokio::time::timeout(FAREWELL, served).await {
            Ok(served) => Ok(served?),
            // A client that does not read its response is not waited for.
            Err(_) => Ok(()),
        }
    }
}

fn router(world: World) -> Router {
    Router::new()
        .route("/countries", get(countries))
        .route("/country/{slug}/status/confirmed", get(confirmed))
        .fallback(async || message(StatusCode::NOT_FOUND, "Not Found"))
        .with_state(Arc::new(world))
}

async fn countries(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let listed: Vec<&Listed> = world.countries().iter().map(|country| &country.listed).collect();
    answer(&headers, &listed)
}

/// Both days are inclusive; the time of day is ignored.
#[derive(Deserialize)]
struct Limits {
    from: Option<String>,
    to: Option<String>,
}

async fn confirmed(
    State(world): State<Arc<World>>,
    Path(slug): Path<String>,
    Query(limits): Query<Limits>,
    headers: HeaderMap,
) -> Response {
    let Some(country) = world.find(&slug) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let (Ok(from), Ok(to)) = (day(limits.from.as_deref()), day(limits.to.as_deref())) else {
        return message(StatusCode::BAD_REQUEST, "from and to are times like 2020-01-22T00:00:00Z");
    };
    let is_asked = |Midnight(day): &Midnight| from.is_none_or(|from| from <= *day) && to.is_none_or(|to| *day <= to);
    let records: Vec<&Record> = country.records.iter().filter(|record| is_asked(&record.date)).collect();
    answer(&headers, &records)
}

fn day(text: Option<&str>) -> Result<Option<NaiveDate>, chrono::ParseError> {
    let Some(text) = text else { return Ok(None) };
    let time = text.parse::<chrono::DateTime<chrono::Utc>>().map(|time| time.date_naive());
    time.or_else(|_| text.parse()).map(Some)
}

/// A JSON response, or 304 if the client already has it.
fn answer(headers: &HeaderMap, value: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(value) else {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let etag = format!("\"{}\"", &blake3::hash(&body).to_hex()[..32]);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag
    });
    match is_known {
        true => (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response(),
        false => ([(CONTENT_TYPE, JSON.to_owned()), (ETAG, etag)], Bytes::from(body)).into_response(),
    }
}

const JSON: &str = "application/json; charset=UTF-8";

fn message(status: StatusCode, message: &str) -> Response {
    (status, [(CONTENT_TYPE, JSON)], json!({ "message": message }).to_string()).into_response()
}
