//! Numbers as PostgreSQL has them, where the engine has something else: what is cut off there is rounded.
//!
//! `/` and `*` with a decimal operand and the cast of a fraction to an integer are replaced by functions, before the types of a
//! plan are coerced: a quotient has another type, and the casts that are added there need no rounding.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Decimal128Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::config::ConfigOptions;
use datafusion::error::Result as QueryResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TryCast, Volatility,
};

use super::decimals::DecimalOperator;
use super::quotient::rounded;

/// Replaces them in a plan.
#[derive(Debug)]
pub(super) struct AsPostgres;

impl FunctionRewrite for AsPostgres {
    fn name(&self) -> &str {
        "numbers_as_postgres"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> QueryResult<Transformed<Expr>> {
        Ok(replace(expr, schema))
    }
}

/// The same for one node of an expression.
pub(super) fn replace(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let type_of = |expr: &Expr| expr.get_type(schema).ok();
    let is_decimal = |expr: &Expr| type_of(expr).is_some_and(|kind| kind.is_decimal());
    let is_number = |expr: &Expr| type_of(expr).is_some_and(|kind| kind.is_numeric());
    let has_fraction =
        |expr: &Expr| type_of(expr).is_some_and(|kind| kind.is_floating() || whole_type(&kind).is_some());
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            // Asking for types takes time: only of the operands that matter.
            if DecimalOperator::is(op)
                && (is_decimal(&left) && is_number(&right) || is_number(&left) && is_decimal(&right)) =>
        {
            Transformed::yes(call(DecimalOperator::of(op), vec![*left, *right]))
        }
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() && has_fraction(&expr) => {
            Transformed::yes(Expr::Cast(Cast { expr: Box::new(call(Nearest::default(), vec![*expr])), field }))
        }
        Expr::TryCast(TryCast { expr, field }) if field.data_type().is_integer() && has_fraction(&expr) => {
            Transformed::yes(Expr::TryCast(TryCast { expr: Box::new(call(Nearest::default(), vec![*expr])), field }))
        }
        other => Transformed::no(other),
    }
}

/// The functions that replace operators and casts.
pub(super) fn functions() -> [ScalarUDF; 3] {
    let operator = |operator| ScalarUDF::from(DecimalOperator::of(operator));
    [operator(Operator::Divide), operator(Operator::Multiply), ScalarUDF::from(Nearest::default())]
}

fn call(function: impl ScalarUDFImpl + 'static, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), args))
}

/// The precision of the whole numbers of a decimal with digits after the point, and how many it has of those.
pub(super) fn whole_type(of: &DataType) -> Option<(u8, u32)> {
    match of {
        DataType::Decimal128(precision, scale @ 1..) => {
            Some((precision - scale.unsigned_abs() + 1, u32::from(scale.unsigned_abs())))
        }
        _ => None,
    }
}

/// Whole numbers of a column of decimals.
pub(super) fn whole(values: &dyn Array, of: fn(i128, i128) -> i128) -> QueryResult<Option<Decimal128Array>> {
    let Some((precision, scale)) = whole_type(values.data_type()) else { return Ok(None) };
    let one = 10_i128.pow(scale);
    let whole: Decimal128Array = values.as_primitive::<Decimal128Type>().unary(|value| of(value, one));
    Ok(Some(whole.with_precision_and_scale(precision, 0)?))
}

/// The nearest whole number: of decimals that are half way the one away from zero, of floating-point numbers the even one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nearest {
    signature: Signature,
}

impl Default for Nearest {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Nearest {
    fn name(&self) -> &str {
        "nearest"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> QueryResult<DataType> {
        Ok(whole_type(&types[0]).map_or_else(|| types[0].clone(), |(precision, _)| DataType::Decimal128(precision, 0)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> QueryResult<ColumnarValue> {
        super::per_array(&args.args[0], |values| {
            Ok(match values.data_type() {
                DataType::Float64 => {
                    Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even))
                }
                DataType::Float32 => {
                    Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even))
                }
                _ => match whole(values, rounded)? {
                    Some(whole) => Arc::new(whole),
                    None => values.clone(),
                },
            })
        })
    }
}
