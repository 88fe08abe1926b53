//! A task planned over tables without rows: what can be known before anything is accessed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use serde_saphyr::Spanned;

use super::{Plan, Stage, append_once, register, windows};
use crate::database::Connector;
use crate::engine;
use crate::error::{Error, Result};
use crate::model::{self, Model};
use crate::quality::{ColumnRule, Judge, Scope};
use crate::report::RunKey;
use crate::route::{rejected_records, rejected_rows};
use crate::scratch::ScratchTable;
use crate::sink::{self, BoundSink, Claim, ColumnLimits, History, OpenTarget, SinkRun};
use crate::source::{Fetchers, Source};
use crate::task::{QualitySpec, Route, Task};

/// A task whose sources, models and sinks fit each other.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(super) sources: Vec<Source>,
    pub(super) models: Vec<Model>,
    /// The columns of all sources and models.
    pub(crate) schemas: HashMap<String, SchemaRef>,
    /// The optimised query of each model, over tables without rows.
    pub(super) queries: HashMap<String, LogicalPlan>,
    /// For each table the number of times that models scan it.
    scans: BTreeMap<String, usize>,
    pub(super) sinks: Vec<BoundSink>,
}

/// The sinks of a run, opened, and what their targets can hold.
pub(crate) struct OpenSinks {
    pub(crate) targets: Vec<Box<dyn OpenTarget>>,
    pub(crate) limits: ColumnLimits,
}

impl Draft {
    /// Plans a task. Nothing is accessed but its SQL files.
    pub(crate) async fn of(task: &Task, context: &SessionContext, fetchers: &Fetchers) -> Result<Self> {
        let sources = Source::declare_all(task)?;
        sources.iter().try_for_each(|source| source.check(fetchers))?;
        let mut draft = Self::of_tables(task, context, sources).await?;
        draft.bind_sinks(task, &engine::state(context))?;
        draft.check_readers(task)?;
        windows::check(task, &draft.models)?;
        append_once::check(task, &draft.models, &draft.sources, &draft.sinks)?;
        Ok(draft)
    }

    /// Plans the sources and models of a task, without its sinks.
    pub(crate) async fn of_tables(task: &Task, context: &SessionContext, sources: Vec<Source>) -> Result<Self> {
        let models = model::load(task)?;
        let context = engine::without_tables(context);
        let mut draft = Self {
            sources,
            models: vec![],
            schemas: HashMap::new(),
            queries: HashMap::new(),
            scans: BTreeMap::new(),
            sinks: vec![],
        };
        for source in &draft.sources {
            draft.schemas.insert(source.name().to_owned(), source.schema().clone());
            register(&context, source.name(), Arc::new(EmptyTable::new(source.schema().clone())))?;
        }
        for model in &models {
            let state = engine::state(&context);
            let plan = model.plan(&state).await?;
            count_scans(&mut draft.scans, &plan, 1).map_err(|error| Error::query(&model.name, error))?;
            let quality = task.spec.quality.get(&model.name);
            for table in quality.iter().flat_map(|quality| quality.value.tables()) {
                *draft.scans.entry(table.to_owned()).or_default() += 1;
            }
            let marked = plan.schema().as_arrow().fields().clone();
            let optimized = state.optimize(&plan);
            let plan = match optimized.and_then(|plan| engine::check_constants(&plan).map(|()| plan)) {
                Ok(plan) => plan,
                Err(error) => return Err(model.error(&state, &error).await),
            };
            // What is marked as JSON is what the model says, not what optimising makes of it.
            let fields = plan.schema().as_arrow().fields().iter().zip(&marked);
            let fields = fields.map(|(field, of)| field.as_ref().clone().with_metadata(of.metadata().clone()));
            let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            register(&context, &model.name, Arc::new(EmptyTable::new(schema.clone())))?;
            draft.schemas.insert(model.name.clone(), schema);
            draft.queries.insert(model.name.clone(), plan);
        }
        draft.models = models;
        if let Some((name, quality)) = task.spec.quality.iter().find(|(name, _)| !draft.schemas.contains_key(*name)) {
            let error = task.error(quality, format!("`{name}` is neither a model nor a source"));
            return Err(Box::new(error.nearest(name, draft.names())).into());
        }
        Ok(draft)
    }

