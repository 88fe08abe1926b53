//! A sink as the task declares it, bound to the columns of its route.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;

use super::{ColumnLimit, KINDS, Limit, OpenTarget, SinkRun, Target, private};
use crate::engine;
use crate::error::{Error, Result, plain};
use crate::format::write::OutputColumn;
use crate::model::WrongCondition;
use crate::protect::{PrivateColumns, Protection};
use crate::quality::Condition;
use crate::task::{Mode, OutputColumnSpec, Publish, Route, SinkSpec, Task, is_json};

/// A sink as the task declares it, bound to the columns of its route.
#[derive(Debug)]
pub(crate) struct BoundSink {
    pub(crate) name: String,
    pub(crate) route: Route,
    pub(crate) mode: Mode,
    pub(crate) publish: Publish,
    /// The condition of rows that say that the row of their key is gone.
    pub(crate) deleted_when: Option<String>,
    /// The positions of the columns of the route that it reads.
    pub(crate) deleted_by: BTreeSet<usize>,
    /// What is written in place of private columns, if the route has some.
    pub(crate) protection: Option<Arc<Protection>>,
    pub(crate) target: Box<dyn Target>,
}

impl BoundSink {
    /// Binds a sink to the columns of its route.
    pub(crate) fn bind(
        task: &Task,
        session: &SessionState,
        name: &str,
        spec: &SinkSpec,
        route: &SchemaRef,
        private: &PrivateColumns,
    ) -> Result<Self> {
        let mut protection = Protection::bind(task, private, name, spec, route)?;
        // A column that `deleted_when` reads is none that is protected: `check` sees to it.
        let deleted = deleted(task, session, name, spec, route)?;
        let route = &protection.as_ref().map_or(route, Protection::schema).clone();
        let columns = columns(task, name, spec, route, protection.as_ref())?;
        let deleted_by = deleted.as_ref().map(Condition::columns).unwrap_or_default();
        if let Some(protection) = &protection {
            private::check(task, name, spec, &columns, &deleted_by, protection)?;
        }
        if let Some(protection) = &mut protection {
            protection.read_only(columns.iter().map(|column| column.index).chain(deleted_by.iter().copied()));
        }
        let mut declared = KINDS.iter().filter(|kind| (kind.is_declared)(task, spec));
        let has_two = spec.files.is_some() && spec.documents.is_some();
        let target = match (declared.next(), declared.next()) {
            (Some(kind), None) if !has_two => (kind.bind)(task, name, spec, columns, deleted)?,
            (first, _) => {
                let mut keys: Vec<String> = vec![];
                for key in KINDS.iter().flat_map(|kind| kind.keys).map(|key| format!("`{key}`")) {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
                let (message, help) = match first {
                    None => ("has no target", format!("specify one of {}", keys.join(", "))),
                    Some(_) => ("has two targets", "declare a sink for each".to_owned()),
                };
                let error = task.error(&spec.from, format!("sink `{name}` {message}"));
                return Err(Box::new(error.with_help(help)).into());
            }
        };
        engine::try_out(route, |batch| target.try_encode(batch)).map_err(|error| {
            let message = format!("sink `{name}` cannot be written: {}", plain(&error));
            Box::new(task.error(&spec.from, message))
        })?;
        let protection = protection.map(Arc::new);
        let (route, mode, publish) = (spec.from.value.clone(), spec.mode, spec.publish);
        let deleted_when = spec.deleted_when.as_ref().map(|sql| sql.value.clone());
        Ok(Self { name: name.to_owned(), route, mode, publish, deleted_when, deleted_by, protection, target })
    }

    /// Whether accepted rows replace those of the run before.
    pub(crate) fn replaces_rows(&self) -> bool {
        self.mode == Mode::Overwrite && self.publish == Publish::Gated && !self.route.rejected
    }

    /// The positions in the route that the sink takes.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.target.columns().iter().map(|column| column.index)
    }

    /// Whether something else is written in place of the values of the column at a position of the route.
    pub(crate) fn protects(&self, column: usize) -> bool {
        self.protection.as_ref().is_some_and(|protection| protection.covers(column))
    }

