//! Ends what a stage computes when nobody waits for it any more. Ballista leaves the partitions of such a stage running.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use futures::StreamExt;
use tokio::sync::watch;

/// Whether somebody waits for a stage. When the last handle is dropped nobody does.
#[derive(Debug)]
pub(crate) struct Waiting(watch::Sender<()>);

impl Waiting {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// The same plan, which ends when this is dropped.
    pub(crate) fn guard(&self, plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(CancelExec { input: plan, waiting: self.0.subscribe() })
    }
}

/// Passes rows on as long as somebody waits for them.
#[derive(Debug)]
struct CancelExec {
    input: Arc<dyn ExecutionPlan>,
    waiting: watch::Receiver<()>,
}

impl DisplayAs for CancelExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelExec")
    }
}

impl ExecutionPlan for CancelExec {
    fn name(&self) -> &str {
        "CancelExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self { input, waiting: self.waiting.clone() })),
            _ => Err(DataFusionError::Internal("CancelExec has one child".to_owned())),
        }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let task = context.task_id().unwrap_or_default();
        let input = self.input.execute(partition, context)?;
        let schema = input.schema();
        let rows = futures::stream::unfold(Some((input, self.waiting.clone())), move |state| {
            let task = task.clone();
            async move {
                let (mut input, mut waiting) = state?;
                tokio::select! {
                    biased;
                    // What computes the rows is dropped with `input`.
                    () = nobody_waits(&mut waiting) => {
                        tracing::info!(task, partition, "cancelled");
                        Some((Err(DataFusionError::Execution(format!("{task} was cancelled"))), None))
                    }
                    row = input.next() => row.map(|row| (row, Some((input, waiting)))),
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Comes back when nobody waits any more. Nothing is ever sent: the other side is dropped.
async fn nobody_waits(waiting: &mut watch::Receiver<()>) {
    while waiting.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use datafusion::arrow::array::{Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::TaskContext;
    use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
    }

    fn batch() -> RecordBatch {
        RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).unwrap()
    }

    /// Gives one batch, and then never another one.
    #[derive(Debug)]
    struct Stuck(SchemaRef);

    impl PartitionStream for Stuck {
        fn schema(&self) -> &SchemaRef {
            &self.0
        }

        fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
            let rows = futures::stream::once(async { Ok(batch()) }).chain(futures::stream::pending());
            Box::pin(RecordBatchStreamAdapter::new(schema(), rows))
        }
    }

    #[tokio::test]
    async fn rows_are_passed_on() {
        let waiting = Waiting::new();
        let plan = MemorySourceConfig::try_new_exec(&[vec![batch(), batch()]], schema(), None).unwrap();
        let rows: Vec<_> = waiting
            .guard(plan)
            .execute(0, Arc::default())
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .collect()
            .await;
        assert_eq!(rows, [3, 3]);
    }

    #[tokio::test]
    async fn a_plan_ends_when_nobody_waits_for_it() {
        let waiting = Waiting::new();
        let plan =
            StreamingTableExec::try_new(schema(), vec![Arc::new(Stuck(schema()))], None, None, false, None).unwrap();
        let mut rows = waiting.guard(Arc::new(plan)).execute(0, Arc::default()).unwrap();
        assert_eq!(rows.next().await.unwrap().unwrap().num_rows(), 3);
        assert!(tokio::time::timeout(Duration::from_millis(50), rows.next()).await.is_err(), "it waits");
        drop(waiting);
        let end = tokio::time::timeout(Duration::from_secs(5), rows.next()).await.unwrap();
        assert!(end.unwrap().unwrap_err().to_string().contains("was cancelled"));
        assert!(rows.next().await.is_none());
    }
}
