//! Connections between executors that are used again: one for each fetch would cost a handshake each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::client::BallistaClient;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::Result;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::utils::GrpcClientConfig;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// Connections that nobody uses, the newest last.
type Idle = HashMap<(String, u16), Vec<(BallistaClient, Instant)>>;

/// The connections of an executor to the others.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Idle>>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    fn with<T>(&self, f: impl FnOnce(&mut Idle) -> T) -> T {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.values_mut().for_each(|clients| clients.retain(|(_, since)| since.elapsed() < IDLE));
        idle.retain(|_, clients| !clients.is_empty());
        f(&mut idle)
    }
}

#[async_trait]
impl BallistaClientPool for Pool {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        config: &GrpcClientConfig,
        customize: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient> {
        let key = (host.to_owned(), port);
        let client = match self.with(|idle| idle.get_mut(&key).and_then(Vec::pop)) {
            Some((client, _)) => client,
            None => {
                let (times, pause) = (config.io_retries_times, config.io_retry_wait_time_ms);
                let size = config.max_message_size;
                BallistaClient::try_new(host, port, size, config.use_tls, customize, times, pause, 0, 0).await?
            }
        };
        let pool = self.clone();
        let give_back = move |client| {
            pool.with(|idle| idle.entry(key).or_default().push((client, Instant::now())));
        };
        Ok(PooledClient::new(client, Box::new(give_back)))
    }

    async fn evict_idle(&self) {
        self.with(|_| ());
    }
}
