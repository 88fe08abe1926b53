//! Checks charts character by character.

use super::super::columns::tests::days;
use super::*;

fn plain(width: usize, values: &[(Option<i64>, Option<f64>)]) -> String {
    Terminal { width, has_colours: false }.chart(&days(values))
}

fn cases(values: &[i64]) -> Vec<(Option<i64>, Option<f64>)> {
    values.iter().map(|cases| (Some(*cases), None)).collect()
}

/// Compares a chart with the expected lines.
#[track_caller]
fn drawn(chart: &str, expected: &[&str]) {
    assert_eq!(chart.lines().collect::<Vec<_>>(), expected, "\n{chart}");
    assert!(chart.ends_with('\n'));
}

#[test]
fn bars_grow_by_eighths_of_a_line() {
    drawn(
        &plain(40, &cases(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 64])),
        &[
            "64 ┤                              ██",
            "   │                              ██",
            "   │                              ██",
            "   │                              ██",
            "32 ┤                              ██",
            "   │                              ██",
            "   │                           ██ ██",
            "   │   ▁▁ ▂▂ ▃▃ ▄▄ ▅▅ ▆▆ ▇▇ ██ ██ ██",
            " 0 ┼─────────────────────────────────",
            "    2020-03-01             2020-03-11",
            "█ cases",
        ],
    );
}

#[test]
fn corrections_hang_below_the_axis_at_the_same_scale() {
    drawn(
        &plain(30, &cases(&[60, 30, -20, -5, -1])),
        &[
            " 60 ┤██",
            "    │██",
            "    │██",
            " 30 ┤██ ██",
            "    │██ ██",
            "    │██ ██",
            "  0 ┼───────────────",
            "    │      ██ ▀▀ ▔▔",
            "-20 ┤      ██",
            "     2020-03-01 2020-03-05",
            "█ cases",
        ],
    );
}

#[test]
fn days_without_a_value_differ_from_zero() {
    let values = [(Some(8), Some(4.0)), (None, None), (Some(0), None), (None, Some(8.0)), (Some(8), Some(1.0))];
    drawn(
        &plain(40, &values),
        &[
            "8 ┤██       ━━━██",
            "  │██          ██",
            "  │██          ██",
            "  │██          ██",
            "4 ┤━━━         ██",
            "  │██          ██",
            "  │██          ██",
            "  │██          ━━━",
            "0 ┼───·  ───·  ───",
            "   2020-03-01 2020-03-05",
            "█ cases  ━ 7-day average  · no value",
        ],
    );
}

#[test]
fn the_line_goes_across_bars_and_below_the_axis() {
    let values = [(Some(8), Some(2.0)), (Some(1), Some(2.0)), (Some(-8), Some(-3.0)), (Some(0), Some(0.0))];
    drawn(
        &plain(40, &values),
        &[
            " 8 ┤██",
            "   │██",
            " 4 ┤██",
            "   │━━━━━━",
            " 0 ┼─────────━━━",
            "   │      ██",
            "   │      ━━━",
            "   │      ██",
            "-8 ┤      ██",
            "    2020-03-01 2020-03-04",
            "█ cases  ━ 7-day average",
        ],
    );
}

#[test]
fn one_day_is_a_chart() {
    drawn(
        &plain(40, &cases(&[1234])),
        &[
            "1,234 ┤██",
            "      │██",
            "      │██",
            "      │██",
            "  617 ┤██",
            "      │██",
            "      │██",
            "      │██",
            "    0 ┼───",
            "       2020-03-01",
            "█ cases",
        ],
    );
}

#[test]
fn days_of_no_cases_are_an_axis() {
    drawn(
        &plain(40, &[(Some(0), Some(0.0)), (Some(0), None)]),
        &["0 ┼━━━───", "   2020-03-01 2020-03-02", "█ cases  ━ 7-day average"],
    );
}

#[test]
fn only_corrections_hang_from_the_top() {
    drawn(
        &plain(40, &cases(&[-4, -8])),
        &[
            " 0 ┼──────",
            "   │██ ██",
            "   │██ ██",
            "   │██ ██",
            "   │██ ██",
            "   │   ██",
            "   │   ██",
            "   │   ██",
            "-8 ┤   ██",
            "    2020-03-01 2020-03-02",
            "█ cases",
        ],
    );
}

#[test]
fn a_narrow_terminal_has_neither_numbers_nor_dates() {
    drawn(
        &plain(9, &cases(&[1000, 500, 0, 250, 1000, 500, 0, 250, 1000])),
        &[
            "█   █   █",
            "█   █   █",
            "█   █   █",
            "█   █   █",
            "██  ██  █",
            "██  ██  █",
            "██ ███ ██",
            "██ ███ ██",
            "─────────",
            "█ cases",
        ],
    );
    drawn(
        &plain(1, &cases(&[8, -8])),
        &["█", "█", "█", "█", "─", "█", "█", "█", "█", "█ cases", "column: highest, lowest of 2 days"],
    );
}

