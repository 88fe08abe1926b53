//! `/` and `*` with a decimal operand, as functions: their results have other types than the engine gives them.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::plan_err;
use datafusion::error::Result as QueryResult;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::columnar;
use super::operator::compute;
use super::product::ProductType;
use super::quotient::QuotientType;

/// A division or a multiplication.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DecimalOperator {
    operator: Operator,
    signature: Signature,
}

/// A result that is not the engine's own.
enum Kind {
    Quotient(QuotientType),
    Product(ProductType),
}

impl DecimalOperator {
    /// Whether an operator is one of the two.
    pub(super) fn is(operator: Operator) -> bool {
        matches!(operator, Operator::Divide | Operator::Multiply)
    }

    /// The function of one of the two.
    pub(super) fn of(operator: Operator) -> Self {
        Self { operator, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// What the result is, where the engine's own would not do.
    fn kind(&self, left: &DataType, right: &DataType) -> Option<Kind> {
        match self.operator {
            Operator::Divide => QuotientType::of(left, right).map(Kind::Quotient),
            _ => ProductType::of(left, right).map(Kind::Product),
        }
    }

    pub(super) fn compute(&self, args: &[ColumnarValue], rows: usize) -> QueryResult<ColumnarValue> {
        let [left, right] = args else { return plan_err!("`{}` has two operands", self.operator) };
        let Some(kind) = self.kind(&left.data_type(), &right.data_type()) else {
            return compute(self.operator, args, rows);
        };
        let is_scalar = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { rows };
        let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
        let (left, right) = (left.as_primitive(), right.as_primitive());
        let values = match kind {
            Kind::Quotient(kind) => kind.divide(left, right)?,
            Kind::Product(kind) => kind.multiply(left, right)?,
        };
        columnar(values, is_scalar)
    }
}

impl ScalarUDFImpl for DecimalOperator {
    fn name(&self) -> &str {
        if self.operator == Operator::Divide { "divide" } else { "multiply" }
    }

    /// The name that the column has in the query.
    fn schema_name(&self, args: &[Expr]) -> QueryResult<String> {
        let operands = args.iter().map(|arg| arg.schema_name().to_string()).collect::<Vec<_>>();
        Ok(operands.join(&format!(" {} ", self.operator)))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> QueryResult<Vec<DataType>> {
        match types {
            // The engine refuses those whose exact product has too many digits after the point.
            [DataType::Decimal128(..), DataType::Decimal128(..)] => Ok(types.to_vec()),
            [left, right] => {
                let (left, right) = BinaryTypeCoercer::new(left, &self.operator, right).get_input_types()?;
                Ok(vec![left, right])
            }
            _ => plan_err!("`{}` has two operands", self.operator),
        }
    }

    fn return_type(&self, types: &[DataType]) -> QueryResult<DataType> {
        let [left, right] = types else { return plan_err!("`{}` has two operands", self.operator) };
        match self.kind(left, right) {
            Some(Kind::Quotient(kind)) => Ok(kind.data_type()),
            Some(Kind::Product(kind)) => Ok(kind.data_type()),
            None => BinaryTypeCoercer::new(left, &self.operator, right).get_result_type(),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> QueryResult<ColumnarValue> {
        self.compute(&args.args, args.number_rows)
    }
}
