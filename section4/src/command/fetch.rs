//! `section4 fetch`

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use weir::fetch::Options;

use crate::cases::{ask, listed, write};
use crate::source::{Countries, Source};
use crate::{Error, Result, output};

/// Get countries' total cases by day as CSV: country,date,total_cases,source. What is odd about them goes to standard
/// error.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    manner: Manner,
    /// The file to write, as a whole or not at all; standard output unless it is named.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is asked for, and of whom.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Who has the cases [default: disease.sh].
    #[arg(long, value_enum)]
    source: Option<Source>,
    /// The server to ask instead of the source's own; for jhu and owid also the file itself.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Countries, by names as the source knows them.
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with = "all")]
    country: Vec<String>,
    /// All countries of the source.
    #[arg(long)]
    all: bool,
    /// The first day: 2020-01-22.
    #[arg(long, value_name = "DAY")]
    from: Option<NaiveDate>,
    /// The last day.
    #[arg(long, value_name = "DAY")]
    to: Option<NaiveDate>,
}

/// How it is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Manner {
    /// How many countries to ask for at the same time [default: 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    at_once: Option<u8>,
    /// How long one attempt may take [default: 1m].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// How long to try again what may pass by itself, counted from the first attempt on; 0s for a single attempt [default:
    /// 2m].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    retry_for: Option<Duration>,
    /// The largest answer that is taken [default: 268435456].
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// A folder to keep answers in: what has not changed is not sent again.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        if !self.selection.all && self.selection.country.is_empty() {
            return Err(Error::Usage {
                message: "no country is named".to_owned(),
                help: "name some (--country NAME...), or ask for all of them (--all)".to_owned(),
            });
        }
        let options: Options = self.selection.options().into_iter().chain(self.manner.options()).collect();
        let series = ask(&options).await?;
        for warning in series.iter().flat_map(|series| &series.warnings) {
            eprintln!("warning: {warning}");
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
    /// As options of the source: those that are said.
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
    /// As options of the source: those that are said.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let time = |time: Duration| humantime::format_duration(time).to_string();
        said([
            ("at_once", self.at_once.map(|number| number.to_string())),
            ("timeout", self.timeout.map(time)),
            ("retry_for", self.retry_for.map(time)),
            ("max_bytes", self.max_bytes.map(|bytes| bytes.to_string())),
            ("cache", self.cache.as_ref().map(|folder| folder.display().to_string())),
        ])
    }
}

fn said<const N: usize>(options: [(&str, Option<String>); N]) -> Vec<(String, String)> {
    options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
