//! `schedule:` when `weir schedule` starts the task.

use std::time::Duration;

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

use super::times::{Times, parse_cron, parse_zone};
use crate::error::{Place, SourceText, TaskError};

/// When `weir schedule` starts the task.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Schedule")]
pub struct ScheduleSpec {
    /// The due times as five cron fields: minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`, `@yearly`. With a day of the month and a day of the week the task is due on either, as in
    /// cron. Days of the week are 0 to 7, where 0 and 7 are Sunday, or `sun` to `sat`; `1#2` is the second Monday, `5L` the last
    /// Friday, and `L` as a day of the month the last one.
    #[schemars(with = "String", example = &"0 * * * *", example = &"30 6 * * mon-fri", example = &"@daily")]
    pub cron: Spanned<String>,
    /// The time zone of `cron`, as an IANA time zone name; default UTC. At a daylight-saving change, a time of day that
    /// is skipped is due right after the change and one that is repeated is due once; a `cron` whose minute or hour
    /// begins with `*` continues at its interval.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"Asia/Singapore")]
    pub timezone: Option<Spanned<String>>,
    /// The maximum duration of a run. A run that exceeds it is asked to stop and rolls back; it is killed 30 s later.
    /// Without it there is no limit.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// How a run is tried again that failed because a database could not be reached, broke off, or had a conflict of
    /// transactions. Runs that failed for another reason are not: they would fail again.
    #[serde(default)]
    pub retries: Option<RetriesSpec>,
}

/// How a failed run is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Retries")]
pub struct RetriesSpec {
    /// How many times, at most, before the next due time.
    #[schemars(example = 3)]
    pub attempts: std::num::NonZeroU32,
    /// How long to wait before the first one; each further wait is twice as long. Default: 1m.
    #[serde(default = "minute")]
    #[schemars(with = "Option<Span>")]
    pub backoff: Span,
}

fn minute() -> Span {
    Span(Duration::from_secs(60))
}

impl ScheduleSpec {
    /// The due times; the error points at the wrong field.
    pub(crate) fn times(&self, source: &SourceText) -> Result<Times, TaskError> {
        let cron = parse_cron(&self.cron.value).map_err(|message| {
            let help = "write minute, hour, day of the month, month and day of the week, such as \"0 * * * *\", or a name such as @daily";
            TaskError::new(source, Place::of(self.cron.referenced), message).with_help(help)
        })?;
        Ok(Times::new(cron, &self.cron.value, self.zone(source)?))
    }

    /// The time zone of the due times.
    pub(crate) fn zone(&self, source: &SourceText) -> Result<Tz, TaskError> {
        let Some(name) = &self.timezone else { return Ok(chrono_tz::UTC) };
        parse_zone(&name.value).map_err(|message| {
            let error = TaskError::new(source, Place::of(name.referenced), message);
            error.with_help("write an IANA time zone name, such as Asia/Singapore or UTC")
        })
    }
}

/// A duration, written with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span = humantime::parse_duration(&text);
        let span = span.ok().filter(|span| !span.is_zero());
        span.map(Self).ok_or_else(|| de::Error::custom(format!("`{text}` is not a duration: write 50m, 1h 30m or 90d")))
    }
}
