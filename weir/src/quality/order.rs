//! The order of the rows of a model, which the columns of rules about related rows must not disturb.

use datafusion::error::Result as QueryResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Sort, SortExpr};

/// The order that a plan has given its rows.
pub(super) struct Order {
    by: Vec<SortExpr>,
    /// The columns in front of others that the rows are only ordered by, if there are such.
    shown: Option<usize>,
}

/// Takes the order off a plan that ends with one. What limits the rows stays.
pub(super) fn taken(plan: LogicalPlan) -> (LogicalPlan, Option<Order>) {
    match plan {
        LogicalPlan::Sort(Sort { expr, input, fetch: None }) => {
            (input.as_ref().clone(), Some(Order { by: expr, shown: None }))
        }
        // By columns that the model does not have.
        LogicalPlan::Projection(shown) => {
            let LogicalPlan::Sort(Sort { expr, input, fetch: None }) = shown.input.as_ref() else {
                return (LogicalPlan::Projection(shown), None);
            };
            let all = input.schema().columns();
            let are_first = shown.expr.iter().zip(&all).all(|(expr, column)| *expr == Expr::Column(column.clone()));
            match are_first && shown.expr.len() <= all.len() {
                true => (input.as_ref().clone(), Some(Order { by: expr.clone(), shown: Some(shown.expr.len()) })),
                false => (LogicalPlan::Projection(shown), None),
            }
        }
        other => (other, None),
    }
}

impl Order {
    /// The plan with its order, and with the columns of rules that were added since it was taken off.
    pub(super) fn restored(self, plan: LogicalPlan) -> QueryResult<LogicalPlan> {
        let columns = plan.schema().columns();
        let ordered = LogicalPlanBuilder::from(plan).sort(self.by)?;
        let Some(shown) = self.shown else { return ordered.build() };
        let added = columns.iter().filter(|column| column.name.starts_with("__rule_"));
        ordered.project(columns[..shown].iter().chain(added).cloned().map(Expr::Column))?.build()
    }
}
