//! The fetcher `covid_cases`: cases of countries as a source of a task.

use std::fmt::Write as _;
use std::io::Write;

use chrono::{Days as Span, NaiveDate};
use clap::ValueEnum;
use weir::fetch::{Fetch, FetchError, OptionError, Options, async_trait};
use weir::task::Format;

use crate::Result;
use crate::fetch::{Client, Settings};
use crate::series::{Days, Series};
use crate::source::{Countries, Request, Source};

/// Maximum number of warnings that are logged one by one: with all countries there are hundreds of corrections, which
/// the summary counts.
const WARNINGS: usize = 10;

/// Separates the names of countries in an option.
const SEPARATOR: char = ';';

/// Selects all countries.
const ALL: &str = "all";

/// The valid options.
const OPTIONS: [&str; 11] = [
    "source",
    "base_url",
    "countries",
    "from",
    "to",
    "lead_days",
    "at_once",
    "timeout",
    "retry_for",
    "max_bytes",
    "cache",
];

/// The source `covid_cases` of tasks: cumulative cases by country and day as CSV: `country,date,total_cases,source`.
#[derive(Debug)]
pub struct CovidCases;

#[async_trait]
impl Fetch for CovidCases {
    fn name(&self) -> &str {
        "covid_cases"
    }

    fn format(&self) -> Format {
        Format::Csv
    }

    async fn fetch(&self, options: &Options, into: &mut (dyn Write + Send)) -> Result<(), FetchError> {
        let series = ask(options).await.map_err(FetchError::new)?;
        let warnings: Vec<_> = series.iter().flat_map(|series| &series.warnings).collect();
        for warning in warnings.iter().take(WARNINGS) {
            tracing::warn!("{warning}");
        }
        if warnings.len() > WARNINGS {
            tracing::warn!("{} more warnings like these: `section4 fetch` prints all", warnings.len() - WARNINGS);
        }
        write(&series, into).map_err(FetchError::from)
    }
}

/// The names of countries as one option.
pub(crate) fn listed(countries: &Countries) -> String {
    match countries {
        Countries::All => ALL.to_owned(),
        Countries::Named(names) => names.join(&SEPARATOR.to_string()),
    }
}

/// Builds the client from the options.
pub(crate) async fn ask(options: &Options) -> Result<Vec<Series>> {
    options.only(&OPTIONS)?;
    let asked = request(options)?;
    let defaults = Settings::default();
    let settings = Settings {
        timeout: options.parsed_by("timeout", humantime::parse_duration)?.unwrap_or(defaults.timeout),
        retry_for: options.parsed_by("retry_for", humantime::parse_duration)?.unwrap_or(defaults.retry_for),
        max_bytes: options.parsed_by("max_bytes", str::parse)?.unwrap_or(defaults.max_bytes),
        cache: options.find("cache").map(Into::into),
    };
    asked.send(&Client::new(settings)?).await
}

fn request(options: &Options) -> Result<Request> {
    let source = options.parsed_by("source", |text| Source::from_str(text, false))?.unwrap_or(Source::DiseaseSh);
    let countries = match options.find("countries") {
        None | Some(ALL) => Countries::All,
        Some(names) => Countries::Named(names.split(SEPARATOR).map(|name| name.trim().to_owned()).collect()),
    };
    let request = Request::new(source, options.find("base_url"), countries)?;
    let request = request.days(days(options)?);
    Ok(match options.parsed_by("at_once", str::parse)? {
        Some(at_once) => request.at_once(at_once),
        None => request,
    })
}

/// The requested days, including the preceding ones that their averages need.
fn days(options: &Options) -> Result<Days> {
    let day = |name: &str| -> Result<Option<NaiveDate>, OptionError> { options.parsed_by(name, str::parse) };
    let lead = options.parsed_by("lead_days", str::parse)?.unwrap_or(0);
    let from = day("from")?.map(|from| from.checked_sub_days(Span::new(lead)).unwrap_or(NaiveDate::MIN));
    Days::new(from, day("to")?)
}

/// Writes series as CSV.
pub(crate) fn write(series: &[Series], into: impl Write) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(into);
    writer.write_record(["country", "date", "total_cases", "source"])?;
    let (mut date, mut total) = (String::new(), String::new());
    for of in series.iter().flat_map(|series| &series.measurements) {
        date.clear();
        total.clear();
        // Writing to a string cannot fail.
        let _ = (write!(date, "{}", of.date), write!(total, "{}", of.total_cases));
        writer.write_record([&of.country, date.as_str(), &total, of.source.name()])?;
    }
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn days_before_the_first_are_requested_too() {
        let days = days(&options(&[("from", "2021-01-08"), ("to", "2021-02-01"), ("lead_days", "7")])).unwrap();
        assert_eq!(days.from(), NaiveDate::from_ymd_opt(2021, 1, 1));
        assert_eq!(days.to(), NaiveDate::from_ymd_opt(2021, 2, 1));
        assert_eq!(super::days(&options(&[("from", ""), ("to", "")])).unwrap(), Days::default());
    }

    #[test]
    fn names_of_countries_fit_in_one_option() {
        let names = Countries::Named(vec!["Korea, South".to_owned(), "Japan".to_owned()]);
        assert_eq!(listed(&names), "Korea, South;Japan");
        assert_eq!(listed(&Countries::All), "all");
    }

    #[test]
    fn errors_of_options_are_reported() {
        for (option, said) in [
            (("source", "who"), "`source`: `who`: invalid variant: who"),
            (("from", "yesterday"), "`from`: `yesterday`: input contains invalid characters"),
            (("timeout", "soon"), "`timeout`: `soon`: "),
            (("nation", "x"), "unknown option `nation`; known options: source, base_url"),
        ] {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let error = runtime.block_on(ask(&options(&[option]))).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
