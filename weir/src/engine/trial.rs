//! Trying out what is planned, before any data is read: what cannot work on any row is an error of the task.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::row_error::RowError;

/// Computes a batch without rows, and one of one row. That the row itself cannot be computed is no error.
pub(crate) fn try_out<T, E: Into<DataFusionError>>(
    schema: &Schema,
    compute: impl Fn(&RecordBatch) -> Result<T, E>,
) -> QueryResult<()> {
    let row = row(schema)?;
    match compute(&row.slice(0, 0)).map_err(Into::into) {
        // A constant behind a condition, which may hold for no row. Others have been computed when they were planned.
        Err(error) if RowError::of(&error).is_some_and(|error| error.is_arithmetic()) => {}
        computed => drop(computed?),
    }
    match compute(&row).map_err(Into::into) {
        Err(error) if RowError::of(&error).is_none() => Err(error),
        _ => Ok(()),
    }
}

/// A batch of one row: zeros, empty texts and the like; null where a type has no such value.
fn row(schema: &Schema) -> QueryResult<RecordBatch> {
    let value = |field: &Arc<Field>| -> QueryResult<ArrayRef> {
        let kind = field.data_type();
        let value = (!kind.is_nested()).then(|| ScalarValue::new_default(kind).ok()).flatten();
        value.map_or_else(|| Ok(new_null_array(kind, 1)), |value| value.to_array_of_size(1))
    };
    let columns = schema.fields().iter().map(value).collect::<QueryResult<Vec<_>>>()?;
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// Tries out the expressions of a plan's projections and filters. Nothing is read.
pub(crate) fn try_expressions(plan: &Arc<dyn ExecutionPlan>) -> QueryResult<()> {
    plan.apply(|node| {
        if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
            let schema = projection.input().schema();
            projection.expr().iter().try_for_each(|projected| try_expression(&schema, &projected.expr))?;
        } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
            try_expression(&filter.input().schema(), filter.predicate())?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn try_expression(schema: &Schema, expr: &Arc<dyn PhysicalExpr>) -> QueryResult<()> {
    // The value of a subquery is known when the plan is executed.
    if expr.exists(|expr| Ok(expr.is::<ScalarSubqueryExpr>()))? {
        return Ok(());
    }
    try_out(schema, |batch| expr.evaluate(batch)?.into_array(batch.num_rows()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::arrow::error::ArrowError;

    use super::*;

    #[test]
    fn what_fails_for_the_row_alone_is_no_error() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        let only_rows = |batch: &RecordBatch| match batch.num_rows() {
            0 => Ok(()),
            _ => Err(ArrowError::DivideByZero),
        };
        assert!(try_out(&schema, only_rows).is_ok());
        assert!(try_out(&schema, |_| Err::<(), _>(ArrowError::ParseError("that".to_owned()))).is_err());
        let planned_wrong = |batch: &RecordBatch| match batch.num_rows() {
            0 => Ok(()),
            _ => Err(DataFusionError::NotImplemented("that".to_owned())),
        };
        assert!(try_out(&schema, planned_wrong).is_err());
    }
}
