//! The lineage of all models of a task together.

use std::collections::{BTreeSet, HashMap};

use datafusion::logical_expr::LogicalPlan;

use super::kind::{DependencyKind, Origin, Origins};
use super::relation::{Column, Relation};
use super::result::{
    ColumnLineage, Dependencies, Dependency, Lineage, SinkColumn, SinkLineage, SourceColumns, TableLineage,
};
use super::{Tables, Traced, Tracer};

/// The version of the form in JSON.
const FORM: u32 = 1;

/// A task, as far as its lineage needs it.
pub(crate) struct TaskSteps<'a> {
    pub(crate) task: &'a str,
    pub(crate) environment: &'a str,
    /// The sources with their columns.
    pub(crate) sources: Vec<(&'a str, Vec<String>)>,
    /// The models, each after those that it reads.
    pub(crate) models: Vec<Step<'a>>,
    pub(crate) sinks: Vec<SinkStep<'a>>,
}

/// A model.
pub(crate) struct Step<'a> {
    pub(crate) name: &'a str,
    pub(crate) columns: Vec<String>,
    /// The tables that its query and its rules read.
    pub(crate) reads: &'a [String],
    /// Its optimised query.
    pub(crate) plan: &'a LogicalPlan,
    pub(crate) rejecting: Rejecting,
}

/// What the rules of a table read that reject rows.
#[derive(Debug, Default)]
pub(crate) struct Rejecting {
    /// Columns of the table, by position.
    pub(crate) columns: BTreeSet<usize>,
    /// Columns of other tables in which values are looked up.
    pub(crate) lookups: Vec<(String, String)>,
}

/// A sink.
pub(crate) struct SinkStep<'a> {
    pub(crate) name: &'a str,
    pub(crate) target: String,
    pub(crate) table: &'a str,
    pub(crate) rejected: bool,
    /// The columns of its route.
    pub(crate) route: Vec<String>,
    /// The names of its columns, and their positions in the route.
    pub(crate) columns: Vec<(String, usize)>,
    /// Columns of the route, by position, that decide which rows its target has, and how.
    pub(crate) rows: Vec<(usize, DependencyKind)>,
}

/// Traces all columns of a task.
pub(crate) fn of_task(task: &TaskSteps<'_>) -> Lineage {
    let mut tracing = Tracing::default();
    task.sources.iter().for_each(|(name, columns)| tracing.add_source(name, columns));
    task.models.iter().for_each(|model| tracing.add_model(model));
    let mut tables: Vec<TableLineage> = vec![];
    for step in &task.models {
        tables.push(tracing.table(step.name, &step.columns, &tracing.accepted[step.name]));
        if let Some(sink) = task.sinks.iter().find(|sink| sink.rejected && sink.table == step.name) {
            let route = format!("{}.rejected", step.name);
            tables.push(tracing.table(&route, &sink.route, &tracing.rejected[step.name]));
        }
    }
    for (name, _) in &task.sources {
        if let Some(sink) = task.sinks.iter().find(|sink| sink.rejected && sink.table == *name) {
            tables.push(tracing.table(&format!("{name}.rejected"), &sink.route, &tracing.rejected[*name]));
        }
    }
    let sources = task
        .sources
        .iter()
        .map(|(name, columns)| SourceColumns { table: (*name).to_owned(), columns: columns.clone() });
    Lineage {
        version: FORM,
        task: task.task.to_owned(),
        environment: task.environment.to_owned(),
        sources: sources.collect(),
        tables,
        sinks: task.sinks.iter().map(|sink| tracing.sink(sink)).collect(),
    }
}

/// The columns of a table by position, each of which some column names.
fn position(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|other| other == name)
}

/// What the tables of a task depend on, as far as it was traced.
#[derive(Default)]
struct Tracing {
    /// The table and name of each origin.
    names: Vec<(String, String)>,
    /// The columns of each table.
    columns: HashMap<String, Vec<String>>,
    /// Tables whose columns are traced no further.
    near: Tables,
    /// Tables traced to sources.
    far: Tables,
    accepted: HashMap<String, Route>,
    rejected: HashMap<String, Route>,
    /// For each table the sources that it is computed from.
    sources: HashMap<String, BTreeSet<String>>,
    /// The names of the sources in their order.
    all_sources: Vec<String>,
}

