//! A connection that pauses after each failure. Ballista's executors ask for work again at once.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::{Channel, Error};
use tower::Service;

const PAUSE: Duration = Duration::from_secs(1);

/// A connection to the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Patient(Channel);

impl Patient {
    pub(crate) fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<Request<Body>> for Patient {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.0.call(request);
        Box::pin(async move {
            let response = response.await;
            if response.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            response
        })
    }
}
