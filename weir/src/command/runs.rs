//! `runs`: what the ledger has of earlier runs.

use comfy_table::Cell;

use super::RunsArgs;
use crate::error::{Error, Result};
use crate::run::Ledger;
use crate::task::name_in;
use crate::watch::{bytes, count, plain_table, start_log};

pub(super) fn runs(args: &RunsArgs) -> Result<u8> {
    start_log(args.log.log_format, args.log.quiet);
    let task = match &args.task_config {
        Some(path) => Some(name_in(path)?),
        None => None,
    };
    let state = match (&args.state.state, &args.task_config) {
        (Some(state), _) => state.clone(),
        (None, Some(task)) => args.state.folder(task),
        (None, None) => {
            return Err(Error::usage(
                "whose runs?",
                "name a task file with --task-config, or a state folder with --state",
            ));
        }
    };
    let entries = match Ledger::open_existing(&state)? {
        Some(ledger) => ledger.entries(task.as_deref(), args.last)?,
        None => vec![],
    };
    if args.json {
        for entry in &entries {
            println!("{}", serde_json::to_string(entry).map_err(|error| Error::state(&state, error, "report this"))?);
        }
        return Ok(0);
    }
    if entries.is_empty() {
        println!("no runs yet in {}", state.display());
        return Ok(0);
    }
    let mut table =
        plain_table(&["started", "task", "env", "state", "rows", "accepted", "rejected", "seconds", "memory", "run"]);
    for entry in &entries {
        let sum = |of: fn(&crate::run::TableReport) -> u64| {
            let report = entry.report.as_ref();
            report.and_then(|report| report.tables.last()).map_or(String::new(), |table| count(of(table)))
        };
        table.add_row(vec![
            Cell::new(&entry.started),
            Cell::new(&entry.task),
            Cell::new(&entry.environment),
            Cell::new(&entry.state),
            Cell::new(sum(|table| table.rows)),
            Cell::new(sum(|table| table.accepted)),
            Cell::new(sum(|table| table.rejected)),
            Cell::new(entry.seconds.map_or(String::new(), |seconds| format!("{seconds:.2}"))),
            Cell::new(entry.peak_memory.map_or(String::new(), bytes)),
            Cell::new(&entry.id),
        ]);
    }
    println!("{table}");
    for entry in &entries {
        if let Some(message) = &entry.message {
            println!("{}: {message}", entry.id);
        }
    }
    Ok(0)
}
