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
            "   │                              ██",
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
            "    │██ ██",
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
            "  │▒▒━         ██",
            "  │██          ██",
            "  │██          ██",
            "  │██          ▒▒━",
            "0 ┼───·  ───·  ───",
            "   2020-03-01 2020-03-05",
            "█ cases  ━ 7-day average  ▒ both",
            "· no value",
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
            "   │██",
            "   │▒▒━▒▒━",
            " 0 ┼─────────━━━",
            "   │      ██",
            "   │      ▒▒━",
            "   │      ██",
            "-8 ┤      ██",
            "    2020-03-01 2020-03-04",
            "█ cases  ━ 7-day average  ▒ both",
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
            "      │██",
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
            "    │       █",
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
fn colours_do_not_change_the_visible_text() {
    let values = [(Some(8), Some(4.0)), (Some(-1), None)];
    let coloured = Terminal { width: 40, has_colours: true }.chart(&days(&values));
    assert!(coloured.contains("\x1b[34m█\x1b[0m") && coloured.contains("\x1b[33;44m━"), "{coloured:?}");
    let mut bare = coloured;
    while let Some(start) = bare.find('\x1b') {
        let end = start + bare[start..].find('m').unwrap();
        bare.replace_range(start..=end, "");
    }
    let plain = plain(40, &values).replace("  ▒ both", "").replace('▒', "━");
    assert_eq!(bare, plain);
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
