//! Where the rows of a plan come from. The scheduler of Ballista gives each task its share of the leaves that it knows. Another
//! one would give all its rows to each task, without an error.

use std::any::Any;

use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Fails with the name of a leaf whose rows would be there more than once.
pub(crate) fn check(plan: &dyn ExecutionPlan) -> Result<(), String> {
    let children = plan.children();
    if children.is_empty() && !can_be_shared(plan) {
        return Err(format!(
            "the rows of {} cannot be shared among the tasks of a cluster: this is a bug, please report it with the plan",
            plan.name()
        ));
    }
    children.into_iter().try_for_each(|child| check(child.as_ref()))
}

/// Whether the scheduler gives each task a share of a leaf.
fn can_be_shared(leaf: &dyn ExecutionPlan) -> bool {
    if let Some(scan) = leaf.downcast_ref::<DataSourceExec>() {
        let source: &dyn Any = scan.data_source().as_ref();
        // A limit would be one for each task, or be lost.
        return leaf.fetch().is_none() && (source.is::<MemorySourceConfig>() || source.is::<FileScanConfig>());
    }
    // A number of partitions does not go with them.
    (leaf.is::<EmptyExec>() || leaf.is::<PlaceholderRowExec>()) && leaf.output_partitioning().partition_count() == 1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::streaming::StreamingTableExec;

    use super::*;

    #[test]
    fn rows_of_other_leaves_are_refused() {
        let schema = Arc::new(Schema::empty());
        let known = MemorySourceConfig::try_new_exec(&[vec![], vec![]], schema.clone(), None).unwrap();
        assert_eq!(check(&CoalescePartitionsExec::new(known)), Ok(()));
        assert_eq!(check(&EmptyExec::new(schema.clone())), Ok(()));
        assert!(check(&EmptyExec::new(schema.clone()).with_partitions(2)).is_err());
        let other = StreamingTableExec::try_new(schema, vec![], None, None, false, None).unwrap();
        assert!(check(&CoalescePartitionsExec::new(Arc::new(other))).unwrap_err().contains("StreamingTableExec"));
    }

    #[test]
    fn a_limit_within_a_leaf_is_refused() {
        let source =
            MemorySourceConfig::try_new(&[vec![]], Arc::new(Schema::empty()), None).unwrap().with_limit(Some(3));
        assert!(check(DataSourceExec::from_data_source(source).as_ref()).is_err());
    }
}
