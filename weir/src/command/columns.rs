//! Tables for people: as wide as the terminal at most, without a broken word.
//!
//! A table that is too wide loses its least important columns, then the end of its longest values. Where standard output
//! is no terminal, everything is printed: a line per row, for grep.

use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns between two values.
const GAP: usize = 2;

/// What a value that is too long ends with.
const CUT: char = '…';

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    is_number: bool,
    /// The table is shown without it where it does not fit: those with the largest number first.
    dropped: u8,
    /// Which end of a long value is cut off, if one may be.
    cut: Option<Cut>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Start,
    End,
}

impl Column {
    pub(super) const fn text(heading: &'static str) -> Self {
        Self { heading, is_number: false, dropped: 0, cut: None }
    }

    pub(super) const fn number(heading: &'static str) -> Self {
        Self { is_number: true, ..Self::text(heading) }
    }

    /// The column can be left out; the larger the number, the earlier it is.
    pub(super) const fn dropped(self, dropped: u8) -> Self {
        Self { dropped, ..self }
    }

    /// Long values lose their end.
    pub(super) const fn cut_end(self) -> Self {
        Self { cut: Some(Cut::End), ..self }
    }

    /// Long values, such as paths, lose their beginning.
    pub(super) const fn cut_start(self) -> Self {
        Self { cut: Some(Cut::Start), ..self }
    }
}

/// The columns of the terminal that standard output is; none if it is no terminal or does not tell.
pub(super) fn terminal_width() -> Option<usize> {
    let width = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    // Some terminals, such as those of CI services, report 0 columns.
    std::io::stdout().is_terminal().then(width)?.filter(|width| *width > 0)
}

/// Whether standard output shows colours.
pub(super) fn has_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// A table of rows, as wide as `width` at most.
pub(super) fn table(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> String {
    let needed = |index: usize| {
        let values = rows.iter().flat_map(|row| row[index].lines()).map(UnicodeWidthStr::width);
        values.chain([columns[index].heading.width()]).max().unwrap_or(0)
    };
    let mut shown: Vec<(usize, usize)> = (0..columns.len()).map(|index| (index, needed(index))).collect();
    if let Some(width) = width {
        fit(columns, &mut shown, width);
    }
    let mut text = String::new();
    let is_terminal = width.is_some();
    let headings = columns.iter().map(|column| column.heading.to_owned()).collect::<Vec<_>>();
    line(&mut text, columns, &shown, &headings.iter().map(String::as_str).collect::<Vec<_>>(), is_terminal);
    for row in rows {
        let parts: Vec<Vec<&str>> = row.iter().map(|value| value.lines().collect()).collect();
        for part in 0..parts.iter().map(Vec::len).max().unwrap_or(0) {
            let values: Vec<&str> = parts.iter().map(|value| value.get(part).copied().unwrap_or("")).collect();
            line(&mut text, columns, &shown, &values, false);
        }
    }
    let left_out = (0..columns.len()).filter(|index| shown.iter().all(|(shown, _)| shown != index));
    let left_out: Vec<&str> = left_out.map(|index| columns[index].heading).collect();
    if !left_out.is_empty() {
        text += &wrapped(&format!("not shown here: {}", left_out.join(", ")), width);
        text.push('\n');
    }
    text
}

/// Leaves columns out, and then narrows those that may be, until the table fits.
fn fit(columns: &[Column], shown: &mut Vec<(usize, usize)>, width: usize) {
    let total =
        |shown: &[(usize, usize)]| shown.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP);
    // A value that is cut off still says something in this many columns.
    let least = |index: usize, needed: usize| match columns[index].cut {
        Some(_) => needed.min(columns[index].heading.width().max(12)),
        None => needed,
    };
    let narrowest = |shown: &[(usize, usize)]| {
        total(&shown.iter().map(|(index, needed)| (*index, least(*index, *needed))).collect::<Vec<_>>())
    };
    while narrowest(shown) > width {
        let Some(last) = (0..shown.len())
            .filter(|at| columns[shown[*at].0].dropped > 0)
            .max_by_key(|at| columns[shown[*at].0].dropped)
        else {
            break;
        };
        shown.remove(last);
    }
    while total(shown) > width {
        let widest = shown
            .iter_mut()
            .filter(|(index, now)| *now > least(*index, *now).min(12))
            .filter(|(index, _)| columns[*index].cut.is_some());
        match widest.max_by_key(|(_, now)| *now) {
            Some((_, now)) => *now -= 1,
            None => break,
        }
    }
}

