//! `section2 query NAME`

use std::io::Write;

use super::Server;
use crate::Result;
use crate::query::{Format, Question, answer};

/// Run one of the company's queries.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of the query.
    #[arg(value_name = "NAME")]
    name: Question,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Print the SQL instead of running it, for psql.
    #[arg(long)]
    sql: bool,
}

impl Arguments {
    pub(super) async fn run(self, server: &Server) -> Result<()> {
        let text = if self.sql {
            self.name.sql().to_owned()
        } else {
            let (database, client) = server.connect_migrated().await?;
            answer(&database, &client, self.name, self.format).await?
        };
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    }
}
