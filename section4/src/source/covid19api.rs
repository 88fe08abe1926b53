//! `GET /country/{slug}/status/confirmed?from&to`: an array with an object per province (or city) and day.

use chrono::NaiveDate;
use futures::FutureExt;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::malformed::{Malformed, json};
use super::{Countries, Request, read};
use crate::fetch::Client;
use crate::series::{Series, Totals};
use crate::value::{Cases, Midnight};
use crate::{Error, Result, country};

/// The cumulative confirmed cases of a province or city up to and including a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Record {
    pub(crate) country: String,
    pub(crate) country_code: String,
    pub(crate) province: String,
    pub(crate) city: String,
    pub(crate) city_code: String,
    pub(crate) lat: String,
    pub(crate) lon: String,
    pub(crate) cases: Cases,
    pub(crate) status: String,
    pub(crate) date: Midnight,
}

/// A country in the list `GET /countries`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    pub(crate) country: String,
    pub(crate) slug: String,
    #[serde(rename = "ISO2")]
    pub(crate) iso2: String,
}

pub(super) async fn fetch(request: &Request, client: &Client) -> Result<Vec<Series>> {
    let slugs: Vec<(String, String)> = match &request.countries {
        Countries::All => {
            let listed = countries(request, client).await?;
            listed.into_iter().map(|listed| (listed.slug, listed.country)).collect()
        }
        Countries::Named(names) => names.iter().map(|name| (country::slug(name), name.clone())).collect(),
    };
    let series = slugs.iter().map(|(slug, name)| one(request, client, slug, name).boxed());
    request.gathered(series.collect()).await
}

async fn one(request: &Request, client: &Client, slug: &str, name: &str) -> Result<Series> {
    let body = match client.get(address(request, slug)).await {
        Err(error) if error.is_status(StatusCode::NOT_FOUND) => {
            // The country may have another name in this source, or the server may be a different one.
            let Ok(listed) = countries(request, client).await else { return Err(error) };
            let known = || listed.iter().map(|listed| listed.country.as_str());
            let found = country::find(name, known()).and_then(|of| listed.iter().find(|listed| listed.country == of));
            match found {
                Some(found) if found.slug != slug => client.get(address(request, &found.slug)).await?,
                Some(_) => return Err(error),
                None => return Err(request.unknown(name, country::nearest(name, known()))),
            }
        }
        body => body?,
    };
    let parsed = read(body, parse)?;
    let (country, totals) = parsed.unwrap_or_else(|| (name.to_owned(), Totals::default()));
    Ok(totals.series(&country, request.source, request.days))
}

fn address(request: &Request, slug: &str) -> reqwest::Url {
    let mut address = request.address(["country", slug, "status", "confirmed"]);
    let limits = [("from", request.days.from()), ("to", request.days.to())];
    for (name, day) in limits {
        if let Some(day) = day {
            address.query_pairs_mut().append_pair(name, &Midnight(day).to_string());
        }
    }
    address
}

async fn countries(request: &Request, client: &Client) -> Result<Vec<Listed>> {
    read(client.get(request.address(["countries"])).await?, json)
}

/// The country's name and totals, if there are any.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(String, Totals)>, Malformed> {
    let records: Vec<Record> = json(bytes)?;
    let Some(first) = records.first() else { return Ok(None) };
    let mut totals = Totals::default();
    for (i, record) in records.iter().enumerate() {
        let wrong = |message: String| Malformed::new(format!("[{i}]: {message}"));
        if record.status != "confirmed" {
            return Err(wrong(format!("the status is `{}`, not `confirmed`", crate::value::shown(&record.status))));
        }
        if record.country != first.country {
            let (one, other) = (crate::value::shown(&first.country), crate::value::shown(&record.country));
            return Err(wrong(format!("the country is `{other}`, but was `{one}` before")));
        }
        totals.add(&place(record), record.date.0, record.cases).map_err(wrong)?;
    }
    Ok(Some((first.country.clone(), totals)))
}

/// Cities with the same name are distinguished by their codes.
fn place(record: &Record) -> String {
    let parts = [&record.province, &record.city, &record.city_code];
    parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ")
}

impl Record {
    /// A record of a whole province.
    pub(crate) fn of_province(country: &str, code: &str, province: &str, date: NaiveDate, cases: u64) -> Self {
        Self {
            country: country.to_owned(),
            country_code: code.to_owned(),
            province: province.to_owned(),
            city: String::new(),
            city_code: String::new(),
            lat: "0".to_owned(),
            lon: "0".to_owned(),
            cases: Cases(cases),
            status: "confirmed".to_owned(),
            date: Midnight(date),
        }
    }
}

impl Error {
    fn is_status(&self, code: StatusCode) -> bool {
        matches!(self, Self::Status { status, .. } if *status == code.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_do_not_change_the_name_of_a_place() {
        let record = Record::of_province("US", "US", "Ohio", NaiveDate::from_ymd_opt(2020, 3, 1).unwrap(), 1);
        assert_eq!(place(&record), "Ohio");
        let city = Record { city: "Dayton".to_owned(), city_code: "39113".to_owned(), ..record };
        assert_eq!(place(&city), "Ohio, Dayton, 39113");
    }
}
