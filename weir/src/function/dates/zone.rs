//! Time zones as PostgreSQL takes them after `at time zone`.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::task::parse_zone;

/// The last year whose times the table of a zone has; after it, the table knows no summer time.
const LAST_YEAR: i32 = 2099;
/// After so many years the days of the week are the same again, where no century without a leap day is between.
const CYCLE: i32 = 28;

/// A zone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i64),
    Named {
        zone: Tz,
        /// Whether it still has summer time in the last year of its table, and by its rule in all years after it.
        has_summer: bool,
    },
}

/// The moments at which the clocks of a zone show a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moments {
    /// One, at which they are so many seconds ahead of UTC.
    One {
        offset: i64,
    },
    Two,
    None,
    /// The calendar has no such year.
    OutOfRange,
}

impl Zone {
    /// The zone of a name, in any case, of the IANA database. What PostgreSQL reads otherwise than others is refused.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        // PostgreSQL has each of these as an offset for all the year, the IANA database as a zone, some with summer time.
        const ABBREVIATIONS: [&str; 7] = ["CET", "EET", "MET", "WET", "EST", "HST", "MST"];
        if ABBREVIATIONS.iter().any(|abbreviation| abbreviation.eq_ignore_ascii_case(name)) {
            return Err(format!(
                "the time zone `{name}` has summer time in some programs and not in others: write the name of a place, such as 'Europe/Paris', or interval '1 hour' for an offset"
            ));
        }
        if name.starts_with(|c: char| matches!(c, '+' | '-') || c.is_ascii_digit()) {
            return Err(format!(
                "the time zone `{name}` is west of Greenwich in PostgreSQL and east of it in ISO 8601, or the reverse: write interval '8 hours' for 8 hours east, interval '-8 hours' for west"
            ));
        }
        let known = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied();
        let zone = match known {
            Some(zone) => zone,
            // An abbreviation is near to others that mean something else.
            None if name.len() <= 5 && name.chars().all(|c| c.is_ascii_alphabetic()) => {
                return Err(format!("`{name}` is not a valid time zone: write an IANA name, such as 'Asia/Singapore'"));
            }
            None => parse_zone(name)?,
        };
        let in_month = |month| {
            let day = NaiveDate::from_ymd_opt(LAST_YEAR, month, 15).unwrap_or_default();
            offset(zone, day.into())
        };
        Ok(Self::Named { zone, has_summer: in_month(1) != in_month(7) })
    }

    /// How many seconds the clocks are ahead of UTC at a moment, in seconds since 1970; `None` in years without a calendar.
    pub(super) fn offset(&self, moment: i64) -> Option<i64> {
        match *self {
            Self::Fixed(offset) => Some(offset),
            Self::Named { zone, has_summer } => Some(offset(zone, in_known_year(moment, has_summer)?)),
        }
    }

    /// The moments at which the clocks show a time, in seconds since 1970.
    pub(super) fn moments(&self, local: i64) -> Moments {
        match *self {
            Self::Fixed(offset) => Moments::One { offset },
            Self::Named { zone, has_summer } => match in_known_year(local, has_summer) {
                None => Moments::OutOfRange,
                Some(local) => match zone.offset_from_local_datetime(&local) {
                    chrono::LocalResult::Single(offset) => {
                        Moments::One { offset: i64::from(offset.fix().local_minus_utc()) }
                    }
                    chrono::LocalResult::Ambiguous(..) => Moments::Two,
                    chrono::LocalResult::None => Moments::None,
                },
            },
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(offset) => write!(f, "{offset} s"),
            Self::Named { zone, .. } => f.write_str(zone.name()),
        }
    }
}

fn offset(zone: Tz, moment: NaiveDateTime) -> i64 {
    i64::from(zone.offset_from_utc_datetime(&moment).fix().local_minus_utc())
}

/// The time, or the same time of the same day of a year that the tables have and that has the same calendar.
fn in_known_year(seconds: i64, has_summer: bool) -> Option<NaiveDateTime> {
    let time = DateTime::from_timestamp(seconds, 0)?.naive_utc();
    if !has_summer || time.year() <= LAST_YEAR {
        return Some(time);
    }
    let calendar = |year: i32| {
        let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
        Some((first.weekday(), first.leap_year()))
    };
    let known = (LAST_YEAR - CYCLE + 1..=LAST_YEAR).find(|year| calendar(*year) == calendar(time.year()))?;
    time.with_year(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_programs_read_differently_are_refused() {
        for name in ["CET", "est", "+08:00", "-5", "08", "SGT", "Asia/Singapur", "UTC+8", ""] {
            assert!(Zone::named(name).is_err(), "{name}");
        }
        assert!(Zone::named("UTC+8").unwrap_err().contains("did you mean `Etc/GMT-8`?"));
        assert!(Zone::named("Asia/Singapor").unwrap_err().contains("did you mean `Asia/Singapore`?"));
        assert!(!Zone::named("PST").unwrap_err().contains("did you mean"));
        for name in ["UTC", "gmt", "Zulu", "Etc/GMT-8", "EST5EDT", "asia/singapore", "Singapore"] {
            assert!(Zone::named(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_last_year_of_the_tables_has_summer_time() {
        let Ok(Zone::Named { zone, has_summer: true }) = Zone::named("Europe/Berlin") else { panic!() };
        let summer = |year| offset(zone, NaiveDate::from_ymd_opt(year, 7, 1).unwrap().into());
        assert_eq!((summer(LAST_YEAR), summer(LAST_YEAR - CYCLE + 1)), (7200, 7200));
        // Otherwise the last year could be a later one.
        assert_eq!(summer(LAST_YEAR + 1), 3600);
    }
}