fn line(text: &mut String, columns: &[Column], shown: &[(usize, usize)], values: &[&str], is_bold: bool) {
    let mut line = String::new();
    for (at, (index, width)) in shown.iter().enumerate() {
        let column = &columns[*index];
        let value = cut(values[*index], *width, column.cut.unwrap_or(Cut::End));
        let padding = " ".repeat(width.saturating_sub(value.width()));
        let gap = if at == 0 { "" } else { "  " };
        let (before, after) = if column.is_number { (padding.as_str(), "") } else { ("", padding.as_str()) };
        line.extend([gap, before, &value, after]);
    }
    let line = line.trim_end();
    text.push_str(&if is_bold { format!("\x1b[1m{line}\x1b[0m\n") } else { format!("{line}\n") });
}

fn cut(value: &str, width: usize, cut: Cut) -> String {
    if value.width() <= width {
        return value.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let mut take = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    };
    match cut {
        Cut::End => value.chars().take_while(|c| take(c)).chain([CUT]).collect(),
        Cut::Start => {
            let end: Vec<char> = value.chars().rev().take_while(|c| take(c)).collect();
            std::iter::once(CUT).chain(end.into_iter().rev()).collect()
        }
    }
}

/// Breaks a line between its words. A word that is longer than the width stays whole.
pub(super) fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut lines = String::new();
    let mut room = width;
    for word in text.split(' ') {
        let needed = word.width() + usize::from(room < width);
        if needed > room && room < width {
            lines.push('\n');
            room = width;
        } else if room < width {
            lines.push(' ');
            room -= 1;
        }
        lines.push_str(word);
        room = room.saturating_sub(word.width());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::text("started"),
        Column::number("rows"),
        Column::text("where").cut_start().dropped(1),
        Column::text("run").dropped(2),
    ];

    fn rows() -> Vec<Vec<String>> {
        let row = |values: [&str; 4]| values.map(str::to_owned).to_vec();
        vec![
            row(["2026-05-01 10:00", "1,000", "/srv/weir/data/members", "20260501T100000Z-1"]),
            row(["2026-05-01 11:00", "7", "/out", ""]),
        ]
    }

    #[test]
    fn a_table_fits_its_width_without_a_broken_word() {
        let all = "started            rows  where                   run\n\
                   2026-05-01 10:00  1,000  /srv/weir/data/members  20260501T100000Z-1\n\
                   2026-05-01 11:00      7  /out\n";
        assert_eq!(table(&COLUMNS, &rows(), None), all);
        let bold = |text: &str| {
            let (heading, rest) = text.split_once('\n').unwrap();
            format!("\x1b[1m{heading}\x1b[0m\n{rest}")
        };
        assert_eq!(table(&COLUMNS, &rows(), Some(67)), bold(all));
        let narrow = "started            rows  where\n\
                      2026-05-01 10:00  1,000  …ata/members\n\
                      2026-05-01 11:00      7  /out\n\
                      not shown here: run\n";
        assert_eq!(table(&COLUMNS, &rows(), Some(37)), bold(narrow));
        for width in 23..70 {
            for line in table(&COLUMNS, &rows(), Some(width)).lines() {
                let shown = line.trim_start_matches("\x1b[1m").trim_end_matches("\x1b[0m");
                assert!(shown.width() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_line_is_broken_between_words() {
        assert_eq!(wrapped("done: `people` in 0.52 s, run 7", Some(16)), "done: `people`\nin 0.52 s, run 7");
        assert_eq!(wrapped("a-very-long-word b", Some(5)), "a-very-long-word\nb");
        assert_eq!(wrapped("one two", None), "one two");
    }
}
