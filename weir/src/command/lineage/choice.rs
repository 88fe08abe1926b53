//! The part of a lineage that was asked for.

use crate::error::{Error, Result, nearest};
use crate::lineage::{Dependencies, Dependency, Lineage};

/// Leaves a model, a rejected route or a sink, or what depends on a source; and of it one column.
pub(super) fn chosen(mut lineage: Lineage, table: Option<&str>, column: Option<&str>) -> Result<Lineage> {
    let Some(table) = table else { return Ok(lineage) };
    if let Some(source) = lineage.sources.iter().find(|source| source.table == table) {
        check_column(table, column, &source.columns.iter().map(String::as_str).collect::<Vec<_>>())?;
        dependents(&mut lineage, table, column);
        return Ok(lineage);
    }
    let tables = || lineage.tables.iter().map(|of| of.table.as_str());
    let is_table = tables().any(|name| name == table);
    if !is_table && !lineage.sinks.iter().any(|of| of.sink == table) {
        let sources = lineage.sources.iter().map(|of| of.table.as_str());
        let known: Vec<&str> = tables().chain(lineage.sinks.iter().map(|of| of.sink.as_str())).chain(sources).collect();
        return Err(not_known("--table", &format!("the task has no `{table}`"), table, &known));
    }
    // A sink may have the name of a model, whose lineage is shown then.
    lineage.tables.retain(|of| of.table == table);
    lineage.sinks.retain(|of| !is_table && of.sink == table);
    let dependencies = lineage.tables.iter().map(|of| &of.from_sources);
    let names = dependencies.chain(lineage.sinks.iter().map(|of| &of.from_sources)).flat_map(|of| &of.columns);
    check_column(table, column, &names.map(|of| of.column.as_str()).collect::<Vec<_>>())?;
    if let Some(column) = column {
        let of_column = |of: &mut Dependencies| of.columns.retain(|of| of.column == column);
        lineage.tables.iter_mut().flat_map(|of| [&mut of.from_tables, &mut of.from_sources]).for_each(of_column);
        lineage.sinks.iter_mut().map(|of| &mut of.from_sources).for_each(of_column);
        lineage.sinks.iter_mut().for_each(|of| of.columns.retain(|of| of.column == column));
    }
    Ok(lineage)
}

/// Leaves what depends on a source, or on a column of it.
fn dependents(lineage: &mut Lineage, source: &str, column: Option<&str>) {
    let is_asked = |of: &Dependency| of.table == source && column.is_none_or(|column| of.column == column);
    let leave = |of: &mut Dependencies| {
        of.presence.retain(is_asked);
        for column in &mut of.columns {
            column.values.retain(is_asked);
            column.presence.retain(is_asked);
        }
        of.columns.retain(|column| !column.values.is_empty() || !column.presence.is_empty());
    };
    let is_left = |of: &Dependencies| !of.presence.is_empty() || !of.columns.is_empty();
    lineage.tables.iter_mut().flat_map(|of| [&mut of.from_tables, &mut of.from_sources]).for_each(leave);
    lineage.sinks.iter_mut().map(|of| &mut of.from_sources).for_each(leave);
    lineage.tables.retain(|of| is_left(&of.from_sources));
    lineage.sinks.retain(|of| is_left(&of.from_sources));
    for sink in &mut lineage.sinks {
        let left = &sink.from_sources;
        sink.columns.retain(|of| left.column(&of.column).is_some());
    }
}

fn check_column(table: &str, column: Option<&str>, known: &[&str]) -> Result<()> {
    match column {
        Some(column) if !known.contains(&column) => {
            Err(not_known("--column", &format!("`{table}` has no column `{column}`"), column, known))
        }
        _ => Ok(()),
    }
}

fn not_known(option: &str, what: &str, name: &str, known: &[&str]) -> Error {
    let help = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? There are: {}", known.join(", ")),
        None => format!("there are: {}", known.join(", ")),
    };
    Error::usage(format!("{option}: {what}"), help)
}
