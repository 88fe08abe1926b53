//! Whether a row of a join has one partner at most.

use std::collections::BTreeSet;

use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

/// Whether no two rows of a plan have the same values in the columns that the expressions are. Only what the plan itself
/// makes unique counts, by grouping.
pub(super) fn is_unique<'e>(plan: &LogicalPlan, keys: impl IntoIterator<Item = &'e Expr>) -> bool {
    let schema = plan.schema();
    of_columns(plan, &keys.into_iter().filter_map(|key| position(schema, key)).collect())
}

fn of_columns(plan: &LogicalPlan, keys: &BTreeSet<usize>) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => of_columns(&alias.input, keys),
        LogicalPlan::Filter(filter) => of_columns(&filter.input, keys),
        LogicalPlan::Projection(projection) => {
            let schema = projection.input.schema();
            let below = keys.iter().filter_map(|at| position(schema, projection.expr.get(*at)?));
            of_columns(&projection.input, &below.collect())
        }
        LogicalPlan::Aggregate(aggregate) if !matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]) => {
            aggregate.group_expr_len().is_ok_and(|groups| (0..groups).all(|at| keys.contains(&at)))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => (0..input.schema().fields().len()).all(|at| keys.contains(&at)),
        _ => false,
    }
}

/// The position of the column that an expression is.
fn position(schema: &DFSchema, expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::Alias(Alias { expr, .. }) => position(schema, expr),
        _ => None,
    }
}
