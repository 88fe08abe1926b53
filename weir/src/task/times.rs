//! The due times of a schedule: five cron fields in a time zone, including daylight-saving changes.
//!
//! As in cron, there are two kinds. `30 2 * * *` specifies times of day: one that is skipped when clocks go forward is
//! due right after the change, and one that is repeated when they go back is due once, the first time. `*/30 * * * *`,
//! whose minute or hour begins with `*`, specifies an interval: it follows local time, so it has no due time in a
//! skipped hour and is due again in a repeated one.

use std::str::FromStr;

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDateTime, Offset, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// The due times of a task.
#[derive(Debug, Clone)]
pub(crate) enum Times {
    /// By local time in a zone.
    Clock { cron: Box<Cron>, zone: Tz, is_rhythm: bool },
    /// At an interval in seconds, for tests: they cannot wait for minutes.
    #[cfg(debug_assertions)]
    Every(i64),
}

/// The names that cron has for common times, and their fields.
pub(crate) const NAMED_TIMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// What each field may be, in order.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last one"),
    ("month", "1 to 12, or jan to dec"),
    ("day of the week", "0 to 7, or sun to sat; 0 and 7 are Sunday; 1#2 is the second Monday, 5L the last Friday"),
];

/// Parses five cron fields, or the name of a time such as `@daily`; the error describes the problem.
pub(crate) fn parse_cron(text: &str) -> Result<Cron, String> {
    if text.trim().starts_with('@') && fields_of(text) == text {
        let names: Vec<_> = NAMED_TIMES.iter().map(|(name, _)| *name).collect();
        return Err(format!("`{text}` is not a time here: the names are {}", names.join(", ")));
    }
    let fields: Vec<&str> = fields_of(text).split_whitespace().collect();
    let [_, _, day, _, weekday] = fields.as_slice() else {
        let more = if fields.len() > 5 { ": there are no seconds and no years" } else { "" };
        let count = crate::error::number_of(fields.len(), "field");
        return Err(format!("`{text}` has {count}, but cron has five{more}"));
    };
    // As in crontab(5): a time is due on either of the two days, unless one of the fields begins with `*`.
    let both = day.starts_with('*') || weekday.starts_with('*');
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(both).build();
    let cron = parser.parse(&fields.join(" ")).map_err(|_| wrong_field(text, &fields, &parser))?;
    match cron.find_next_occurrence(&Utc::now(), false) {
        Ok(_) => Ok(cron),
        Err(_) => Err(format!("`{text}` is never due")),
    }
}

/// The fields of a named time; any other text as it is.
fn fields_of(text: &str) -> &str {
    let named = NAMED_TIMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
    named.map_or(text, |(_, fields)| fields)
}

/// Says which field is wrong.
fn wrong_field(text: &str, fields: &[&str], parser: &CronParser) -> String {
    let is_wrong = |at: usize| {
        let alone: Vec<_> = (0..fields.len()).map(|field| if field == at { fields[at] } else { "*" }).collect();
        parser.parse(&alone.join(" ")).is_err()
    };
    match (0..FIELDS.len()).find(|field| is_wrong(*field)) {
        Some(field) => {
            let (name, values) = FIELDS[field];
            format!(
                "`{text}`: the {name} is {values}, not `{}`; or *, a list 1,2, a range 1-5, a step */2",
                fields[field]
            )
        }
        None => format!("`{text}` is not a cron expression"),
    }
}

/// Finds a time zone by its name; the error suggests the nearest name.
pub(crate) fn parse_zone(name: &str) -> Result<Tz, String> {
    Tz::from_str(name).map_err(|_| {
        let names: Vec<&str> = TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
        // `UTC+8`: in the IANA database such zones have the opposite sign.
        let offset = ["UTC", "GMT"].iter().find_map(|of| name.strip_prefix(of)?.parse::<i8>().ok());
        let near = match offset.filter(|hours| (-14..=14).contains(hours)) {
            Some(hours) => Some(format!("Etc/GMT{:+}", -hours)),
            None => crate::error::nearest(name, &names).map(str::to_owned),
        };
        let near = near.map(|near| format!(": did you mean `{near}`?"));
        format!("`{name}` is not a valid time zone{}", near.unwrap_or_default())
    })
}

