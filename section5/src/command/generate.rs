//! `section5 generate`

use std::path::PathBuf;

use super::output;
use crate::{Result, rules};

/// Write the full table of 1,728 cars that results from the published rules, as CSV.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Output file, written atomically; by default standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a header first, which the published file does not have.
    #[arg(long)]
    header: bool,
}

impl Arguments {
    pub(super) fn run(self) -> Result<()> {
        let text = rules::full_table().to_csv(self.header);
        output::write_or_print(self.output.as_deref(), text.as_bytes())
    }
}
