//! `section2 migrate`

use super::Server;
use crate::{Result, migrations};

/// Create the tables, views, summaries and roles, or migrate them to the newest version.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

impl Arguments {
    pub(super) async fn run(self, server: &Server) -> Result<()> {
        let (database, mut client) = server.connect().await?;
        let applied = migrations::apply(&database, &mut client).await?;
        for migration in &applied {
            println!("applied {migration}");
        }
        println!("{database}: schema version {}", migrations::newest());
        Ok(())
    }
}
