//! Reads the table `covid`: countries and their days.

use chrono::NaiveDate;
use weir_postgres::tokio_postgres::error::SqlState;
use weir_postgres::tokio_postgres::{Client, IsolationLevel, Row, Transaction};
use weir_postgres::{Database, ServerError};

use crate::{Error, Result, country};

/// Default number of countries shown.
const HANDFUL: usize = 5;

/// All countries, sorted by their cases in the last four weeks, highest first.
const COUNTRIES: &str = "
    select country
    from covid
    group by country
    order by
        sum(num_cases) filter (where measurement_date > (select max(measurement_date) from covid) - 28) desc nulls last,
        country";

/// The last days of a country, latest first; all of them without a limit.
const DAYS: &str = "
    select
        measurement_date,
        num_cases::bigint,
        num_p7d_avg_cases::double precision,
        total_cases::bigint,
        days_covered::integer,
        source::text
    from covid
    where country = $1
    order by measurement_date desc
    limit $2";

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Day {
    pub(crate) date: NaiveDate,
    /// Negative where the source revised its total downwards.
    pub(crate) cases: Option<i64>,
    /// Average of this day and the previous six.
    pub(crate) average: Option<f64>,
    pub(crate) total: Option<i64>,
    /// Number of days in `cases`: more than 1 after missing days.
    pub(crate) days_covered: i32,
    pub(crate) source: String,
}

/// A country and its days, sorted; at least one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct History {
    pub(crate) country: String,
    pub(crate) days: Vec<Day>,
}

/// The requested countries.
#[derive(Debug)]
pub(crate) struct Histories {
    pub(crate) shown: Vec<History>,
    /// Number of other countries in the table, if none was requested.
    pub(crate) others: usize,
}

/// Reads the last days, or all days, of the requested countries or of those with the most cases.
///
/// # Errors
/// If the table does not exist or is empty, if a country is not in it, or if the server refuses the query.
pub(crate) async fn read(
    database: &Database,
    client: &mut Client,
    asked: &[String],
    last: Option<u32>,
) -> Result<Histories> {
    let failed = |error| described(database, &error);
    let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let snapshot = snapshot.start().await.map_err(failed)?;
    let rows = snapshot.query(COUNTRIES, &[]).await.map_err(failed)?;
    let known = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>().map_err(failed)?;
    if known.is_empty() {
        return Err(nothing(database, "the table covid is empty"));
    }
    let (chosen, others) = choose(asked, &known)?;
    let mut shown = Vec::with_capacity(chosen.len());
    for country in chosen {
        let days = days(&snapshot, country, last).await.map_err(failed)?;
        shown.push(History { country: country.to_owned(), days });
    }
    Ok(Histories { shown, others })
}

async fn days(
    snapshot: &Transaction<'_>,
    country: &str,
    last: Option<u32>,
) -> Result<Vec<Day>, weir_postgres::tokio_postgres::Error> {
    let rows = snapshot.query(DAYS, &[&country, &last.map(i64::from)]).await?;
    rows.iter().rev().map(day).collect()
}

fn day(row: &Row) -> Result<Day, weir_postgres::tokio_postgres::Error> {
    Ok(Day {
        date: row.try_get(0)?,
        cases: row.try_get(1)?,
        average: row.try_get::<_, Option<f64>>(2)?.filter(|average| average.is_finite()),
        total: row.try_get(3)?,
        days_covered: row.try_get::<_, Option<i32>>(4)?.unwrap_or(1),
        source: row.try_get::<_, Option<String>>(5)?.unwrap_or_default(),
    })
}

/// The countries to show, and the number of other ones if none was requested.
fn choose<'a>(asked: &[String], known: &'a [String]) -> Result<(Vec<&'a str>, usize)> {
    let known = || known.iter().map(String::as_str);
    if asked.is_empty() {
        return Ok((known().take(HANDFUL).collect(), known().count().saturating_sub(HANDFUL)));
    }
    let (mut chosen, mut failed) = (Vec::new(), Vec::new());
    for asked in asked {
        match country::find(asked, known()) {
            Some(found) if chosen.contains(&found) => {}
            Some(found) => chosen.push(found),
            None => failed.push(Error::UnknownCountry {
                source_name: "the table covid",
                country: asked.clone(),
                help: country::nearest(asked, known()),
            }),
        }
    }
    match failed.pop() {
        None => Ok((chosen, 0)),
        Some(error) if failed.is_empty() => Err(error),
        Some(error) => {
            failed.push(error);
            Err(Error::Countries { asked: asked.len(), failed })
        }
    }
}

fn nothing(database: &Database, message: &'static str) -> Error {
    Error::NothingLoaded { database: database.to_string(), message }
}

fn described(database: &Database, error: &weir_postgres::tokio_postgres::Error) -> Error {
    let error = database.statement_error(error);
    match error.server().map(ServerError::code) {
        Some(&SqlState::UNDEFINED_TABLE) => nothing(database, "the table covid does not exist"),
        Some(&SqlState::UNDEFINED_COLUMN) => nothing(database, "the table covid lacks columns"),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn up_to_five_countries_are_shown_by_default() {
        let known = names(&["A", "B", "C", "D", "E", "F", "G"]);
        assert_eq!(choose(&[], &known[..5]).unwrap(), (vec!["A", "B", "C", "D", "E"], 0));
        assert_eq!(choose(&[], &known).unwrap(), (vec!["A", "B", "C", "D", "E"], 2));
    }

    #[test]
    fn a_country_that_is_requested_twice_is_shown_once() {
        let known = names(&["Japan", "Korea, South"]);
        let asked = names(&["south korea", "Japan", "KOREA SOUTH"]);
        assert_eq!(choose(&asked, &known).unwrap(), (vec!["Korea, South", "Japan"], 0));
    }

    #[test]
    fn every_unknown_country_is_reported() {
        let error = choose(&names(&["Japn", "Japan", "Atlantis"]), &names(&["Japan"])).unwrap_err();
        assert!(matches!(error, Error::Countries { asked: 3, failed } if failed.len() == 2));
    }
}
