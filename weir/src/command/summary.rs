//! The human-readable summary of a run.

use std::io::Write;

use super::columns::{self, Column, has_colours, terminal_width, wrapped};
use crate::error::number_of;
use crate::report::{LeftOut, Outcome, ReasonReport, ReplayReport, Report};

/// What a replay judges again, and what came of it once it has ended.
pub(crate) fn of_replay(replay: &ReplayReport) -> String {
    let ReplayReport { records, files, accepted, rejected, left_out, .. } = replay;
    let counted = |count: u64, of: &str| number_of(count as usize, of);
    let mut text =
        format!("{} of {} to be judged again", counted(*records, "rejected record"), counted(*files, "file"));
    if accepted + rejected > 0 {
        text = format!(
            "judged again: {} of {}; {accepted} accepted and published, {rejected} rejected again",
            counted(*records, "rejected record"),
            counted(*files, "file")
        );
    }
    for LeftOut { records, reason } in left_out {
        text += &format!("\nleft out: {}: {reason}", counted(*records, "record"));
    }
    text
}

/// Prints the result of a run on standard output. Example values of rejected rows are printed only if they are asked for:
/// what cron or an orchestrator keeps should have none.
pub(crate) fn print(report: &Report, with_values: bool) -> std::io::Result<()> {
    let width = terminal_width();
    let mut out = std::io::stdout().lock();
    if report.outcome == Outcome::Skipped {
        let why = report.note.as_deref().unwrap_or_default();
        let text = wrapped(&format!("nothing to do: {why}"), width);
        if let Some(replay) = report.replay.as_ref().filter(|replay| !replay.left_out.is_empty()) {
            writeln!(out, "{}", wrapped(&of_replay(replay), width))?;
        }
        return writeln!(out, "{text}\nskipped: `{}`, run {}", report.task, report.run);
    }
    const TABLES: [Column; 5] = [
        Column::text("table").cut_end(),
        Column::number("rows"),
        Column::number("accepted"),
        Column::number("rejected"),
        Column::number("share"),
    ];
    let share = |rows: u64, rejected: u64| match rows {
        0 => String::new(),
        rows => format!("{:.1}%", rejected as f64 * 100.0 / rows as f64),
    };
    let rows = report.tables.iter().map(|of| {
        vec![of.table.clone(), count(of.rows), count(of.accepted), count(of.rejected), share(of.rows, of.rejected)]
    });
    write!(out, "{}", columns::table(&TABLES, &rows.collect::<Vec<_>>(), width))?;
    const REASONS: [Column; 4] =
        [Column::text("reason"), Column::text("effect"), Column::number("rows"), Column::text("for example").cut_end()];
    for of in report.tables.iter().filter(|of| !of.reasons.is_empty()) {
        let columns = if with_values { &REASONS[..] } else { &REASONS[..3] };
        let rows = of.reasons.iter().map(|reason| {
            let samples = if with_values { reason.samples.join("\n") } else { String::new() };
            vec![reason.name.clone(), reason.effect.clone(), count(reason.rows), samples]
        });
        write!(out, "\n{}:\n{}", of.table, columns::table(columns, &rows.collect::<Vec<_>>(), width))?;
        for ReasonReport { name, help, .. } in &of.reasons {
            if let Some(help) = help {
                writeln!(out, "{}", wrapped(&format!("{name}: {help}"), width))?;
            }
        }
    }
    let has_samples = report.tables.iter().flat_map(|of| &of.reasons).any(|reason| !reason.samples.is_empty());
    if has_samples && !with_values {
        let text = "--show-values (WEIR_SHOW_VALUES=true) prints examples of these rows here, too";
        writeln!(out, "\n{}", wrapped(text, width))?;
    }
    const SINKS: [Column; 4] = [
        Column::text("sink").cut_end(),
        Column::number("rows"),
        Column::number("size"),
        Column::text("where").cut_start(),
    ];
    let rows = report.outputs.iter().map(|output| {
        let place = match (&output.loaded, output.published) {
            (Some(loaded), true) => format!("{}\n{loaded}", output.path),
            (None, true) => output.path.clone(),
            (_, false) => "not published".to_owned(),
        };
        vec![output.sink.clone(), count(output.rows), bytes(output.bytes), place]
    });
    if !report.outputs.is_empty() {
        write!(out, "\n{}", columns::table(&SINKS, &rows.collect::<Vec<_>>(), width))?;
    }
    if let Some(replay) = &report.replay {
        writeln!(out, "\n{}", wrapped(&of_replay(replay), width))?;
    }
    writeln!(out)?;
    for breach in &report.breaches {
        writeln!(out, "{}", alarming(&wrapped(&format!("gate closed: {breach}"), width)))?;
    }
    let read: u64 = report.tables.first().map_or(0, |table| table.rows);
    let text = format!(
        "{} `{}` in {:.2} s, {} rows/s, peak memory {}, run {}",
        match report.outcome {
            Outcome::Done => "done:",
            Outcome::Skipped => "skipped:",
            Outcome::GateClosed => "gate closed, only sinks with `publish: always` were published:",
            Outcome::Failed | Outcome::Interrupted | Outcome::TimedOut => "failed:",
        },
        report.task,
        report.seconds,
        count((read as f64 / report.seconds.max(1e-9)) as u64),
        bytes(report.peak_memory),
        report.run,
    );
    let text = wrapped(&text, width);
    writeln!(out, "{}", if report.outcome == Outcome::Done { text } else { alarming(&text) })
}

/// A text that must be seen: bold and red on a terminal.
fn alarming(text: &str) -> String {
    if has_colours() { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
}

/// A count with thousands separators: 1,234,567.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A size in the fitting unit.
pub(crate) fn bytes(size: u64) -> String {
    indicatif::HumanBytes(size).to_string()
}
