//! The lineage of a plan's columns.

use std::collections::HashMap;

use datafusion::arrow::datatypes::SchemaRef;

use super::{Draft, Plan};
use crate::lineage::{self, DependencyKind, Lineage, Rejecting, SinkStep, Step, TaskSteps};
use crate::protect::PrivateColumns;
use crate::route::{rejected_records, rejected_rows};
use crate::sink::BoundSink;
use crate::task::Task;

impl Plan {
    /// On which columns each column of the task depends.
    pub(crate) fn lineage(&self, task: &Task) -> Lineage {
        let sources = self.sources.iter().map(|source| (source.name(), names(source.schema())));
        let models = self.models.iter().filter_map(|model| {
            let judge = self.stage(&model.name).and_then(|stage| stage.judge.as_ref());
            Some(Step {
                name: &model.name,
                columns: names(self.schemas.get(&model.name)?),
                reads: &model.reads,
                plan: self.queries.get(&model.name)?,
                rejecting: judge.map(|judge| judge.rejecting()).unwrap_or_default(),
            })
        });
        let steps = TaskSteps {
            task: task.name(),
            environment: &task.environment,
            sources: sources.collect(),
            models: models.collect(),
            sinks: self.sinks.iter().map(|sink| sink_step(task, sink, &self.schemas)).collect(),
        };
        lineage::of_task(&steps)
    }
}

impl Draft {
    /// The columns of the task that are private.
    pub(super) fn private_columns(&self, task: &Task) -> PrivateColumns {
        if !task.has_private_columns() {
            return PrivateColumns::default();
        }
        PrivateColumns::of(task, &self.lineage(task))
    }

    /// On which columns each column of the models depends. Which rows their rules reject is no part of it.
    pub(super) fn lineage(&self, task: &Task) -> Lineage {
        let models = self.models.iter().filter_map(|model| {
            Some(Step {
                name: &model.name,
                columns: names(self.schemas.get(&model.name)?),
                reads: &model.reads,
                plan: self.queries.get(&model.name)?,
                // Which rows there are is not private, what stands in them is.
                rejecting: Rejecting::default(),
            })
        });
        lineage::of_task(&TaskSteps {
            task: task.name(),
            environment: &task.environment,
            sources: self.sources.iter().map(|source| (source.name(), names(source.schema()))).collect(),
            models: models.collect(),
            sinks: vec![],
        })
    }
}

fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

fn sink_step<'a>(task: &Task, sink: &'a BoundSink, schemas: &HashMap<String, SchemaRef>) -> SinkStep<'a> {
    let table = &sink.route.table;
    let route = match (schemas.get(table), sink.route.rejected) {
        (Some(schema), false) => names(schema),
        (Some(_), true) if task.spec.sources.contains_key(table) => names(&rejected_records()),
        (Some(schema), true) => names(&rejected_rows(schema)),
        (None, _) => vec![],
    };
    let columns: Vec<(String, usize)> =
        sink.target.columns().iter().map(|column| (column.name.clone(), column.index)).collect();
    // Keys and orders are columns of the target.
    let position = |name: &String| columns.iter().find(|(column, _)| column == name).map(|(_, at)| *at);
    let mut rows: Vec<(usize, DependencyKind)> = vec![];
    if let Some(spec) = task.spec.sinks.get(&sink.name) {
        rows.extend(spec.value.primary_key.iter().filter_map(position).map(|at| (at, DependencyKind::GroupBy)));
        rows.extend(spec.value.update_key.iter().filter_map(position).map(|at| (at, DependencyKind::Sort)));
    }
    rows.extend(sink.deleted_by.iter().map(|at| (*at, DependencyKind::Filter)));
    SinkStep {
        name: &sink.name,
        target: sink.target.place(),
        table,
        rejected: sink.route.rejected,
        route,
        columns,
        rows,
    }
}
