//! The cells of a sheet, row by row, of each kind of workbook.

use calamine::{Data, DataRef, DataType, Range, Reader};

use super::sheet::{Cell, Refused};
use super::workbook::{Workbook, damaged};

/// What is done with each cell, of which row and column are counted from 0; false ends it.
pub(super) type Visit<'a> = &'a mut dyn FnMut(u32, u32, Cell<'_>) -> Result<bool, Refused>;

/// What stands for an error of which the kind is not known.
const SOME_ERROR: &str = "#ERROR";

impl Cell<'_> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Cell::Empty | Cell::Text(""))
    }
}

/// Visits the cells of a sheet.
pub(super) fn each(workbook: &mut Workbook, sheet: &str, visit: Visit<'_>) -> Result<(), Refused> {
    match workbook {
        Workbook::Xlsx(book) => {
            let mut reader = book.worksheet_cells_reader(sheet).map_err(damaged)?;
            while let Some(cell) = reader.next_cell_with_formula_metadata().map_err(damaged)? {
                let has_more = match (&cell.value, &cell.formula) {
                    (DataRef::Empty, Some(_)) => visit(cell.pos.0, cell.pos.1, Cell::NoValue)?,
                    (value, _) => visit_value(cell.pos, value, visit)?,
                };
                if !has_more {
                    break;
                }
            }
            Ok(())
        }
        Workbook::Xlsb(book) => {
            let mut formulas = Vec::new();
            let mut reader = book.worksheet_cells_reader(sheet).map_err(damaged)?;
            while let Some(formula) = reader.next_formula().map_err(damaged)? {
                formulas.push(formula.get_position());
            }
            drop(reader);
            let mut reader = book.worksheet_cells_reader(sheet).map_err(damaged)?;
            let mut formulas = formulas.into_iter().peekable();
            // The library passes over the errors of formulas: they are the formulas without a value.
            let mut before = |end: Option<(u32, u32)>, visit: Visit<'_>| {
                while let Some((row, column)) = formulas.next_if(|at| end.is_none_or(|end| *at <= end)) {
                    if Some((row, column)) != end && !visit(row, column, Cell::Error(SOME_ERROR))? {
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            while let Some(cell) = reader.next_cell().map_err(damaged)? {
                let at = cell.get_position();
                if !before(Some(at), visit)? || !visit_value(at, cell.get_value(), visit)? {
                    return Ok(());
                }
            }
            before(None, visit).map(|_| ())
        }
        Workbook::Xls(book) => {
            let range = book.worksheet_range(sheet).map_err(damaged)?;
            let formulas = book.worksheet_formula(sheet).map_err(damaged)?;
            each_of(&range, &formulas, |_| None, true, visit)
        }
        Workbook::Ods(book) => {
            let range = book.worksheet_range(sheet).map_err(damaged)?;
            let formulas = book.worksheet_formula(sheet).map_err(damaged)?;
            // An empty text has no value there, and neither has a formula that was never computed: no other one has, then.
            let is_computed = formulas.used_cells().any(|(row, column, formula)| {
                let at = formulas.start().map_or((0, 0), |start| (start.0 + row as u32, start.1 + column as u32));
                !formula.is_empty() && !range.get_value(at).is_none_or(DataType::is_empty)
            });
            each_of(&range, &formulas, error_of_ods, !is_computed, visit)
        }
    }
}

/// Visits the cells of a range. `error_of` finds the error that is the value of a formula; `must_have_values` tells
/// whether a formula without a value is none that has the empty text as its value.
fn each_of(
    range: &Range<Data>,
    formulas: &Range<String>,
    error_of: impl Fn(&Data) -> Option<&str>,
    must_have_values: bool,
    visit: Visit<'_>,
) -> Result<(), Refused> {
    let (starts, ends) = ([range.start(), formulas.start()], [range.end(), formulas.end()]);
    let (starts, ends) = (starts.into_iter().flatten(), ends.into_iter().flatten());
    let (Some(top), Some(left)) = (starts.clone().map(|at| at.0).min(), starts.map(|at| at.1).min()) else {
        return Ok(());
    };
    let bottom = ends.clone().map(|at| at.0).max().unwrap_or(top);
    let right = ends.map(|at| at.1).max().unwrap_or(left);
    for row in top..=bottom {
        for column in left..=right {
            let value = range.get_value((row, column)).unwrap_or(&Data::Empty);
            let is_formula = formulas.get_value((row, column)).is_some_and(|formula| !formula.is_empty());
            let has_more = match (value, is_formula) {
                (Data::Empty, false) => true,
                (Data::Empty, true) if must_have_values => visit(row, column, Cell::NoValue)?,
                (value, true) if let Some(error) = error_of(value) => visit(row, column, Cell::Error(error))?,
                (value, _) => visit_value((row, column), value, visit)?,
            };
            if !has_more {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The value of a formula that is an error: OpenDocument has it as its text.
fn error_of_ods(value: &Data) -> Option<&str> {
    let text = value.get_string()?;
    let is_error = text.starts_with('#') || text.starts_with("Err:");
    is_error.then_some(if text.starts_with('#') { text } else { SOME_ERROR })
}

fn visit_value(at: (u32, u32), value: &impl DataType, visit: Visit<'_>) -> Result<bool, Refused> {
    let error = value.get_error().map(ToString::to_string);
    let cell = if let Some(text) = value.get_string() {
        Cell::Text(text)
    } else if let Some(number) = value.get_float() {
        Cell::Number(number)
    } else if let Some(number) = value.get_int() {
        Cell::Number(number as f64)
    } else if let Some(value) = value.get_bool() {
        Cell::Boolean(value)
    } else if let Some(moment) = value.get_datetime() {
        if moment.is_duration() { Cell::Duration(moment.as_f64()) } else { Cell::Moment(moment.as_f64()) }
    } else if let Some(text) = value.get_datetime_iso() {
        Cell::IsoMoment(text)
    } else if let Some(text) = value.get_duration_iso() {
        Cell::IsoDuration(text)
    } else if let Some(error) = &error {
        Cell::Error(error)
    } else {
        Cell::Empty
    };
    visit(at.0, at.1, cell)
}
