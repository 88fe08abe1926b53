//! A table as the task declares it.

use weir_database::load::{Applied, Deletion, Mode as LoadMode};

use super::Loading;
use crate::error::{Error, Result};
use crate::format::write::OutputColumn;
use crate::quality::Condition;
use crate::sink::SinkRun;
use crate::task::{Mode, SchemaChanges, SinkSpec, TableSpec, Task, type_name};

/// A table of a kind of server with types `K`.
#[derive(Debug)]
pub(in crate::sink) struct DeclaredTable<K> {
    pub(in crate::sink) connection: String,
    pub(in crate::sink) schema: Option<String>,
    pub(in crate::sink) name: String,
    pub(in crate::sink) kinds: Vec<DeclaredColumn<K>>,
    pub(in crate::sink) primary_key: Vec<String>,
    pub(in crate::sink) indexes: Vec<Vec<String>>,
    pub(in crate::sink) comment: Option<String>,
    pub(in crate::sink) mode: LoadMode,
    pub(in crate::sink) deletion: Option<Deletion>,
    /// The condition of rows that say that a row is gone.
    pub(in crate::sink) deleted: Option<Condition>,
    pub(in crate::sink) create: bool,
    /// Whether columns that the table lacks are added to it.
    pub(in crate::sink) adds_columns: bool,
    /// Whether rows that no run of the task has written may be replaced.
    pub(in crate::sink) adopt: bool,
    /// The columns in which no value may be missing.
    pub(in crate::sink) not_null: Vec<String>,
    /// The columns of the route, in the order of the table's.
    pub(in crate::sink) columns: Vec<OutputColumn>,
}

/// A column of it.
#[derive(Debug, Clone)]
pub(in crate::sink) struct DeclaredColumn<K> {
    pub(in crate::sink) name: String,
    pub(in crate::sink) kind: K,
    /// Whether a table that is created has it as JSON. What rows are found or ordered by is text.
    pub(in crate::sink) is_json: bool,
    pub(in crate::sink) comment: Option<String>,
}

/// What a table is before a run, as far as that decides whether the run may write to it.
pub(in crate::sink) struct Existing<'a> {
    pub(in crate::sink) is_empty: bool,
    /// The load that was applied to it last.
    pub(in crate::sink) last: &'a Option<Applied>,
    /// The last one of the same task and sink.
    pub(in crate::sink) own: &'a Option<Applied>,
}

