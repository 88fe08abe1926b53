//! `section5 generate`

use std::path::PathBuf;

use super::output;
use crate::{Result, rules};

/// Write the full table of 1,728 cars that the published rules make, as CSV.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file to write, as a whole or not at all; standard output unless it is named.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the names of the columns first, which the published file has not.
    #[arg(long)]
    header: bool,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        let text = rules::full_table().to_csv(self.header);
        output::write_or_print(self.output.as_deref(), text.as_bytes())
    }
}
