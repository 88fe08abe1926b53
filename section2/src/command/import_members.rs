//! `section2 import-members DIR`

use std::path::PathBuf;

use super::Server;
use crate::{Result, members};

/// Upsert the members that section 1 accepted: insert new ones and update changed ones.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder with the CSV files: section 1's `successful_application`.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Arguments {
    pub(super) async fn run(self, server: &Server) -> Result<()> {
        let (database, mut client) = server.connect_migrated().await?;
        let imported = members::import(&database, &mut client, &self.folder).await?;
        println!("{database}: {imported}");
        Ok(())
    }
}
