//! The data of the mock: countries and their records.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use crate::source::{Listed, Malformed, Record, Table};
use crate::{Error, Result, country};

/// All countries, sorted by slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    countries: Vec<Country>,
}

/// A country and its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Country {
    pub(super) listed: Listed,
    pub(super) records: Vec<Record>,
}

impl World {
    /// Reads a file: responses of covid19api, of one or several countries, concatenated; or the wide CSV of Johns
    /// Hopkins University.
    ///
    /// # Errors
    /// If the file cannot be read, or has neither format.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::File {
            path: path.display().to_string(),
            message: error.to_string(),
            help: "choose an existing, readable file: --data",
        })?;
        let is_json = bytes.trim_ascii_start().starts_with(b"[");
        let records = if is_json { recorded(&bytes) } else { wide(&bytes) };
        records.map(Self::of).map_err(|malformed| malformed.at(&path.display().to_string()))
    }

    pub(super) fn of(records: Vec<Record>) -> Self {
        let mut countries = BTreeMap::<String, Country>::new();
        for record in records {
            let slug = country::slug(&record.country);
            let of = countries.entry(slug).or_insert_with_key(|slug| {
                let (country, iso2) = (record.country.clone(), record.country_code.clone());
                Country { listed: Listed { country, slug: slug.clone(), iso2 }, records: vec![] }
            });
            of.records.push(record);
        }
        Self { countries: countries.into_values().collect() }
    }

    /// All countries, sorted by slug.
    pub fn countries(&self) -> &[Country] {
        &self.countries
    }

    /// The country with a slug.
    pub fn find(&self, slug: &str) -> Option<&Country> {
        let found = self.countries.binary_search_by(|country| country.listed.slug.as_str().cmp(slug));
        found.ok().map(|i| &self.countries[i])
    }
}

impl Country {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.listed.country
    }

    /// Its name in URLs.
    pub fn slug(&self) -> &str {
        &self.listed.slug
    }

    /// The cumulative cases of its provinces, record by record.
    pub fn totals(&self) -> impl Iterator<Item = (&str, NaiveDate, u64)> {
        self.records.iter().map(|record| (record.province.as_str(), record.date.0, record.cases.0))
    }
}

fn recorded(bytes: &[u8]) -> Result<Vec<Record>, Malformed> {
    crate::source::json(bytes)
}

fn wide(bytes: &[u8]) -> Result<Vec<Record>, Malformed> {
    let Table { days, rows } = Table::parse(bytes)?;
    let mut records = Vec::new();
    for row in rows {
        for (&day, cases) in days.iter().zip(row.totals) {
            let Some(cases) = cases else { continue };
            let record = Record::of_province(&row.country, "", &row.province, day, cases.0);
            records.push(Record { lat: row.latitude.clone(), lon: row.longitude.clone(), ..record });
        }
    }
    Ok(records)
}
