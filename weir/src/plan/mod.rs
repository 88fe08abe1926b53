//! What a run does: its sources, models, stages with their rules, and sinks.
//!
//! A [`Draft`] is planned over tables without rows: it has the columns of all tables and binds the sinks. With the limits of
//! the sinks' targets it becomes a [`Plan`], which `run` executes and `plan`, `validate`, `doctor` and `test` use. A model
//! that one other model reads, and that nobody judges or writes, is a view: the query engine sees through it. Every other
//! table is a stage: computed once, judged, and written to all its sinks in one pass. The accepted rows of a stage go straight
//! into the stage that reads them, if there is but one (`reads`); otherwise they are kept on disk until all have read them.

mod append_once;
mod constants;
mod description;
mod draft;
mod lineage;
mod reads;
mod reference;
mod replay;
mod windows;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;

pub use description::{PlanDescription, SinkDescription, SourceDescription, StageDescription};
pub(crate) use draft::Draft;
pub(crate) use reference::{published_by, resolved};
pub(crate) use replay::{Place, Quarantine, ReplayPlan, Role};

use crate::engine;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::quality::{Judge, Tally};
use crate::scratch::ScratchTable;
use crate::sink::BoundSink;
use crate::source::Source;
use crate::task::{GateSpec, Route};

/// What a run does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sources: Vec<Source>,
    /// The models in the order in which they can be computed.
    pub(crate) models: Vec<Model>,
    /// The columns of all sources and models.
    schemas: HashMap<String, SchemaRef>,
    /// The optimised query of each model, over tables without rows.
    queries: HashMap<String, LogicalPlan>,
    /// The stages, each after those that it reads.
    pub(crate) stages: Vec<Arc<Stage>>,
    /// The sinks, in the order of the task file.
    pub(crate) sinks: Vec<BoundSink>,
    /// The gates of sources and models.
    pub(crate) gates: HashMap<String, GateSpec>,
}

/// A table that is computed once.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The name of the source or model.
    pub(crate) table: String,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// Its rules.
    pub(crate) judge: Option<Judge>,
    /// The columns of its rejected rows.
    pub(crate) rejected_schema: SchemaRef,
    /// The columns that are shown of a row.
    pub(crate) shown: Vec<usize>,
    /// Whether the task has private columns: then reasons have no values of rows.
    pub(crate) is_private: bool,
    /// The sinks of its accepted rows, by their position in [`Plan::sinks`].
    pub(crate) accepted: Vec<usize>,
    /// The sinks of its rejected rows.
    pub(crate) rejected: Vec<usize>,
    /// The table of its accepted rows for the models that read them.
    pub(crate) scratch: Option<Arc<ScratchTable>>,
}

/// The tables of the sources, by name.
pub(crate) type Tables = HashMap<String, Arc<dyn TableProvider>>;

/// A stage over the tables of a session.
#[derive(Debug)]
pub(crate) struct BoundStage {
    pub(crate) stage: Arc<Stage>,
    /// Its model, unless it is a source.
    model: Option<Model>,
    query: LogicalPlan,
    /// The stages whose accepted rows go into it as they are judged, or into one of these: each after those that it reads.
    streamed: Vec<BoundStage>,
    /// The stage that reads its rows as they are judged.
    pub(crate) streams_to: Option<String>,
}

impl Plan {
    /// Registers the tables of the sources, the views and the kept tables in a session, and plans the stages over them. A
    /// source without a table has no rows.
    /// Rows are streamed from one stage to another only where all are computed in this process.
    pub(crate) async fn bind(
        &self,
        context: &SessionContext,
        tables: &Tables,
        streams: bool,
    ) -> Result<Vec<BoundStage>> {
        let mut bound = Vec::with_capacity(self.stages.len());
        for source in &self.sources {
            let name = source.name();
            let table = tables.get(name).cloned();
            let table = table.unwrap_or_else(|| Arc::new(EmptyTable::new(source.schema().clone())));
            match self.stage(name) {
                None => register(context, name, table)?,
                Some(stage) => {
                    let query = LogicalPlanBuilder::scan(name, provider_as_source(table), None);
                    let query = query.and_then(LogicalPlanBuilder::build).map_err(|error| Error::query(name, error))?;
                    bound.push(stage.bind(context, None, query)?);
                }
            }
        }
        for model in &self.models {
            let query = model.plan(&engine::state(context)).await?;
            match self.stage(&model.name) {
                None => register(context, &model.name, Arc::new(ViewTable::new(query, None)))?,
                Some(stage) => {
                    let query = match stage.extended(context, query).await {
                        Ok(query) => query,
                        Err(error) => return Err(model.error(&engine::state(context), &error).await),
                    };
                    bound.push(stage.bind(context, Some(model), query)?);
                }
            }
        }
        Ok(reads::connect(context, bound, streams))
    }

    /// How many rules judge the rows of all stages.
    pub(crate) fn rules(&self) -> usize {
        let judges = self.stages.iter().filter_map(|stage| stage.judge.as_ref());
        judges.map(|judge| judge.rules.len() + judge.counted_later().count()).sum()
    }

