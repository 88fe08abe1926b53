//! `window:` the windows of time into which a task's runs are divided.
//!
//! Windows follow the clocks of a time zone, without gaps and without overlaps: each lasts from its own beginning to that of
//! the next one. An hour that clocks repeat makes the window before its end longer, and an hour that they skip is none.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::format::{Item, Numeric, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::every::Every;
use super::params::Params;
use super::schedule::{RetriesSpec, Span};
use super::times::parse_zone;
use crate::error::{Place, Result, SourceText, TaskError};

/// The windows of time of a task. Each run covers one of them; a window has its own lock, its own entries in the ledger and its
/// own outputs, so that windows run side by side and a rerun replaces only what its window has written. `${window}`,
/// `$window_start` and `$window_end` are those of the run, and in paths `%Y`, `%m`, `%d`, `%H` and `%M` are parts of the
/// beginning of the window.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Window")]
pub struct WindowSpec {
    /// How long a window is: minutes or hours that divide a day, `1d`, `1w` (from Monday on) or `1 month`.
    #[schemars(with = "String", example = &"1h", example = &"15m", example = &"1d")]
    pub every: Spanned<Every>,
    /// The first window, by a date or a time of the time zone: `2026-01-01`, `2026-01-01T09:00`. `${param}` is replaced.
    #[schemars(with = "String", example = &"2026-01-01")]
    pub start: Spanned<String>,
    /// The time zone whose clocks the windows follow, as an IANA time zone name; default UTC.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"Asia/Singapore")]
    pub timezone: Option<Spanned<String>>,
    /// How long after its end a window is due: the time that its last data takes to arrive. Default: none.
    #[serde(default)]
    pub lag: Option<Span>,
    /// For how long after a window is due `weir queue` looks for files that came later, or for the first ones, and enters the
    /// window again. Default: none, a window is entered once.
    #[serde(default)]
    pub lookback: Option<Span>,
    /// Which of several waiting windows is run first.
    #[serde(default)]
    pub order: WindowOrder,
    /// How many times, and after which wait, a window is tried again whose run failed. After the last attempt it is dead until
    /// `weir queue --retry`. Default: 3 attempts, 1m.
    #[serde(default)]
    pub retries: Option<RetriesSpec>,
    /// The maximum duration of a run that the queue or a range of windows starts. A run that exceeds it is asked to stop and rolls
    /// back; it is killed 30 s later. Default: there is no limit.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// After this time a due window without data is late: `weir health` says so. Default: as long as a window is.
    #[serde(default)]
    pub late_after: Option<Span>,
}

/// Which of several waiting windows is run first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowOrder {
    /// The newest one: what people look at is up to date soon, while older windows are caught up.
    #[default]
    Newest,
    /// The oldest one.
    Oldest,
}

/// One window: from its start, inclusive, to its end, exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its beginning by the clocks of the time zone, by which it is known: `2022-06-05T09`.
    pub label: String,
    /// When it begins.
    pub start: DateTime<Utc>,
    /// When it ends.
    pub end: DateTime<Utc>,
    local: NaiveDateTime,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Window {
    /// A text in which `%Y`, `%m`, `%d`, `%H` and other conversions of strftime are parts of the window's beginning by the
    /// clocks of its time zone.
    pub(crate) fn fill(&self, text: &str) -> std::result::Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        for item in StrftimeItems::new(text) {
            match item {
                Item::Error => {
                    return Err(
                        "an unknown conversion behind `%`; the parts of the window are %Y, %m, %d, %H, %M, and %% \
                                is a percent sign"
                            .to_owned(),
                    );
                }
                Item::Literal(text) | Item::Space(text) => filled.push_str(text),
                // What a window has no part for, such as a time zone.
                Item::Numeric(Numeric::Nanosecond | Numeric::Timestamp, _) | Item::Fixed(_) if !is_name(&item) => {
                    return Err("a conversion that is no part of a window; these are %Y, %m, %d, %H, %M".to_owned());
                }
                item => filled.push_str(&self.local.format_with_items([item].into_iter()).to_string()),
            }
        }
        Ok(filled)
    }
}

