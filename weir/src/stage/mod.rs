//! What a run computes: a stage for each table that is judged, written or read more than once.
//!
//! A model that one other model reads, and nobody judges or writes, is a view: the query engine sees through
//! it. Every other table is a stage: computed once, judged, and handed to all its readers in one pass.

mod execute;
mod failed;
mod guard;
mod repeat;
mod scratch;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;

pub(crate) use execute::{Pass, execute};
pub(crate) use scratch::ScratchTable;

use crate::engine;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::quality::{Judge, rejected_schema};
use crate::sink::{self, BoundSink, Narrow};
use crate::source::Source;
use crate::source::rejected;
use crate::task::{GateSpec, QualitySpec, Route, Task};

/// All that a run computes, in order.
#[derive(Debug)]
pub(crate) struct Flow {
    /// The stages, each after those that it reads.
    pub(crate) stages: Vec<Arc<Stage>>,
    /// The sinks, in the order of the task file.
    pub(crate) sinks: Vec<BoundSink>,
    /// The gates of sources.
    pub(crate) source_gates: Vec<(String, GateSpec)>,
    /// The models in the order in which they can be computed.
    pub(crate) models: Vec<String>,
}

/// A table that is computed once.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The source's or model's name.
    pub(crate) table: String,
    /// How it is computed.
    pub(crate) plan: LogicalPlan,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// Its rules.
    pub(crate) judge: Option<Judge>,
    /// The columns of its rejected rows.
    pub(crate) rejected_schema: SchemaRef,
    /// The columns that stand for a row where one is shown.
    pub(crate) shown: Vec<usize>,
    /// The sinks of its accepted rows, by their position in [`Flow::sinks`].
    pub(crate) accepted: Vec<usize>,
    /// The sinks of its rejected rows.
    pub(crate) rejected: Vec<usize>,
    /// Where its accepted rows are kept for the models that read them.
    pub(crate) scratch: Option<Arc<ScratchTable>>,
}

/// The sources as tables, by name.
pub(crate) type Tables = HashMap<String, Arc<dyn TableProvider>>;

/// Sources without rows: enough to check a task.
pub(crate) fn empty_tables(sources: &[Source]) -> Tables {
    let table = |source: &Source| Arc::new(EmptyTable::new(source.schema().clone())) as Arc<dyn TableProvider>;
    sources.iter().map(|source| (source.name().to_owned(), table(source))).collect()
}

/// The columns of all sources and models.
pub(crate) async fn schemas(
    task: &Task,
    context: &SessionContext,
    sources: &[Source],
    models: &[Model],
) -> Result<HashMap<String, SchemaRef>> {
    Ok(Survey::take(task, context, sources, models).await?.schemas)
}

impl Flow {
    /// Works out the stages of a task over its sources.
    pub(crate) async fn plan(
        task: &Task,
        context: &SessionContext,
        sources: &[Source],
        models: &[Model],
        tables: Tables,
        narrow: &Narrow,
    ) -> Result<Self> {
        let survey = Survey::take(task, context, sources, models).await?;
        let sinks = bind_sinks(task, &survey)?;
        check_readers(task, &survey)?;
        repeat::check(task, models, sources, &sinks)?;
        let mut flow = Self {
            stages: Vec::new(),
            sinks,
            source_gates: Vec::new(),
            models: models.iter().map(|model| model.name.clone()).collect(),
        };
        for source in sources {
            let name = source.name();
            let table = tables.get(name).cloned().unwrap_or_else(|| Arc::new(EmptyTable::new(source.schema().clone())));
            if let Some(quality) = task.spec.quality.get(name) {
                check_source_quality(task, name, quality)?;
                flow.source_gates.push((name.to_owned(), quality.value.gate));
            }
            let has_sink = flow.sinks.iter().any(|sink| sink.route == accepted_route(name));
            if has_sink || survey.readers(name) > 1 {
                let plan =
                    LogicalPlanBuilder::scan(name, provider_as_source(table), None).and_then(LogicalPlanBuilder::build);
                let plan = plan.map_err(|error| Error::query(name, error))?;
                flow.add_stage(task, context, &survey, name, plan, None)?;
            } else {
                register(context, name, table)?;
            }
        }
        for model in models {
            let plan = model.plan(&context.state()).await?;
            let mut quality =
                task.spec.quality.get(&model.name).map(|quality| quality.value.clone()).unwrap_or_default();
            sink::rules(&mut quality, &model.name, &flow.sinks, narrow);
            let is_judged = task.spec.quality.contains_key(&model.name) || !quality.reject_unless.is_empty();
            let has_sink = flow.sinks.iter().any(|sink| sink.route.table == model.name);
            if is_judged || has_sink || survey.readers(&model.name) > 1 {
                flow.add_stage(task, context, &survey, &model.name, plan, is_judged.then_some(&quality))?;
            } else {
                register(context, &model.name, Arc::new(ViewTable::new(plan, None)))?;
            }
        }
        Ok(flow)
    }

