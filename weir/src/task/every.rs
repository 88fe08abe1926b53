//! The length of windows: where one begins, and the next one.

use std::num::NonZeroU32;
use std::str::FromStr;

use chrono::{Datelike, Days, Months, NaiveDateTime, NaiveTime, TimeDelta};
use serde::{Deserialize, Deserializer, de};

/// The length of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// So many minutes, which divide a day.
    Minutes(NonZeroU32),
    /// A day.
    Day,
    /// A week from Monday on.
    Week,
    /// A month.
    Month,
}

const MINUTES_OF_DAY: u32 = 24 * 60;

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("`{text}` is not the length of windows: write 15m, 1h, 6h, 1d, 1w or 1 month");
        match text.split_whitespace().collect::<String>().as_str() {
            "1month" => return Ok(Self::Month),
            "1w" | "1week" | "7d" | "7days" => return Ok(Self::Week),
            "1d" | "1day" | "24h" => return Ok(Self::Day),
            _ => {}
        }
        let span = humantime::parse_duration(text).map_err(|_| wrong())?.as_secs();
        let minutes = (span % 60 == 0).then(|| u32::try_from(span / 60).ok()).flatten().and_then(NonZeroU32::new);
        let minutes = minutes.ok_or_else(wrong)?;
        match MINUTES_OF_DAY % minutes.get() {
            0 => Ok(Self::Minutes(minutes)),
            _ => Err(format!("{}; {text} does not divide a day", wrong())),
        }
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Every {
    /// The longest that a window is, but for changes of clocks.
    pub(super) fn longest(self) -> TimeDelta {
        match self {
            Self::Minutes(minutes) => TimeDelta::minutes(minutes.get().into()),
            Self::Day => TimeDelta::days(1),
            Self::Week => TimeDelta::days(7),
            Self::Month => TimeDelta::days(31),
        }
    }

    /// The form in which a window is written.
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::Minutes(minutes) if minutes.get() % 60 == 0 => "%Y-%m-%dT%H",
            Self::Minutes(_) => "%Y-%m-%dT%H-%M",
            Self::Day | Self::Week => "%Y-%m-%d",
            Self::Month => "%Y-%m",
        }
    }

    /// The beginning of the window that has a time of the clock.
    pub(super) fn floor(self, local: NaiveDateTime) -> NaiveDateTime {
        let day = local.date();
        match self {
            Self::Minutes(minutes) => {
                let of_day = local.signed_duration_since(day.and_time(NaiveTime::MIN)).num_minutes();
                let step = i64::from(minutes.get());
                day.and_time(NaiveTime::MIN) + TimeDelta::minutes(of_day / step * step)
            }
            Self::Day => day.and_time(NaiveTime::MIN),
            Self::Week => {
                let back = Days::new(day.weekday().num_days_from_monday().into());
                day.checked_sub_days(back).unwrap_or(day).and_time(NaiveTime::MIN)
            }
            Self::Month => day.with_day(1).unwrap_or(day).and_time(NaiveTime::MIN),
        }
    }

    /// The beginning of the next window.
    pub(super) fn next(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Minutes(minutes) => local.checked_add_signed(TimeDelta::minutes(minutes.get().into())),
            Self::Day => local.checked_add_days(Days::new(1)),
            Self::Week => local.checked_add_days(Days::new(7)),
            Self::Month => local.checked_add_months(Months::new(1)),
        }
    }
}