impl Times {
    /// The due times of `cron` in a zone.
    pub(crate) fn new(cron: Cron, fields: &str, zone: Tz) -> Self {
        let is_rhythm = fields_of(fields).split_whitespace().take(2).any(|field| field.starts_with('*'));
        Self::Clock { cron: Box::new(cron), zone, is_rhythm }
    }

    /// The first due time after an instant.
    pub(crate) fn after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let instant = instant.trunc_subsecs(0);
        match self {
            Self::Clock { cron, zone, is_rhythm: true } => in_rhythm(cron, zone, instant),
            Self::Clock { cron, zone, is_rhythm: false } => time_of_day(cron, zone, instant),
            #[cfg(debug_assertions)]
            Self::Every(seconds) => {
                DateTime::from_timestamp((instant.timestamp().div_euclid(*seconds) + 1) * seconds, 0)
            }
        }
    }

    /// The due times after `from` and up to `to`, at most the latest `most` of them, and whether there were more.
    pub(crate) fn passed(&self, from: DateTime<Utc>, to: DateTime<Utc>, most: usize) -> (Vec<DateTime<Utc>>, bool) {
        // From the end, in steps that double, so that years of minutes are not walked through.
        let mut back = TimeDelta::hours(1);
        loop {
            let begin = (to - back).max(from);
            let mut times: Vec<_> =
                std::iter::successors(self.after(begin), |time| self.after(*time)).take_while(|t| *t <= to).collect();
            if times.len() > most || begin == from {
                let more = times.len().saturating_sub(most);
                times.drain(..more);
                return (times, more > 0);
            }
            back = back * 2;
        }
    }

    /// A human-readable time in the zone.
    pub(crate) fn show(&self, time: DateTime<Utc>) -> String {
        match self {
            Self::Clock { zone, .. } => format!("{} {zone}", time.with_timezone(zone).format("%Y-%m-%d %H:%M")),
            #[cfg(debug_assertions)]
            Self::Every(_) => time.to_rfc3339(),
        }
    }
}

/// The next due time of day.
fn time_of_day(cron: &Cron, zone: &Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut wall = after.with_timezone(zone).naive_local();
    loop {
        wall = cron.find_next_occurrence(&wall.and_utc(), false).ok()?.naive_utc();
        let due = match zone.from_local_datetime(&wall) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time,
            LocalResult::None => behind_gap(zone, wall)?,
        };
        // A repeated time of day was due the first time.
        if due > after {
            return Some(due.with_timezone(&Utc));
        }
    }
}

/// The instant at which clocks continue after they have skipped a time of day.
fn behind_gap(zone: &Tz, skipped: NaiveDateTime) -> Option<DateTime<Tz>> {
    let minutes = (1..=25 * 60).map(|minutes| skipped + TimeDelta::minutes(minutes));
    minutes.into_iter().find_map(|wall| zone.from_local_datetime(&wall).earliest())
}

/// The next time at which local time matches the fields. Between two clock changes the zone is a fixed offset from UTC,
/// so the search goes from change to change.
fn in_rhythm(cron: &Cron, zone: &Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (mut from, mut inclusive) = (after, false);
    loop {
        let local = from.with_timezone(&offset(zone, from));
        let found = cron.find_next_occurrence(&local, inclusive).ok()?.with_timezone(&Utc);
        match change(zone, from, found) {
            None => return Some(found),
            Some(change) => (from, inclusive) = (change, true),
        }
    }
}

/// The first instant after `from` and up to `to` at which the offset of the zone changes.
fn change(zone: &Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let is_same = |time| offset(zone, time) == offset(zone, from);
    let mut same = from;
    while same < to {
        let next = (same + TimeDelta::hours(1)).min(to);
        if is_same(next) {
            same = next;
            continue;
        }
        let mut other = next;
        while other - same > TimeDelta::seconds(1) {
            let middle = same + (other - same) / 2;
            if is_same(middle) { same = middle } else { other = middle }
        }
        return Some(other.trunc_subsecs(0));
    }
    None
}

