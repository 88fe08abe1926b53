//! Ends what a stage computes when nobody waits for it any more. Ballista leaves the partitions of such a stage running.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, RecordBatchStream, SendableRecordBatchStream,
};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::watch;

/// How long a partition may compute until others have their turn.
const TURN: Duration = Duration::from_millis(10);

/// That somebody waits for a stage. When this is dropped nobody does.
#[derive(Debug)]
pub(crate) struct Waiting {
    is_over: Arc<AtomicBool>,
    /// Nothing is sent: the other side notices when this is dropped.
    alive: watch::Sender<()>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Self { is_over: Arc::default(), alive: watch::Sender::new(()) }
    }

    /// The same plan, which ends when this is dropped. It is looked for that at its top, at its leaves, and where many rows
    /// come of few, so that no operator goes on for long.
    pub(crate) fn guard(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let guarded = plan.transform_up(|node| {
            // What passes rows on unchanged is not wrapped: weir looks through it for what it guards.
            let is_union = node.is::<UnionExec>() || node.is::<InterleaveExec>();
            let goes_on_for_long = node.children().len() != 1 && !is_union;
            Ok(if goes_on_for_long { Transformed::yes(self.guard_node(node)) } else { Transformed::no(node) })
        });
        Ok(self.guard_node(guarded?.data))
    }

    fn guard_node(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(CancelExec { input, is_over: self.is_over.clone(), alive: self.alive.subscribe() })
    }
}

/// Passes rows on as long as somebody waits for them.
#[derive(Debug)]
struct CancelExec {
    input: Arc<dyn ExecutionPlan>,
    is_over: Arc<AtomicBool>,
    alive: watch::Receiver<()>,
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
            (Some(input), true) => {
                Ok(Arc::new(Self { input, is_over: self.is_over.clone(), alive: self.alive.clone() }))
            }
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
        let mut alive = self.alive.clone();
        let over = async move { while alive.changed().await.is_ok() {} }.boxed();
        Ok(Box::pin(Guarded {
            schema: input.schema(),
            input: Some(input),
            is_over: self.is_over.clone(),
            over,
            task,
            paused: Instant::now(),
        }))
    }
}

/// The rows of a partition.
struct Guarded {
    schema: SchemaRef,
    input: Option<SendableRecordBatchStream>,
    is_over: Arc<AtomicBool>,
    /// Comes back when nobody waits any more, also while the rows do not come.
    over: BoxFuture<'static, ()>,
    task: String,
    /// When others had their turn.
    paused: Instant,
}

impl Stream for Guarded {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let own = self.get_mut();
        let Some(input) = &mut own.input else { return Poll::Ready(None) };
        // The threads may all be busy with partitions that never pause, while the one who drops waits for a thread.
        if own.paused.elapsed() > TURN {
            own.paused = Instant::now();
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !own.is_over.load(Ordering::Relaxed) {
            let rows = input.poll_next_unpin(context);
            if rows.is_ready() || own.over.poll_unpin(context).is_pending() {
                return rows;
            }
        }
        // What computes the rows is dropped.
        own.input = None;
        Poll::Ready(Some(Err(DataFusionError::Execution(format!("{} was cancelled", own.task)))))
    }
}

impl RecordBatchStream for Guarded {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
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
        let rows = waiting.guard(plan).unwrap().execute(0, Arc::default()).unwrap();
        assert_eq!(rows.map(|batch| batch.unwrap().num_rows()).collect::<Vec<_>>().await, [3, 3]);
    }

    #[tokio::test]
    async fn a_plan_ends_when_nobody_waits_for_it() {
        let waiting = Waiting::new();
        let plan =
            StreamingTableExec::try_new(schema(), vec![Arc::new(Stuck(schema()))], None, None, false, None).unwrap();
        let mut rows = waiting.guard(Arc::new(plan)).unwrap().execute(0, Arc::default()).unwrap();
        assert_eq!(rows.next().await.unwrap().unwrap().num_rows(), 3);
        assert!(tokio::time::timeout(Duration::from_millis(50), rows.next()).await.is_err(), "it waits");
        drop(waiting);
        let end = tokio::time::timeout(Duration::from_secs(5), rows.next()).await.unwrap();
        assert!(end.unwrap().unwrap_err().to_string().contains("was cancelled"));
        assert!(rows.next().await.is_none());
    }
    /// Gives rows for ever, and never pauses.
    #[derive(Debug)]
    struct Busy(SchemaRef);

    impl PartitionStream for Busy {
        fn schema(&self) -> &SchemaRef {
            &self.0
        }

        fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
            let rows = futures::stream::repeat_with(|| Ok(batch()));
            Box::pin(RecordBatchStreamAdapter::new(schema(), rows))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_that_never_pauses_ends_when_nobody_waits_for_it() {
        let waiting = Waiting::new();
        let plan =
            StreamingTableExec::try_new(schema(), vec![Arc::new(Busy(schema()))], None, None, true, None).unwrap();
        let mut rows = waiting.guard(Arc::new(plan)).unwrap().execute(0, Arc::default()).unwrap();
        let busy = tokio::spawn(async move { while let Some(Ok(_)) = rows.next().await {} });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!busy.is_finished());
        drop(waiting);
        tokio::time::timeout(Duration::from_secs(10), busy).await.unwrap().unwrap();
    }
}