#[test]
fn several_days_share_a_column_and_peaks_are_kept() {
    let values: Vec<i64> = (0..60)
        .map(|day| {
            if day == 31 {
                80
            } else if day == 45 {
                -30
            } else {
                10
            }
        })
        .collect();
    drawn(
        &plain(24, &cases(&values)),
        &[
            " 80 ┤       ▃",
            "    │       █",
            "    │       █",
            " 40 ┤       █",
            "    │       █",
            "    │▅▅▅▅▅▅▅█▅▅▅▅▅▅▅",
            "  0 ┼───────────────",
            "    │           █",
            "-30 ┤           █",
            "          2020-04-29",
            "█ cases",
            "column: highest, lowest of 4 days",
        ],
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let values: Vec<_> = (0..400).map(|day| (Some(day * 997 - 9_000), Some(day as f64 * 900.0))).collect();
    for width in 40..200 {
        let chart = plain(width, &values);
        for line in chart.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn two_sides_use_the_lines_that_there_are() {
    drawn(
        &plain(40, &cases(&[6_523, 3_000, -29_915])),
        &[
            "  6,523 ┤▂▂",
            "        │██ ▅▅",
            "      0 ┼─────────",
            "        │      ██",
            "        │      ██",
            "        │      ██",
            "        │      ██",
            "        │      ██",
            "-29,915 ┤      ██",
            "         2020-03-01 2020-03-03",
            "█ cases",
        ],
    );
}

#[test]
fn a_wide_chart_has_dates_between_the_first_and_the_last_one() {
    let dates = |width, days| {
        let chart = plain(width, &cases(&vec![8; days]));
        chart.lines().find(|line| line.contains("2020-")).unwrap().to_owned()
    };
    assert_eq!(dates(80, 56), "   2020-03-01     2020-03-19     2020-04-06      2020-04-25");
    assert_eq!(dates(40, 30), "   2020-03-01          2020-03-30");
    for width in 24..200 {
        let line = dates(width, 56);
        let all: Vec<&str> = line.split_whitespace().collect();
        assert!(all.iter().all(|date| date.len() == 10) && all.is_sorted(), "{line}");
        assert!(line.chars().count() <= width, "{line}");
    }
}

/// The brightness of a colour of the fixed 216 ones, as in the definition of contrast of WCAG 2.
fn luminance(colour: u8) -> f64 {
    let level = |digit: u8| if digit == 0 { 0.0 } else { f64::from(55 + 40 * digit) / 255.0 };
    let linear = |part: f64| if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055_f64).powf(2.4) };
    let [red, green, blue] = [(colour - 16) / 36, (colour - 16) / 6 % 6, (colour - 16) % 6].map(|d| linear(level(d)));
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[test]
fn colours_are_readable_on_black_and_on_white_and_do_not_change_the_visible_text() {
    let values = [(Some(8), Some(4.0)), (Some(-1), None)];
    let coloured = Terminal { width: 40, has_colours: true }.chart(&days(&values));
    assert!(
        coloured.contains("\x1b[38;5;67m██\x1b[0m") && coloured.contains("\x1b[48;5;67m━━\x1b[0m━"),
        "{coloured:?}"
    );
    let mut bare = coloured;
    while let Some(start) = bare.find('\x1b') {
        let end = start + bare[start..].find('m').unwrap();
        let style = &bare[start + 2..end];
        // WCAG 2 requires 3 for graphics. The text of the terminal is black or white, also on the bars.
        if let Some(colour) = style.strip_prefix("38;5;").or_else(|| style.strip_prefix("48;5;")) {
            let bar = luminance(colour.parse().unwrap());
            assert!((bar + 0.05) / 0.05 >= 3.0 && 1.05 / (bar + 0.05) >= 3.0, "{style}");
        } else {
            assert_eq!(style, "0");
        }
        bare.replace_range(start..=end, "");
    }
    assert_eq!(bare, plain(40, &values));
}

#[test]
fn without_days_there_is_no_chart() {
    assert_eq!(plain(40, &[]), "");
}

#[test]
fn items_that_do_not_fit_wrap_to_the_next_line() {
    let things = ["one", "two", "\x1b[1mthree\x1b[0m"].map(str::to_owned);
    assert_eq!(wrap(&things, 8, 2), "one  two\n\x1b[1mthree\x1b[0m\n");
    assert_eq!(wrap(&things, 15, 2), "one  two  \x1b[1mthree\x1b[0m\n");
    assert_eq!(wrap(&things, 1, 2), "one\ntwo\n\x1b[1mthree\x1b[0m\n");
}
