//! Data sources and their formats: one file per source.

mod covid19api;
mod disease_sh;
mod jhu;
mod malformed;
mod owid;

use std::collections::BTreeMap;
use std::fmt;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use reqwest::Url;

use crate::fetch::{Body, Client};
use crate::series::{Days, Series, Totals};
use crate::warning::{Warning, What};
use crate::{Error, Result, country};

pub(crate) use covid19api::{Listed, Record};
pub(crate) use jhu::Table;
pub(crate) use malformed::{Malformed, json};

/// A data source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Source {
    /// The API of covid19api.com. The service was shut down: specify a server with the same API.
    Covid19api,
    /// The API of disease.sh, with the data of Johns Hopkins University.
    #[value(name = "disease.sh")]
    DiseaseSh,
    /// The wide CSV of Johns Hopkins University: a column per day.
    Jhu,
    /// A CSV of Our World in Data: a line per country and day.
    Owid,
}

impl Source {
    /// Its name, in options and in data.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Covid19api => "covid19api",
            Self::DiseaseSh => "disease.sh",
            Self::Jhu => "jhu",
            Self::Owid => "owid",
        }
    }

    /// Its default address, if it is still served.
    pub const fn default_base(self) -> Option<&'static str> {
        match self {
            Self::Covid19api => None,
            Self::DiseaseSh => Some("https://disease.sh"),
            Self::Jhu => Some(
                "https://raw.githubusercontent.com/CSSEGISandData/COVID-19/master/csse_covid_19_data/csse_covid_19_time_series",
            ),
            Self::Owid => Some("https://covid.ourworldindata.org/data"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The requested countries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Countries {
    /// All countries of the source.
    All,
    /// These, by any name that is known for the source.
    Named(Vec<String>),
}

/// A request for the data of a source.
#[derive(Debug, Clone)]
pub struct Request {
    source: Source,
    base: Url,
    countries: Countries,
    days: Days,
    at_once: usize,
}

impl Request {
    /// Requests all days. Without a base URL the source's default one is used; for `jhu` and `owid` a base URL that
    /// ends in `.csv` is the file itself.
    ///
    /// # Errors
    /// If the base URL is invalid or missing, or a country's name has no letters.
    pub fn new(source: Source, base: Option<&str>, countries: Countries) -> Result<Self> {
        let Some(base) = base.or(source.default_base()) else {
            return Err(Error::Usage {
                message: format!("{source} has no default address, because the service was shut down"),
                help: "specify a server with the same API: --base-url URL; `section4 mock-api` is one".to_owned(),
            });
        };
        let base = parsed_base(base)?;
        if let Countries::Named(names) = &countries {
            let no_name = |message: String| Error::Usage { message, help: "check --country and --all".to_owned() };
            if names.is_empty() {
                return Err(no_name("no country is selected".to_owned()));
            }
            if let Some(name) = names.iter().find(|name| country::slug(name).is_empty()) {
                return Err(no_name(format!("`{name}` is not a valid name of a country")));
            }
        }
        Ok(Self { source, base, countries, days: Days::default(), at_once: 4 })
    }

    /// Limits the days.
    #[must_use]
    pub fn days(self, days: Days) -> Self {
        Self { days, ..self }
    }

    /// Number of concurrent requests; four by default.
    #[must_use]
    pub fn at_once(self, at_once: usize) -> Self {
        Self { at_once: at_once.max(1), ..self }
    }

    /// Sends the request: returns a series per country, in the requested order, or by name if all are requested. A
    /// country requested twice is returned once.
    ///
    /// # Errors
    /// If the source cannot be reached, its response does not have its format, or it does not know a requested country
    /// or has no values of it. Suspicious but usable data is a [`Warning`] of the series.
    pub async fn send(&self, client: &Client) -> Result<Vec<Series>> {
        match self.source {
            Source::Covid19api => covid19api::fetch(self, client).await,
            Source::DiseaseSh => disease_sh::fetch(self, client).await,
            Source::Jhu => jhu::fetch(self, client).await,
            Source::Owid => owid::fetch(self, client).await,
        }
    }

    /// A URL below the base URL.
    fn address<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut address = self.base.clone();
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        address
    }

    /// The URL of a source that is one file.
    fn file(&self, name: &str) -> Url {
        if self.base.path().ends_with(".csv") { self.base.clone() } else { self.address([name]) }
    }

    /// Awaits the results of several countries, with limited concurrency, in their order. An error of one country does
    /// not stop the others, so that all are reported together; an error of the source does.
    async fn gathered(&self, answers: Vec<BoxFuture<'_, Result<Series>>>) -> Result<Vec<Series>> {
        let asked = answers.len();
        let mut answers = stream::iter(answers).buffered(self.at_once);
        let (mut found, mut failed) = (Vec::<Series>::new(), Vec::new());
        while let Some(answer) = answers.next().await {
            match answer.and_then(|series| self.with_values(series)) {
                Ok(series) if found.iter().any(|other| other.country == series.country) => {}
                Ok(series) => found.push(series),
                Err(error) if error.is_of_one_country() => failed.push(error),
                Err(error) => return Err(error),
            }
        }
        if self.countries == Countries::All {
            found.sort_by(|one, other| one.country.cmp(&other.country));
        }
        match failed.pop() {
            None => Ok(found),
            Some(error) if asked == 1 => Err(error),
            Some(error) => {
                failed.push(error);
                Err(Error::Countries { asked, failed })
            }
        }
    }

    /// Selects the requested countries of a file; `is_country` distinguishes them from aggregates in the file.
    async fn chosen(&self, mut all: Parsed, is_country: fn(&str) -> bool) -> Result<Vec<Series>> {
        let names: Vec<String> = all.keys().cloned().collect();
        let chosen: Vec<_> = match &self.countries {
            Countries::All => names.into_iter().filter(|name| is_country(name)).map(Ok).collect(),
            Countries::Named(asked) => {
                let mut chosen = Vec::new();
                for name in asked {
                    let known = names.iter().map(String::as_str);
                    let found = country::find(name, known.clone()).map(str::to_owned);
                    let found = found.ok_or_else(|| self.unknown(name, country::nearest(name, known)));
                    if !found.as_ref().is_ok_and(|name| chosen.iter().flatten().any(|other| other == name)) {
                        chosen.push(found);
                    }
                }
                chosen
            }
        };
        let series = chosen.into_iter().map(|name| {
            let series = name.map(|name| {
                let totals = all.remove(&name).unwrap_or_default();
                totals.series(&name, self.source, self.days)
            });
            std::future::ready(series).boxed()
        });
        self.gathered(series.collect()).await
    }

    /// A country without values is an error only if it was requested by name.
    fn with_values(&self, mut series: Series) -> Result<Series> {
        if series.measurements.is_empty() {
            if self.countries != Countries::All {
                return Err(self.empty(&series.country));
            }
            series.warnings.push(Warning { country: series.country.clone(), what: What::Empty });
        }
        Ok(series)
    }

    fn unknown(&self, country: &str, help: String) -> Error {
        Error::UnknownCountry { source_name: self.source.name(), country: country.to_owned(), help }
    }

    fn empty(&self, country: &str) -> Error {
        let days = match (self.days.from(), self.days.to()) {
            (None, None) => String::new(),
            (Some(from), None) => format!(" from {from} on"),
            (None, Some(to)) => format!(" up to {to}"),
            (Some(from), Some(to)) => format!(" from {from} to {to}"),
        };
        Error::Empty { source_name: self.source.name(), country: country.to_owned(), days }
    }
}

/// The totals of all countries in a file.
type Parsed = BTreeMap<String, Totals>;

/// Parses a response, and caches it only if it could be parsed.
fn read<T>(body: Body, parse: impl FnOnce(&[u8]) -> Result<T, Malformed>) -> Result<T> {
    let parsed = parse(body.bytes()).map_err(|malformed| malformed.at(body.url()))?;
    body.keep();
    Ok(parsed)
}

fn parsed_base(text: &str) -> Result<Url> {
    let wrong = |message: String| {
        let help = "write it like https://disease.sh or http://localhost:8080".to_owned();
        Err(Error::Usage { message, help })
    };
    match Url::parse(text) {
        Err(error) => wrong(format!("invalid base URL `{text}`: {error}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            wrong(format!("the base URL `{text}` is neither http nor https"))
        }
        // It would be visible in messages and in the list of processes.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            wrong("the base URL has a user or a password".to_owned())
        }
        Ok(url) => Ok(url),
    }
}

#[cfg(test)]
mod tests;
