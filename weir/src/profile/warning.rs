//! What should be looked at in a column before it is used.

use indexmap::IndexMap;
use serde::Serialize;

use super::frequent::Top;
use super::kind::Kind;
use super::pattern::{Look, look};
use super::result::ColumnProfile;
use super::text::{NULL_WORDS, Texts};
use crate::error::number_of;
use crate::task::SqlType;

/// The share of nulls from which they are many.
const MANY_NULLS: f64 = 0.2;

/// The share of distinct values from which a column is nearly unique.
const NEARLY_UNIQUE: f64 = 0.99;

/// The share of texts from which a column of texts is one of numbers, or of dates.
const MOST: f64 = 0.5;

/// The same without texts that stand for null: from here on all of them should be numbers, or dates.
const NEARLY_ALL: f64 = 0.9;

/// Those of them that are one also between other texts.
const ALWAYS_NULL: [&str; 8] = ["N/A", "n/a", "#N/A", "NULL", "null", "Null", "\\N", "NaN"];

/// A finding about a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Warning {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Values of rows that show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<String>,
}

impl Warning {
    /// The message, with the example if values may be shown.
    pub(crate) fn text(&self, with_values: bool) -> String {
        match &self.example {
            Some(example) if with_values => format!("{}: {example}", self.message),
            _ => self.message.clone(),
        }
    }
}

/// The findings about a column; `texts` is what is known of one of texts.
pub(super) fn of(profile: &ColumnProfile, sql_type: SqlType, texts: Option<&Texts>) -> Vec<Warning> {
    let mut found = vec![];
    let mut warn = |code, message: String| found.push(Warning { code, message, example: None });
    let values = profile.values();
    if profile.kind == Kind::Unprofiled {
        warn("unprofiled", format!("values of type {sql_type} are not profiled: only nulls are counted"));
    }
    if profile.rows == 0 {
        return found;
    }
    if values == 0 {
        warn("all_null", "every value is null".to_owned());
        return found;
    }
    if profile.null_share() >= MANY_NULLS {
        warn("many_nulls", format!("{} of the values are null", percent(profile.null_share())));
    }
    of_distinct(profile, values, &mut warn);
    of_line(profile, values, &mut warn);
    if let Some(texts) = texts {
        of_texts(texts, &mut warn);
        if sql_type == SqlType::String {
            of_looks(profile, texts, &mut warn);
        }
        if found.iter().any(|warning| warning.code == "dates_as_text") {
            found.retain(|warning| warning.code != "nearly_unique");
        }
        if let Some(warning) =
            found.iter_mut().find(|warning| warning.code == "case_duplicates" && profile.shows_values)
        {
            warning.example =
                same_but_for_case(&texts.frequent.all()).map(|(one, other)| format!("`{one}`, `{other}`"));
        }
    }
    found
}

