//! The profile as a table on the terminal.

use std::io::IsTerminal;

use super::super::columns::{Column, table, terminal_width, wrapped};
use super::super::summary::count;
use super::report::Report;
use crate::error::number_of;
use crate::profile::{ColumnProfile, ComparedColumn, ComparedGroup, GroupMeasure, TargetProfile};

/// The most columns that are listed by the strength of their relation to the target.
const STRONGEST: usize = 10;

const COLUMNS: [Column; 7] = [
    Column::text("column").cut_end(),
    Column::text("type").cut_end(),
    Column::number("nulls"),
    Column::number("distinct"),
    Column::text("min").cut_end().dropped(2),
    Column::text("max").cut_end().dropped(2),
    Column::text("warnings").cut_end().dropped(1),
];

/// Prints a row for each column, and the warnings. Values are printed only where nothing keeps them, or on demand.
pub(super) fn print(report: &Report, show_values: bool) {
    let width = terminal_width();
    let with_values = show_values || std::io::stdout().is_terminal();
    let profile = &report.profile;
    let rows: Vec<Vec<String>> = profile.columns.iter().map(|column| row(column, with_values)).collect();
    say!("{}", table(&COLUMNS, &rows, width).trim_end());
    let warnings: Vec<(&str, String)> = profile
        .columns
        .iter()
        .flat_map(|column| column.warnings.iter().map(|warning| (column.name.as_str(), warning.text(with_values))))
        .collect();
    if !warnings.is_empty() {
        say!("");
    }
    for (column, warning) in warnings {
        say!("{}", wrapped(&format!("{column}: {warning}"), width));
    }
    if let Some(target) = &profile.target {
        say!("\n{}", target_table(target, width, with_values));
    }
    let passes = if report.passes == 1 { "once".to_owned() } else { number_of(report.passes as u64, "time") };
    say!("");
    for note in &report.notes {
        say!("{}", wrapped(&format!("note: {note}"), width));
    }
    if report.unreadable.records > 0 {
        let records = number_of(report.unreadable.records, "record");
        say!("{}", wrapped(&format!("{records} could not be read: {}", report.unreadable.summary()), width));
    }
    let (rows, columns) = (number_of(profile.rows, "row"), number_of(profile.columns.len(), "column"));
    let types = report.types_from.shown();
    let text = format!("{}: {rows}, {columns}; read {passes}; types are {types}", report.source);
    say!("{}", wrapped(&text, width));
}

fn row(column: &ColumnProfile, with_values: bool) -> Vec<String> {
    let value = |value: &Option<String>| match (value, with_values) {
        (Some(value), true) => value.escape_debug().to_string(),
        _ => String::new(),
    };
    let share = |share: f64| if share == 0.0 { "0".to_owned() } else { format!("{:.1}%", share * 100.0) };
    let distinct = column.distinct.map_or(String::new(), |distinct| {
        format!("{}{}", if distinct.is_exact { "" } else { "~" }, count(distinct.count))
    });
    vec![
        column.name.clone(),
        column.sql_type.clone(),
        share(column.null_share()),
        distinct,
        value(&column.min),
        value(&column.max),
        column.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>().join(", "),
    ]
}

/// The columns with the strongest relation to the target.
fn target_table(target: &TargetProfile, width: Option<usize>, with_values: bool) -> String {
    const COLUMNS: [Column; 3] = [
        Column::text("column").cut_end(),
        Column::number("strength"),
        Column::text("target by group").cut_end().dropped(1),
    ];
    let row = |column: &ComparedColumn| {
        let range = if with_values { range(target, column) } else { String::new() };
        vec![column.name.clone(), format!("{:.3}", column.strength), range]
    };
    let rows: Vec<Vec<String>> = target.columns.iter().take(STRONGEST).map(row).collect();
    let head = wrapped(&format!("relation to `{}`, by {}:", target.column, target.measure), width);
    format!("{head}\n{}", table(&COLUMNS, &rows, width).trim_end())
}

/// The groups with the least and the greatest measure.
fn range(target: &TargetProfile, column: &ComparedColumn) -> String {
    let of = |measure: &GroupMeasure| match measure {
        GroupMeasure::Shares(shares) => shares.last().copied().unwrap_or_default(),
        GroupMeasure::Mean(mean) => *mean,
    };
    let shown = |measure: f64| match target.classes {
        Some(_) => format!("{:.1}%", measure * 100.0),
        None => format!("{measure:.4}"),
    };
    let by = |a: &&ComparedGroup, b: &&ComparedGroup| of(&a.measure).total_cmp(&of(&b.measure));
    // The rate of a few rows says little.
    let all: u64 = column.groups.iter().map(|group| group.rows).sum();
    let groups = || column.groups.iter().filter(|group| group.rows * 100 >= all);
    let (Some(least), Some(most)) = (groups().min_by(by), groups().max_by(by)) else {
        return String::new();
    };
    let label = |group: &ComparedGroup| group.label.clone().unwrap_or_else(|| "null".to_owned());
    format!("{} ({}) to {} ({})", shown(of(&least.measure)), label(least), shown(of(&most.measure)), label(most))
}