/// A route of a table.
struct Route {
    reads: Vec<String>,
    near: Relation,
    far: Relation,
    untraced: BTreeSet<String>,
}

impl Tracing {
    fn add_source(&mut self, name: &str, columns: &[String]) {
        let table = self.add_origins(name, columns);
        self.far.insert(name.to_owned(), table.clone());
        self.all_sources.push(name.to_owned());
        self.sources.insert(name.to_owned(), BTreeSet::from([name.to_owned()]));
        let route = |near: &Relation| Route {
            reads: vec![name.to_owned()],
            near: near.clone(),
            far: near.clone(),
            untraced: BTreeSet::new(),
        };
        let rejected = rejected_records(&table);
        self.accepted.insert(name.to_owned(), route(&table));
        self.rejected.insert(name.to_owned(), route(&rejected));
    }

    fn add_model(&mut self, step: &Step<'_>) {
        let Traced { relation: near, untraced } = Tracer::trace(&self.near, step.plan);
        let Traced { relation: far, .. } = Tracer::trace(&self.far, step.plan);
        let near_rules = self.rules(&self.near, &near, &step.rejecting);
        let far_rules = self.rules(&self.far, &far, &step.rejecting);
        let route = |near, far| Route { reads: step.reads.to_vec(), near, far, untraced: untraced.clone() };
        let rejected = route(rejected_rows(&near, &near_rules), rejected_rows(&far, &far_rules));
        let accepted = route(judged(near, &near_rules), judged(far, &far_rules));
        let sources = step.reads.iter().filter_map(|read| self.sources.get(read)).flatten().cloned().collect();
        self.sources.insert(step.name.to_owned(), sources);
        self.add_origins(step.name, &step.columns);
        self.far.insert(step.name.to_owned(), accepted.far.clone());
        self.accepted.insert(step.name.to_owned(), accepted);
        self.rejected.insert(step.name.to_owned(), rejected);
    }

    /// Numbers the columns of a table.
    fn add_origins(&mut self, name: &str, columns: &[String]) -> Relation {
        let first = self.names.len();
        self.names.extend(columns.iter().map(|column| (name.to_owned(), column.clone())));
        let table = Relation::of_origins((first..self.names.len()).map(|number| number as Origin));
        self.columns.insert(name.to_owned(), columns.to_vec());
        self.near.insert(name.to_owned(), table.clone());
        table
    }

    /// What the rules of a table depend on, which looks values up in others.
    fn rules(&self, tables: &Tables, table: &Relation, rejecting: &Rejecting) -> Column {
        let mut rules = Column::default();
        for column in rejecting.columns.iter().filter_map(|at| table.columns.get(*at)) {
            rules.add_computed(column, DependencyKind::Transformation);
        }
        for (table, key) in &rejecting.lookups {
            let (Some(relation), Some(names)) = (tables.get(table), self.columns.get(table)) else { continue };
            if let Some(column) = position(names, key).and_then(|at| relation.columns.get(at)) {
                rules.add_computed(column, DependencyKind::Transformation);
            }
            rules.presence.add(&relation.rows);
        }
        rules
    }

    fn table(&self, name: &str, columns: &[String], route: &Route) -> TableLineage {
        let sources = route.reads.iter().filter_map(|read| self.sources.get(read)).flatten();
        let sources: BTreeSet<&String> = sources.collect();
        TableLineage {
            table: name.to_owned(),
            reads: route.reads.clone(),
            sources: self.all_sources.iter().filter(|name| sources.contains(name)).cloned().collect(),
            from_tables: self.dependencies(columns, &route.near),
            from_sources: self.dependencies(columns, &route.far),
            untraced: route.untraced.iter().cloned().collect(),
        }
    }

