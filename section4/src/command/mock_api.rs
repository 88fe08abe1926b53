//! `section4 mock-api`

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::mock::{Generate, Server, World};
use crate::{Error, Result, output};

/// Serve the API of covid19api from a file or with generated data, until interrupted.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address to listen on; port 0 for any free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8019")]
    listen: SocketAddr,
    /// File to serve: a response of covid19api (JSON), or the wide CSV of Johns Hopkins University.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Number of countries to generate, without a file.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1000))]
    #[arg(conflicts_with = "data")]
    countries: u16,
    /// Number of days to generate, from 2020-01-22 on.
    #[arg(long, value_name = "N", default_value = "1143", value_parser = clap::value_parser!(u16).range(1..=3000))]
    #[arg(conflicts_with = "data")]
    days: u16,
    /// Seed of the random numbers.
    #[arg(long, value_name = "S", default_value = "1", conflicts_with = "data")]
    seed: u64,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        // Registered before the address is printed: until then a signal terminates the process at once.
        let interrupted = interrupted()?;
        let world = match &self.data {
            Some(path) => World::read(path)?,
            None => World::generate(&Generate { countries: self.countries, days: self.days, seed: self.seed }),
        };
        let count = world.countries().len();
        let server = Server::listen(self.listen, world).await?;
        let plural = if count == 1 { "y" } else { "ies" };
        output::print(format!("serving {count} countr{plural} at http://{}\n", server.address()).as_bytes())?;
        server.run_until(interrupted).await
    }
}

/// A future that completes on Ctrl-C or SIGTERM.
fn interrupted() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Error::File {
        path: "signals".to_owned(),
        message: error.to_string(),
        help: "this system does not support waiting for signals",
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
