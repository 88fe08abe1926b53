//! A sink as the task declares it, bound to the columns of its route.

use std::collections::{BTreeSet, HashSet};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;

use super::{ColumnLimit, KINDS, OpenTarget, SinkRun, Target};
use crate::engine;
use crate::error::{Error, Result, plain};
use crate::format::write::OutputColumn;
use crate::model::WrongCondition;
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
    ) -> Result<Self> {
        let columns = columns(task, name, spec, route)?;
        let deleted = deleted(task, session, name, spec, route)?;
        let deleted_by = deleted.as_ref().map(Condition::columns).unwrap_or_default();
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
        let (route, mode, publish) = (spec.from.value.clone(), spec.mode, spec.publish);
        let deleted_when = spec.deleted_when.as_ref().map(|sql| sql.value.clone());
        Ok(Self { name: name.to_owned(), route, mode, publish, deleted_when, deleted_by, target })
    }

    /// Whether accepted rows replace those of the run before.
    pub(crate) fn replaces_rows(&self) -> bool {
        self.mode == Mode::Overwrite && self.publish == Publish::Gated && !self.route.rejected
    }

    /// The positions in the route that the sink takes.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.target.columns().iter().map(|column| column.index)
    }

    /// Opens the target for a run. Its limits must be those of rows that are judged.
    pub(crate) async fn open(&self, task: &Task, run: &SinkRun<'_>) -> Result<Box<dyn OpenTarget>> {
        let target = self.target.open(run).await?;
        let is_judged = !self.route.rejected && task.spec.models.contains_key(&self.route.table);
        match target.limits().iter().find(|of| of.limit.needs_judge() && !is_judged) {
            None => Ok(target),
            Some(ColumnLimit { column, kind, .. }) => {
                let message = format!("column `{column}` is {kind}, and not every value of `{}` fits", self.route);
                let help = "write a model to the sink: its rows are rejected with a reason if they do not fit";
                Err(Error::sink(&self.name, self.target.place().as_ref(), message, help))
            }
        }
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
fn columns(task: &Task, name: &str, spec: &SinkSpec, route: &SchemaRef) -> Result<Vec<OutputColumn>> {
    let known = || route.fields().iter().map(|field| field.name().as_str());
    let mut columns: Vec<OutputColumn> = Vec::new();
    let mut add = |name: &str, index: usize| {
        let field = route.field(index);
        let (of_route, kind) = (field.name().clone(), field.data_type().clone());
        columns.push(OutputColumn { name: name.to_owned(), of_route, index, kind, is_json: is_json(field) });
    };
    match &spec.columns {
        None => known().enumerate().for_each(|(i, name)| add(name, i)),
        Some(chosen) => {
            let mut names = HashSet::new();
            for out in chosen {
                let OutputColumnSpec { name: renamed, column } = &out.value;
                let Ok(index) = route.index_of(column) else {
                    let message = format!("sink `{name}`: `{}` has no column `{column}`", spec.from.value);
                    return Err(Box::new(task.error(out, message).nearest(column, known())).into());
                };
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
