//! `runs`: shows the ledger's entries of earlier runs.

use chrono::{DateTime, Utc};

use super::RunsArgs;
use super::columns::{Column, table, terminal_width, wrapped};
use super::summary::{bytes, count};
use crate::error::{Error, Result};
use crate::ledger::runs_of;
use crate::report::{Report, RunRecord};
use crate::task::name_in;
use crate::watch::start_log;

pub(super) fn runs(args: &RunsArgs) -> Result<u8> {
    start_log(args.log.log_format, args.log.quiet);
    let task = match args.file.given() {
        Some(path) if args.state.state.is_none() || path.exists() => Some(name_in(path)?),
        _ => None,
    };
    let state = match (&args.state.state, args.file.given()) {
        (Some(state), _) => state.clone(),
        (None, Some(task)) => args.state.folder(task),
        (None, None) => {
            return Err(Error::usage(
                "neither a task nor a state folder was given",
                "pass a task file, or a state folder with --state",
            ));
        }
    };
    let entries = runs_of(&state, task.as_deref(), args.last)?;
    if args.json {
        for entry in &entries {
            say!(
                "{}",
                serde_json::to_string(entry).map_err(|error| Error::state(
                    &state,
                    error,
                    "this is a bug in weir: please report it"
                ))?
            );
        }
        return Ok(0);
    }
    if entries.is_empty() {
        say!("no runs yet in {}", state.display());
        return Ok(0);
    }
    show(&entries);
    Ok(0)
}

/// The position of the column that only tasks with windows need.
const WINDOW: usize = 2;

/// The columns; a narrow terminal does not have all of them. A task that all runs have is said by whoever asks for it.
const fn columns(is_one_task: bool) -> [Column; 10] {
    [
        Column::text("started"),
        Column::text("task").dropped(if is_one_task { 8 } else { 3 }),
        Column::text("window").dropped(2),
        Column::text("state"),
        Column::number("read").dropped(1),
        Column::number("rejected").dropped(1),
        Column::number("written").dropped(1),
        Column::number("seconds").dropped(5),
        Column::number("memory").dropped(6),
        Column::text("run").dropped(7),
    ]
}

fn show(entries: &[RunRecord]) {
    let width = terminal_width();
    let mut rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    let is_one_task = rows.windows(2).all(|rows| rows[0][1] == rows[1][1]);
    let mut columns = columns(is_one_task).to_vec();
    if entries.iter().all(|entry| entry.window.is_none()) {
        columns.remove(WINDOW);
        rows.iter_mut().for_each(|row| _ = row.remove(WINDOW));
    }
    say!("{}", table(&columns, &rows, width).trim_end());
    for entry in entries {
        if let Some(message) = &entry.message {
            say!("{}", wrapped(&format!("{}: {message}", entry.id), width));
        }
    }
}

fn row(entry: &RunRecord) -> Vec<String> {
    let sum = |rows: fn(&Report) -> u64| entry.report.as_ref().map_or(String::new(), |report| count(rows(report)));
    let started = entry.started.parse::<DateTime<Utc>>();
    vec![
        started.map_or_else(|_| entry.started.clone(), |at| at.format("%Y-%m-%d %H:%M").to_string()),
        match entry.environment.as_str() {
            "default" => entry.task.clone(),
            environment => format!("{} --env {environment}", entry.task),
        },
        entry.window.clone().unwrap_or_default(),
        entry.state.to_string(),
        sum(|report| report.tables.iter().filter(|table| table.is_source).map(|table| table.rows).sum()),
        sum(|report| report.tables.iter().map(|table| table.rejected).sum()),
        sum(|report| report.outputs.iter().filter(|out| out.published).map(|out| out.rows).sum()),
        entry.seconds.map_or(String::new(), |seconds| format!("{seconds:.2}")),
        entry.peak_memory.map_or(String::new(), bytes),
        entry.id.clone(),
    ]
}