/// Whether a conversion is a name of a month or of a day.
fn is_name(item: &Item<'_>) -> bool {
    use chrono::format::Fixed::{LongMonthName, LongWeekdayName, ShortMonthName, ShortWeekdayName};
    matches!(item, Item::Fixed(LongMonthName | ShortMonthName | LongWeekdayName | ShortWeekdayName))
}

/// The windows of a task.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    every: Every,
    zone: Tz,
    start: NaiveDateTime,
    lag: TimeDelta,
    pub(crate) lookback: TimeDelta,
    pub(crate) late_after: TimeDelta,
    pub(crate) order: WindowOrder,
    pub(crate) retries: RetriesSpec,
}

impl WindowSpec {
    /// The time zone whose clocks the windows follow.
    pub(crate) fn zone(&self, source: &SourceText) -> std::result::Result<Tz, TaskError> {
        let Some(name) = &self.timezone else { return Ok(chrono_tz::UTC) };
        parse_zone(&name.value).map_err(|message| {
            let error = TaskError::new(source, Place::of(name.referenced), message);
            error.with_help("write an IANA time zone name, such as Asia/Singapore or UTC")
        })
    }

    /// The windows; the error points at the wrong field.
    pub(crate) fn windows(&self, source: &SourceText, params: &Params) -> Result<Windows> {
        let zone = self.zone(source).map_err(Box::new)?;
        let every = self.every.value;
        let span = |span: Option<Span>| span.and_then(|span| TimeDelta::from_std(span.0).ok()).unwrap_or_default();
        let late_after = if self.late_after.is_some() { span(self.late_after) } else { every.longest() };
        let retries =
            RetriesSpec { attempts: NonZeroU32::MIN.saturating_add(2), backoff: Span(Duration::from_secs(60)) };
        let mut windows = Windows {
            every,
            zone,
            start: NaiveDateTime::MIN,
            lag: span(self.lag),
            lookback: span(self.lookback),
            late_after,
            order: self.order,
            retries: self.retries.unwrap_or(retries),
        };
        let start = params.fill(source, &self.start)?;
        windows.start = windows.beginning(&start).map_err(|message| {
            let error = TaskError::new(source, Place::of(self.start.referenced), format!("`start`: {message}"));
            Box::new(error.with_help("write the beginning of a window, such as 2026-01-01 or 2026-01-01T09:00"))
        })?;
        Ok(windows)
    }
}

impl Windows {
    /// The window that a text names: by its label, or by its beginning in a longer form.
    pub(crate) fn named(&self, text: &str) -> std::result::Result<Window, String> {
        let local = self.beginning(text)?;
        if local < self.start {
            return Err(format!("`{text}` is before the first window, {}", self.label(self.start)));
        }
        self.from(local).ok_or_else(|| format!("`{text}` is skipped by the clocks of {}", self.zone))
    }

    /// The window that a text of a range names; one that clocks skip is the next one.
    pub(crate) fn first_from(&self, text: &str) -> std::result::Result<Window, String> {
        let local = self.beginning(text)?.max(self.start);
        self.since(local).next().ok_or_else(|| format!("`{text}` has no window"))
    }

    /// The first window.
    pub(crate) fn first(&self) -> Option<Window> {
        self.since(self.start).next()
    }

    /// The last window that is due at a time.
    pub(crate) fn last_due(&self, now: DateTime<Utc>) -> Option<Window> {
        let latest = now.checked_sub_signed(self.lag)?.with_timezone(&self.zone).naive_local();
        // Those before it, in case that it has not ended or clocks were changed.
        let mut local = self.every.floor(latest);
        while local >= self.start {
            match self.from(local).filter(|window| self.due(window) <= now) {
                Some(window) => return Some(window),
                None => local = self.every.floor(local.checked_sub_signed(TimeDelta::seconds(1))?),
            }
        }
        None
    }

    /// When a window is due.
    pub(crate) fn due(&self, window: &Window) -> DateTime<Utc> {
        window.end.checked_add_signed(self.lag).unwrap_or(window.end)
    }

