//! Grouping sets over columns of which the planner knows the value.
//!
//! A column that is constant counts as sorted, also where a grouping set leaves it out and it is null instead: the groups
//! of an aggregate that relies on that order come apart. Here such columns become expressions of unknown value.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result as QueryResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, when,
};
use datafusion::optimizer::AnalyzerRule;

#[derive(Debug)]
pub(super) struct OpaqueColumns;

impl AnalyzerRule for OpaqueColumns {
    fn name(&self) -> &str {
        "opaque_columns_of_grouping_sets"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> QueryResult<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite)?.data)
    }
}

fn rewrite(plan: LogicalPlan) -> QueryResult<Transformed<LogicalPlan>> {
    let LogicalPlan::Aggregate(aggregate) = plan else { return Ok(Transformed::no(plan)) };
    if !matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let grouped = aggregate.group_expr[0].column_refs();
    let schema = aggregate.input.schema();
    let columns = schema.iter().map(|(relation, field)| {
        let column = Column::from((relation, field));
        match grouped.contains(&column) {
            true => opaque(column, field.data_type()),
            false => Ok(Expr::Column(column)),
        }
    });
    let columns = columns.collect::<QueryResult<Vec<_>>>()?;
    let input = LogicalPlanBuilder::from(aggregate.input.as_ref().clone()).project(columns)?.build()?;
    let aggregate =
        Aggregate::try_new_with_schema(Arc::new(input), aggregate.group_expr, aggregate.aggr_expr, aggregate.schema)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
}

/// A column under its own name, which is null if `never()`.
fn opaque(column: Column, kind: &DataType) -> QueryResult<Expr> {
    let never = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(Never::default())), vec![]);
    let (relation, name) = (column.relation.clone(), column.name.clone());
    let value = Expr::Column(column);
    let of = when(Expr::ScalarFunction(never), Expr::Literal(ScalarValue::try_from(kind)?, None)).otherwise(value)?;
    Ok(of.alias_qualified(relation, name))
}

/// False, as no planner can know.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Never {
    signature: Signature,
}

impl Default for Never {
    fn default() -> Self {
        Self { signature: Signature::nullary(Volatility::Volatile) }
    }
}

impl ScalarUDFImpl for Never {
    fn name(&self) -> &str {
        "never"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> QueryResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> QueryResult<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(false))))
    }
}