    fn add_stage(
        &mut self,
        task: &Task,
        context: &SessionContext,
        survey: &Survey,
        table: &str,
        plan: LogicalPlan,
        quality: Option<&QualitySpec>,
    ) -> Result<()> {
        let schema = survey.schemas[table].clone();
        let takers = |route: &Route| -> Vec<usize> {
            self.sinks.iter().enumerate().filter(|(_, sink)| sink.route == *route).map(|(i, _)| i).collect()
        };
        let accepted = takers(&accepted_route(table));
        // The rejected records of a source do not come out of a stage: its scan has a route for them.
        let is_source = task.spec.sources.contains_key(table);
        let rejected = if is_source { vec![] } else { takers(&Route { table: table.to_owned(), rejected: true }) };
        // A sample shows a row as its quarantine does, where there is one.
        let columns = schema.fields().len();
        let shown: Vec<usize> = match rejected.first() {
            Some(sink) => self.sinks[*sink].columns().filter(|column| *column < columns).collect(),
            None => (0..columns).collect(),
        };
        let judge = quality.map(|quality| Judge::bind(task, &context.state(), table, &schema, quality, shown.clone()));
        let judge = judge.transpose()?;
        let scratch = match survey.readers(table) {
            0 => None,
            _ => {
                let scratch = Arc::new(ScratchTable::new(schema.clone()));
                register(context, table, scratch.clone())?;
                Some(scratch)
            }
        };
        let rejected_schema = rejected_schema(&schema);
        let table = table.to_owned();
        self.stages.push(Arc::new(Stage {
            table,
            plan,
            schema,
            judge,
            rejected_schema,
            shown,
            accepted,
            rejected,
            scratch,
        }));
        Ok(())
    }
}

/// The columns of all tables and who reads what, found by planning over tables without rows.
struct Survey {
    schemas: HashMap<String, SchemaRef>,
    /// For each table how many times models scan it.
    scans: BTreeMap<String, usize>,
}

impl Survey {
    async fn take(task: &Task, context: &SessionContext, sources: &[Source], models: &[Model]) -> Result<Self> {
        let context = engine::without_tables(context);
        let mut survey = Self { schemas: HashMap::new(), scans: BTreeMap::new() };
        for source in sources {
            survey.schemas.insert(source.name().to_owned(), source.schema().clone());
            register(&context, source.name(), Arc::new(EmptyTable::new(source.schema().clone())))?;
        }
        for model in models {
            let plan = model.plan(&context.state()).await?;
            survey.count_scans(&plan, 1).map_err(|error| Error::query(&model.name, error))?;
            let plan = context.state().optimize(&plan);
            let plan = plan.map_err(|error| model.error(&error))?;
            engine::check_constants(&plan).map_err(|error| model.error(&error))?;
            let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
            let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(schema.fields().clone()));
            register(&context, &model.name, Arc::new(EmptyTable::new(schema.clone())))?;
            survey.schemas.insert(model.name.clone(), schema);
        }
        if let Some((name, quality)) = task.spec.quality.iter().find(|(name, _)| !survey.schemas.contains_key(*name)) {
            let error = task.error(quality, format!("`{name}` is neither a model nor a source"));
            return Err(Box::new(error.nearest(name, survey.names())).into());
        }
        Ok(survey)
    }

    /// Counts how many times a plan scans each table. What stands in a recursive query is scanned again and again.
    fn count_scans(&mut self, plan: &LogicalPlan, times: usize) -> datafusion::error::Result<()> {
        plan.apply_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => {
                *self.scans.entry(scan.table_name.table().to_owned()).or_default() += times;
                Ok(TreeNodeRecursion::Continue)
            }
            LogicalPlan::RecursiveQuery(query) if times == 1 => {
                self.count_scans(&query.static_term, times)?;
                self.count_scans(&query.recursive_term, 2)?;
                Ok(TreeNodeRecursion::Jump)
            }
            _ => Ok(TreeNodeRecursion::Continue),
        })?;
        Ok(())
    }

    fn readers(&self, table: &str) -> usize {
        self.scans.get(table).copied().unwrap_or(0)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().map(String::as_str)
    }
}

