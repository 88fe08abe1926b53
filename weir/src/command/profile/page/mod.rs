//! The profile as a page: one HTML file without scripts or external resources.
//!
//! `overview` is the table of all columns, `column` the section of one; `target` compares the columns with the target,
//! `correlation` with each other; `chart` draws histograms, `table` writes tables with bars.

mod chart;
mod column;
mod correlation;
mod overview;
mod table;
mod target;

use weir_page::{Section, contents, escape, page, thousands, tile};

use super::report::Report;
use crate::error::number_of;
use crate::profile::{ColumnProfile, number};

const STYLE: &str = include_str!("style.css");

/// What only pages of this command have: files with it may be overwritten.
pub(super) const MARK: &str = "<meta name=\"generator\" content=\"weir profile\">";

/// The page.
pub(super) fn html(report: &Report) -> String {
    let profile = &report.profile;
    let mut sections = vec![overview::section(profile)];
    sections.extend(profile.target.as_ref().map(|of| target::section(of, &profile.columns)));
    sections.extend(profile.correlations.as_ref().map(correlation::section));
    let columns = profile.columns.iter().enumerate();
    sections.extend(columns.map(|(at, column)| column::section(at, column, profile.target.as_ref())));
    let body = [
        head(report),
        contents(&sections),
        sections.iter().map(Section::html).collect(),
        format!("<footer><p>weir {}</p></footer>\n", env!("CARGO_PKG_VERSION")),
    ];
    page(&format!("Profile of {}", short(&report.source)), &format!("{MARK}\n"), STYLE, &body.concat())
}

fn head(report: &Report) -> String {
    let profile = &report.profile;
    let warned = profile.columns.iter().filter(|column| !column.warnings.is_empty()).count();
    let values: u64 = profile.columns.iter().map(|column| column.rows).sum();
    let nulls: u64 = profile.columns.iter().map(|column| column.nulls).sum();
    let share = if values == 0 { 0.0 } else { nulls as f64 / values as f64 };
    let tiles = [
        tile("", &thousands(profile.rows), "rows"),
        tile("", &thousands(profile.columns.len() as u64), "columns"),
        tile("", &percent(share), "of all values are null"),
        tile(if warned > 0 { "accent" } else { "" }, &thousands(warned as u64), "columns with warnings"),
    ];
    let passes = if report.passes == 1 { "once".to_owned() } else { number_of(report.passes as u64, "time") };
    let about = format!("The rows were read {passes}. The types of the columns are {}.", report.types_from.shown());
    let mut notes: Vec<String> = report.notes.clone();
    if report.unreadable.records > 0 {
        let records = number_of(report.unreadable.records, "record");
        notes.push(format!("{records} could not be read: {}", report.unreadable.summary()));
    }
    format!(
        "<h1>Profile of {}</h1>\n<p class=\"muted\">{}</p>\n<p class=\"lead\">{about}</p>\n\
         <div class=\"tiles\">\n{}</div>\n{}",
        escape(short(&report.source)),
        escape(&report.source),
        tiles.concat(),
        warnings(&notes)
    )
}

/// The name of a file without its folder.
fn short(source: &str) -> &str {
    source.rsplit('/').find(|part| !part.is_empty()).unwrap_or(source)
}

/// A measure with six digits, or as many as it has before the point.
fn measure(value: f64) -> String {
    let rounded = if value.abs() >= 1e6 { value.round() } else { format!("{value:.5e}").parse().unwrap_or(value) };
    number(rounded)
}

/// Findings, as a box with a list.
fn warnings(texts: &[String]) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let items: String = texts.iter().map(|text| format!("<li>{}</li>\n", marked_up(text))).collect();
    format!("<div class=\"warning\"><ul>\n{items}</ul></div>\n")
}

/// A message whose words between backticks are code.
fn marked_up(text: &str) -> String {
    let mut html = String::new();
    for (at, part) in text.split('`').enumerate() {
        html += &if at % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) };
    }
    html
}

/// The target of links to a column.
fn id(at: usize) -> String {
    format!("column-{}", at + 1)
}

/// A share as a percentage, with one decimal; what is not zero is not shown as zero.
fn percent(share: f64) -> String {
    match share {
        0.0 => "0 %".to_owned(),
        share if share < 0.0005 => "< 0.1 %".to_owned(),
        share => weir_page::percent(share),
    }
}

/// The number of distinct values.
fn distinct(column: &ColumnProfile) -> String {
    column.distinct.map_or(String::new(), |distinct| {
        format!("{}{}", if distinct.is_exact { "" } else { "≈ " }, thousands(distinct.count))
    })
}