impl<K> DeclaredTable<K> {
    /// Reads the declaration under `spec`; `server` is the name of the kind of server, and `kind_of` the type of a column that
    /// holds any value of a type.
    pub(in crate::sink) fn bind(
        task: &Task,
        name: &str,
        (spec, table): (&SinkSpec, &TableSpec),
        columns: Vec<OutputColumn>,
        deleted: Option<Condition>,
        (server, kind_of): (&str, fn(&datafusion::arrow::datatypes::DataType) -> Option<K>),
    ) -> Result<Self> {
        let known = || columns.iter().map(|column| column.name.as_str());
        let wrong = |message: String| task.error(&spec.from, format!("sink `{name}`: {message}"));
        let keys = spec.primary_key.iter().chain(&spec.update_key).chain(spec.partition_by.iter().map(|by| &by.value));
        let keys: Vec<&String> = keys.chain(table.indexes.iter().flatten()).collect();
        for column in &keys {
            if !known().any(|name| name == *column) {
                return Err(Box::new(wrong(format!("it has no column `{column}`")).nearest(column, known())).into());
            }
        }
        for column in table.comments.keys() {
            if !known().any(|name| name == column) {
                let error = wrong(format!("a comment is on column `{column}`, which it does not have"));
                return Err(Box::new(error.nearest(column, known())).into());
            }
        }
        if let Some(compact) = &spec.compact {
            let error = task.error(compact, format!("sink `{name}`: `compact` is for folders"));
            return Err(Box::new(error.with_help("remove it")).into());
        }
        if spec.escape_formulas {
            return Err(Box::new(wrong("`escape_formulas` is for CSV files".to_owned()).with_help("remove it")).into());
        }
        let Loading { mode, deletion } = Loading::of(task, name, spec, &columns)?;
        let connection = &table.connection;
        if !task.project.connections().any(|name| name == connection.value) {
            return Err(Box::new(task.unknown_connection(connection)).into());
        }
        let (schema, table_name) = task.params.fill_table(&task.source, &table.table)?;
        let mut kinds = Vec::new();
        for column in &columns {
            let Some(kind) = kind_of(&column.kind) else {
                let kind = type_name(&column.kind);
                let error = wrong(format!("column `{}` is {kind}, which {server} cannot hold", column.name));
                return Err(Box::new(error.with_help("make a plain value of it in the model")).into());
            };
            let comment = table.comments.get(&column.name).cloned();
            let is_json = column.is_json && !keys.contains(&&column.name);
            kinds.push(DeclaredColumn { name: column.name.clone(), kind, is_json, comment });
        }
        let mut not_null = spec.primary_key.clone();
        if spec.mode == Mode::Scd2 {
            not_null.extend(spec.update_key.clone());
        }
        Ok(Self {
            connection: connection.value.clone(),
            schema,
            name: table_name,
            kinds,
            primary_key: spec.primary_key.clone(),
            indexes: table.indexes.clone(),
            comment: table.comment.clone(),
            mode,
            deletion,
            deleted,
            create: table.create,
            adds_columns: table.schema_changes == SchemaChanges::Add,
            adopt: spec.adopt,
            not_null,
            columns,
        })
    }

    /// The names of the table and its columns.
    pub(in crate::sink) fn names(&self) -> impl Iterator<Item = &String> {
        self.columns.iter().map(|column| &column.name).chain(&self.schema).chain([&self.name])
    }

    /// Its name in messages and reports.
    pub(in crate::sink) fn place(&self) -> String {
        let full: Vec<&str> = self.schema.iter().chain([&self.name]).map(String::as_str).collect();
        format!("{}: {}", self.connection, full.join("."))
    }
}

/// Fails if rows would be replaced that no run of the task has written, or added that an earlier one has added.
pub(in crate::sink) fn check_own(
    (place, mode, adopt): (&str, &LoadMode, bool),
    existing: &Existing<'_>,
    sink: &SinkRun<'_>,
) -> Result<()> {
    if existing.is_empty || adopt {
        return Ok(());
    }
    let refused = |message: String, help: &str| Err(Error::sink(sink.sink, place.as_ref(), message, help));
    let name = match mode {
        LoadMode::Replace { .. } => Mode::Replace.name(),
        _ => Mode::Overwrite.name(),
    };
    match (mode, existing.last, existing.own) {
        (LoadMode::Overwrite | LoadMode::Replace { .. }, None, _) => refused(
            format!("has rows that no run of this task has written, and `mode: {name}` would replace them"),
            "specify `adopt: true` in the sink if they may be replaced, or name another table",
        ),
        (LoadMode::Overwrite | LoadMode::Replace { .. }, Some(last), own) if own.as_ref() != Some(last) => {
            let task = last.task.as_ref().map(|task| format!(" of task `{task}`")).unwrap_or_default();
            refused(
                format!("was written by sink `{}`{task}, and `mode: {name}` would replace its rows", last.sink),
                "specify `adopt: true` in the sink if they may be replaced, or name another table",
            )
        }
        (LoadMode::Append, _, Some(own)) if (sink.history)(&own.run)?.is_none() => refused(
            format!("was written by run {}, which the ledger does not have", own.run),
            "that ledger has what the sources have read, and without it rows would be added twice: use its state folder \
             (--state); or empty the table, and the next run begins a new one",
        ),
        _ => Ok(()),
    }
}
