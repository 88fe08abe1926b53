//! `owid-covid-data.csv`, and all other CSVs of Our World in Data with the columns `location`, `date` and
//! `total_cases`: a line per country and day.

use super::malformed::{Malformed, column, csv};
use super::{Parsed, Request, read};
use crate::Result;
use crate::fetch::Client;
use crate::series::Series;
use crate::value::{Cases, iso_date};

const FILE: &str = "owid-covid-data.csv";

/// Locations that are aggregates or parts of countries. They can be requested by name, but among all countries they
/// would count cases twice.
const NO_COUNTRIES: [&str; 24] = [
    "Africa",
    "Asia",
    "Asia excl. China",
    "England",
    "Europe",
    "European Union",
    "European Union (27)",
    "High income",
    "High-income countries",
    "International",
    "Low income",
    "Low-income countries",
    "Lower middle income",
    "Lower-middle-income countries",
    "North America",
    "Northern Ireland",
    "Oceania",
    "Scotland",
    "South America",
    "Upper middle income",
    "Upper-middle-income countries",
    "Wales",
    "World",
    "World excl. China",
];

pub(super) async fn fetch(request: &Request, client: &Client) -> Result<Vec<Series>> {
    let body = client.get(request.file(FILE)).await?;
    let is_country = |name: &str| !NO_COUNTRIES.contains(&name) && !name.contains("Olympics");
    request.chosen(read(body, parse)?, is_country).await
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let mut reader = csv(bytes)?;
    let header = reader.headers()?;
    // Newer files use this name for the column.
    let location = column(header, &["location", "country"])?;
    let (date, total) = (column(header, &["date"])?, column(header, &["total_cases"])?);
    let mut parsed = Parsed::new();
    let mut record = ::csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let line = record.position().map_or(0, ::csv::Position::line);
        let wrong = |message: String| Malformed::new(format!("line {line}: {message}"));
        let country = &record[location];
        if country.is_empty() {
            return Err(wrong("`location` is empty".to_owned()));
        }
        let day = iso_date(&record[date]).map_err(wrong)?;
        // A country exists even if all its totals are missing.
        let totals = match parsed.get_mut(country) {
            Some(totals) => totals,
            None => parsed.entry(country.to_owned()).or_default(),
        };
        if !record[total].is_empty() {
            let cases = Cases::parse(whole(&record[total])).map_err(wrong)?;
            totals.add("", day, cases).map_err(wrong)?;
        }
    }
    Ok(parsed)
}

/// The files write integers as floats: `12.0`.
fn whole(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    }
}
