//! `GET /v3/covid-19/historical/{country}?lastdays=all`: an object with a number per day; for all countries an array of
//! them, in which some countries are split into provinces.

use futures::FutureExt;
use std::fmt;

use chrono::NaiveDate;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::malformed::{Malformed, json};
use super::{Countries, Parsed, Request, read};
use crate::fetch::Client;
use crate::series::Series;
use crate::value::{Cases, american_date, shown};
use crate::{Error, Result};

#[derive(Deserialize)]
struct Entry {
    country: Option<String>,
    /// A province's name; for a whole country null, or the names of all summed provinces.
    #[serde(default)]
    province: Value,
    timeline: Option<Timeline>,
    /// In an error response instead of all other fields: the message.
    message: Option<String>,
}

#[derive(Deserialize)]
struct Timeline {
    cases: Totals,
}

/// In the order of the response, with duplicates: a map would lose both.
struct Totals(Vec<(NaiveDate, Cases)>);

impl<'de> Deserialize<'de> for Totals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByDay;
        impl<'de> Visitor<'de> for ByDay {
            type Value = Totals;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of days and cases")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Totals, A::Error> {
                let mut totals = Vec::new();
                while let Some(day) = map.next_key::<String>()? {
                    totals.push((american_date(&day).map_err(de::Error::custom)?, map.next_value()?));
                }
                Ok(Totals(totals))
            }
        }
        deserializer.deserialize_map(ByDay)
    }
}

pub(super) async fn fetch(request: &Request, client: &Client) -> Result<Vec<Series>> {
    match &request.countries {
        Countries::All => {
            let body = client.get(address(request, None)).await?;
            request.chosen(read(body, parse)?, |_| true).await
        }
        Countries::Named(names) => {
            let series = names.iter().map(|name| one(request, client, name).boxed());
            request.gathered(series.collect()).await
        }
    }
}

async fn one(request: &Request, client: &Client, name: &str) -> Result<Series> {
    let unknown = || {
        let help = "use a name such as `Singapore` or an ISO code such as `SG` or `SGP`; see /v3/covid-19/countries";
        request.unknown(name, help.to_owned())
    };
    let body = match client.get(address(request, Some(name))).await {
        Err(Error::Status { detail, .. }) if detail.contains(NOT_FOUND) => return Err(unknown()),
        body => body?,
    };
    let url = body.url().to_owned();
    let mut countries = read(body, parse)?;
    let Some((country, totals)) = countries.pop_first() else { return Err(unknown()) };
    if let Some((other, _)) = countries.first_key_value() {
        let message = format!("the response is about {} and {} instead of one country", shown(&country), shown(other));
        return Err(Malformed::new(message).at(&url));
    }
    Ok(totals.series(&country, request.source, request.days))
}

/// The beginning of the service's message about an unknown country.
const NOT_FOUND: &str = "Country not found";

fn address(request: &Request, name: Option<&str>) -> reqwest::Url {
    let name = name.map(without_comma);
    let path = ["v3", "covid-19", "historical"].into_iter().chain(name.as_deref());
    let mut address = request.address(path);
    address.set_query(Some("lastdays=all"));
    address
}

/// The service splits names at commas: `Korea, South` is requested as `South Korea`.
fn without_comma(name: &str) -> String {
    match name.split_once(',') {
        Some((last, first)) => format!("{} {}", first.trim(), last.trim()),
        None => name.trim().to_owned(),
    }
}

/// None if the service does not know the country.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let is_array = bytes.trim_ascii_start().starts_with(b"[");
    let entries: Vec<Entry> = if is_array { json(bytes)? } else { vec![json(bytes)?] };
    let mut parsed = Parsed::new();
    for (i, entry) in entries.into_iter().enumerate() {
        let wrong = |message: String| Malformed::new(if is_array { format!("[{i}]: {message}") } else { message });
        let (country, timeline) = match entry {
            Entry { country: Some(country), timeline: Some(timeline), .. } => (country, timeline),
            Entry { message: Some(message), .. } if message.starts_with(NOT_FOUND) => continue,
            Entry { message: Some(message), .. } => {
                return Err(wrong(format!("the source responded: {}", shown(&message))));
            }
            Entry { country: None, .. } => return Err(wrong("missing field `country`".to_owned())),
            Entry { timeline: None, .. } => return Err(wrong("missing field `timeline`".to_owned())),
        };
        let place = match entry.province {
            Value::Null | Value::Array(_) => String::new(),
            Value::String(name) => name,
            _ => return Err(wrong("province: neither a name nor a list of them".to_owned())),
        };
        let totals = parsed.entry(country).or_default();
        for (day, cases) in timeline.cases.0 {
            totals.add(&place, day, cases).map_err(|message| wrong(format!("timeline.cases: {message}")))?;
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_comma_is_reversed() {
        assert_eq!(without_comma("Korea, South"), "South Korea");
        assert_eq!(without_comma(" Singapore "), "Singapore");
    }
}
