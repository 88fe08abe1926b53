//! The engine's own operators, for values outside of a plan.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::error::Result as QueryResult;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{self, Column, Literal};

/// An operator in its checked form: it includes the special cases of dates and times.
pub(super) fn compute(operator: Operator, args: &[ColumnarValue], rows: usize) -> QueryResult<ColumnarValue> {
    let mut fields = Vec::with_capacity(args.len());
    let mut columns = Vec::with_capacity(args.len());
    let mut operand = |value: &ColumnarValue| -> Arc<dyn PhysicalExpr> {
        match value {
            ColumnarValue::Scalar(value) => Arc::new(Literal::new(value.clone())),
            ColumnarValue::Array(values) => {
                fields.push(Field::new("", values.data_type().clone(), true));
                columns.push(values.clone());
                Arc::new(Column::new("", columns.len() - 1))
            }
        }
    };
    let (left, right) = (operand(&args[0]), operand(&args[1]));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
    expressions::BinaryExpr::new(left, operator, right).with_fail_on_overflow(true).evaluate(&batch)
}