    /// The first due time after a time.
    pub(crate) fn due_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let from = self.last_due(now).map_or(self.start, |last| last.local);
        self.since(from).map(|window| self.due(&window)).find(|due| *due > now)
    }

    /// The windows from one to another, both included.
    pub(crate) fn between(&self, from: &Window, to: &Window) -> impl Iterator<Item = Window> {
        let end = to.end;
        self.since(from.local).take_while(move |window| window.end <= end)
    }

    /// The windows that begin at a time of the clock or later.
    fn since(&self, local: NaiveDateTime) -> impl Iterator<Item = Window> {
        let every = self.every;
        std::iter::successors(Some(local), move |local| every.next(*local))
            .map_while(move |local| {
                // The calendar ends.
                every.next(local).map(|_| self.from(local))
            })
            .flatten()
    }

    /// The window that begins at a time of the clock; none if clocks skip it.
    fn from(&self, local: NaiveDateTime) -> Option<Window> {
        let (start, end) = (self.instant(local)?, self.instant(self.every.next(local)?)?);
        (start < end).then(|| Window { label: self.label(local), start, end, local })
    }

    /// When clocks first show a time or a later one.
    fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        // A skipped time is followed by the end of the gap.
        let minutes = (0..=25 * 60).map(|minutes| local + TimeDelta::minutes(minutes));
        minutes.into_iter().find_map(|wall| self.zone.from_local_datetime(&wall).earliest()).map(|at| at.to_utc())
    }

    fn label(&self, local: NaiveDateTime) -> String {
        local.format(self.every.form()).to_string()
    }

    /// The beginning of a window, by the clocks of the time zone.
    fn beginning(&self, text: &str) -> std::result::Result<NaiveDateTime, String> {
        let wrong = |why: &str| {
            let example = NaiveDate::from_ymd_opt(2026, 3, 9).unwrap_or_default().and_hms_opt(6, 0, 0);
            let example = self.label(self.every.floor(example.unwrap_or_default()));
            format!("`{text}` {why}: write a window as {example}")
        };
        let local = local_time(text).ok_or_else(|| wrong("is not a window"))?;
        match self.every.floor(local) == local {
            true => Ok(local),
            false => Err(wrong("is not the beginning of a window")),
        }
    }
}

