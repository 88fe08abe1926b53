//! Arithmetic that fails where the engine's own would wrap around.
//!
//! To the engine `9223372036854775807 + 1` is a negative number. Once the types of a plan are coerced, every `+`, `-`,
//! `*` and unary minus in it is replaced by a function that calls the checked kernels instead. That is done on the
//! logical plan, where one walk reaches the expressions of all nodes, and before constants are evaluated.

use std::any::Any;
use std::sync::Arc;

use datafusion::arrow::compute::kernels::numeric::neg;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result as QueryResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::analyzer::function_rewrite::ApplyFunctionRewrites;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::decimals::DecimalOperator;
use super::numbers;
use super::operator::compute;

/// The rule that replaces the operators of a plan. It comes after type coercion.
pub(super) fn rule() -> ApplyFunctionRewrites {
    ApplyFunctionRewrites::new(vec![Arc::new(CheckArithmetic)])
}

/// The functions that replace operators.
pub(super) fn functions() -> impl Iterator<Item = ScalarUDF> {
    let all = [Operation::Add, Operation::Subtract, Operation::Multiply, Operation::Negate];
    all.into_iter().map(|operation| ScalarUDF::from(Checked::of(operation)))
}

/// The same for an expression outside of a plan, whose constants, such as `now()`, are computed as the planner does in a
/// query. A constant part that cannot be computed is an error.
pub(crate) fn checked(session: &SessionState, expr: Expr, schema: &DFSchema) -> QueryResult<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(session.config_options().clone())
        .with_query_execution_start_time(session.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    let expr = expr.transform_up(|expr| Ok(numbers::replace(expr, schema)))?.data;
    let expr = simplifier.coerce(expr, schema)?;
    let expr = expr.transform_up(|expr| Ok(replace(expr)))?.data;
    let expr = simplifier.simplify(expr)?;
    failing_constant(&expr)?;
    Ok(expr)
}

/// Computes the constants left in an optimised plan: constant folding left them because they cannot be computed.
pub(crate) fn check_constants(plan: &LogicalPlan) -> QueryResult<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| failing_constant(expr).map(|()| TreeNodeRecursion::Continue))
    })?;
    Ok(())
}

fn failing_constant(expr: &Expr) -> QueryResult<()> {
    let is_literal = |expr: &Expr| matches!(expr, Expr::Literal(..));
    expr.apply(|expr| {
        match expr {
            // Whether these are computed depends on the row.
            Expr::Case(_) => return Ok(TreeNodeRecursion::Jump),
            Expr::ScalarFunction(call) if call.func.short_circuits() => return Ok(TreeNodeRecursion::Jump),
            Expr::ScalarFunction(call) if call.args.iter().all(is_literal) => {
                let function: &dyn Any = call.func.inner().as_ref();
                let values = call.args.iter().filter_map(Expr::as_literal).cloned().map(ColumnarValue::Scalar);
                if let Some(checked) = function.downcast_ref::<Checked>() {
                    checked.compute(&values.collect::<Vec<_>>(), 1)?;
                } else if let Some(operator) = function.downcast_ref::<DecimalOperator>() {
                    operator.compute(&values.collect::<Vec<_>>(), 1)?;
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Divide | Operator::Modulo), right }) => {
                if let (Expr::Literal(left, _), Expr::Literal(right, _)) = (left.as_ref(), right.as_ref()) {
                    compute(*op, &[left.clone().into(), right.clone().into()], 1)?;
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

#[derive(Debug)]
struct CheckArithmetic;

impl FunctionRewrite for CheckArithmetic {
    fn name(&self) -> &str {
        "check_arithmetic"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> QueryResult<Transformed<Expr>> {
        Ok(replace(expr))
    }
}

fn replace(expr: Expr) -> Transformed<Expr> {
    let call = |operation, args| {
        let function = ScalarUDF::from(Checked::of(operation));
        Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), args)))
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => call(Operation::Add, vec![*left, *right]),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            call(Operation::Subtract, vec![*left, *right])
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Multiply, right }) => {
            call(Operation::Multiply, vec![*left, *right])
        }
        Expr::Negative(inner) => call(Operation::Negate, vec![*inner]),
        other => Transformed::no(other),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

fn args_of(operation: Operation) -> usize {
    if operation == Operation::Negate { 1 } else { 2 }
}

impl Operation {
    fn operator(self) -> Option<Operator> {
        match self {
            Self::Add => Some(Operator::Plus),
            Self::Subtract => Some(Operator::Minus),
            Self::Multiply => Some(Operator::Multiply),
            Self::Negate => None,
        }
    }
}

/// An operator as a function of its coerced operands.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    fn of(operation: Operation) -> Self {
        Self { operation, signature: Signature::any(args_of(operation), Volatility::Immutable) }
    }

    fn compute(&self, args: &[ColumnarValue], rows: usize) -> QueryResult<ColumnarValue> {
        match (self.operation.operator(), args) {
            (Some(operator), [_, _]) => compute(operator, args, rows),
            (None, [ColumnarValue::Array(values)]) => Ok(ColumnarValue::Array(neg(values.as_ref())?)),
            (None, [ColumnarValue::Scalar(value)]) => Ok(ColumnarValue::Scalar(value.arithmetic_negate()?)),
            _ => internal_err!("{} does not take {} operands", self.name(), args.len()),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
        }
    }

    /// The name that the column would have without the check.
    fn schema_name(&self, args: &[Expr]) -> QueryResult<String> {
        Ok(match (self.operation.operator(), args) {
            (Some(operator), [left, right]) => format!("{} {operator} {}", left.schema_name(), right.schema_name()),
            _ => args.iter().map(|arg| format!("(- {})", arg.schema_name())).collect(),
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> QueryResult<DataType> {
        match (self.operation.operator(), types) {
            (Some(operator), [left, right]) => BinaryTypeCoercer::new(left, &operator, right).get_result_type(),
            (None, [of]) => Ok(of.clone()),
            _ => internal_err!("{} does not take {} operands", self.name(), types.len()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> QueryResult<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> QueryResult<ColumnarValue> {
        self.compute(&args.args, args.number_rows)
    }
}
