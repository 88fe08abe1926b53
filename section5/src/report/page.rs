//! The HTML page of the report: what all pages have, and its own style.

pub(super) use weir_page::{Section, contents, escape, figure, percent, table, tile};

const STYLE: &str = include_str!("style.css");

/// The complete file.
pub(super) fn page(title: &str, body: &str) -> String {
    weir_page::page(title, "", STYLE, body)
}

/// With thousands separators.
pub(super) fn thousands(number: usize) -> String {
    weir_page::thousands(number as u64)
}

/// The number of repetitions as text.
pub(super) fn times(number: usize) -> String {
    if number == 1 { "once".to_owned() } else { format!("{} times", thousands(number)) }
}
