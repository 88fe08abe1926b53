//! The pass over a stage as a node that other processes execute.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::folder::JobRef;
use super::host::Host;
use crate::engine::RowError;
use crate::error::{Error, Result};
use crate::stage::{BrokenPartition, PassExec, broken_off, guard, receipt_schema};
use crate::system::fault;

/// What a pass is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PassSpec {
    pub(super) job: JobRef,
    /// The table of the stage.
    pub(super) table: String,
    /// The columns that are kept for other stages, if not all.
    pub(super) keep: Option<Vec<usize>>,
    /// Whether the rows are kept as they are computed, to be ordered and judged later.
    pub(super) is_unordered: bool,
}

/// Guards its input, judges the rows and writes them. Each partition returns a receipt.
pub(super) struct AwayPassExec {
    pub(super) spec: PassSpec,
    host: Option<Host>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    /// The pass over the guarded input, made once for all partitions: nodes of the plan share what they have computed.
    pass: Mutex<Option<Arc<PassExec>>>,
}

impl AwayPassExec {
    /// A pass, which can be executed where there is a host.
    pub(super) fn new(spec: PassSpec, host: Option<Host>, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(receipt_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self { spec, host, input, properties, pass: Mutex::default() }
    }

    fn pass(&self) -> Result<Arc<PassExec>> {
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pass) = &*pass {
            return Ok(pass.clone());
        }
        let host = self.host.as_ref().ok_or_else(|| Error::internal("this process computes no stages of others"))?;
        let run = host.run(&self.spec.job.run)?;
        let mut stage = run.stage(&self.spec.table)?;
        if self.spec.is_unordered {
            stage = Arc::new(stage.unordered(&self.input.schema()));
        }
        if let (Some(keep), Some(scratch)) = (&self.spec.keep, &stage.scratch) {
            scratch.keep(keep.clone());
        }
        let input = guard(self.input.clone()).map_err(|error| Error::query(&self.spec.table, error))?;
        Ok(pass.insert(Arc::new(PassExec::new(input, stage, run.to.clone()))).clone())
    }
}

impl fmt::Debug for AwayPassExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwayPassExec").field("table", &self.spec.table).finish_non_exhaustive()
    }
}

impl DisplayAs for AwayPassExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwayPassExec: {}", self.spec.table)
    }
}

impl ExecutionPlan for AwayPassExec {
    fn name(&self) -> &str {
        "AwayPassExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("a pass has one input");
        };
        Ok(Arc::new(Self::new(self.spec.clone(), self.host.clone(), input)))
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> QueryResult<TreeNodeRecursion>,
    ) -> QueryResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> QueryResult<SendableRecordBatchStream> {
        let table = self.spec.table.clone();
        let receipts = self.pass().map_err(DataFusionError::from).and_then(|pass| pass.execute(partition, context));
        let receipts = receipts.map_err(|error| told(&table, error))?;
        let receipts = receipts.map_err(move |error| told(&table, error)).inspect_ok(|_| fault::point("pass_done"));
        Ok(Box::pin(RecordBatchStreamAdapter::new(receipt_schema(), receipts)))
    }
}

/// An error as the text that the client reads again, with what was counted until then.
pub(super) fn told(table: &str, error: DataFusionError) -> DataFusionError {
    let text = error.to_string();
    if Error::from_wire(&text).is_some() || is_of_others(&error) {
        return error;
    }
    let BrokenPartition { error, tally } = *BrokenPartition::of(table, error);
    let tally = serde_json::to_value(tally).unwrap_or_default();
    DataFusionError::Execution(error.to_wire(table, &tally))
}

/// What an executor says of a task that has failed: an error of a row, or of memory, comes back as it is.
pub fn error_of_task(error: DataFusionError) -> DataFusionError {
    let is_own = RowError::of(&error).is_some() || matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
    if !is_own || Error::from_wire(&error.to_string()).is_some() {
        return error;
    }
    DataFusionError::Execution(broken_off("", error).to_wire("", &serde_json::Value::Null))
}

/// Whether an error is one of machines and networks, after which the job may be tried again.
fn is_of_others(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::IoError(_) | DataFusionError::ArrowError(..))
        && RowError::of(error).is_none()
}
