//! Joins that Ballista 55 would compute wrong: those that give rows of their first side once all of the second one was seen.
//! On one machine all partitions share what they have seen. On a cluster each task would give such rows, more than once.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode, PiecewiseMergeJoinExec};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};

/// The same plan, in which one task computes all of such a join.
pub(crate) fn in_one_task(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let children = node.children();
        let [first, second] = children.as_slice() else { return Ok(Transformed::no(node)) };
        if !gives_rows_at_the_end(&node) || second.output_partitioning().partition_count() == 1 {
            return Ok(Transformed::no(node));
        }
        let second = Arc::new(CoalescePartitionsExec::new((*second).clone()));
        // The scheduler takes an exchange out of a plan that no node requires. This one, which lets all rows pass, does.
        let second = Arc::new(GlobalLimitExec::new(second, 0, None));
        let (children, options) =
            (vec![(*first).clone(), second as _], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute));
        Ok(Transformed::yes(node.replace_children(children, options)?))
    });
    Ok(changed?.data)
}

/// Whether the tasks of a join, which each see a part of its second side, would have to know of each other.
fn gives_rows_at_the_end(node: &Arc<dyn ExecutionPlan>) -> bool {
    use JoinType::{Full, Left, LeftAnti, LeftMark, LeftSemi};
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return matches!(join.join_type(), Left | Full | LeftSemi | LeftAnti | LeftMark);
    }
    // Ballista itself makes joins by partitions of the others of this mode.
    let is_null_aware = |join: &HashJoinExec| join.null_aware && *join.partition_mode() == PartitionMode::CollectLeft;
    node.downcast_ref().is_some_and(is_null_aware) || node.is::<PiecewiseMergeJoinExec>()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    #[tokio::test]
    async fn only_joins_that_give_rows_at_the_end_are_changed() {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(4));
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        for table in ["a", "b"] {
            let rows = MemTable::try_new(schema.clone(), vec![vec![], vec![], vec![]]).unwrap();
            context.register_table(table, Arc::new(rows)).unwrap();
        }
        for (sql, is_changed) in [
            ("select * from a join b on a.n > b.n", false),
            ("select * from a join b on a.n = b.n", false),
            ("select * from a full join b on a.n > b.n", true),
            ("select * from a where a.n not in (select b.n from b)", true),
        ] {
            let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
            let text = |plan: &Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(false).to_string();
            let changed = in_one_task(plan.clone()).unwrap();
            assert_eq!(text(&changed) != text(&plan), is_changed, "{sql}\n{}", text(&changed));
            assert_eq!(text(&changed).contains("GlobalLimitExec: skip=0, fetch=None"), is_changed, "{sql}");
        }
    }
}
