//! A condition on the rows of a table.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;

use crate::engine;
use crate::error::plain;
use crate::model::{self, WrongCondition};
use crate::task::{Task, type_name};

/// A condition, ready to be evaluated.
#[derive(Debug, Clone)]
pub(crate) struct Condition(Arc<dyn PhysicalExpr>);

impl Condition {
    /// Binds SQL of a task to the columns of a table; the error says what is wrong with it.
    pub(crate) fn bind(
        task: &Task,
        session: &SessionState,
        schema: &SchemaRef,
        sql: &str,
    ) -> Result<Self, WrongCondition> {
        let condition = Self::of(session, schema, model::condition(task, session, schema, sql)?)?;
        engine::try_out(schema, |batch| condition.is_true(batch)).map_err(|error| plain(&error))?;
        Ok(condition)
    }

    pub(super) fn of(session: &SessionState, schema: &SchemaRef, expr: Expr) -> Result<Self, String> {
        let schema = DFSchema::try_from(schema.as_ref().clone()).map_err(|error| plain(&error))?;
        let kind = expr.get_type(&schema).map_err(|error| plain(&error))?;
        if kind != DataType::Boolean {
            return Err(format!("a condition must be true or false, but this is {}", type_name(&kind)));
        }
        let expr = engine::checked(session, expr, &schema).map_err(|error| plain(&error))?;
        session.create_physical_expr(expr, &schema).map(Self).map_err(|error| plain(&error))
    }

    /// The positions of the columns that it reads.
    pub(crate) fn columns(&self) -> BTreeSet<usize> {
        collect_columns(&self.0).iter().map(|column| column.index()).collect()
    }

    /// For which rows it is true; null is not.
    pub(crate) fn is_true(&self, batch: &RecordBatch) -> Result<BooleanBuffer, DataFusionError> {
        let answer = self.0.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(true_of(answer.as_boolean()))
    }
}

/// Where an answer is true; null is not.
pub(super) fn true_of(answer: &BooleanArray) -> BooleanBuffer {
    match answer.nulls() {
        Some(valid) if valid.null_count() > 0 => answer.values() & valid.inner(),
        _ => answer.values().clone(),
    }
}
