//! Heatmaps: tables of numbers with colours.

use plotters::style::RGBColor;

use super::chart::{ACCENT, At, CONTRARY, INK, MUTED, TEXT, WIDE, draw};
use crate::Result;

/// Maximum width of a letter.
const LETTER: i32 = 7;

/// A table of shares.
pub(super) struct Heatmap<'h> {
    /// Description for screen readers.
    pub(super) description: &'h str,
    /// Titles of rows and columns, if needed.
    pub(super) axes: Option<(&'h str, &'h str)>,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
    pub(super) cell_height: i32,
    /// Whether rows and columns are the same, so that the diagonal is outlined.
    pub(super) has_diagonal: bool,
}

/// A row of cells.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
}

/// A number: its strength from -1 to 1, and its text.
pub(super) struct Cell {
    pub(super) strength: f64,
    pub(super) text: String,
}

impl Cell {
    /// A share as a percentage.
    pub(super) fn percent(share: f64) -> Self {
        Self { strength: share, text: format!("{:.0} %", share * 100.0) }
    }
}

impl Heatmap<'_> {
    pub(super) fn draw(&self) -> Result<String> {
        let names = self.rows.iter().map(|row| row.name.chars().count());
        let left = LETTER * names.max().unwrap_or(0) as i32 + 16;
        let width = (WIDE - left) / self.columns.len().max(1) as i32;
        let longest = LETTER * self.columns.iter().map(|name| name.chars().count()).max().unwrap_or(0) as i32;
        let upwards = longest > width;
        let head = if upwards { longest + 8 } else { 24 } + if self.axes.is_some() { 18 } else { 0 };
        let height = head + self.cell_height * self.rows.len() as i32;
        draw(self.description, (WIDE, height), |canvas| {
            if let Some((rows, columns)) = self.axes {
                canvas.text(columns, (left + width * self.columns.len() as i32 / 2, 9), At::Middle, TEXT, MUTED)?;
                canvas.text(rows, (0, head - 12), At::Start, TEXT, MUTED)?;
            }
            for (name, column) in self.columns.iter().zip(0..) {
                let middle = left + width * column + width / 2;
                match upwards {
                    true => canvas.text_upwards(name, (middle, head - 6), TEXT, INK)?,
                    false => canvas.text(name, (middle, head - 12), At::Middle, TEXT, INK)?,
                }
            }
            for ((row, y), number) in self.rows.iter().zip((head..).step_by(self.cell_height as usize)).zip(0..) {
                canvas.text(&row.name, (left - 8, y + self.cell_height / 2), At::End, TEXT, INK)?;
                for (cell, column) in row.cells.iter().zip(0..) {
                    let (corner, size) = ((left + width * column, y), (width, self.cell_height));
                    canvas.cell(corner, size, colour(cell.strength), cell.strength.abs(), &cell.text)?;
                    if self.has_diagonal && number == column {
                        canvas.outline(corner, size, INK)?;
                    }
                }
            }
            Ok(())
        })
    }
}

fn colour(strength: f64) -> RGBColor {
    if strength < 0.0 { CONTRARY } else { ACCENT }
}
