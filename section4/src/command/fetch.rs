//! `section4 fetch`

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use weir::fetch::Options;

use crate::cases::{ask, listed, write};
use crate::source::{Countries, Source};
use crate::{Error, Result, output};

/// Fetch countries' cumulative cases by day as CSV: country,date,total_cases,source. Warnings go to standard error.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    manner: Manner,
    /// Output file, written atomically; by default standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Which data to fetch, and from where.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Data source [default: disease.sh].
    #[arg(long, value_enum)]
    source: Option<Source>,
    /// Base URL of the server, if not the source's default one; for jhu and owid also that of the file itself.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Names of countries in the source.
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with = "all")]
    country: Vec<String>,
    /// All countries of the source.
    #[arg(long)]
    all: bool,
    /// First day: 2020-01-22.
    #[arg(long, value_name = "DAY")]
    from: Option<NaiveDate>,
    /// Last day.
    #[arg(long, value_name = "DAY")]
    to: Option<NaiveDate>,
}

/// How to fetch.
#[derive(Debug, clap::Args)]
pub(super) struct Manner {
    /// Number of concurrent requests [default: 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    at_once: Option<u8>,
    /// Time limit of one attempt [default: 1m].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    request_timeout: Option<Duration>,
    /// How long to retry transient failures, counted from the first attempt; 0s for a single attempt [default: 2m].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    retry_for: Option<Duration>,
    /// Maximum size of a response, in bytes [default: 268435456].
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Folder of the HTTP cache: unchanged responses are not transferred again.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        if !self.selection.all && self.selection.country.is_empty() {
            return Err(Error::Usage {
                message: "no country is selected".to_owned(),
                help: "select some (--country NAME...) or all (--all)".to_owned(),
            });
        }
        let options: Options = self.selection.options().into_iter().chain(self.manner.options()).collect();
        let series = ask(&options).await?;
        for warning in series.iter().flat_map(|series| &series.warnings) {
            output::complain(&format_args!("warning: {warning}"));
        }
        let mut text = Vec::new();
        write(&series, &mut text)?;
        match &self.output {
            Some(path) => output::replace(path, &text),
            None => output::print(&text),
        }
    }
}

impl Selection {
    /// The given options, as options of the source.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let countries = match (self.all, &self.country) {
            (true, _) => Some(Countries::All),
            (false, names) if names.is_empty() => None,
            (false, names) => Some(Countries::Named(names.clone())),
        };
        said([
            ("source", self.source.map(|source| source.name().to_owned())),
            ("base_url", self.base_url.clone()),
            ("countries", countries.map(|countries| listed(&countries))),
            ("from", self.from.map(|day| day.to_string())),
            ("to", self.to.map(|day| day.to_string())),
        ])
    }
}

impl Manner {
    /// The given options, as options of the source.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let time = |time: Duration| humantime::format_duration(time).to_string();
        said([
            ("at_once", self.at_once.map(|number| number.to_string())),
            ("timeout", self.request_timeout.map(time)),
            ("retry_for", self.retry_for.map(time)),
            ("max_bytes", self.max_bytes.map(|bytes| bytes.to_string())),
            ("cache", self.cache.as_ref().map(|folder| folder.display().to_string())),
        ])
    }
}

fn said<const N: usize>(options: [(&str, Option<String>); N]) -> Vec<(String, String)> {
    options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