fn of_distinct(profile: &ColumnProfile, values: u64, warn: &mut impl FnMut(&'static str, String)) {
    let Some(distinct) = profile.distinct else { return };
    // Most numbers with a fraction differ, and so do times.
    let is_name = matches!(profile.kind, Kind::Text | Kind::Number { whole: true });
    match distinct.count {
        1 if values > 1 => warn("constant", "every value is the same".to_owned()),
        count if count == values && distinct.is_exact && values > 1 && is_name => {
            warn("unique", "every value is different: a key?".to_owned());
        }
        _ if distinct.most as f64 >= NEARLY_UNIQUE * values as f64 && values > 100 && is_name => {
            let about = if distinct.is_exact { "" } else { "an estimated " };
            let share = percent(distinct.count as f64 / values as f64);
            warn("nearly_unique", format!("{about}{share} of the values are different: a key with duplicates?"));
        }
        _ => {}
    }
}

fn of_line(profile: &ColumnProfile, values: u64, warn: &mut impl FnMut(&'static str, String)) {
    let Some(line) = &profile.line else { return };
    if let Some(outliers) = line.outliers.filter(|outliers| *outliers > 0) {
        let about = if line.rank_error > 0.0 { "about " } else { "" };
        let share = percent(outliers as f64 / values as f64);
        let what = "further from the quartiles than 1.5 times their distance";
        warn("outliers", format!("{about}{} ({share}) {what}", number_of(outliers, "value")));
    }
    if line.not_finite > 0 {
        let what = "infinite or no number, and left out of the measures";
        warn("not_finite", format!("{} {what}", number_of(line.not_finite, "value")));
    }
}

fn of_texts(texts: &Texts, warn: &mut impl FnMut(&'static str, String)) {
    if texts.blanks > 0 {
        let count = number_of(texts.blanks, "value");
        warn("blanks", format!("{count} with a blank before or behind: `trim` removes them"));
    }
    let (all, caseless) = (texts.distinct.count(u64::MAX), texts.caseless.count(u64::MAX));
    if all.is_exact && caseless.count < all.count {
        let more = number_of(all.count - caseless.count, "value");
        warn("case_duplicates", format!("{more} equal to another one but for upper and lower case"));
    }
    if texts.empty > 0 {
        warn("empty", format!("{}, not null", number_of(texts.empty, "empty text")));
    }
}

/// Two frequent values that differ only by case.
fn same_but_for_case(top: &Top<String>) -> Option<(String, String)> {
    let mut known: IndexMap<String, &String> = IndexMap::new();
    top.values.iter().find_map(|(text, _)| {
        let other = known.insert(text.to_lowercase(), text)?;
        Some((other.clone(), text.clone()))
    })
}

/// Findings about what texts look like: numbers and dates, and nulls among them.
fn of_looks(profile: &ColumnProfile, texts: &Texts, warn: &mut impl FnMut(&'static str, String)) {
    let (mut numbers, mut dates) = (0, 0);
    let mut forms: IndexMap<String, u64> = IndexMap::new();
    for (pattern, count) in texts.patterns.all().values {
        match look(&pattern) {
            Look::Number => numbers += count,
            Look::Date(form) => {
                dates += count;
                *forms.entry(form).or_default() += count;
            }
            Look::Other => {}
        }
    }
    let some = (profile.values() - texts.empty) as f64;
    let (numbers, dates) = (numbers as f64 / some, dates as f64 / some);
    // A zero before other digits is part of an identifier.
    let is_numbers = numbers >= MOST && texts.leading_zeros == 0;
    let is_dates = dates >= MOST;
    let what = if is_numbers { "numbers" } else { "dates" };
    let mut nulls = 0;
    for (word, count) in null_words(texts, is_numbers || is_dates) {
        nulls += count;
        let times = if count == 1 { "once".to_owned() } else { number_of(count, "time") };
        let column =
            if is_numbers || is_dates { format!("in a column of {what}: probably a null") } else { "a null?".into() };
        let separator = if is_numbers || is_dates { " " } else { ": " };
        warn("null_word", format!("`{word}` {times}{separator}{column}; `--null-value {}`", shell(word)));
    }
    let rest = 1.0 - nulls as f64 / some;
    let all_but = |share: f64| if share >= rest - 1e-9 { "all".to_owned() } else { percent(share / rest) };
    let others = if nulls > 0 { "other " } else { "" };
    if is_numbers && numbers >= NEARLY_ALL * rest {
        warn("numbers_as_text", format!("{} of the {others}values are numbers, stored as text", all_but(numbers)));
    }
    if is_dates && dates >= NEARLY_ALL * rest {
        warn("dates_as_text", format!("{} of the {others}values are dates, stored as text", all_but(dates)));
    }
    if forms.len() > 1 && is_dates {
        forms.sort_by(|_, a, _, b| b.cmp(a));
        let forms: Vec<String> = forms.iter().map(|(form, count)| format!("`{form}` {count}")).collect();
        warn("mixed_dates", format!("dates have different forms: {}", forms.join(", ")));
    }
}

/// Texts that stand for a missing value, the most frequent ones first.
fn null_words(texts: &Texts, are_others_no_texts: bool) -> Vec<(&'static str, u64)> {
    let words = NULL_WORDS.into_iter().zip(texts.null_words).filter(|(_, count)| *count > 0);
    let mut words: Vec<_> = words.filter(|(word, _)| are_others_no_texts || ALWAYS_NULL.contains(word)).collect();
    words.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    words
}

/// A text as a word of a shell.
fn shell(text: &str) -> String {
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || "/.-".contains(c));
    if is_word { text.to_owned() } else { format!("'{text}'") }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // What is not all of them is not shown as all.
    let shown = if percent < 100.0 { format!("{percent:.1}").replace("100.0", "99.9") } else { "100".to_owned() };
    if percent > 0.0 && shown == "0.0" { "less than 0.1 %".to_owned() } else { format!("{shown} %") }
}