    /// Opens the target for a run. Its limits must be those of rows that are judged.
    pub(crate) async fn open(&self, task: &Task, run: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        if let Some(protection) = &self.protection {
            protection.open(&task.project)?;
        }
        let target = self.target.open(run).await?;
        let is_judged = !self.route.rejected && task.spec.models.contains_key(&self.route.table);
        self.check_tokens(target.limits())?;
        let column_of = |of: &ColumnLimit| self.target.columns().iter().find(|column| column.name == of.column);
        let is_protected = |of: &ColumnLimit| column_of(of).is_some_and(|column| self.protects(column.index));
        match target.limits().iter().find(|of| of.limit.needs_judge() && !is_judged && !is_protected(of)) {
            None => Ok(target),
            Some(ColumnLimit { column, kind, .. }) => {
                let message = format!("column `{column}` is {kind}, and not every value of `{}` fits", self.route);
                let help = "write a model to the sink: its rows are rejected with a reason if they do not fit";
                Err(Error::sink(&self.name, self.target.place().as_ref(), message, help))
            }
        }
    }
}

impl BoundSink {
    /// Fails if a column of the target is too short for what is written in place of private values.
    fn check_tokens(&self, limits: &[ColumnLimit]) -> Result<()> {
        let Some(protection) = &self.protection else { return Ok(()) };
        for ColumnLimit { column, limit, kind } in limits {
            let taken = self.target.columns().iter().find(|taken| taken.name == *column);
            if matches!(limit, Limit::NotNull) && taken.is_some_and(|taken| protection.writes_null(taken.index)) {
                let message =
                    format!("column `{column}` is not null, and null is written in place of its private values");
                let help = "let it be null, or give the private column another method";
                return Err(Error::sink(&self.name, self.target.place().as_ref(), message, help));
            }
            let needed = taken.and_then(|taken| protection.characters(taken.index));
            let room = match limit {
                Limit::Text { characters } => *characters,
                Limit::Bytes(bytes) => Some(*bytes),
                _ => None,
            };
            if let (Some(needed), Some(room)) = (needed, room)
                && needed > room
            {
                let message = format!(
                    "column `{column}` is {kind}, and {needed} characters are written in place of its private values"
                );
                let help = "make the column longer, or give the private column another method";
                return Err(Error::sink(&self.name, self.target.place().as_ref(), message, help));
            }
        }
        Ok(())
    }
}

/// The condition under which a row says that the row of its key is gone, if the sink has one.
fn deleted(
    task: &Task,
    session: &SessionState,
    name: &str,
    spec: &SinkSpec,
    route: &SchemaRef,
) -> Result<Option<Condition>> {
    let Some(sql) = &spec.deleted_when else { return Ok(None) };
    let condition = Condition::bind(task, session, route, &sql.value);
    let error = |wrong: WrongCondition| {
        let message = format!("sink `{name}`: `deleted_when`: {wrong}");
        Box::new(wrong.help(task.error(sql, message)))
    };
    Ok(Some(condition.map_err(error)?))
}

/// The columns that a sink takes of its route.
fn columns(
    task: &Task,
    name: &str,
    spec: &SinkSpec,
    route: &SchemaRef,
    protection: Option<&Protection>,
) -> Result<Vec<OutputColumn>> {
    let is_dropped = |index: usize| protection.is_some_and(|protection| protection.drops(index));
    let known = || route.fields().iter().map(|field| field.name().as_str());
    let mut columns: Vec<OutputColumn> = Vec::new();
    let mut add = |name: &str, index: usize| {
        let field = route.field(index);
        let (of_route, kind) = (field.name().clone(), field.data_type().clone());
        columns.push(OutputColumn { name: name.to_owned(), of_route, index, kind, is_json: is_json(field) });
    };
    match &spec.columns {
        None => known().enumerate().filter(|(i, _)| !is_dropped(*i)).for_each(|(i, name)| add(name, i)),
        Some(chosen) => {
            let mut names = HashSet::new();
            for out in chosen {
                let OutputColumnSpec { name: renamed, column } = &out.value;
                let Ok(index) = route.index_of(column) else {
                    let message = format!("sink `{name}`: `{}` has no column `{column}`", spec.from.value);
                    return Err(Box::new(task.error(out, message).nearest(column, known())).into());
                };
                if is_dropped(index) {
                    let message = format!("sink `{name}`: `{column}` is computed from a column with `private: drop`");
                    let help = "remove it here, or list it under `public` to write its values as they are";
                    return Err(Box::new(task.error(out, message).with_help(help)).into());
                }
                if !names.insert(renamed) {
                    let message = format!("sink `{name}`: two columns are called `{renamed}`");
                    return Err(Box::new(task.error(out, message)).into());
                }
                add(renamed, index);
            }
        }
    }
    if columns.is_empty() {
        let error = task.error(&spec.from, format!("sink `{name}` has no columns"));
        return Err(Box::new(error).into());
    }
    Ok(columns)
}
