//! Prints days as a table.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use crate::chart::{count, decimal, wrap};
use crate::history::Day;

/// Placeholder for a missing value.
const NONE: &str = "-";
/// Marks a date whose cases are those of several days.
const MARK: &str = "*";

/// The days as lines. If the table would be wider than `width`, its columns are closer, and a common source is printed
/// below it.
pub(super) fn table(days: &[Day], width: usize) -> String {
    let wide = lines(days, &["date", "cases", "7-day average", "total", "source"], 2, None);
    let mut text = if wide.iter().all(|line| line.chars().count() <= width) {
        joined(&wide)
    } else {
        let source = days.first().map(|day| &day.source).filter(|&source| days.iter().all(|day| day.source == *source));
        let header = ["date", "cases", "7-day\naverage", "total", "source"];
        let shown = if source.is_some() { 4 } else { 5 };
        let close = lines(days, &header[..shown], 1, Some(width));
        let source = source.map(|source| format!("source: {}\n", plain(source))).unwrap_or_default();
        joined(&close) + &source
    };
    let long = days.iter().filter(|day| day.days_covered > 1);
    let long: Vec<String> = long.map(|day| format!("{} ({})", day.date, count(day.days_covered.into()))).collect();
    if !long.is_empty() {
        let because = format!("{MARK} cases of several days, because earlier days are missing:");
        let words: Vec<&str> = because.split(' ').collect();
        let dates = long.join(", ");
        let all: Vec<String> = words.into_iter().chain(dates.split(' ')).map(str::to_owned).collect();
        text += &wrap(&all, width, 1);
    }
    text
}

/// Removes control characters from text of the table, because a terminal would obey them.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn lines(days: &[Day], header: &[&str], apart: u16, width: Option<usize>) -> Vec<String> {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    match width.and_then(|width| u16::try_from(width).ok()) {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(header);
    for day in days {
        table.add_row(cells(day).into_iter().take(header.len()).map(Cell::new));
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if place + 1 < header.len() { apart } else { 0 }));
        column.set_cell_alignment(if (1..4).contains(&place) { CellAlignment::Right } else { CellAlignment::Left });
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn cells(day: &Day) -> [String; 5] {
    [
        format!("{}{}", day.date, if day.days_covered > 1 { MARK } else { "" }),
        day.cases.map_or(NONE.to_owned(), count),
        day.average.map_or(NONE.to_owned(), decimal),
        day.total.map_or(NONE.to_owned(), count),
        if day.source.is_empty() { NONE.to_owned() } else { plain(&day.source) },
    ]
}

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: &str, cases: i64, source: &str) -> Day {
        Day {
            date: day.parse().unwrap(),
            cases: Some(cases),
            average: Some(cases as f64 / 8.0),
            total: Some(103_802_702),
            days_covered: 1,
            source: source.to_owned(),
        }
    }

    #[test]
    fn the_source_moves_below_where_there_is_no_room_for_it() {
        let days = [day("2023-03-08", 46_931, "jhu"), day("2023-03-09", -8, "jhu")];
        let wide = "date         cases  7-day average        total  source\n\
                    2023-03-08  46,931          5,866  103,802,702  jhu\n\
                    2023-03-09      -8           -1.0  103,802,702  jhu\n";
        let close = "date        cases   7-day       total\n                  average\n\
                     2023-03-08 46,931   5,866 103,802,702\n2023-03-09     -8    -1.0 103,802,702\nsource: jhu\n";
        assert_eq!(table(&days, 54), wide);
        assert_eq!(table(&days, 53), close);
        assert_eq!(table(&days, 40), close);
    }

    #[test]
    fn several_sources_keep_their_column() {
        let days = [day("2023-03-08", 46_931, "jhu"), day("2023-03-09", -8, "disease.sh")];
        let text = table(&days, 40);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.contains("jhu") && !text.contains("source:"), "{text}");
    }

    #[test]
    fn a_terminal_gets_no_control_characters_from_the_table() {
        assert_eq!(plain("Ja\x1b[2Jpan\n"), "Ja\u{fffd}[2Jpan\u{fffd}");
        assert!(!table(&[day("2023-03-08", 1, "\x1b]0;title\x07")], 80).contains('\x1b'));
    }
}