fn accepted_route(table: &str) -> Route {
    Route { table: table.to_owned(), rejected: false }
}

fn register(context: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
    context.register_table(name, table).map(|_| ()).map_err(|error| Error::query(name, error))
}

fn bind_sinks(task: &Task, survey: &Survey) -> Result<Vec<BoundSink>> {
    let mut sinks: Vec<BoundSink> = Vec::new();
    for (name, spec) in &task.spec.sinks {
        let from = &spec.value.from;
        let Some(schema) = survey.schemas.get(&from.value.table) else {
            let error = task.error(from, format!("`{}` is neither a model nor a source", from.value.table));
            return Err(Box::new(error.nearest(&from.value.table, survey.names())).into());
        };
        let is_source = task.spec.sources.contains_key(&from.value.table);
        let route = match (from.value.rejected, is_source) {
            (false, _) => schema.clone(),
            (true, true) => rejected::rejected_schema(),
            (true, false) => rejected_schema(schema),
        };
        let sink = BoundSink::bind(task, name, &spec.value, &route)?;
        if let Some(folder) = sink.folder()
            && let Some(other) = sinks.iter().find(|other| other.folder().is_some_and(|other| overlap(other, folder)))
        {
            let message = format!("sinks `{}` and `{name}` share the folder {folder}", other.name);
            let error = task.error(&spec.value.from, message).with_help("give each sink a folder of its own");
            return Err(Box::new(error).into());
        }
        if sink.folder().is_none()
            && let Some(other) = sinks.iter().find(|other| other.place() == sink.place())
        {
            let message = format!("sinks `{}` and `{name}` share the table {}", other.name, sink.place());
            let error = task.error(&spec.value.from, message).with_help("bring their rows together in a model");
            return Err(Box::new(error).into());
        }
        sinks.push(sink);
    }
    Ok(sinks)
}

/// Whether one of the folders is the other or lies in it.
fn overlap(one: &str, other: &str) -> bool {
    let absolute = |path: &str| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let (one, other) = (absolute(one), absolute(other));
    one.starts_with(&other) || other.starts_with(&one)
}

/// What nothing reads would be skipped in silence.
fn check_readers(task: &Task, survey: &Survey) -> Result<()> {
    let sunk = |name: &str| task.spec.sinks.values().any(|sink| sink.value.from.value.table == name);
    for (name, source) in &task.spec.sources {
        if survey.readers(name) == 0 && !sunk(name) {
            let error = task.error(source, format!("nothing reads source `{name}`"));
            return Err(Box::new(error.with_help("read it in a model or a sink, or remove it")).into());
        }
    }
    for (name, model) in &task.spec.models {
        if survey.readers(name) == 0 && !sunk(name) && !task.spec.quality.contains_key(name) {
            let error = task.error(model, format!("nothing reads model `{name}`"));
            return Err(Box::new(error.with_help("add a sink with `from:` it, or remove it")).into());
        }
    }
    Ok(())
}

fn check_source_quality(task: &Task, name: &str, quality: &serde_saphyr::Spanned<QualitySpec>) -> Result<()> {
    let QualitySpec { reject_unless, warn_unless, fail_unless, gate: _ } = &quality.value;
    if reject_unless.is_empty() && warn_unless.is_empty() && fail_unless.is_empty() {
        return Ok(());
    }
    let error = task.error(quality, format!("`{name}` is a source, and rules judge models"));
    Err(Box::new(
        error.with_help("write a model that selects from it, and its rules there; a source takes only `gate`"),
    )
    .into())
}