    /// The positions of the sinks of the unreadable records of a source.
    pub(crate) fn sinks_of_rejected(&self, source: &str) -> Vec<usize> {
        let route = Route { table: source.to_owned(), rejected: true };
        self.sinks.iter().enumerate().filter(|(_, sink)| sink.route == route).map(|(number, _)| number).collect()
    }

    /// The gate of a table.
    pub(crate) fn gate(&self, table: &str) -> GateSpec {
        self.gates.get(table).copied().unwrap_or_default()
    }

    /// A table and all that it is made of.
    pub(crate) fn upstream<'a>(&'a self, table: &'a str) -> HashSet<&'a str> {
        upstream(table, &self.models)
    }

    fn stage(&self, table: &str) -> Option<&Arc<Stage>> {
        self.stages.iter().find(|stage| stage.table == table)
    }
}

impl Stage {
    /// Zero counts.
    pub(crate) fn tally(&self) -> Tally {
        self.judge.as_ref().map(Judge::tally).unwrap_or_default()
    }

    /// The rows of the stage as they are computed, before they are ordered and judged: a stage of its own, which keeps them. Those
    /// that cannot be computed are rejected.
    pub(crate) fn unordered(&self, columns: &SchemaRef) -> Self {
        Self {
            table: self.table.clone(),
            schema: columns.clone(),
            judge: None,
            rejected_schema: self.rejected_schema.clone(),
            shown: self.shown.clone(),
            is_private: self.is_private,
            accepted: vec![],
            rejected: self.rejected.clone(),
            scratch: Some(Arc::new(ScratchTable::new(&format!("{}_unordered", self.table), columns.clone()))),
        }
    }

    /// The query with the columns that rules about related rows need.
    async fn extended(&self, context: &SessionContext, query: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let Some(judge) = &self.judge else { return Ok(query) };
        let mut tables = HashMap::new();
        for table in judge.tables() {
            tables.insert(table.to_owned(), context.table(table).await?.into_unoptimized_plan());
        }
        judge.extended(query, &tables)
    }

    fn bind(
        self: &Arc<Self>,
        context: &SessionContext,
        model: Option<&Model>,
        query: LogicalPlan,
    ) -> Result<BoundStage> {
        if let Some(scratch) = &self.scratch {
            register(context, &self.table, scratch.clone())?;
        }
        Ok(BoundStage { stage: self.clone(), model: model.cloned(), query, streamed: vec![], streams_to: None })
    }
}

impl BoundStage {
    /// The stages that are computed with it.
    pub(crate) fn streamed(&self) -> &[BoundStage] {
        &self.streamed
    }

    /// Those, and then the stage itself.
    pub(crate) fn all(&self) -> impl Iterator<Item = &BoundStage> {
        self.streamed.iter().chain([self])
    }

    /// The same stage with values in place of scalar subqueries, which are computed now. No other stage streams into it.
    pub(crate) async fn with_constants(&self, context: &SessionContext) -> Result<Self> {
        let query = constants::with_constants(&self.stage.table, &self.query, context).await?;
        let (stage, model) = (self.stage.clone(), self.model.clone());
        Ok(Self { stage, model, query, streamed: vec![], streams_to: self.streams_to.clone() })
    }

    /// How the stage is computed. The stages before it must have been, if this one is to be executed.
    pub(crate) async fn physical_plan(&self, context: &SessionContext) -> Result<Arc<dyn ExecutionPlan>> {
        let Stage { table, schema, .. } = &*self.stage;
        let state = engine::state(context);
        let plan = state.create_physical_plan(&self.query).await;
        let plan = match plan.and_then(|plan| engine::try_expressions(&plan).map(|()| plan)) {
            Ok(plan) => plan,
            Err(error) => return Err(self.error(&state, error).await),
        };
        // What was planned over tables without rows must be what comes out over real ones.
        let planned = schema.fields().iter().map(|field| (field.name(), field.data_type()));
        let real = plan.schema();
        // Columns of rules come after those of the table.
        if planned.eq(real.fields().iter().take(schema.fields().len()).map(|field| (field.name(), field.data_type()))) {
            return Ok(plan);
        }
        let message = format!("its columns were planned as {schema:?} and are {real:?}");
        Err(Error::Query { table: table.clone(), message })
    }

    /// An error before any row was read: the SQL is wrong.
    async fn error(&self, session: &SessionState, error: DataFusionError) -> Error {
        match (Error::query(&self.stage.table, error), &self.model) {
            (Error::Query { message, .. } | Error::Row { message, .. }, Some(model)) => {
                model.wrong(session, &message).await
            }
            (error, _) => error,
        }
    }
}

/// A table and all that it is made of.
fn upstream<'a>(table: &'a str, models: &'a [Model]) -> HashSet<&'a str> {
    let (mut all, mut open) = (HashSet::new(), vec![table]);
    while let Some(table) = open.pop() {
        if all.insert(table) {
            let model = models.iter().find(|model| model.name == table);
            open.extend(model.into_iter().flat_map(|model| model.reads.iter().map(String::as_str)));
        }
    }
    all
}

fn register(context: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
    context.register_table(name, table).map(|_| ()).map_err(|error| Error::query(name, error))
}