fn offset(zone: &Tz, time: DateTime<Utc>) -> FixedOffset {
    zone.offset_from_utc_datetime(&time.naive_utc()).fix()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(fields: &str, zone: &str) -> Times {
        Times::new(parse_cron(fields).unwrap(), fields, parse_zone(zone).unwrap())
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Local time and offset from UTC of the next due times.
    fn next(fields: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (times, zone) = (times(fields, zone), parse_zone(zone).unwrap());
        let all = std::iter::successors(times.after(utc(after)), |time| times.after(*time));
        all.take(count).map(|time| time.with_timezone(&zone).format("%d %H:%M %z").to_string()).collect()
    }

    #[test]
    fn cron_fields_are_in_their_time_zone() {
        assert_eq!(times("0 9 * * mon-fri", "Asia/Singapore").after(utc("2026-01-02T01:00:00Z")), {
            Some(utc("2026-01-05T01:00:00Z"))
        });
        assert_eq!(times("0 * * * *", "UTC").after(utc("2026-01-02T01:59:59.999Z")), Some(utc("2026-01-02T02:00:00Z")));
        assert_eq!(times("30 6 * * *", "Asia/Kolkata").after(utc("2026-01-02T00:00:00Z")), {
            Some(utc("2026-01-02T01:00:00Z"))
        });
    }

    #[test]
    fn the_day_is_that_of_the_month_or_of_the_week_as_in_crontab() {
        let days = |fields: &str, count: usize| {
            let times = times(fields, "UTC");
            let all = std::iter::successors(times.after(utc("2024-05-01T12:00:00Z")), |time| times.after(*time));
            all.take(count).map(|time| time.format("%m-%d").to_string()).collect::<Vec<_>>()
        };
        // In 2024, 13 May was a Monday and 13 September a Friday.
        assert_eq!(days("0 0 13 * 5", 4), ["05-03", "05-10", "05-13", "05-17"]);
        assert_eq!(days("0 0 */2 * 1", 3), ["05-13", "05-27", "06-03"], "both, if one begins with a star");
        assert_eq!(days("0 0 * * 7", 2), days("0 0 * * sun", 2));
        assert_eq!(days("0 0 L * *", 2), ["05-31", "06-30"]);
        assert_eq!(days("0 0 * * mon#2", 2), ["05-13", "06-10"]);
    }

    #[test]
    fn a_named_time_is_its_fields() {
        for (name, fields) in NAMED_TIMES {
            let after = utc("2026-03-08T05:30:00Z");
            assert_eq!(times(name, "America/New_York").after(after), times(fields, "America/New_York").after(after));
        }
        assert_eq!(
            next("@hourly", "America/New_York", "2026-03-08T05:30:00Z", 2),
            ["08 01:00 -0500", "08 03:00 -0400"]
        );
    }

    // New York: clocks go from 2:00 to 3:00 on 8 March 2026, and from 2:00 back to 1:00 on 1 November.

    #[test]
    fn a_skipped_time_of_day_is_due_right_after_the_change() {
        let days = ["07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"];
        assert_eq!(next("30 2 * * *", "America/New_York", "2026-03-07T06:00:00Z", 3), days);
        // Two of them are due once, and so is one that is due at the change anyway.
        let days = ["08 03:00 -0400", "09 02:15 -0400", "09 02:45 -0400", "09 03:00 -0400"];
        assert_eq!(next("0,15,45 2,3 * * *", "America/New_York", "2026-03-08T06:00:00Z", 1)[..], days[..1]);
        assert_eq!(next("15,45 2 * * *", "America/New_York", "2026-03-08T06:00:00Z", 3)[..], days[..3]);
    }

    #[test]
    fn a_repeated_time_of_day_is_due_once() {
        let days = ["31 01:30 -0400", "01 01:30 -0400", "02 01:30 -0500"];
        assert_eq!(next("30 1 * * *", "America/New_York", "2026-10-31T04:00:00Z", 3), days);
        // Also for a scheduler that starts in the second of the two hours.
        assert_eq!(next("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", 1), ["02 01:30 -0500"]);
    }

    #[test]
    fn an_interval_continues_through_a_repeated_hour_and_over_a_skipped_one() {
        let hours = ["01 00:00 -0400", "01 01:00 -0400", "01 01:00 -0500", "01 02:00 -0500"];
        assert_eq!(next("0 * * * *", "America/New_York", "2026-11-01T03:30:00Z", 4), hours);
        let hours = ["08 01:00 -0500", "08 03:00 -0400", "08 04:00 -0400"];
        assert_eq!(next("0 * * * *", "America/New_York", "2026-03-08T05:30:00Z", 3), hours);
    }

    #[test]
    fn an_interval_is_due_whenever_local_time_matches_minute_by_minute() {
        for (zone, day) in [
            ("America/New_York", "2026-03-07T12:00:00Z"),
            ("America/New_York", "2026-10-31T12:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"), // by half an hour
            ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
            ("Africa/Casablanca", "2026-02-14T12:00:00Z"),
        ] {
            for fields in ["*/7 * * * *", "*/30 1-3 * * *", "0 */2 * * *", "10,50 * * * sun", "* 1 1 * *"] {
                let (times, tz, cron) = (times(fields, zone), parse_zone(zone).unwrap(), parse_cron(fields).unwrap());
                let (from, to) = (utc(day), utc(day) + TimeDelta::days(2));
                let minutes = (1..=2 * 24 * 60).map(|minute| from + TimeDelta::minutes(minute));
                let seen: Vec<_> =
                    minutes.filter(|time| cron.is_time_matching(&time.with_timezone(&tz)).unwrap()).collect();
                assert_eq!(times.passed(from, to, usize::MAX).0, seen, "{fields} in {zone}");
            }
        }
    }

    #[test]
    fn of_the_passed_times_the_latest_are_returned() {
        let every_minute = times("* * * * *", "UTC");
        let (passed, more) = every_minute.passed(utc("2016-01-01T00:00:00Z"), utc("2026-01-01T12:00:30Z"), 100);
        assert_eq!((passed.len(), more), (100, true));
        assert_eq!(passed[99], utc("2026-01-01T12:00:00Z"));
        let (passed, more) = every_minute.passed(utc("2026-01-01T11:58:00Z"), utc("2026-01-01T12:00:00Z"), 100);
        assert_eq!((passed.len(), more), (2, false));
        assert!(every_minute.passed(utc("2026-01-01T12:00:00Z"), utc("2026-01-01T12:00:59Z"), 100).0.is_empty());
    }

    #[test]
    fn wrong_fields_and_zones_are_reported() {
        let wrong = |fields: &str| parse_cron(fields).unwrap_err();
        assert_eq!(wrong("0 * * *"), "`0 * * *` has 4 fields, but cron has five");
        assert_eq!(
            wrong("0 0 * * * *"),
            "`0 0 * * * *` has 6 fields, but cron has five: there are no seconds and no years"
        );
        assert!(wrong("@reboot").starts_with("`@reboot` is not a time here: the names are @hourly, @daily"));
        assert!(wrong("@every 5m").starts_with("`@every 5m` is not a time here"));
        for (fields, field) in [
            ("60 * * * *", "the minute is 0 to 59, not `60`"),
            ("0 24 * * *", "the hour is 0 to 23, not `24`"),
            ("H 0 * * *", "not `H`"),
            ("0 0 W * *", "the day of the month is 1 to 31, or L for the last one, not `W`"),
            ("0 0 1 13 *", "the month is 1 to 12, or jan to dec, not `13`"),
            ("0 0 * * 8", "the day of the week is 0 to 7"),
        ] {
            assert!(wrong(fields).contains(field), "{}", wrong(fields));
        }
        assert_eq!(wrong("0 0 31 2 *"), "`0 0 31 2 *` is never due");
        assert!(wrong("61 * * * *").starts_with("`61 * * * *`: "));
        assert!(wrong("x * * * *").starts_with("`x * * * *`: "));
        let zone = |name: &str| parse_zone(name).unwrap_err();
        assert_eq!(zone("Asia/Singapor"), "`Asia/Singapor` is not a valid time zone: did you mean `Asia/Singapore`?");
        assert_eq!(zone("UTC+8"), "`UTC+8` is not a valid time zone: did you mean `Etc/GMT-8`?");
        assert_eq!(zone("nowhere at all"), "`nowhere at all` is not a valid time zone");
    }
}
