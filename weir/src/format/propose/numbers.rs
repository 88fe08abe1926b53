//! How numbers are written that a column rejects.

use super::values::{Candidate, Candidates, Declaration};
use super::{list, quoted};
use crate::task::{Negative, SqlType};

/// Decimal points, and what is between groups of digits.
const SEPARATORS: [(&str, Option<&str>); 8] = [
    (".", None),
    (",", None),
    (".", Some(",")),
    (",", Some(".")),
    (".", Some(" ")),
    (",", Some(" ")),
    (".", Some("'")),
    (",", Some("'")),
];

/// Currencies and units.
const STRIPPED: [&str; 18] = [
    "€", "$", "£", "¥", "%", "EUR", "USD", "GBP", "CHF", "JPY", "SGD", "SEK", "NOK", "DKK", "PLN", "INR", "CNY", "AUD",
];

/// The digits after the point of a decimal that has more of them than it is declared to have.
const MOST_DIGITS: i8 = 12;

/// The ways to write numbers.
pub(super) fn written(declared: &Declaration, texts: &[&str]) -> Candidates {
    let has = |part: &str| texts.iter().any(|text| text.contains(part));
    let strip: Vec<&str> = STRIPPED.into_iter().filter(|text| has(text)).collect();
    let behind = texts.iter().any(|text| text.ends_with('-'));
    let negative = [(Negative::Parentheses, has("(")), (Negative::TrailingMinus, behind)];
    let negative: Vec<Negative> = negative.into_iter().filter(|(_, has)| *has).map(|(kind, _)| kind).collect();
    let all = SEPARATORS.into_iter().map(|(point, thousands)| {
        let mut whole = declared.clone();
        whole.values.decimal_point = Some(point.to_owned());
        whole.values.thousands = thousands.map(str::to_owned);
        whole.values.strip = Some(with(declared.values.strip.as_deref(), strip.iter().map(|text| (*text).to_owned())));
        whole.values.negative = Some(with(declared.values.negative.as_deref(), negative.iter().copied()));
        let declaration = without_needless(declared, whole, texts);
        let keys = keys(declared, &declaration);
        Candidate { rank: keys.len(), declaration, keys }
    });
    Candidates { condition: "if the numbers of column COLUMN are written so", all: all.collect() }
}

/// Other types of numbers.
pub(super) fn types(declared: &Declaration) -> Candidates {
    let types: Vec<SqlType> = match declared.sql_type {
        SqlType::Integer => vec![SqlType::Bigint, SqlType::Decimal(18, 2), SqlType::Decimal(24, 6), SqlType::Double],
        SqlType::Bigint => {
            vec![SqlType::Decimal(18, 2), SqlType::Decimal(38, 0), SqlType::Decimal(38, 6), SqlType::Double]
        }
        SqlType::Decimal(precision, scale) => {
            let longer =
                (scale + 1..=MOST_DIGITS).map(|more| (precision.saturating_add_signed(more - scale).min(38), more));
            [(38, scale)].into_iter().chain(longer).map(|(digits, scale)| SqlType::Decimal(digits, scale)).collect()
        }
        _ => vec![],
    };
    let all = types.into_iter().enumerate().map(|(rank, other)| Candidate { rank, ..declared.as_type(other) });
    Candidates { condition: "if all digits of column COLUMN count", all: all.collect() }
}

fn with<T: Clone + PartialEq>(declared: Option<&[T]>, more: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = declared.unwrap_or_default().to_vec();
    more.for_each(|one| {
        if !all.contains(&one) {
            all.push(one)
        }
    });
    all
}

/// The declaration without what it does not need to read as many texts.
fn without_needless(declared: &Declaration, mut whole: Declaration, texts: &[&str]) -> Declaration {
    let reads = whole.reads(texts);
    let keep = |whole: &mut Declaration, change: &dyn Fn(&mut Declaration)| {
        let mut less = whole.clone();
        change(&mut less);
        if less.reads(texts) == reads {
            *whole = less;
        }
    };
    keep(&mut whole, &|less| less.values.decimal_point.clone_from(&declared.values.decimal_point));
    keep(&mut whole, &|less| less.values.thousands.clone_from(&declared.values.thousands));
    for text in whole.values.strip.clone().unwrap_or_default() {
        if !declared.values.strip.iter().flatten().any(|known| *known == text) {
            keep(&mut whole, &|less| less.values.strip.iter_mut().for_each(|all| all.retain(|one| *one != text)));
        }
    }
    for kind in whole.values.negative.clone().unwrap_or_default() {
        if !declared.values.negative.iter().flatten().any(|known| *known == kind) {
            keep(&mut whole, &|less| less.values.negative.iter_mut().for_each(|all| all.retain(|one| *one != kind)));
        }
    }
    whole
}

/// The keys in which a declaration differs from the one of the task.
fn keys(declared: &Declaration, other: &Declaration) -> Vec<String> {
    let (declared, other) = (&declared.values, &other.values);
    let mut keys = Vec::new();
    let point = |of: &Option<String>| of.clone().unwrap_or_else(|| ".".to_owned());
    if point(&declared.decimal_point) != point(&other.decimal_point) {
        keys.push(format!("`decimal_point: {}`", quoted(&point(&other.decimal_point))));
    }
    if let Some(thousands) = other.thousands.as_ref().filter(|_| declared.thousands != other.thousands) {
        keys.push(format!("`thousands: {}`", quoted(thousands)));
    }
    let strip = other.strip.as_deref().unwrap_or_default();
    if declared.strip.as_deref().unwrap_or_default() != strip {
        keys.push(format!("`strip: {}`", list(strip.iter().map(String::as_str))));
    }
    let negative = other.negative.as_deref().unwrap_or_default();
    if declared.negative.as_deref().unwrap_or_default() != negative {
        let names: Vec<&str> = negative.iter().map(|kind| name(*kind)).collect();
        keys.push(format!("`negative: [{}]`", names.join(", ")));
    }
    keys
}

fn name(kind: Negative) -> &'static str {
    match kind {
        Negative::Parentheses => "parentheses",
        Negative::TrailingMinus => "trailing_minus",
    }
}
