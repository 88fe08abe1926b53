//! Warnings about suspicious data, which is kept as in the source.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

/// A warning about a country's series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The country's name in the source.
    pub country: Arc<str>,
    /// The kind of warning.
    pub what: What,
}

/// The kind of warning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// There are no values.
    Empty,
    /// Days after later ones. They were sorted.
    OutOfOrder(Vec<NaiveDate>),
    /// Duplicate days with the same value.
    Repeated(Vec<NaiveDate>),
    /// Days with the totals before and on them: the total decreased, as after a correction.
    Falls(Vec<(NaiveDate, u64, u64)>),
    /// First and last days of the gaps in the series. Values were not interpolated.
    Gaps(Vec<(NaiveDate, NaiveDate)>),
    /// Days that were omitted, because a sum without these provinces would be too small.
    Incomplete {
        /// The days.
        days: Vec<NaiveDate>,
        /// The provinces that are missing on some of the days.
        provinces: Vec<String>,
    },
    /// Provinces that start later than the country, with their first days and totals, by which the country's total
    /// jumps.
    LateProvinces(Vec<(String, NaiveDate, u64)>),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.country)?;
        match &self.what {
            What::Empty => f.write_str("the source has no values"),
            What::OutOfOrder(days) => write!(f, "{} out of order, sorted: {}", counted(days, "day"), list(days)),
            What::Repeated(days) => {
                write!(f, "{} with the same value: {}", counted(days, "duplicate day"), list(days))
            }
            What::Falls(days) => {
                let falls = |(day, before, on): &(NaiveDate, u64, u64)| format!("{day} ({before} to {on})");
                write!(f, "the total decreases on {}: {}", counted(days, "day"), joined(days, falls))
            }
            What::Gaps(gaps) => {
                let days: i64 = gaps.iter().map(|(first, last)| (*last - *first).num_days() + 1).sum();
                let gap = |(first, last): &(NaiveDate, NaiveDate)| match first == last {
                    true => first.to_string(),
                    false => format!("{first} to {last}"),
                };
                let plural = if days == 1 { "" } else { "s" };
                write!(f, "{days} day{plural} missing, not interpolated: {}", joined(gaps, gap))
            }
            What::Incomplete { days, provinces } => write!(
                f,
                "{} omitted because provinces are missing ({}): {}",
                counted(days, "day"),
                list(provinces),
                list(days)
            ),
            What::LateProvinces(provinces) => {
                let province =
                    |(name, day, cases): &(String, NaiveDate, u64)| format!("{name} on {day} with {cases} cases");
                write!(f, "the total jumps because provinces start late: {}", joined(provinces, province))
            }
        }
    }
}

fn counted<T>(things: &[T], name: &str) -> String {
    format!("{} {name}{}", things.len(), if things.len() == 1 { "" } else { "s" })
}

fn list<T: ToString>(things: &[T]) -> String {
    joined(things, T::to_string)
}

/// The first three, and the number of the others.
fn joined<T>(things: &[T], format: impl Fn(&T) -> String) -> String {
    let mut text = things.iter().take(3).map(format).collect::<Vec<_>>().join(", ");
    if things.len() > 3 {
        text += &format!(" and {} more", things.len() - 3);
    }
    text
}
