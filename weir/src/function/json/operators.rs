//! What is planned as something else: `->`, `->>`, `#>`, `#>>` and the aggregates.

use std::sync::Arc;

use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr};
use datafusion::logical_expr::{Expr, ScalarUDF, WindowFunctionDefinition, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::aggregate::{self, JsonAggregate};
use super::extract::Extract;

/// Plans the operators as functions, and takes the documents out of what the aggregates compute.
#[derive(Debug)]
pub(crate) struct JsonSyntax;

impl ExprPlanner for JsonSyntax {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (function, path) = match &expr.op {
            BinaryOperator::Arrow => (Extract::operator(false), vec![expr.right]),
            BinaryOperator::LongArrow => (Extract::operator(true), vec![expr.right]),
            BinaryOperator::HashArrow => (Extract::path(false), path(expr.right)?),
            BinaryOperator::HashLongArrow => (Extract::path(true), path(expr.right)?),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let args = [expr.left].into_iter().chain(path).collect();
        let call = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), args);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        match JsonAggregate::of(&expr.func) {
            Some(_) => Ok(PlannerResult::Planned(aggregate::planned(expr)?)),
            None => Ok(PlannerResult::Original(expr)),
        }
    }

    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        match &expr.func_def {
            WindowFunctionDefinition::AggregateUDF(function) if JsonAggregate::of(function).is_some() => {
                plan_err!("{} has no windows: build JSON of groups in a subquery, and join it", function.name())
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// The steps of `array['a', 'b']` or `'{a,b}'`.
fn path(expr: Expr) -> Result<Vec<Expr>> {
    match expr {
        Expr::ScalarFunction(list) if list.func.name() == "make_array" => Ok(list.args),
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _)
            if text.starts_with('{') && text.ends_with('}') =>
        {
            let steps = text[1..text.len() - 1].split(',').map(str::trim).filter(|step| !step.is_empty());
            Ok(steps.map(|step| lit(step.trim_matches('"'))).collect())
        }
        _ => plan_err!("a path into JSON is written array['user', 'name']"),
    }
}
