//! Correlations as a heatmap.

use weir_page::{Section, escape};

use super::table::pan;
use crate::profile::CorrelationProfile;

const CELL: (usize, usize) = (38, 28);
/// The characters of a name that are shown.
const NAME: usize = 26;
/// The greatest opacity of a colour under text.
const STRONGEST: f64 = 0.45;

pub(super) fn section(correlations: &CorrelationProfile) -> Section {
    let left_out = match correlations.left_out {
        0 => String::new(),
        more => format!(" {more} more columns of numbers are left out."),
    };
    let body = format!(
        "<p>Pearson’s correlation of each pair of columns of numbers, over the rows in which both have a value: 1 and −1 \
         are a straight line, 0 is none.{left_out}</p>\n{}",
        pan("Correlations", &heatmap(correlations))
    );
    Section { id: "correlations".to_owned(), title: "Correlations".to_owned(), body }
}

fn heatmap(correlations: &CorrelationProfile) -> String {
    let names: Vec<String> = correlations.columns.iter().map(|name| short(name)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let left = 34 + longest * 8;
    let (width, height) = (left + CELL.0 * names.len(), CELL.1 * (names.len() + 1));
    let mut svg = String::new();
    for (at, name) in names.iter().enumerate() {
        let middle = CELL.1 * (at + 1) + CELL.1 / 2 + 4;
        svg += &text(left - 8, middle, "end", &format!("{name}  {}", at + 1));
        svg += &text(left + CELL.0 * at + CELL.0 / 2, CELL.1 / 2 + 4, "middle", &(at + 1).to_string());
    }
    for (row, values) in correlations.values.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            let (x, y) = (left + CELL.0 * column, CELL.1 * (row + 1));
            let names = format!("{}, {}: {value:.3}", correlations.columns[row], correlations.columns[column]);
            svg += &format!(
                "<g><title>{}</title><rect class=\"{}\" opacity=\"{:.3}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\"/>{}</g>\n",
                escape(&names),
                if *value < 0.0 { "contrary" } else { "bar" },
                value.abs() * STRONGEST,
                CELL.0 - 1,
                CELL.1 - 1,
                text(x + CELL.0 / 2, y + CELL.1 / 2 + 4, "middle", &two_digits(*value))
                    .replace("<text", "<text class=\"ink\"")
            );
        }
    }
    format!(
        "<svg class=\"heatmap\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" xmlns=\"http://www.w3.org/2000/svg\">\n{svg}</svg>\n",
        escape(&description(correlations))
    )
}

/// What the heatmap shows, for those who do not see it.
fn description(correlations: &CorrelationProfile) -> String {
    let pairs = correlations.values.iter().enumerate().flat_map(|(row, values)| {
        values[..row].iter().enumerate().filter_map(move |(column, value)| Some((row, column, (*value)?)))
    });
    let names = &correlations.columns;
    let strongest = pairs.max_by(|a, b| a.2.abs().total_cmp(&b.2.abs()));
    let strongest = strongest.map_or(String::new(), |(row, column, value)| {
        format!("; the strongest is {value:.2}, of {} and {}", names[column], names[row])
    });
    format!("Correlations of {} columns{strongest}", names.len())
}

fn text(x: usize, y: usize, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" font-size=\"12\" text-anchor=\"{anchor}\">{}</text>\n", escape(text))
}

fn two_digits(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" { "0.00".to_owned() } else { text.replace('-', "−") }
}

fn short(name: &str) -> String {
    match name.chars().count() > NAME {
        true => name.chars().take(NAME - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}