    fn bind_sinks(&mut self, task: &Task, session: &SessionState) -> Result<()> {
        let private = self.private_columns(task);
        for (name, spec) in &task.spec.sinks {
            let from = &spec.value.from;
            let Some(schema) = self.schemas.get(&from.value.table) else {
                let error = task.error(from, format!("`{}` is neither a model nor a source", from.value.table));
                return Err(Box::new(error.nearest(&from.value.table, self.names())).into());
            };
            let is_source = task.spec.sources.contains_key(&from.value.table);
            let route = match (from.value.rejected, is_source) {
                (false, _) => schema.clone(),
                (true, true) => rejected_records(),
                (true, false) => rejected_rows(schema),
            };
            let sink = BoundSink::bind(task, session, name, &spec.value, &route, &private)?;
            let claim = sink.target.claim();
            if let Some(other) = self.sinks.iter().find(|other| other.target.claim().overlaps(&claim)) {
                let (what, help) = match claim {
                    Claim::Folder(_) | Claim::Objects(_) => ("folder", "give each sink a folder of its own"),
                    Claim::File(_) => {
                        ("file or its folder", "give each sink a file of its own, and no folder that a sink writes")
                    }
                    Claim::Table(_) => ("table", "combine their rows in a model"),
                };
                let message = format!("sinks `{}` and `{name}` share the {what} {}", other.name, sink.target.place());
                return Err(Box::new(task.error(&spec.value.from, message).with_help(help)).into());
            }
            self.sinks.push(sink);
        }
        Ok(())
    }

    /// Fails if there is something that nothing reads: it would be skipped silently.
    fn check_readers(&self, task: &Task) -> Result<()> {
        let sunk = |name: &str| task.spec.sinks.values().any(|sink| sink.value.from.value.table == name);
        for (name, source) in &task.spec.sources {
            if self.readers(name) == 0 && !sunk(name) {
                let error = task.error(source, format!("nothing reads source `{name}`"));
                return Err(Box::new(error.with_help("read it in a model or a sink, or remove it")).into());
            }
        }
        for (name, model) in &task.spec.models {
            if self.readers(name) == 0 && !sunk(name) && !task.spec.quality.contains_key(name) {
                let error = task.error(model, format!("nothing reads model `{name}`"));
                return Err(Box::new(error.with_help("add a sink with `from:` it, or remove it")).into());
            }
        }
        Ok(())
    }

    /// Opens the sinks for a run. Fails if one could not be committed as things are; changes nothing.
    pub(crate) async fn open_sinks(
        &self,
        task: &Task,
        key: &RunKey,
        run: &str,
        connector: &Connector,
        history: &History<'_>,
    ) -> Result<OpenSinks> {
        let mut open = OpenSinks { targets: vec![], limits: ColumnLimits::new() };
        let servers: HashSet<&str> = self.sinks.iter().filter_map(|sink| sink.target.server()).collect();
        let has_several_servers = servers.len() > 1;
        let at = task.run_started_at.unwrap_or_else(Utc::now);
        let mut identities: HashMap<String, &str> = HashMap::new();
        for (number, sink) in self.sinks.iter().enumerate() {
            let sink_run = SinkRun { sink: &sink.name, number, key, run, at, connector, has_several_servers, history };
            let target = sink.open(task, &sink_run).await?;
            if let Some(other) = target.identity().and_then(|of| identities.insert(of.to_owned(), &sink.name)) {
                let message = format!("is the table of sink `{other}` under another name");
                let help = "combine their rows in a model";
                return Err(Error::sink(&sink.name, sink.target.place().as_ref(), message, help));
            }
            open.limits.insert(sink.name.clone(), target.limits().to_vec());
            open.targets.push(target);
        }
        Ok(open)
    }

