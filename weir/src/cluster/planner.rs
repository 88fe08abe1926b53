//! Plans stages for the machines of a cluster, and says which have to stay in this process.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;

use super::Cluster;
use super::ship::{Splits, sources, why_here};
use crate::engine;
use crate::error::{Error, Result};
use crate::format::scan::SourceTable;
use crate::format::split::Split;
use crate::plan::{BoundStage, Plan, Stage};
use crate::stage::over;
use crate::system::stop::Stop;

/// The least bytes of a part of a source.
const LEAST: u64 = 1 << 20;

/// How many parts of its sources a partition should have, so that all end at about the same time.
const PARTS: u64 = 3;

/// The tables of the sources, by name.
pub(crate) type SourceTables = HashMap<String, Arc<dyn SourceTable>>;

/// Plans stages for the machines of a cluster.
pub(crate) struct Planner {
    pub(super) cluster: Arc<dyn Cluster>,
    /// The session that plans for the machines.
    pub(super) context: SessionContext,
    /// That of this process.
    here: SessionContext,
    pub(super) partitions: usize,
    /// Whether other processes can write to each sink.
    writes: Vec<bool>,
}

impl Planner {
    /// Asks the machines how many they are.
    pub(crate) async fn begin(cluster: &Arc<dyn Cluster>, session: &SessionContext, writes: Vec<bool>) -> Result<Self> {
        let partitions = cluster.partitions().await?.max(1);
        let state = engine::state(session);
        let config = cluster.configure(state.config().clone()).with_target_partitions(partitions);
        let state = SessionStateBuilder::new_from_existing(state).with_config(config).build();
        let context = SessionContext::new_with_state(state);
        Ok(Self { cluster: cluster.clone(), context, here: session.clone(), partitions, writes })
    }

    /// The stage with values in place of scalar subqueries, which this process computes.
    pub(super) async fn with_constants(&self, bound: &BoundStage, stop: &mut Stop) -> Result<BoundStage> {
        tokio::select! {
            bound = bound.with_constants(&self.here) => bound,
            () = stop.wanted() => Err(Error::Interrupted),
            (limit, resident) = engine::exceeded(&self.here) => Err(over(&bound.stage.table, limit, resident)),
        }
    }

    /// The plan of a stage.
    pub(crate) async fn plan(&self, bound: &BoundStage) -> Result<Arc<dyn ExecutionPlan>> {
        bound.physical_plan(&self.context).await
    }

    /// Why a stage is computed in this process, if it has to be.
    pub(crate) fn why_here(
        &self,
        stage: &Stage,
        physical: &Arc<dyn ExecutionPlan>,
        plan: &Plan,
        tables: &SourceTables,
    ) -> Result<Option<String>> {
        if let Some(why) = self.why_sinks(stage.accepted.iter().chain(&stage.rejected), plan) {
            return Ok(Some(why));
        }
        let why = why_here(physical, &self.context.state()).map_err(|error| Error::query(&stage.table, error))?;
        if why.is_some() {
            return Ok(why);
        }
        for source in sources(physical) {
            if let Some(why) = self.why_sinks(&plan.sinks_of_rejected(&source), plan) {
                return Ok(Some(why));
            }
            let has_splits = plan.sources.iter().any(|of| of.name() == source && of.has_splits());
            let table = tables.get(&source).filter(|_| has_splits);
            if table.map(|table| table.splits(u64::MAX)).transpose()?.flatten().is_none() {
                return Ok(Some(format!("source `{source}` is not read from files that all machines have")));
            }
        }
        Ok(None)
    }

    /// Why the sinks at some positions are written in this process.
    fn why_sinks<'a>(&self, sinks: impl IntoIterator<Item = &'a usize>, plan: &Plan) -> Option<String> {
        let sink = sinks.into_iter().find(|sink| !self.writes.get(**sink).copied().unwrap_or_default())?;
        Some(format!("sink `{}` is written by one process", plan.sinks[*sink].name))
    }

    /// The parts of the sources of a plan that can leave this process.
    pub(super) fn splits(&self, physical: &Arc<dyn ExecutionPlan>, tables: &SourceTables) -> Result<Splits> {
        let parts_of = |source: &String| {
            let parts = tables.get(source).map(|table| self.splits_of(table.as_ref())).transpose()?.flatten();
            parts.ok_or_else(|| Error::internal(format!("source `{source}` has no parts")))
        };
        sources(physical).into_iter().map(|source| parts_of(&source).map(|parts| (source, parts.into()))).collect()
    }

    fn splits_of(&self, table: &dyn SourceTable) -> Result<Option<Vec<Split>>> {
        let most = self.cluster.split_bytes().max(1);
        // Files that are not cut tell how many bytes there are.
        let Some(whole) = table.splits(u64::MAX)? else { return Ok(None) };
        let bytes = whole.iter().map(|split| split.file.size()).sum::<u64>() / (self.partitions as u64 * PARTS);
        table.splits(bytes.clamp(LEAST.min(most), most))
    }
}
