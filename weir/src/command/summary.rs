//! The human-readable summary of a run.

use std::io::{IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use crate::report::{Outcome, Report};

/// Prints the result of a run on standard output.
pub(crate) fn print(report: &Report) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if report.outcome == Outcome::Skipped {
        let why = report.note.as_deref().unwrap_or_default();
        return writeln!(out, "nothing to do: {why}\nskipped: `{}`, run {}", report.task, report.run);
    }
    let mut rows = table(&["table", "rows", "accepted", "rejected", "share"]);
    for of in &report.tables {
        let share =
            if of.rows == 0 { String::new() } else { format!("{:.1}%", of.rejected as f64 * 100.0 / of.rows as f64) };
        rows.add_row(vec![
            Cell::new(&of.table),
            number(of.rows),
            number(of.accepted),
            number(of.rejected),
            Cell::new(share).set_alignment(CellAlignment::Right),
        ]);
    }
    writeln!(out, "{rows}")?;
    for of in report.tables.iter().filter(|of| !of.reasons.is_empty()) {
        writeln!(out)?;
        let mut reasons = table(&[&format!("{}: reason", of.table), "", "rows", "for example"]);
        for reason in &of.reasons {
            reasons.add_row(vec![
                Cell::new(&reason.name),
                Cell::new(&reason.effect),
                number(reason.rows),
                Cell::new(reason.samples.join("\n")),
            ]);
        }
        writeln!(out, "{reasons}")?;
    }
    writeln!(out)?;
    let mut outputs = table(&["sink", "rows", "size", "where"]);
    for output in &report.outputs {
        let place = match (&output.loaded, output.published) {
            (Some(loaded), true) => format!("{}\n{loaded}", output.path),
            (None, true) => output.path.clone(),
            (_, false) => "not published".to_owned(),
        };
        outputs.add_row(vec![
            Cell::new(&output.sink),
            number(output.rows),
            Cell::new(bytes(output.bytes)).set_alignment(CellAlignment::Right),
            Cell::new(place),
        ]);
    }
    if !report.outputs.is_empty() {
        writeln!(out, "{outputs}\n")?;
    }
    for breach in &report.breaches {
        writeln!(out, "gate closed: {breach}")?;
    }
    let read: u64 = report.tables.first().map_or(0, |table| table.rows);
    writeln!(
        out,
        "{} `{}` in {:.2} s, {} rows/s, peak memory {}, run {}",
        match report.outcome {
            Outcome::Done => "done:",
            Outcome::Skipped => "skipped:",
            Outcome::GateClosed => "gate closed, only sinks with `publish: always` were published:",
            Outcome::Failed | Outcome::Interrupted => "failed:",
        },
        report.task,
        report.seconds,
        count((read as f64 / report.seconds.max(1e-9)) as u64),
        bytes(report.peak_memory),
        report.run,
    )
}

/// A table without lines, at most as wide as the terminal.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    // Some terminals, such as those of CI services, report 0 columns.
    if table.width() != Some(0) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let bold = |name: &&str| {
        let cell = Cell::new(name);
        if std::io::stdout().is_terminal() { cell.add_attribute(Attribute::Bold) } else { cell }
    };
    table.set_header(header.iter().map(bold).collect::<Vec<_>>());
    // A narrow terminal breaks long values over lines, but no heading in the middle of a word.
    for (column, name) in table.column_iter_mut().zip(header) {
        let padded = name.chars().count() as u16 + 2;
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(padded)));
    }
    table
}

fn number(number: u64) -> Cell {
    Cell::new(count(number)).set_alignment(CellAlignment::Right)
}

/// A count with thousands separators: 1,234,567.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A size in the fitting unit.
pub(crate) fn bytes(size: u64) -> String {
    indicatif::HumanBytes(size).to_string()
}
