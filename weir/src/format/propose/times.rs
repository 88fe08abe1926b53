//! How dates and times are written that a column rejects.

use super::quoted;
use super::values::{Candidate, Candidates, Declaration};
use crate::format::value::known::{DATES, TIMES};
use crate::task::SqlType;

/// Numbers without leading zeros, and names of months.
const LOOSE_DATES: [&str; 6] = ["%-d/%-m/%Y", "%-m/%-d/%Y", "%-d.%-m.%Y", "%d %B %Y", "%-d %b %Y", "%B %-d, %Y"];
/// Years of two digits.
const SHORT_DATES: [&str; 6] = ["%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%b-%y", "%-d/%-m/%y", "%-m/%-d/%y"];
const LOOSE_TIMES: [&str; 12] = [
    "%-d/%-m/%Y %-H:%M:%S",
    "%-m/%-d/%Y %-H:%M:%S",
    "%-d/%-m/%Y %-H:%M",
    "%-m/%-d/%Y %-H:%M",
    "%-d.%-m.%Y %-H:%M",
    "%-d/%-m/%Y %-I:%M:%S %p",
    "%-m/%-d/%Y %-I:%M:%S %p",
    "%-d/%-m/%Y %-I:%M %p",
    "%-m/%-d/%Y %-I:%M %p",
    "%d-%b-%Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%Y%m%d%H%M%S",
];
const TIMES_OF_DAY: [&str; 6] = ["%-I:%M %p", "%-I:%M:%S %p", "%-I:%M%p", "%-H:%M", "%-H:%M:%S", "%H.%M"];

const WITHOUT_OFFSET: &str = "if the times of column COLUMN have no offset and are of one zone, such as Europe/Berlin";
const TRUNCATED: &str = "if the digits behind the microseconds of column COLUMN may be cut off";
const TRUNCATED_WITHOUT_OFFSET: &str = "if the digits behind the microseconds of column COLUMN may be cut off, and its times are \
                                        of one zone, such as Europe/Berlin";
const WRITTEN: &str = "if the values of column COLUMN are written so";

/// A zone for the trial: the user knows the right one.
const ZONE: &str = "Europe/Berlin";

/// The ways to write dates or times, and other types.
pub(super) fn written(declared: &Declaration, texts: &[&str], others_are_read: bool) -> Vec<Candidates> {
    let mut groups: Vec<Vec<&str>> = match declared.sql_type {
        SqlType::Date => vec![DATES.to_vec(), LOOSE_DATES.to_vec(), SHORT_DATES.to_vec()],
        SqlType::Time => vec![TIMES_OF_DAY.to_vec()],
        _ => vec![TIMES.to_vec(), LOOSE_TIMES.to_vec()],
    };
    if !declared.formats.is_empty() {
        groups.insert(0, vec!["iso8601"]);
    }
    groups.push(numbers(declared.sql_type, texts));
    let ranked = groups.into_iter().enumerate().flat_map(|(rank, formats)| formats.into_iter().map(move |f| (rank, f)));
    let all: Vec<Candidate> = ranked.map(|(rank, format)| formatted(declared, rank, format, others_are_read)).collect();
    let mut kinds = match declared.sql_type {
        SqlType::Date => {
            let other =
                Candidates { condition: "if column COLUMN has times", all: vec![declared.as_type(SqlType::Timestamp)] };
            vec![Candidates { condition: WRITTEN, all }, other]
        }
        SqlType::TimestampTz if declared.values.timezone.is_none() => {
            let one = Candidate { declaration: declared.clone(), keys: vec![], rank: 0 };
            // What counts from a day is of UTC.
            let (counted, written): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|one| one.declaration.reads(texts) > 0);
            let zoned = [one].into_iter().chain(written).map(|mut one| {
                one.rank += usize::from(!one.keys.is_empty());
                zoned(one)
            });
            let zoned = zoned.collect();
            vec![Candidates { condition: WRITTEN, all: counted }, Candidates { condition: WITHOUT_OFFSET, all: zoned }]
        }
        _ => vec![Candidates { condition: WRITTEN, all }],
    };
    if declared.sql_type != SqlType::Date {
        kinds.extend(truncated(declared, texts));
    }
    kinds
}

/// A moment whose times without an offset are of a zone.
fn zoned(mut candidate: Candidate) -> Candidate {
    candidate.declaration.values.timezone = Some(ZONE.to_owned());
    candidate.keys.push(format!("`timezone: {ZONE}`"));
    candidate
}

/// The column without the digits that a time cannot hold, if there are any.
fn truncated(declared: &Declaration, texts: &[&str]) -> Option<Candidates> {
    let others = declared.formats.iter().filter(|format| *format != "iso8601");
    let with = |last: &str| {
        let formats: Vec<String> = others.clone().cloned().chain([last.to_owned()]).collect();
        let (keys, declaration) = (vec![key_of(&formats)], Declaration { formats, ..declared.clone() });
        Candidate { declaration, keys, rank: 0 }
    };
    let (mut one, mut whole, mut condition) = (with("iso8601_truncated"), with("iso8601"), TRUNCATED);
    let has_zone = declared.sql_type != SqlType::TimestampTz || declared.values.timezone.is_some();
    if !has_zone && one.declaration.reads(texts) == 0 {
        (one, whole, condition) = (zoned(one), zoned(whole), TRUNCATED_WITHOUT_OFFSET);
    }
    let has_digits = one.declaration.reads(texts) > whole.declaration.reads(texts);
    has_digits.then(|| Candidates { condition, all: vec![one] })
}

/// The column with a further format.
fn formatted(declared: &Declaration, rank: usize, format: &str, others_are_read: bool) -> Candidate {
    let mut formats = declared.formats.clone();
    if formats.is_empty() && others_are_read {
        formats.push("iso8601".to_owned());
    }
    formats.push(format.to_owned());
    let (keys, declaration) = (vec![key_of(&formats)], Declaration { formats, ..declared.clone() });
    Candidate { declaration, keys, rank }
}

/// The key of a column that declares formats.
fn key_of(formats: &[String]) -> String {
    let shown = |format: &String| if format.starts_with('%') { quoted(format) } else { format.clone() };
    match formats {
        [only] => format!("`format: {}`", shown(only)),
        all => format!("`format: [{}]`", all.iter().map(shown).collect::<Vec<_>>().join(", ")),
    }
}

/// What counts from a day, if the numbers are as great as those of this century.
fn numbers(sql_type: SqlType, texts: &[&str]) -> Vec<&'static str> {
    let digits = |text: &str| {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_number = !whole.is_empty() && format!("{whole}{part}").bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(whole.len())
    };
    let most = |length: usize| texts.iter().filter(|text| digits(text) == Some(length)).count() * 2 >= texts.len();
    let kinds = [(5, "excel"), (10, "epoch_seconds"), (13, "epoch_milliseconds"), (16, "epoch_microseconds")];
    let fits = |(length, format): &(usize, &str)| match sql_type {
        SqlType::Date => *format == "excel" && most(*length),
        SqlType::Time => false,
        _ => most(*length),
    };
    kinds.into_iter().filter(fits).map(|(_, format)| format).collect()
}
