//! Values of parameters that move with the day of the run: `today`, `yesterday - 1 month`, `now - 2h`.

use chrono::{DateTime, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::sql_type::SqlType;

/// The moment that they are computed from, and the time zone whose days count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) moment: DateTime<Utc>,
    pub(super) zone: Tz,
}

/// What a moving value may look like, for help.
const FORMS: &str = "today, yesterday, today - 7d, today - 1 month (d, w, month, year)";
const FORMS_OF_TIMES: &str = "now, today, now - 2h, today - 7d (s, min, h, d, w, month, year)";

impl Clock {
    /// The value in its usual form if the text is a moving one; any other text as it is.
    pub(super) fn fix(&self, kind: SqlType, text: &str) -> Result<Option<String>, String> {
        let (word, rest) = text.trim().split_at(word_length(text.trim()));
        if !["today", "yesterday", "tomorrow", "now"].contains(&word) {
            return Ok(None);
        }
        let wrong = |forms: &str| format!("`{text}` is not a {kind}: write a {kind}, or one of {forms}");
        match kind {
            SqlType::Date => {
                let day = self.day(word).ok_or_else(|| wrong(FORMS))?;
                let moved = moved(day.and_time(NaiveTime::MIN), rest).ok_or_else(|| wrong(FORMS))?;
                match moved.time() == NaiveTime::MIN {
                    true => Ok(Some(moved.date().format("%Y-%m-%d").to_string())),
                    false => Err(wrong(FORMS)),
                }
            }
            SqlType::Timestamp => {
                let at = match self.day(word) {
                    Some(day) => moved(day.and_time(NaiveTime::MIN), rest).map(|local| self.in_utc(local)),
                    None => moved(self.moment.naive_utc(), rest),
                };
                let at = at.ok_or_else(|| wrong(FORMS_OF_TIMES))?;
                Ok(Some(at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()))
            }
            _ => Ok(None),
        }
    }

    fn day(&self, word: &str) -> Option<NaiveDate> {
        let today = self.moment.with_timezone(&self.zone).date_naive();
        match word {
            "today" => Some(today),
            "yesterday" => today.pred_opt(),
            "tomorrow" => today.succ_opt(),
            _ => None,
        }
    }

    /// A time of the zone in UTC. One that clocks skip is the end of the gap.
    fn in_utc(&self, local: NaiveDateTime) -> NaiveDateTime {
        let hours = (0..=24).map(|hours| local + TimeDelta::hours(hours));
        let found = hours.into_iter().find_map(|local| self.zone.from_local_datetime(&local).earliest());
        found.map_or(local, |time| time.naive_utc())
    }
}

/// A time after steps such as `- 7d + 2 hours`; `None` if they are none, or lead out of the calendar.
fn moved(mut time: NaiveDateTime, steps: &str) -> Option<NaiveDateTime> {
    let mut rest = steps.trim();
    while !rest.is_empty() {
        let (sign, after) = (rest.chars().next()?, rest.get(1..)?.trim_start());
        let is_back = match sign {
            '-' => true,
            '+' => false,
            _ => return None,
        };
        let (number, after) = after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()));
        let after = after.trim_start();
        let (unit, after) = after.split_at(word_length(after));
        time = step(time, number.parse().ok()?, unit, is_back)?;
        rest = after.trim_start();
    }
    Some(time)
}

fn step(time: NaiveDateTime, number: u32, unit: &str, is_back: bool) -> Option<NaiveDateTime> {
    let months = |months: u32| match is_back {
        true => time.checked_sub_months(Months::new(months)),
        false => time.checked_add_months(Months::new(months)),
    };
    let days = |days: u64| match is_back {
        true => time.checked_sub_days(Days::new(days)),
        false => time.checked_add_days(Days::new(days)),
    };
    let seconds = |seconds: i64| {
        let span = TimeDelta::try_seconds(i64::from(number) * seconds)?;
        if is_back { time.checked_sub_signed(span) } else { time.checked_add_signed(span) }
    };
    match unit {
        "y" | "year" | "years" => months(number.checked_mul(12)?),
        "month" | "months" => months(number),
        "w" | "week" | "weeks" => days(u64::from(number) * 7),
        "d" | "day" | "days" => days(number.into()),
        "h" | "hour" | "hours" => seconds(3600),
        "min" | "minute" | "minutes" => seconds(60),
        "s" | "second" | "seconds" => seconds(1),
        _ => None,
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(zone: &str, kind: &str, text: &str) -> Result<Option<String>, String> {
        let clock = Clock { moment: "2024-03-31T22:30:00.000001Z".parse().unwrap(), zone: zone.parse().unwrap() };
        clock.fix(kind.parse().unwrap(), text)
    }

    #[test]
    fn a_moving_value_is_computed_in_the_time_zone() {
        for (zone, kind, text, expected) in [
            ("UTC", "date", "today", "2024-03-31"),
            ("Asia/Singapore", "date", "today", "2024-04-01"),
            ("Asia/Singapore", "date", " yesterday ", "2024-03-31"),
            ("UTC", "date", "tomorrow", "2024-04-01"),
            ("UTC", "date", "today - 7d", "2024-03-24"),
            ("UTC", "date", "today-1 month", "2024-02-29"),
            ("UTC", "date", "today - 1 year + 1day", "2023-04-01"),
            ("UTC", "date", "yesterday - 2w", "2024-03-16"),
            ("UTC", "timestamp", "now", "2024-03-31T22:30:00.000001"),
            ("Asia/Singapore", "timestamp", "now - 90 min", "2024-03-31T21:00:00.000001"),
            ("Asia/Singapore", "timestamp", "today", "2024-03-31T16:00:00.000000"),
            ("Europe/Berlin", "timestamp", "today - 1d", "2024-03-30T23:00:00.000000"),
        ] {
            assert_eq!(fixed(zone, kind, text), Ok(Some(expected.to_owned())), "{text} in {zone}");
        }
    }

    #[test]
    fn other_texts_stay_and_mistakes_are_told() {
        for (kind, text) in [("date", "2024-01-01"), ("string", "today"), ("date", "todayish"), ("integer", "now")] {
            assert_eq!(fixed("UTC", kind, text), Ok(None), "{text}");
        }
        for (kind, text) in [
            ("date", "now"),
            ("date", "today - 7"),
            ("date", "today - 1m"),
            ("date", "today 7d"),
            ("date", "today - 2h"),
            ("date", "today - 999999999 years"),
            ("timestamp", "now - -1d"),
        ] {
            assert!(fixed("UTC", kind, text).unwrap_err().contains("or one of"), "{text}");
        }
    }
}
