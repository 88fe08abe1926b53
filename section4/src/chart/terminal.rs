//! A chart of block characters.

use std::fmt::Write as _;

use chrono::{Days, NaiveDate};

use super::columns::{Column, columns};
use super::{count, number};
use crate::history::Day;

/// Number of lines of the bars, without the axis.
const HEIGHT: usize = 8;
/// Bars above the axis, in eighths.
const UPWARDS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Bars below the axis. Of downward blocks, fonts have only the eighth and the half.
const DOWNWARDS: [char; 9] = [' ', '▔', '▔', '▀', '▀', '▀', '█', '█', '█'];
const LINE: char = '━';
const AXIS: char = '─';
const NO_VALUE: char = '·';
/// A blue of medium brightness from the fixed colours: readable on black and on white, unlike those of the first
/// sixteen, which each terminal defines in its own way. The line has the terminal's own colour of text, which is
/// readable on all three.
const BAR_COLOUR: &str = "\x1b[38;5;67m";
/// The same colour behind the line.
const BOTH_COLOUR: &str = "\x1b[48;5;67m";

/// Properties of the output device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Width in columns.
    pub(crate) width: usize,
    /// Whether it is a terminal that supports escape sequences.
    pub(crate) has_colours: bool,
}

/// Content of a character cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Plain(char),
    Bar(char),
    Line,
    Both,
}

/// Maps values to lines: the axis is line 0, lines above it are positive, lines below it negative.
struct Scale {
    above: usize,
    below: usize,
    /// Value of one line.
    unit: f64,
}

impl Terminal {
    /// Draws days as text no wider than the terminal: bars, axis, dates and legend. Missing days have a place.
    pub(crate) fn chart(self, days: &[Day]) -> String {
        let (Some(first), Some(last)) = (days.first(), days.last()) else { return String::new() };
        let values = || days.iter().flat_map(|day| [day.cases.map(|cases| cases as f64), day.average]).flatten();
        let (top, bottom) = (values().fold(0.0, f64::max), values().fold(0.0, f64::min));
        let scale = Scale::of(top, bottom);
        let labels = scale.labels(top, bottom);
        let longest = labels.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
        // Numbers are omitted if they leave too little space for the bars.
        let margin = if self.width >= longest + 2 + 8 { longest + 2 } else { 0 };
        let room = self.width.saturating_sub(margin).max(1);
        let (columns, days_each) = columns(days, room);
        let widening = (room / columns.len()).clamp(1, 3);

        let mut text = String::new();
        for line in (-(scale.below as isize)..=scale.above as isize).rev() {
            let label = labels.iter().find(|(at, _)| *at == line).map(|(_, label)| label.as_str());
            let label = match margin {
                0 => String::new(),
                _ => format!("{:>longest$} {}", label.unwrap_or(""), edge(line, label.is_some())),
            };
            let marks: Vec<Mark> = columns.iter().flat_map(|column| scale.marks(column, line, widening)).collect();
            self.push(&mut text, &label, &marks);
        }
        let drawn = columns.len() * widening;
        if let Some(dates) = dates(first.date, last.date, drawn, room) {
            let _ = writeln!(text, "{}{dates}", " ".repeat(margin));
        }
        text + &self.legend(&columns, days_each)
    }

    fn legend(self, columns: &[Column], days_each: usize) -> String {
        let mut legend = vec![format!("{} cases", self.coloured(Mark::Bar('█')))];
        if columns.iter().any(|column| column.average.is_some()) {
            legend.push(format!("{} 7-day average", self.coloured(Mark::Line)));
        }
        if columns.iter().any(|column| !column.is_known) {
            legend.push(format!("{NO_VALUE} no value"));
        }
        if days_each > 1 {
            let days_each = i64::try_from(days_each).map(count).unwrap_or_default();
            legend.push(format!("column: highest, lowest of {days_each} days"));
        }
        wrap(&legend, self.width, 2)
    }

    /// Adds a line without trailing blanks.
    fn push(self, text: &mut String, label: &str, marks: &[Mark]) {
        let end = marks.iter().rposition(|mark| *mark != Mark::Plain(' ')).map_or(0, |last| last + 1);
        let mut line = label.to_owned();
        for alike in marks[..end].chunk_by(|one, other| self.style(*one) == self.style(*other)) {
            let drawn = alike.iter().map(|mark| self.character(*mark));
            match self.style(alike[0]) {
                "" => line.extend(drawn),
                style => {
                    line += style;
                    line.extend(drawn);
                    line += "\x1b[0m";
                }
            }
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }

    fn coloured(self, mark: Mark) -> String {
        let (style, character) = (self.style(mark), self.character(mark));
        if style.is_empty() { character.to_string() } else { format!("{style}{character}\x1b[0m") }
    }

    fn character(self, mark: Mark) -> char {
        match mark {
            Mark::Plain(character) | Mark::Bar(character) => character,
            Mark::Line | Mark::Both => LINE,
        }
    }

    /// Without colours the line cuts the bars that it crosses.
    fn style(self, mark: Mark) -> &'static str {
        match mark {
            _ if !self.has_colours => "",
            Mark::Plain(_) | Mark::Line => "",
            Mark::Bar(_) => BAR_COLOUR,
            Mark::Both => BOTH_COLOUR,
        }
    }
}