/// A date, a month or a time of the clock, to the minute.
fn local_time(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim().replace(' ', "T");
    let with_time = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H-%M"];
    if let Some(found) = with_time.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok()) {
        return Some(found);
    }
    if let Some((day, hour)) = text.split_once('T') {
        let hour = (hour.len() == 2).then(|| hour.parse().ok()).flatten()?;
        return day.parse::<NaiveDate>().ok()?.and_hms_opt(hour, 0, 0);
    }
    let day = text.parse::<NaiveDate>().or_else(|_| format!("{text}-01").parse()).ok()?;
    Some(day.and_time(NaiveTime::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(every: &str, zone: &str, start: &str, lag: &str) -> Windows {
        let yaml = format!("{{every: '{every}', timezone: '{zone}', start: '{start}', lag: {lag}}}");
        let source = SourceText::new(std::path::Path::new("t.yaml"), yaml);
        let spec: WindowSpec = crate::task::parse_yaml(&source).unwrap();
        spec.windows(&source, &Params::default()).unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn shown(window: &Window) -> String {
        format!("{} {} {}", window, window.start.format("%dT%H:%M"), window.end.format("%dT%H:%M"))
    }

    #[test]
    fn windows_follow_the_clocks_without_gaps_and_without_overlaps() {
        for (every, zone, from, expected) in [
            (
                "1h",
                "UTC",
                "2022-06-05T22",
                [
                    "2022-06-05T22 05T22:00 05T23:00",
                    "2022-06-05T23 05T23:00 06T00:00",
                    "2022-06-06T00 06T00:00 06T01:00",
                ],
            ),
            (
                "1h",
                "Europe/Berlin",
                "2022-10-30T01",
                [
                    "2022-10-30T01 29T23:00 30T00:00",
                    "2022-10-30T02 30T00:00 30T02:00",
                    "2022-10-30T03 30T02:00 30T03:00",
                ],
            ),
            (
                "1h",
                "Europe/Berlin",
                "2022-03-27T00",
                [
                    "2022-03-27T00 26T23:00 27T00:00",
                    "2022-03-27T01 27T00:00 27T01:00",
                    "2022-03-27T03 27T01:00 27T02:00",
                ],
            ),
            (
                "15m",
                "Asia/Kolkata",
                "2022-06-05T09:45",
                [
                    "2022-06-05T09-45 05T04:15 05T04:30",
                    "2022-06-05T10-00 05T04:30 05T04:45",
                    "2022-06-05T10-15 05T04:45 05T05:00",
                ],
            ),
            (
                "1d",
                "America/New_York",
                "2022-11-05",
                ["2022-11-05 05T04:00 06T04:00", "2022-11-06 06T04:00 07T05:00", "2022-11-07 07T05:00 08T05:00"],
            ),
            (
                "1w",
                "UTC",
                "2022-06-06",
                ["2022-06-06 06T00:00 13T00:00", "2022-06-13 13T00:00 20T00:00", "2022-06-20 20T00:00 27T00:00"],
            ),
            (
                "1 month",
                "UTC",
                "2022-01",
                ["2022-01 01T00:00 01T00:00", "2022-02 01T00:00 01T00:00", "2022-03 01T00:00 01T00:00"],
            ),
        ] {
            let windows = windows(every, zone, from, "1s");
            let found: Vec<Window> = windows.since(windows.start).take(3).collect();
            assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected, "{every} {zone}");
            assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start), "{every} {zone}");
            for window in &found {
                assert_eq!(windows.named(&window.label).as_ref(), Ok(window));
                assert_eq!(windows.last_due(windows.due(window)).as_ref(), Some(window));
            }
        }
    }

    #[test]
    fn a_window_is_due_when_it_has_ended_and_its_lag_is_over() {
        let hourly = windows("1h", "UTC", "2022-06-05T08", "10m");
        let due = |at: &str| hourly.last_due(utc(at)).map(|window| window.label);
        assert_eq!(due("2022-06-05T10:10:00Z").as_deref(), Some("2022-06-05T09"));
        assert_eq!(due("2022-06-05T10:09:59Z").as_deref(), Some("2022-06-05T08"));
        assert_eq!(due("2022-06-05T09:09:59Z"), None);
        assert_eq!(hourly.due_after(utc("2022-06-05T09:09:59Z")), Some(utc("2022-06-05T09:10:00Z")));
        assert_eq!(hourly.due_after(utc("2022-06-05T09:10:00Z")), Some(utc("2022-06-05T10:10:00Z")));
        assert_eq!(hourly.due_after(utc("2020-06-05T09:10:00Z")), Some(utc("2022-06-05T09:10:00Z")));
    }

    #[test]
    fn the_windows_between_two_are_all_of_them() {
        let hourly = windows("6h", "UTC", "2022-06-01", "1s");
        let (from, to) = (hourly.first_from("2022-05-01").unwrap(), hourly.named("2022-06-02T06:00").unwrap());
        let labels: Vec<_> = hourly.between(&from, &to).map(|window| window.label).collect();
        assert_eq!(
            labels,
            ["2022-06-01T00", "2022-06-01T06", "2022-06-01T12", "2022-06-01T18", "2022-06-02T00", "2022-06-02T06"]
        );
    }

    #[test]
    fn what_is_no_window_is_told() {
        let hourly = windows("1h", "Europe/Berlin", "2022-01-01", "1s");
        for (text, expected) in [
            (
                "2022-06-05T09:30",
                "`2022-06-05T09:30` is not the beginning of a window: write a window as 2026-03-09T06",
            ),
            ("yesterday", "`yesterday` is not a window: write a window as 2026-03-09T06"),
            ("2021-12-31T23", "`2021-12-31T23` is before the first window, 2022-01-01T00"),
            ("2022-03-27T02", "`2022-03-27T02` is skipped by the clocks of Europe/Berlin"),
        ] {
            assert_eq!(hourly.named(text).unwrap_err(), expected);
        }
        for wrong in ["7h", "90s", "soon", "2d", "0h"] {
            assert!(wrong.parse::<Every>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_has_the_parts_of_its_window() {
        let window = windows("1h", "Asia/Singapore", "2022-06-05", "1s").named("2022-06-05T09").unwrap();
        assert_eq!(window.fill("yyyy=%Y/mm=%m/dd=%d/hh=%H/*.csv").unwrap(), "yyyy=2022/mm=06/dd=05/hh=09/*.csv");
        assert_eq!(window.fill("%j %b 100%%").unwrap(), "156 Jun 100%");
        for wrong in ["%Q", "100%", "%s", "%Z", "%f"] {
            assert!(window.fill(wrong).is_err(), "{wrong}");
        }
    }
}
