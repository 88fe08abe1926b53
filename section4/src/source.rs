//! Who has the cases, and in which format: one file a source.

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

/// Who has the cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Source {
    /// The API of covid19api.com. The service itself is gone: another one that keeps its contract must be named.
    Covid19api,
    /// The API of disease.sh, over the data of Johns Hopkins University.
    #[value(name = "disease.sh")]
    DiseaseSh,
    /// The wide CSV of Johns Hopkins University: a column for each day.
    Jhu,
    /// A CSV of Our World in Data: a line for each country and day.
    Owid,
}

impl Source {
    /// What it is called, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Covid19api => "covid19api",
            Self::DiseaseSh => "disease.sh",
            Self::Jhu => "jhu",
            Self::Owid => "owid",
        }
    }

    /// Where it is served, if it still is.
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

/// Which countries are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Countries {
    /// All that the source has.
    All,
    /// These, by any name that the source knows.
    Named(Vec<String>),
}

/// What is asked of a source.
#[derive(Debug, Clone)]
pub struct Request {
    source: Source,
    base: Url,
    countries: Countries,
    days: Days,
    at_once: usize,
}

impl Request {
    /// Asks for all days. Without a base address the source is asked where it is usually served; for `jhu` and `owid` a
    /// base that ends in `.csv` is the file itself.
    ///
    /// # Errors
    /// If the base address is none, or is needed, or a country's name has no letters.
    pub fn new(source: Source, base: Option<&str>, countries: Countries) -> Result<Self> {
        let Some(base) = base.or(source.default_base()) else {
            return Err(Error::Usage {
                message: format!("nobody serves {source} any more"),
                help: "name a server that keeps its contract: --base-url URL; `section4 mock-api` is one".to_owned(),
            });
        };
        let base = parsed_base(base)?;
        if let Countries::Named(names) = &countries {
            let no_name = |message: String| Error::Usage { message, help: "see --country and --all".to_owned() };
            if names.is_empty() {
                return Err(no_name("no country is named".to_owned()));
            }
            if let Some(name) = names.iter().find(|name| country::slug(name).is_empty()) {
                return Err(no_name(format!("`{name}` is no country's name")));
            }
        }
        Ok(Self { source, base, countries, days: Days::default(), at_once: 4 })
    }

    /// Limits the days.
    #[must_use]
    pub fn days(self, days: Days) -> Self {
        Self { days, ..self }
    }

    /// How many countries are asked for at the same time; four unless told otherwise.
    #[must_use]
    pub fn at_once(self, at_once: usize) -> Self {
        Self { at_once: at_once.max(1), ..self }
    }

    /// Sends it: gives a series for each country, in the order in which they were named, or by name if all were asked
    /// for. A country named twice comes once.
    ///
    /// # Errors
    /// If the source cannot be reached, answers something else than its format says, does not know a named country or
    /// has no values of it. What is odd but usable is a [`Warning`] of the series.
    pub async fn send(&self, client: &Client) -> Result<Vec<Series>> {
        match self.source {
            Source::Covid19api => covid19api::fetch(self, client).await,
            Source::DiseaseSh => disease_sh::fetch(self, client).await,
            Source::Jhu => jhu::fetch(self, client).await,
            Source::Owid => owid::fetch(self, client).await,
        }
    }

    /// An address under the base.
    fn address<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut address = self.base.clone();
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        address
    }

    /// The address of a source that is one file.
    fn file(&self, name: &str) -> Url {
        if self.base.path().ends_with(".csv") { self.base.clone() } else { self.address([name]) }
    }

    /// Waits for what several countries come to, so many at once as is allowed, in their order. What ails one country does
    /// not keep the others from being asked, so that all is told at once; what ails the source does.
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

    /// Of the countries of a file those that are asked for; `is_country` tells them from what else a file sums up.
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

    /// A country without values is worth an error only to who asked for it.
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

/// What a file says of all its countries.
type Parsed = BTreeMap<String, Totals>;

/// Reads an answer, and keeps it for the next time only if it could be read.
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
        Err(error) => wrong(format!("the base address `{text}` is none: {error}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            wrong(format!("the base address `{text}` is neither http nor https"))
        }
        // It would be seen in every message and in the list of processes.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            wrong("the base address has a user or a password in it".to_owned())
        }
        Ok(url) => Ok(url),
    }
}

#[cfg(test)]
mod tests;