    fn sink(&self, sink: &SinkStep<'_>) -> SinkLineage {
        let routes = if sink.rejected { &self.rejected } else { &self.accepted };
        let mut written = routes.get(sink.table).map(|route| route.far.clone()).unwrap_or_default();
        for (at, kind) in &sink.rows {
            if let Some(column) = written.columns.get(*at).cloned() {
                written.depend_on(&column, *kind);
            }
        }
        let columns = sink.columns.iter().filter_map(|(_, at)| written.columns.get(*at).cloned()).collect();
        let written = Relation { columns, ..written };
        let names: Vec<String> = sink.columns.iter().map(|(name, _)| name.clone()).collect();
        let of_route = sink.columns.iter().map(|(name, at)| SinkColumn {
            column: name.clone(),
            of: sink.route.get(*at).cloned().unwrap_or_default(),
        });
        SinkLineage {
            sink: sink.name.to_owned(),
            table: if sink.rejected { format!("{}.rejected", sink.table) } else { sink.table.to_owned() },
            target: sink.target.clone(),
            columns: of_route.collect(),
            from_sources: self.dependencies(&names, &written),
        }
    }

    fn dependencies(&self, columns: &[String], relation: &Relation) -> Dependencies {
        let columns = columns.iter().zip(&relation.columns).map(|(name, column)| ColumnLineage {
            column: name.clone(),
            values: self.named(&column.value),
            presence: self.named(&column.presence),
        });
        Dependencies { presence: self.named(&relation.rows), columns: columns.collect() }
    }

    fn named(&self, origins: &Origins) -> Vec<Dependency> {
        let name = |(origin, kinds): (Origin, super::kind::Kinds)| {
            let (table, column) = self.names[origin as usize].clone();
            Dependency { table, column, kinds: kinds.iter().collect() }
        };
        origins.iter().map(name).collect()
    }
}

/// The rows of a table that its rules accept.
fn judged(mut table: Relation, rules: &Column) -> Relation {
    table.depend_on(rules, DependencyKind::Rule);
    table
}

/// The rows that rules reject, and those that cannot be computed, with `reasons`.
fn rejected_rows(table: &Relation, rules: &Column) -> Relation {
    let mut rejected = judged(table.clone(), rules);
    let mut reasons = Column::default();
    reasons.add_computed(rules, DependencyKind::Conditional);
    for column in &table.columns {
        let mut computed = Column::default();
        let is_computed = |kinds: &super::kind::Kinds| kinds.iter().any(|kind| kind != DependencyKind::Identity);
        column.value.iter().filter(|(_, kinds)| is_computed(kinds)).for_each(|(origin, _)| {
            computed.value.add(&Origins::of(origin, DependencyKind::Transformation));
        });
        reasons.add_computed(&computed, DependencyKind::Conditional);
        rejected.depend_on(&computed, DependencyKind::Error);
    }
    rejected.columns.push(reasons);
    rejected
}

/// The records of a source that cannot be read, with the columns of their route: where they are, their text and the reasons.
fn rejected_records(source: &Relation) -> Relation {
    let of_all = |kind| {
        let mut all = Column::default();
        source.columns.iter().for_each(|column| all.add_computed(column, kind));
        all
    };
    let (text, reasons) = (of_all(DependencyKind::Transformation), of_all(DependencyKind::Conditional));
    let mut rejected = Relation::constant(2);
    rejected.depend_on(&text, DependencyKind::Error);
    rejected.columns.extend([text, reasons]);
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{REASONS, rejected_records as columns_of_records};

    #[test]
    fn the_columns_of_rejected_records_are_those_of_their_route() {
        let source = Relation::of_origins(0..3);
        let schema = columns_of_records();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["_file", "_line", "_raw", REASONS]);
        let rejected = rejected_records(&source);
        let read: Vec<usize> = rejected.columns.iter().map(|column| column.value.iter().count()).collect();
        assert_eq!((read, rejected.rows.iter().count()), (vec![0, 0, 3, 3], 3));
    }
}
