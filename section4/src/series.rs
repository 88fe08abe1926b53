//! Sums the provinces of a country to its cumulative cases by day.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Days as Span, NaiveDate};

use crate::source::Source;
use crate::value::{Cases, shown};
use crate::warning::{Warning, What};
use crate::{Error, Result};

/// The cumulative confirmed cases of a country up to and including a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// Name of the country in the source.
    pub country: Arc<str>,
    /// The day.
    pub date: NaiveDate,
    /// Cumulative cases, at most ten thousand million.
    pub total_cases: u64,
    /// The source.
    pub source: Source,
}

/// The data of a source about a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Name of the country in the source.
    pub country: Arc<str>,
    /// At most one per day, sorted. Days that the source does not have are missing.
    pub measurements: Vec<Measurement>,
    /// Warnings about the data.
    pub warnings: Vec<Warning>,
}

/// The requested days, from the first to the last one, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

impl Days {
    /// Without a limit, days extend as far as the source does.
    ///
    /// # Errors
    /// If the last day is before the first.
    pub fn new(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Self> {
        match (from, to) {
            (Some(first), Some(last)) if last < first => Err(Error::Usage {
                message: format!("the last day, {last}, is before the first, {first}"),
                help: "check --from and --to".to_owned(),
            }),
            _ => Ok(Self { from, to }),
        }
    }

    /// The first day, if there is a limit.
    pub fn from(&self) -> Option<NaiveDate> {
        self.from
    }

    /// The last day, if there is a limit.
    pub fn to(&self) -> Option<NaiveDate> {
        self.to
    }

    /// Whether it contains a day.
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// The data of a source about a country, before it is summed.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    places: BTreeMap<String, Place>,
}

/// A province, a city, or the country itself.
#[derive(Debug, Default)]
struct Place {
    totals: BTreeMap<NaiveDate, u64>,
    out_of_order: BTreeSet<NaiveDate>,
    repeated: BTreeSet<NaiveDate>,
}

impl Totals {
    /// Adds the total of a place; fails if there is another value of that day, because it is unknown which one is
    /// right.
    pub(crate) fn add(&mut self, place: &str, date: NaiveDate, cases: Cases) -> Result<(), String> {
        let of = match self.places.get_mut(place) {
            Some(of) => of,
            None => self.places.entry(place.to_owned()).or_default(),
        };
        of.add(date, cases).map_err(|message| match place {
            "" => message,
            place => format!("{message} of {}", shown(place)),
        })
    }

    /// Sums the provinces by day.
    ///
    /// A province counts from its first day on. Later days without it are omitted, even if the province never
    /// reappears, because a total without it would look like a correction.
    pub(crate) fn series(self, country: &str, source: Source, days: Days) -> Series {
        let country: Arc<str> = country.into();
        let mut warnings = Vec::new();
        let mut warn = |what| warnings.push(Warning { country: Arc::clone(&country), what });
        let of_places = |of: fn(&Place) -> &BTreeSet<NaiveDate>| -> Vec<NaiveDate> {
            let all: BTreeSet<_> = self.places.values().flat_map(of).copied().collect();
            all.into_iter().filter(|&day| days.contains(day)).collect()
        };
        let out_of_order = of_places(|place| &place.out_of_order);
        if !out_of_order.is_empty() {
            warn(What::OutOfOrder(out_of_order));
        }
        let repeated = of_places(|place| &place.repeated);
        if !repeated.is_empty() {
            warn(What::Repeated(repeated));
        }
        let late = self.late_provinces(days);
        if !late.is_empty() {
            warn(What::LateProvinces(late));
        }
        let Sums { complete, incomplete, missing } = self.sums(days);
        let gaps = gaps(&complete, &incomplete);
        if !incomplete.is_empty() {
            let provinces = missing.into_iter().map(named).collect();
            warn(What::Incomplete { days: incomplete.into_iter().collect(), provinces });
        }
        if !gaps.is_empty() {
            warn(What::Gaps(gaps));
        }
        let falls: Vec<_> = complete.windows(2).filter(|pair| pair[1].1 < pair[0].1).collect();
        if !falls.is_empty() {
            warn(What::Falls(falls.iter().map(|pair| (pair[1].0, pair[0].1, pair[1].1)).collect()));
        }
        let measurement =
            |(date, total_cases)| Measurement { country: Arc::clone(&country), date, total_cases, source };
        Series { measurements: complete.into_iter().map(measurement).collect(), country, warnings }
    }

    fn late_provinces(&self, days: Days) -> Vec<(String, NaiveDate, u64)> {
        let firsts = || self.places.iter().filter_map(|(name, place)| Some((name, place.totals.first_key_value()?)));
        let first = firsts().map(|(_, (day, _))| day).min();
        let late = firsts().filter(|(_, (day, cases))| Some(*day) > first && **cases > 0 && days.contains(**day));
        late.map(|(name, (day, cases))| (named(name), *day, *cases)).collect()
    }

    fn sums(&self, days: Days) -> Sums<'_> {
        let dates: BTreeSet<NaiveDate> = self.places.values().flat_map(|place| place.totals.keys().copied()).collect();
        let mut sums = Sums::default();
        for date in dates.into_iter().filter(|&date| days.contains(date)) {
            let mut sum = 0;
            let mut is_complete = true;
            for (name, place) in &self.places {
                match place.totals.get(&date) {
                    Some(cases) => sum += cases,
                    None if place.totals.first_key_value().is_none_or(|(&first, _)| date < first) => {}
                    None => {
                        is_complete = false;
                        sums.missing.insert(name);
                    }
                }
            }
            if is_complete {
                sums.complete.push((date, sum));
            } else {
                sums.incomplete.insert(date);
            }
        }
        sums
    }
}

impl Place {
    fn add(&mut self, date: NaiveDate, Cases(cases): Cases) -> Result<(), String> {
        match self.totals.get(&date) {
            Some(&other) if other != cases => {
                return Err(format!("{date} has two values, {other} and {cases} cases"));
            }
            Some(_) => {
                self.repeated.insert(date);
            }
            None => {
                if self.totals.last_key_value().is_some_and(|(&newest, _)| date < newest) {
                    self.out_of_order.insert(date);
                }
                self.totals.insert(date, cases);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Sums<'a> {
    complete: Vec<(NaiveDate, u64)>,
    incomplete: BTreeSet<NaiveDate>,
    /// The places that are missing on incomplete days.
    missing: BTreeSet<&'a str>,
}

/// Periods between other days in which no place has values.
fn gaps(complete: &[(NaiveDate, u64)], incomplete: &BTreeSet<NaiveDate>) -> Vec<(NaiveDate, NaiveDate)> {
    let there: BTreeSet<NaiveDate> = complete.iter().map(|(day, _)| *day).chain(incomplete.iter().copied()).collect();
    let pairs = there.iter().zip(there.iter().skip(1));
    pairs
        .filter_map(|(&before, &after)| {
            let gap = (before.checked_add_days(Span::new(1))?, after.checked_sub_days(Span::new(1))?);
            (gap.0 <= gap.1).then_some(gap)
        })
        .collect()
}

/// The place without a name is the country itself.
fn named(place: impl AsRef<str>) -> String {
    match place.as_ref() {
        "" => "the country itself".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
