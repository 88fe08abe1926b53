//! A chart of block characters.

use std::fmt::Write as _;

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
/// A bar crossed by the line.
const BOTH: char = '▒';
const AXIS: char = '─';
const NO_VALUE: char = '·';

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
        let labels = [(top, scale.line_of(top)), (bottom, scale.line_of(bottom)), (0.0, 0)];
        let longest = labels.iter().map(|(value, _)| number(*value).len()).max().unwrap_or(0);
        // Numbers are omitted if they leave too little space for the bars.
        let margin = if self.width >= longest + 2 + 8 { longest + 2 } else { 0 };
        let room = self.width.saturating_sub(margin).max(1);
        let (columns, days_each) = columns(days, room);
        let widening = (room / columns.len()).clamp(1, 3);

        let mut text = String::new();
        for line in (-(scale.below as isize)..=scale.above as isize).rev() {
            let label = labels.iter().find(|(_, at)| *at == line).map(|(value, _)| number(*value));
            let label = match margin {
                0 => String::new(),
                _ => format!("{:>longest$} {}", label.as_deref().unwrap_or(""), edge(line, label.is_some())),
            };
            let marks: Vec<Mark> = columns.iter().flat_map(|column| scale.marks(column, line, widening)).collect();
            self.push(&mut text, &label, &marks);
        }
        let drawn = columns.len() * widening;
        if let Some(dates) = dates(&first.date.to_string(), &last.date.to_string(), drawn, room) {
            let _ = writeln!(text, "{}{dates}", " ".repeat(margin));
        }
        let legend = self.legend(&columns, days_each, text.contains(BOTH));
        text + &legend
    }

    fn legend(self, columns: &[Column], days_each: usize, has_both: bool) -> String {
        let mut legend = vec![format!("{} cases", self.coloured(Mark::Bar('█')))];
        if columns.iter().any(|column| column.average.is_some()) {
            legend.push(format!("{} 7-day average", self.coloured(Mark::Line)));
        }
        if has_both {
            legend.push(format!("{BOTH} both"));
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
            Mark::Both if !self.has_colours => BOTH,
            Mark::Line | Mark::Both => LINE,
        }
    }

    /// Bars in blue, the line in yellow, and yellow on blue where they cross.
    fn style(self, mark: Mark) -> &'static str {
        match mark {
            _ if !self.has_colours => "",
            Mark::Plain(_) => "",
            Mark::Bar(_) => "\x1b[34m",
            Mark::Line => "\x1b[33m",
            Mark::Both => "\x1b[33;44m",
        }
    }
}

impl Scale {
    fn of(top: f64, bottom: f64) -> Self {
        let depth = -bottom;
        let below = match (top > 0.0, depth > 0.0) {
            (_, false) => 0,
            (false, true) => HEIGHT,
            // Each side with values has at least one line.
            (true, true) => ((HEIGHT as f64 * depth / (top + depth)).round() as usize).clamp(1, HEIGHT - 1),
        };
        let above = if top > 0.0 { HEIGHT - below } else { 0 };
        let unit = (top / above.max(1) as f64).max(depth / below.max(1) as f64);
        Self { above, below, unit: if unit > 0.0 { unit } else { 1.0 } }
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

/// The first and the last day at both ends, if there is space.
fn dates(first: &str, last: &str, drawn: usize, room: usize) -> Option<String> {
    let between = drawn.saturating_sub(first.len() + last.len()).max(1);
    match room {
        _ if first == last => (room >= last.len()).then(|| last.to_owned()),
        _ if first.len() + between + last.len() <= room => Some(format!("{first}{}{last}", " ".repeat(between))),
        _ if last.len() <= room => Some(format!("{last:>drawn$}")),
        _ => None,
    }
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
