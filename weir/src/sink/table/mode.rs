//! How a task wants a table to be loaded.

use weir_database::load::{Deletion, HistoryColumns, Mark, Mode as LoadMode, free_name};

use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::task::{Mode, Publish, SinkSpec, Task};

/// What becomes of the rows that are in the table, and of rows that say that a row is gone.
#[derive(Debug)]
pub(in crate::sink) struct Loading {
    pub(in crate::sink) mode: LoadMode,
    pub(in crate::sink) deletion: Option<Deletion>,
}

impl Loading {
    /// Fails if the task specifies what does not belong together.
    pub(in crate::sink) fn of(task: &Task, name: &str, spec: &SinkSpec, columns: &[OutputColumn]) -> Result<Self> {
        let wrong = |message: String, help: &str| {
            Box::new(task.error(&spec.from, format!("sink `{name}`: {message}")).with_help(help))
        };
        let mode = spec.mode.name();
        if spec.primary_key.is_empty() && matches!(spec.mode, Mode::Merge | Mode::Insert | Mode::Scd2) {
            let help = "name the columns that tell rows apart: `primary_key: [...]`";
            return Err(wrong(format!("`mode: {mode}` needs a `primary_key`"), help).into());
        }
        let only_for = |key: &str, is_there: bool, modes: &[Mode]| match is_there && !modes.contains(&spec.mode) {
            true => {
                let modes: Vec<_> = modes.iter().map(|mode| format!("`mode: {}`", mode.name())).collect();
                Err(wrong(format!("`{key}` is for {}", modes.join(" and ")), "remove it, or choose that mode"))
            }
            false => Ok(()),
        };
        only_for("update_key", spec.update_key.is_some(), &[Mode::Merge, Mode::Scd2])?;
        only_for("partition_by", !spec.partition_by.is_empty(), &[Mode::Replace])?;
        only_for("history", spec.history.is_some(), &[Mode::Scd2])?;
        only_for("deleted_when", spec.deleted_when.is_some(), &[Mode::Merge, Mode::Scd2])?;
        only_for("soft_delete", spec.soft_delete.is_some(), &[Mode::Merge])?;
        if spec.mode == Mode::Replace && spec.partition_by.is_empty() {
            let help = "name the columns whose values make a partition: `partition_by: [day]`; `mode: overwrite` replaces all rows";
            return Err(wrong("`mode: replace` needs `partition_by`".to_owned(), help).into());
        }
        if spec.soft_delete.is_some() && spec.deleted_when.is_none() {
            let help = "specify the condition of rows that say that a row is gone: `deleted_when: op = 'D'`";
            return Err(wrong("`soft_delete` needs `deleted_when`".to_owned(), help).into());
        }
        if spec.mode == Mode::Append && spec.publish == Publish::Always {
            let message = "`publish: always` cannot append to a table: after a closed gate the same input is read again, \
                           and its rows would be there twice";
            let help = "specify `mode: merge` or `mode: insert` with a `primary_key`, or `mode: overwrite`";
            return Err(wrong(message.to_owned(), help).into());
        }
        let history = spec.history.clone().unwrap_or_default();
        let of_history = [&history.valid_from, &history.valid_to].into_iter().filter(|_| spec.mode == Mode::Scd2);
        if let Some(own) = spec.soft_delete.iter().chain(of_history).find(|own| has(columns, own)) {
            let message = format!("column `{own}` is set by the sink, and the rows have one of its name");
            let help = "leave it out of the sink's `columns`, or name another one: `soft_delete`, `history`";
            return Err(wrong(message, help).into());
        }
        let mode = match spec.mode {
            Mode::Overwrite => LoadMode::Overwrite,
            Mode::Append => LoadMode::Append,
            Mode::Insert => LoadMode::Insert,
            Mode::Merge => LoadMode::Merge { update_key: spec.update_key.clone() },
            Mode::Replace => {
                LoadMode::Replace { partition_by: spec.partition_by.iter().map(|by| by.value.clone()).collect() }
            }
            Mode::Scd2 => LoadMode::History {
                update_key: spec.update_key.clone(),
                columns: HistoryColumns {
                    valid_from: history.valid_from,
                    valid_to: history.valid_to,
                    at: String::new(),
                },
            },
        };
        let mark = spec.soft_delete.clone().map(|column| Mark { column, is_boolean: false });
        let deletion = spec.deleted_when.as_ref().map(|_| Deletion {
            marker: free_name("is_deleted", columns.iter().map(|column| column.name.as_str())),
            mark,
        });
        Ok(Self { mode, deletion })
    }
}

fn has(columns: &[OutputColumn], name: &str) -> bool {
    columns.iter().any(|column| column.name == name)
}
