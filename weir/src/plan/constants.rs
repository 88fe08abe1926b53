//! Scalar subqueries computed before the query that they are in.
//!
//! A row that a condition with such a value cannot be computed for is rejected alone only where the value is a constant, and not
//! the other side of a join.

use std::collections::HashMap;

use datafusion::arrow::compute::concat_batches;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as QueryResult;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;

use crate::engine;
use crate::error::{Error, Result};

/// The query with values in place of the scalar subqueries that do not depend on its rows. They are computed in a session.
pub(super) async fn with_constants(table: &str, query: &LogicalPlan, session: &SessionContext) -> Result<LogicalPlan> {
    let failed = |error| Error::query(table, error);
    let mut subqueries: Vec<Subquery> = Vec::new();
    query
        .apply(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Some(subquery) = constant(expr)
                        && !subqueries.contains(subquery)
                    {
                        subqueries.push(subquery.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })
        .map_err(failed)?;
    let mut values = HashMap::with_capacity(subqueries.len());
    for subquery in subqueries {
        let value = value(table, &subquery, session).await?;
        values.insert(subquery, value);
    }
    if values.is_empty() {
        return Ok(query.clone());
    }
    let replaced = query.clone().transform_up(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let replaced =
                expr.transform_up(|expr| match constant(&expr).and_then(|subquery| values.get(subquery)) {
                    Some(value) => Ok(Transformed::yes(Expr::Literal(value.clone(), None))),
                    None => Ok(Transformed::no(expr)),
                })?;
            Ok(replaced.update_data(|expr| name.restore(expr)))
        })
    });
    replaced.map(|plan| plan.data).map_err(failed)
}

/// A scalar subquery that does not depend on the rows around it.
fn constant(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => Some(subquery),
        _ => None,
    }
}

async fn value(table: &str, subquery: &Subquery, session: &SessionContext) -> Result<ScalarValue> {
    let compute = async || -> QueryResult<_> {
        let plan = engine::state(session).create_physical_plan(&subquery.subquery).await?;
        let schema = plan.schema();
        Ok(concat_batches(&schema, &collect(plan, session.task_ctx()).await?)?)
    };
    let rows = compute().await.map_err(|error| Error::query(table, error))?;
    let value = match rows.num_rows() {
        0 => ScalarValue::try_new_null(rows.schema().field(0).data_type()),
        1 => ScalarValue::try_from_array(rows.column(0), 0),
        _ => {
            let message = "Scalar subquery returned more than one row".to_owned();
            return Err(Error::Query { table: table.to_owned(), message });
        }
    };
    value.map_err(|error| Error::query(table, error))
}
