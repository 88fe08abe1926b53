//! `section4 fetch`

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;

use crate::fetch::{Client, Settings};
use crate::series::{Days, Series};
use crate::source::{Countries, Request, Source};
use crate::{Result, output};

/// Get countries' total cases by day as CSV: country,date,total_cases,source. What is odd about them goes to standard
/// error.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// The file to write, as a whole or not at all; standard output unless it is named.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is asked for, and of whom.
#[derive(Debug, clap::Args)]
struct Asked {
    /// Who has the cases.
    #[arg(long, value_enum, default_value = "disease.sh")]
    source: Source,
    /// The server to ask instead of the source's own; for jhu and owid also the file itself.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Countries, by names as the source knows them.
    #[arg(long, value_name = "NAME", num_args = 1.., required_unless_present = "all", conflicts_with = "all")]
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
    /// How many countries to ask for at the same time.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=32))]
    at_once: u8,
    /// How long one attempt may take.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "1m")]
    timeout: Duration,
    /// How long to try again what may pass by itself, counted from the first attempt on; 0s for a single attempt.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "2m")]
    retry_for: Duration,
    /// The largest answer that is taken.
    #[arg(long, value_name = "BYTES", default_value = "268435456")]
    max_bytes: u64,
    /// A folder to keep answers in: what has not changed is not sent again.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let series = self.asked.send().await?;
        for warning in series.iter().flat_map(|series| &series.warnings) {
            eprintln!("warning: {warning}");
        }
        let text = csv(&series)?;
        match &self.output {
            Some(path) => output::replace(path, &text),
            None => output::print(&text),
        }
    }
}

impl Asked {
    async fn send(self) -> Result<Vec<Series>> {
        let countries = if self.all { Countries::All } else { Countries::Named(self.country) };
        let days = Days::new(self.from, self.to)?;
        let request = Request::new(self.source, self.base_url.as_deref(), countries)?;
        let request = request.days(days).at_once(self.at_once.into());
        let Self { timeout, retry_for, max_bytes, cache, .. } = self;
        request.send(&Client::new(Settings { timeout, retry_for, max_bytes, cache })?).await
    }
}

fn csv(series: &[Series]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = (|| {
        writer.write_record(["country", "date", "total_cases", "source"])?;
        for of in series.iter().flat_map(|series| &series.measurements) {
            let (date, total) = (of.date.to_string(), of.total_cases.to_string());
            writer.write_record([&of.country, date.as_str(), &total, of.source.name()])?;
        }
        writer.flush()
    })();
    written?;
    writer.into_inner().map_err(|error| error.into_error().into())
}
