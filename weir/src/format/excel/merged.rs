//! Merged cells: the file has the value in the first of them, and the others are empty.

use calamine::Dimensions;

use super::sheet::{Cell, Refused};
use crate::task::MergedCells;

/// Merged cells: the first and the last one, as row and column from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Region {
    pub(super) first: (u32, u32),
    pub(super) last: (u32, u32),
}

impl From<Dimensions> for Region {
    fn from(range: Dimensions) -> Self {
        Self { first: range.start, last: range.end }
    }
}

impl Region {
    fn has_row(&self, row: u32) -> bool {
        (self.first.0..=self.last.0).contains(&row)
    }
}

/// Passes cells on, and gives the merged ones their value if they are to be filled.
pub(super) struct Merging {
    /// By their first row.
    regions: Vec<Region>,
    fills: bool,
    /// The first region that begins below the row.
    next: usize,
    /// The regions that the row is in, with their values.
    open: Vec<(Region, Option<Kept>)>,
    /// The row of the last cell, and the column behind it.
    at: Option<(u32, u32)>,
    /// Whether the row has a cell of its own: copies alone make none.
    is_shown: bool,
}

/// What takes the cells.
pub(super) type Take<'a> = &'a mut dyn FnMut(u32, u32, Cell<'_>) -> Result<(), Refused>;

impl Merging {
    pub(super) fn new(regions: &[Region], chosen: Option<MergedCells>) -> Self {
        let mut regions = regions.to_vec();
        regions.sort_unstable();
        let fills = chosen == Some(MergedCells::Fill);
        Self { regions, fills, next: 0, open: Vec::new(), at: None, is_shown: false }
    }

    /// Takes a cell; the cells come row by row.
    pub(super) fn cell(&mut self, row: u32, column: u32, cell: Cell<'_>, take: Take<'_>) -> Result<(), Refused> {
        // A cell with nothing but a format makes no row.
        if cell.is_empty() {
            return Ok(());
        }
        if self.at.is_none_or(|(open, _)| open != row) {
            self.end_row(take)?;
            self.open.retain(|(region, _)| region.has_row(row));
            while let Some(region) = self.regions.get(self.next).filter(|region| region.first.0 <= row) {
                self.open.extend(region.has_row(row).then_some((*region, None)));
                self.next += 1;
            }
            (self.at, self.is_shown) = (Some((row, 0)), false);
        }
        let within = self.open.iter_mut().find(|(region, _)| (region.first.1..=region.last.1).contains(&column));
        match within {
            None => {}
            Some((region, value)) if region.first == (row, column) => *value = self.fills.then(|| Kept::of(cell)),
            // What is below a merged cell is not shown.
            Some(_) => return Ok(()),
        }
        self.copy_until(column, take)?;
        (self.at, self.is_shown) = (Some((row, column + 1)), true);
        take(row, column, cell)
    }

    /// Takes what the last row has behind its last cell.
    pub(super) fn end_row(&mut self, take: Take<'_>) -> Result<(), Refused> {
        if self.is_shown { self.copy_until(u32::MAX, take) } else { Ok(()) }
    }

    /// Passes on the copies in the row up to a column.
    fn copy_until(&mut self, end: u32, take: Take<'_>) -> Result<(), Refused> {
        let Some((row, from)) = self.at.filter(|_| self.fills) else { return Ok(()) };
        let mut copies: Vec<(u32, &Kept)> = Vec::new();
        for (region, value) in &self.open {
            let Some(value) = value else { continue };
            let columns = region.first.1.max(from)..end.min(region.last.1.saturating_add(1));
            copies.extend(columns.filter(|column| (row, *column) != region.first).map(|column| (column, value)));
        }
        copies.sort_unstable_by_key(|(column, _)| *column);
        copies.iter().try_for_each(|(column, value)| take(row, *column, value.cell()))
    }
}

/// The value of a cell, for further cells.
struct Kept {
    /// Its text may be that of another cell.
    cell: Cell<'static>,
    text: String,
}

impl Kept {
    fn of(cell: Cell<'_>) -> Self {
        let (cell, text) = match cell {
            Cell::Text(text) => (Cell::Text(""), text),
            Cell::IsoMoment(text) => (Cell::IsoMoment(""), text),
            Cell::IsoDuration(text) => (Cell::IsoDuration(""), text),
            Cell::Error(text) => (Cell::Error(""), text),
            Cell::Empty => (Cell::Empty, ""),
            Cell::Number(number) => (Cell::Number(number), ""),
            Cell::Boolean(value) => (Cell::Boolean(value), ""),
            Cell::Moment(serial) => (Cell::Moment(serial), ""),
            Cell::Duration(days) => (Cell::Duration(days), ""),
            Cell::NoValue => (Cell::NoValue, ""),
        };
        Self { cell, text: text.to_owned() }
    }

    fn cell(&self) -> Cell<'_> {
        match self.cell {
            Cell::Text(_) => Cell::Text(&self.text),
            Cell::IsoMoment(_) => Cell::IsoMoment(&self.text),
            Cell::IsoDuration(_) => Cell::IsoDuration(&self.text),
            Cell::Error(_) => Cell::Error(&self.text),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(chosen: Option<MergedCells>) -> Vec<String> {
        let region = |first, last| Region { first, last };
        let regions = [region((4, 1), (4, 3)), region((0, 0), (2, 1)), region((5, 0), (9, 0))];
        let mut merging = Merging::new(&regions, chosen);
        let mut taken = Vec::new();
        let mut take = |row: u32, column: u32, cell: Cell<'_>| {
            taken.push(format!("{row} {column} {cell:?}"));
            Ok(())
        };
        let cells = [
            (0, 0, Cell::Text("a")),
            (0, 1, Cell::Empty),
            (0, 2, Cell::Number(1.0)),
            (1, 1, Cell::Text("hidden")),
            (2, 2, Cell::Number(2.0)),
            (4, 0, Cell::Number(3.0)),
            (4, 1, Cell::Boolean(true)),
            (5, 0, Cell::Text("last")),
        ];
        cells.into_iter().for_each(|(row, column, cell)| merging.cell(row, column, cell, &mut take).unwrap());
        merging.end_row(&mut take).unwrap();
        taken
    }

    #[test]
    fn merged_cells_have_the_value_of_the_first_if_they_are_filled() {
        let (a, cell) = ("Text(\"a\")", |at: &str, cell: &str| format!("{at} {cell}"));
        let filled = taken(Some(MergedCells::Fill));
        let expected = [
            cell("0 0", a),
            cell("0 1", a),
            cell("0 2", "Number(1.0)"),
            cell("2 0", a),
            cell("2 1", a),
            cell("2 2", "Number(2.0)"),
            cell("4 0", "Number(3.0)"),
            cell("4 1", "Boolean(true)"),
            cell("4 2", "Boolean(true)"),
            cell("4 3", "Boolean(true)"),
            cell("5 0", "Text(\"last\")"),
        ];
        assert_eq!(filled, expected, "row 1 has no cell that is shown");
    }

    #[test]
    fn otherwise_only_the_first_has_it() {
        let first = taken(Some(MergedCells::First));
        assert_eq!(first.len(), 6);
        assert!(!first.iter().any(|cell| cell.contains("hidden")), "{first:?}");
    }
}
