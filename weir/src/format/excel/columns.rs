//! Matches the columns of a sheet with the declared ones.

use super::Excel;
use super::merged::Region;
use super::sheet::{Sheet, column_name};
use crate::error::{Error, Result};
use crate::format::columns::Declared;
use crate::format::csv::{Layout, Rules};
use crate::format::names::{ExpectedNames, Presence};

/// The fields of a sheet's rows as declared columns.
pub(super) fn layout(sheet: &Sheet, name: &str, declared: &Declared, excel: &Excel) -> Result<Layout> {
    let names = ExpectedNames { are_a_line: true, ..declared.names() };
    let targets = match sheet.header {
        Some(header) => by_name(sheet, name, header, &names)?,
        None => by_position(sheet, name, &names, excel.csv.head.header)?,
    };
    if excel.merged_cells.is_none() {
        check_merged(sheet, name, &targets, excel.csv.rules.skip_last())?;
    }
    // A row of a single column could equal the header.
    let has_many = sheet.names.iter().filter(|name| !name.is_empty()).nth(1).is_some();
    let header = if has_many { sheet.header_line() } else { vec![] };
    Ok(Layout::of(targets, &header))
}

/// Fails if rows have merged cells in columns that are read: the value belongs to the first cell, and looks as if it were
/// that of all.
fn check_merged(sheet: &Sheet, name: &str, targets: &[Option<usize>], skip_last: usize) -> Result<()> {
    let rows = sheet.row_numbers(skip_last);
    let is_read = |column: u32| targets.get(column as usize).is_some_and(Option::is_some);
    let hides = |region: &&Region| {
        let rows = rows.clone().skip_while(|row| *row < region.first.0).take_while(|row| *row <= region.last.0);
        let first = region.first;
        let mut rows = rows.peekable();
        rows.peek().is_some()
            && (first.1..=region.last.1).filter(|column| is_read(*column)).any(|column| {
                let mut rows = rows.clone();
                rows.any(|row| (row, column) != first)
            })
    };
    let Some(region) = sheet.merged.iter().find(hides) else { return Ok(()) };
    let at = |(row, column): (u32, u32)| format!("{}{}", column_name(column as usize), row + 1);
    let message = format!(
        "its sheet `{}` has merged cells, {}:{}: only the first has a value",
        sheet.name,
        at(region.first),
        at(region.last)
    );
    let help = "specify `merged_cells: fill` next to its path, and each of the cells has the value, or `merged_cells: first`, \
                and the others are empty";
    Err(Error::input(name, message, help))
}

/// By the names in the header. A column without a name and without content is none.
fn by_name(sheet: &Sheet, name: &str, header: u32, names: &ExpectedNames) -> Result<Vec<Option<usize>>> {
    check_header(sheet, name, header, names)?;
    let is_column = |column: &usize| {
        let has_name = sheet.names.get(*column).is_some_and(|name| !name.trim().is_empty());
        has_name || sheet.has_content.get(*column) == Some(&true) || names.has_position(column + 1)
    };
    let columns: Vec<usize> = (0..sheet.width()).filter(is_column).collect();
    let texts: Vec<String> =
        columns.iter().map(|column| sheet.names.get(*column).cloned().unwrap_or_default()).collect();
    // Positions are those in the sheet: `C` is 3.
    let mut placed = names.clone();
    for position in placed.columns.iter_mut().filter_map(|column| column.position.as_mut()) {
        *position = columns.iter().position(|column| column + 1 == *position).map_or(*position, |place| place + 1);
    }
    let matched = placed.match_with(name, &texts)?;
    let mut targets = vec![None; sheet.width()];
    columns.iter().zip(matched).for_each(|(column, target)| targets[*column] = target);
    Ok(targets)
}

/// Fails if the row that should be the header is not one. It may be a row, whose values belong in no message.
fn check_header(sheet: &Sheet, name: &str, header: u32, names: &ExpectedNames) -> Result<()> {
    if names.knows_any(&sheet.names) {
        return Ok(());
    }
    let message = format!("row {} of its sheet `{}` has none of the declared columns", header + 1, sheet.name);
    let other = sheet.first.iter().find(|(_, texts)| names.are_all_in(texts));
    let help = match other {
        Some((row, _)) => format!("its row {0} has them: specify `header: {0}` next to its path", row + 1),
        None => {
            "specify another `sheet` next to its path, the number of the row with the names as `header`, or `header: \
                 false` if there is none; or correct `columns` of the source"
                .to_owned()
        }
    };
    Err(Error::input(name, message, help))
}

/// By the order in the sheet, from column A.
fn by_position(sheet: &Sheet, name: &str, names: &ExpectedNames, has_header: bool) -> Result<Vec<Option<usize>>> {
    if let Some((row, _)) = sheet.first.iter().find(|(_, texts)| !has_header && names.are_all_in(texts)) {
        let message = format!("row {} of its sheet `{}` has the names of the columns", row + 1, sheet.name);
        return Err(Error::input(
            name,
            message,
            "remove `header: false` from the source, or skip the row by `skip_lines`",
        ));
    }
    let mut targets = names.by_position(name, sheet.width())?;
    let missing = (sheet.width()..targets.len())
        .find(|column| targets[*column].is_some_and(|target| names.columns[target].presence == Presence::Required));
    if let (Some(column), false) = (missing, sheet.is_empty()) {
        let message = format!("its sheet `{}` has nothing in column {}", sheet.name, column_name(column));
        let help = "correct `columns` of the source, or `sheet`; a column that may be without values is declared with \
                    `optional: true`";
        return Err(Error::input(name, message, help));
    }
    if targets.len() < sheet.width() {
        let message =
            format!("its sheet `{}` has a column {} that is not declared", sheet.name, column_name(targets.len()));
        return Err(Error::input(name, message, "declare it under `columns`, or specify `unknown_columns: ignore`"));
    }
    targets.truncate(sheet.width());
    Ok(targets)
}
