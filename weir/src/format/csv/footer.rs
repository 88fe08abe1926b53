//! Records at the end of a file that seem to be no rows: totals, or a footer.

use super::dialect::Rules;
use super::header::fields;
use super::records::{END_OF_FILE, is_record, record_end};

/// The most of them that are taken for a footer.
pub(crate) const LONGEST_FOOTER: usize = 5;

/// With what a record of totals begins.
const TOTALS: [&str; 6] = ["total", "totals", "grand total", "sum", "summe", "gesamt"];

/// The number of records at the end of all of a file that have fewer fields than rows, or are a total that lacks values.
pub(crate) fn footer<'a>(
    records: impl DoubleEndedIterator<Item = &'a [String]> + ExactSizeIterator,
    of: usize,
) -> usize {
    let count = records.len();
    let last = records.rev().take_while(|record| record.len() < of || is_total(record)).count();
    // More of them say something else than that a file has a footer.
    if of > 1 && last <= LONGEST_FOOTER && last * 2 <= count { last } else { 0 }
}

fn is_total(record: &[String]) -> bool {
    let first = record.iter().find(|field| !field.trim().is_empty());
    let word = first.map(|field| field.trim().trim_end_matches(':').to_lowercase());
    word.is_some_and(|word| TOTALS.contains(&word.as_str())) && record.iter().any(String::is_empty)
}

/// The same of a text that begins with the first row and ends with the file; 0 if it has records that cannot be read.
pub(super) fn footer_of<R: Rules>(rules: &R, text: &[u8], of: usize) -> usize {
    let text = text.strip_suffix(&[END_OF_FILE]).unwrap_or(text);
    let (mut records, mut at) = (Vec::new(), 0);
    while at < text.len()
        && let Some(end) = record_end(rules, text, at, true, usize::MAX)
    {
        if is_record(rules, text, at, end) {
            let Ok(record) = fields(rules, &text[at..end]) else { return 0 };
            records.push(record);
        }
        at = end;
    }
    footer(records.iter().map(Vec::as_slice), of)
}
