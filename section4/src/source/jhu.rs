//! `time_series_covid19_confirmed_global.csv`: a line per province, a column per day.

use chrono::NaiveDate;

use super::malformed::{Malformed, column, csv};
use super::{Parsed, Request, read};
use crate::Result;
use crate::fetch::Client;
use crate::series::Series;
use crate::value::{Cases, american_date};

const FILE: &str = "time_series_covid19_confirmed_global.csv";

/// The columns that are not days.
const NAMES: [&str; 4] = ["Province/State", "Country/Region", "Lat", "Long"];

/// The unprocessed file.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) days: Vec<NaiveDate>,
    pub(crate) rows: Vec<Row>,
}

/// A province, or a country without provinces.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) province: String,
    pub(crate) country: String,
    pub(crate) latitude: String,
    pub(crate) longitude: String,
    /// One per day; an empty cell is none.
    pub(crate) totals: Vec<Option<Cases>>,
    line: u64,
}

pub(super) async fn fetch(request: &Request, client: &Client) -> Result<Vec<Series>> {
    let body = client.get(request.file(FILE)).await?;
    request.chosen(read(body, parse)?, |_| true).await
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Table { days, rows } = Table::parse(bytes)?;
    let mut parsed = Parsed::new();
    for row in rows {
        let wrong = |message| Malformed::new(format!("line {}: {message}", row.line));
        let country = parsed.entry(row.country).or_default();
        for (&day, cases) in days.iter().zip(row.totals) {
            if let Some(cases) = cases {
                country.add(&row.province, day, cases).map_err(wrong)?;
            }
        }
    }
    Ok(parsed)
}

impl Table {
    /// Parses the file; columns are matched by name.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = csv(bytes)?;
        let header = reader.headers()?;
        let mut columns = [0; 4];
        for (place, name) in columns.iter_mut().zip(NAMES) {
            *place = column(header, &[name])?;
        }
        let is_day = |i: &usize| !columns.contains(i);
        let at: Vec<usize> = (0..header.len()).filter(is_day).collect();
        let days = at.iter().map(|&i| american_date(&header[i]));
        let days: Vec<NaiveDate> =
            days.collect::<Result<_, _>>().map_err(|message| Malformed::new(format!("line 1: {message}")))?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, ::csv::Position::line);
            let totals = at.iter().zip(&days).map(|(&i, day)| match &record[i] {
                "" => Ok(None),
                text => {
                    let cases = Cases::parse(text);
                    Some(cases.map_err(|message| Malformed::new(format!("line {line}, {day}: {message}")))).transpose()
                }
            });
            let totals = totals.collect::<Result<_, _>>()?;
            let [province, country, latitude, longitude] = columns.map(|i| record[i].to_owned());
            if country.is_empty() {
                return Err(Malformed::new(format!("line {line}: `Country/Region` is empty")));
            }
            rows.push(Row { province, country, latitude, longitude, totals, line });
        }
        Ok(Self { days, rows })
    }
}
