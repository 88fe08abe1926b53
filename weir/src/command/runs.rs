//! `runs`: shows the ledger's entries of earlier runs.

use comfy_table::{Cell, ContentArrangement};

use super::RunsArgs;
use super::summary::{bytes, count, table};
use crate::error::{Error, Result};
use crate::ledger::runs_of;
use crate::report::Report;
use crate::task::name_in;
use crate::watch::start_log;

pub(super) fn runs(args: &RunsArgs) -> Result<u8> {
    start_log(args.log.log_format, args.log.quiet);
    let task = match &args.task_config {
        Some(path) if args.state.state.is_none() || path.exists() => Some(name_in(path)?),
        _ => None,
    };
    let state = match (&args.state.state, &args.task_config) {
        (Some(state), _) => state.clone(),
        (None, Some(task)) => args.state.folder(task),
        (None, None) => {
            return Err(Error::usage(
                "neither a task nor a state folder was given",
                "pass a task file with --task-config, or a state folder with --state",
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
    let mut table = table(&["run", "task", "state", "read", "rejected", "written", "seconds", "memory"]);
    for entry in &entries {
        let sum = |rows: fn(&Report) -> u64| entry.report.as_ref().map_or(String::new(), |report| count(rows(report)));
        table.add_row(vec![
            Cell::new(&entry.id),
            Cell::new(match entry.environment.as_str() {
                "default" => entry.task.clone(),
                environment => format!("{} --env {environment}", entry.task),
            }),
            Cell::new(entry.state),
            Cell::new(sum(|report| report.tables.iter().filter(|table| table.is_source).map(|table| table.rows).sum())),
            Cell::new(sum(|report| report.tables.iter().map(|table| table.rejected).sum())),
            Cell::new(sum(|report| report.outputs.iter().filter(|out| out.published).map(|out| out.rows).sum())),
            Cell::new(entry.seconds.map_or(String::new(), |seconds| format!("{seconds:.2}"))),
            Cell::new(entry.peak_memory.map_or(String::new(), bytes)),
        ]);
    }
    // A line per run, for grep, with complete ids and numbers: a narrow terminal breaks the lines by itself.
    table.set_content_arrangement(ContentArrangement::Disabled);
    say!("{table}");
    for entry in &entries {
        if let Some(message) = &entry.message {
            say!("{}: {message}", entry.id);
        }
    }
    Ok(0)
}
