//! The lineage for a terminal: for each table its columns, with the columns of sources that they depend on.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::super::columns::wrapped;
use super::all_shown;
use crate::lineage::{Dependencies, Lineage, SinkLineage};

/// What lines that continue another one begin with.
const INDENT: &str = "      ";

pub(super) fn text(lineage: &Lineage, width: Option<usize>) -> String {
    let mut text = format!("task `{}`, environment `{}`\n", lineage.task, lineage.environment);
    for table in &lineage.tables {
        let from = if table.sources.is_empty() { "no source".to_owned() } else { table.sources.join(", ") };
        text.push('\n');
        add_line(&mut text, &format!("`{}` <- {from}", table.table), width);
        add_dependencies(&mut text, &table.from_sources, width);
        for what in &table.untraced {
            add_line(&mut text, &format!("  not traced, counts as all below it: {what}"), width);
        }
    }
    for sink in &lineage.sinks {
        text.push('\n');
        add_line(&mut text, &format!("sink `{}` <- {}: {}", sink.sink, sink.table, sink.target), width);
        // Those of the table are above, unless only the sink was asked for.
        match lineage.table(&sink.table) {
            Some(table) => add_differences(&mut text, sink, &table.from_sources, width),
            None => add_dependencies(&mut text, &sink.from_sources, width),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn add_dependencies(text: &mut String, of: &Dependencies, width: Option<usize>) {
    let longest = of.columns.iter().map(|column| column.column.width()).max().unwrap_or(0).min(30);
    for column in &of.columns {
        let padding = " ".repeat(longest.saturating_sub(column.column.width()));
        let values = if column.values.is_empty() { "no column".to_owned() } else { all_shown(&column.values) };
        let mut line = format!("  {}{padding} <- {values}", column.column);
        if !column.presence.is_empty() {
            let _ = write!(line, "; whether there are rows depends on {}", all_shown(&column.presence)); // a String takes all
        }
        add_line(text, &line, width);
    }
    if !of.presence.is_empty() {
        add_line(text, &format!("  rows depend on {}", all_shown(&of.presence)), width);
    }
}

/// Columns with other names than in the table, and what else decides about the rows of a target.
fn add_differences(text: &mut String, sink: &SinkLineage, table: &Dependencies, width: Option<usize>) {
    let is_whole = sink.columns.len() == table.columns.len();
    for column in sink.columns.iter().filter(|column| !is_whole || column.column != column.of) {
        add_line(text, &format!("  {} <- {}.{}", column.column, sink.table, column.of), width);
    }
    let more: Vec<_> = sink.from_sources.presence.iter().filter(|of| !table.presence.contains(of)).cloned().collect();
    if !more.is_empty() {
        add_line(text, &format!("  rows also depend on {}", all_shown(&more)), width);
    }
}

fn add_line(text: &mut String, line: &str, width: Option<usize>) {
    let inner = width.map(|width| width.saturating_sub(INDENT.len()).max(20));
    text.push_str(&wrapped(line, inner).replace('\n', &format!("\n{INDENT}")));
    text.push('\n');
}
