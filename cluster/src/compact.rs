//! Copies the texts of batches that are written as they come. A view of a few texts has the whole block with it that they are in,
//! which Ballista would write to disk and send (datafusion-ballista#1182).

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{ByteViewType, DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use futures::StreamExt;

/// The same plan, whose batches have no texts but their own.
pub(crate) fn compacted(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let has_views = plan.schema().fields().iter().any(|field| is_view(field.data_type()));
    if has_views { Arc::new(CompactExec(plan)) } else { plan }
}

fn is_view(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8View | DataType::BinaryView)
}

/// Copies texts out of their blocks.
#[derive(Debug)]
struct CompactExec(Arc<dyn ExecutionPlan>);

impl DisplayAs for CompactExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactExec")
    }
}

impl ExecutionPlan for CompactExec {
    fn name(&self) -> &str {
        "CompactExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.0]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self(input))),
            _ => Err(DataFusionError::Internal("CompactExec has one child".to_owned())),
        }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.0.execute(partition, context)?;
        let schema = input.schema();
        let compact = {
            let schema = schema.clone();
            move |batch: Result<RecordBatch>| compact(&schema, batch?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, input.map(compact))))
    }
}

fn compact(schema: &SchemaRef, batch: RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => own_bytes(column, column.as_string_view()),
        DataType::BinaryView => own_bytes(column, column.as_binary_view()),
        _ => column.clone(),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options)?)
}

/// The column without what is not its own, if that is more than half of it.
fn own_bytes<T: ByteViewType>(column: &ArrayRef, views: &GenericByteViewArray<T>) -> ArrayRef {
    let blocks: usize = views.data_buffers().iter().map(|block| block.capacity()).sum();
    if blocks > 2 * views.total_buffer_bytes_used() { Arc::new(views.gc()) } else { column.clone() }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringViewArray;
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;

    use super::*;

    #[tokio::test]
    async fn a_part_of_a_column_has_no_more_than_its_texts() {
        let texts: StringViewArray =
            (0..10_000).map(|n| Some(format!("text number {n} of many, not inlined"))).collect();
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8View, false)]));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(texts)]).unwrap();
        let part = batch.slice(5_000, 3);
        assert!(part.column(0).as_string_view().get_buffer_memory_size() > 100_000);
        let plan = compacted(MemorySourceConfig::try_new_exec(&[vec![part.clone()]], schema, None).unwrap());
        assert_eq!(plan.name(), "CompactExec");
        let own = plan.execute(0, Arc::default()).unwrap().next().await.unwrap().unwrap();
        assert_eq!(own, part);
        assert!(own.column(0).as_string_view().get_buffer_memory_size() < 10_000);
    }

    #[test]
    fn a_plan_without_texts_is_left_alone() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let plan = MemorySourceConfig::try_new_exec(&[vec![]], schema, None).unwrap();
        assert_eq!(compacted(plan).name(), "DataSourceExec");
    }
}