    /// Plans the stages, with the rules of the task and what the targets can hold.
    pub(crate) fn plan(mut self, task: &Task, context: &SessionContext, limits: &ColumnLimits) -> Result<Plan> {
        let mut stages = Vec::new();
        let gates = task.spec.quality.iter().map(|(table, quality)| (table.clone(), quality.value.gate)).collect();
        for source in &self.sources {
            let name = source.name();
            if let Some(quality) = task.spec.quality.get(name) {
                check_source_quality(task, name, quality)?;
            }
            if self.readers(name) > 1 || self.sinks.iter().any(|sink| sink.route == accepted_route(name)) {
                stages.push(Arc::new(self.stage(task, context, name, None, vec![])?));
            }
        }
        for Model { name, .. } in &self.models {
            let mut quality = task.spec.quality.get(name).map(|quality| quality.value.clone()).unwrap_or_default();
            sink::add_rules(&mut quality, name, &self.sinks, limits);
            let tests = sink::tests(name, &self.sinks, limits);
            let has_rules = !quality.reject_unless.is_empty() || !tests.is_empty();
            let is_judged = task.spec.quality.contains_key(name) || has_rules;
            let is_counted = task.spec.quality.values().any(|of| of.value.counted().any(|table| table == name));
            if is_judged
                || is_counted
                || self.readers(name) > 1
                || self.sinks.iter().any(|sink| sink.route.table == *name)
            {
                let quality = is_judged.then_some(&quality);
                stages.push(Arc::new(self.stage(task, context, name, quality, tests)?));
            }
        }
        let models = std::mem::take(&mut self.models);
        let Self { sources, schemas, queries, sinks, .. } = self;
        Ok(Plan { sources, models, schemas, queries, stages, sinks, gates })
    }

    fn stage(
        &self,
        task: &Task,
        context: &SessionContext,
        table: &str,
        quality: Option<&QualitySpec>,
        of_targets: Vec<ColumnRule>,
    ) -> Result<Stage> {
        let schema = self.schemas[table].clone();
        let sinks_of = |route: &Route| -> Vec<usize> {
            self.sinks.iter().enumerate().filter(|(_, sink)| sink.route == *route).map(|(i, _)| i).collect()
        };
        // The rejected records of a source do not come out of a stage: its scan has a route for them.
        let is_source = task.spec.sources.contains_key(table);
        let rejected = if is_source { vec![] } else { sinks_of(&Route { table: table.to_owned(), rejected: true }) };
        // A sample has the columns of the quarantine sink, where there is one.
        let columns = schema.fields().len();
        let shown: Vec<usize> = match rejected.first() {
            Some(sink) => self.sinks[*sink].columns().filter(|column| *column < columns).collect(),
            None => (0..columns).collect(),
        };
        let session = engine::state(context);
        let scope = Scope { task, session: &session, table, schema: &schema, schemas: &self.schemas };
        let judge = quality.map(|quality| Judge::bind(&scope, quality, of_targets, shown.clone()));
        Ok(Stage {
            table: table.to_owned(),
            judge: judge.transpose()?,
            rejected_schema: rejected_rows(&schema),
            shown,
            is_private: task.has_private_columns(),
            accepted: sinks_of(&accepted_route(table)),
            rejected,
            scratch: (self.readers(table) > 0).then(|| Arc::new(ScratchTable::new(table, schema.clone()))),
            schema,
        })
    }

    fn readers(&self, table: &str) -> usize {
        self.scans.get(table).copied().unwrap_or(0)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().map(String::as_str)
    }

    /// The models, in the order in which they can be computed.
    pub(crate) fn models(&self) -> &[Model] {
        &self.models
    }
}

/// Counts how many times a plan scans each table. What a recursive query scans is scanned again and again.
fn count_scans(scans: &mut BTreeMap<String, usize>, plan: &LogicalPlan, times: usize) -> datafusion::error::Result<()> {
    plan.apply_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) => {
            *scans.entry(scan.table_name.table().to_owned()).or_default() += times;
            Ok(TreeNodeRecursion::Continue)
        }
        LogicalPlan::RecursiveQuery(query) if times == 1 => {
            count_scans(scans, &query.static_term, times)?;
            count_scans(scans, &query.recursive_term, 2)?;
            Ok(TreeNodeRecursion::Jump)
        }
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

fn accepted_route(table: &str) -> Route {
    Route { table: table.to_owned(), rejected: false }
}

fn check_source_quality(task: &Task, name: &str, quality: &Spanned<QualitySpec>) -> Result<()> {
    let QualitySpec { reject_unless, warn_unless, fail_unless, gate: _ } = &quality.value;
    if reject_unless.is_empty() && warn_unless.is_empty() && fail_unless.is_empty() {
        return Ok(());
    }
    let error = task.error(quality, format!("`{name}` is a source, and rules judge models"));
    let help = "write a model that selects from it, and its rules there; a source takes only `gate`";
    Err(Box::new(error.with_help(help)).into())
}