impl Scale {
    /// The scale with the smallest unit whose lines have space in the chart: each side with values has at least one.
    fn of(top: f64, bottom: f64) -> Self {
        let depth = -bottom;
        let unit = match (top > 0.0, depth > 0.0) {
            (true, true) => (1..HEIGHT)
                .map(|above| (top / above as f64).max(depth / (HEIGHT - above) as f64))
                .fold(f64::INFINITY, f64::min),
            _ => top.max(depth) / HEIGHT as f64,
        };
        let scale = Self { above: 0, below: 0, unit: if unit > 0.0 { unit } else { 1.0 } };
        Self { above: scale.line_of(top).unsigned_abs(), below: scale.line_of(bottom).unsigned_abs(), ..scale }
    }

    /// The numbers of the axis, by line: the highest and the lowest value, half of the highest one, and zero. Several
    /// lines are between two numbers, except where a side is small.
    fn labels(&self, top: f64, bottom: f64) -> Vec<(isize, String)> {
        let half = Some(top / 2.0).filter(|_| self.above >= 4);
        let values = [Some(top), half, Some(bottom), Some(0.0)];
        values.into_iter().flatten().map(|value| (self.line_of(value), number(value))).collect()
    }

    fn line_of(&self, value: f64) -> isize {
        // A value on a boundary belongs to the lower line, although division may round it up slightly.
        let lines = (value.abs() / self.unit - 1e-9).ceil().max(if value == 0.0 { 0.0 } else { 1.0 }) as isize;
        if value < 0.0 { -lines } else { lines }
    }

    /// The marks of a column on a line: as many as the column is wide.
    fn marks(&self, column: &Column, line: isize, width: usize) -> impl Iterator<Item = Mark> {
        let bar = match line {
            0 if column.is_known => Mark::Plain(AXIS),
            0 => Mark::Plain(NO_VALUE),
            1.. => block(UPWARDS, column.highest / self.unit, line),
            _ => block(DOWNWARDS, -column.lowest / self.unit, -line),
        };
        let has_line = column.average.is_some_and(|average| self.line_of(average) == line);
        // Wide bars are separated by a gap.
        let bar_width = (width - 1).max(1);
        (0..width).map(move |place| match bar {
            Mark::Bar(_) if place < bar_width => {
                if has_line {
                    Mark::Both
                } else {
                    bar
                }
            }
            _ if has_line => Mark::Line,
            Mark::Plain(NO_VALUE) if place > 0 => Mark::Plain(' '),
            Mark::Bar(_) => Mark::Plain(' '),
            plain => plain,
        })
    }
}

/// The part of a bar of a height in lines that is on a line, counted from 1.
fn block(blocks: [char; 9], height: f64, line: isize) -> Mark {
    let eighths = ((height - (line - 1) as f64).clamp(0.0, 1.0) * 8.0).round() as usize;
    // The smallest bar is still visible.
    let eighths = if line == 1 && height > 0.0 { eighths.max(1) } else { eighths };
    match eighths {
        0 => Mark::Plain(' '),
        _ => Mark::Bar(blocks[eighths]),
    }
}

fn edge(line: isize, has_label: bool) -> char {
    match (line, has_label) {
        (0, _) => '┼',
        (_, true) => '┤',
        _ => '│',
    }
}

/// The first and the last day at both ends, if there is space, and evenly spaced ones between them. A label extends to
/// the left and to the right of its column in the proportion of the days before it and after it.
fn dates(first: NaiveDate, last: NaiveDate, drawn: usize, room: usize) -> Option<String> {
    /// Minimum number of blanks between two days.
    const APART: usize = 4;
    let width = first.to_string().len().max(last.to_string().len());
    let place_of_last = drawn.saturating_sub(width).max(width + 1);
    if first == last {
        return (room >= width).then(|| last.to_string());
    }
    if place_of_last + width > room {
        return (width <= room).then(|| format!("{:>drawn$}", last.to_string()));
    }
    let parts = (place_of_last / (width + APART)).max(1);
    let days = usize::try_from((last - first).num_days()).unwrap_or(0);
    let mut line = String::new();
    for part in 0..=parts {
        let day = first + Days::new((days * part / parts) as u64);
        let _ = write!(line, "{:1$}{day}", "", place_of_last * part / parts - line.len());
    }
    Some(line)
}

/// Arranges items side by side, separated by `apart` blanks, in lines of at most `width` where possible.
pub(crate) fn wrap(things: &[String], width: usize, apart: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    for thing in things {
        let long = visible(thing);
        if used > 0 && used + apart + long <= width {
            let _ = write!(text, "{}{thing}", " ".repeat(apart));
            used += apart + long;
        } else {
            let _ = write!(text, "{}{thing}", if used > 0 { "\n" } else { "" });
            used = long;
        }
    }
    text + "\n"
}

/// The number of visible characters: all except those of escape sequences.
fn visible(text: &str) -> usize {
    let mut in_escape = false;
    text.chars()
        .filter(|&character| {
            let is_part = in_escape || character == '\x1b';
            in_escape = is_part && character != 'm';
            !is_part
        })
        .count()
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
